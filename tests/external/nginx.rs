//! A real nginx on loopback in place of WSUS' web site: its own folder, ports, certificates and access log.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use supwatch_tests::{Running, wait_for};

/// A web server that runs until it is dropped.
pub struct Nginx {
    dir: tempfile::TempDir,
    _running: Running,
}

/// One request from the access log.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Time, in seconds.
    pub at: f64,
    /// Number of its connection.
    pub connection: String,
    /// Address and port on which it arrived.
    pub to: String,
    /// Method and target, as sent.
    pub line: String,
    /// `User-Agent`, `Authorization` and `Proxy-Authorization`.
    pub headers: [String; 3],
}

/// A port of an address on which nothing listens.
pub fn free(ip: &str) -> SocketAddr {
    TcpListener::bind((ip, 0)).expect("a loopback address").local_addr().expect("an address")
}

/// A certificate and its key, as PEM.
pub type Identity = (String, String);

impl Nginx {
    /// Starts the server: each virtual server's address, its identity if it speaks TLS, and the rest of its block.
    pub fn start(servers: &[(SocketAddr, Option<Identity>, &str)]) -> Nginx {
        let dir = tempfile::tempdir().expect("folder");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let mut blocks = String::new();
        for (index, (address, certificate, body)) in servers.iter().enumerate() {
            let mut listen = format!("listen {address};");
            if let Some((certificate, key)) = certificate {
                let (certificate_at, key_at) = (at(&format!("{index}.pem")), at(&format!("{index}.key")));
                std::fs::write(&certificate_at, certificate).expect("file");
                std::fs::write(&key_at, key).expect("file");
                listen = format!("listen {address} ssl; ssl_certificate {certificate_at}; ssl_certificate_key {key_at};");
            }
            blocks.push_str(&format!("server {{ {listen} {body} }}\n"));
        }
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .collect();
        let form =
            "$msec|$connection|$server_addr:$server_port|$request|$http_user_agent|$http_authorization|$http_proxy_authorization";
        let config = format!(
            "daemon off;\nmaster_process off;\nerror_log stderr;\npid {};\nevents {{}}\nhttp {{\n{temporary}\
             log_format asked '{form}';\naccess_log {} asked;\n{blocks}}}\n",
            at("nginx.pid"),
            at("access.log"),
        );
        std::fs::write(dir.path().join("nginx.conf"), &config).expect("file");
        let mut command = Command::new(program());
        command.args(["-e", "stderr", "-p"]).arg(dir.path()).arg("-c").arg(dir.path().join("nginx.conf"));
        let nginx = Nginx { _running: Running::start(command), dir };
        wait_for("nginx", || match servers.iter().find(|(address, ..)| std::net::TcpStream::connect(address).is_err()) {
            None => Ok(()),
            Some((address, ..)) => Err(format!("nothing listens at {address}: {}", nginx._running.said())),
        });
        nginx
    }

    /// The requests so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        let log = std::fs::read_to_string(self.dir.path().join("access.log")).expect("the access log");
        // A connection without a request, such as a port check, does not count.
        log.lines().map(asked).filter(|asked| !asked.line.is_empty()).collect()
    }
}

fn asked(line: &str) -> Asked {
    let [at, connection, to, line, agent, authorization, proxy_authorization] =
        line.split('|').map(str::to_owned).collect::<Vec<_>>().try_into().expect("seven fields");
    Asked { at: at.parse().expect("a moment"), connection, to, line, headers: [agent, authorization, proxy_authorization] }
}

/// Debian installs it where only root's `PATH` leads.
fn program() -> PathBuf {
    let usual = PathBuf::from("/usr/sbin/nginx");
    if usual.exists() { usual } else { PathBuf::from("nginx") }
}

/// A certificate and its key, for a name, valid until the end of a year.
pub fn certificate(name: &str, year: i32) -> Identity {
    let key = rcgen::KeyPair::generate().expect("key");
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(year, 12, 31);
    let own = parameters.self_signed(&key).expect("signed");
    (own.pem(), key.serialize_pem())
}
