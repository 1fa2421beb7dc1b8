//! One server, step by step: name, TCP, proxy, TLS, HTTP. Each step has its time limit, and so has the whole.
//!
//! The first step that fails ends the asking, since those after it would tell the same. A request that fails is no step:
//! one web service may be stuck while others answer, so the next is asked still; after two in a row nobody waits for more.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use supwatch_proto::settings::Certificate;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::probe::address::Address;
use crate::probe::certificate;
use crate::probe::http::{Answer, HttpError, Session, Stream, connect_through};
use crate::probe::plan::{Ask, Target};

/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;
/// Requests in a row without an answer before a server is let alone.
const UNANSWERED: u32 = 2;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the name service.
    pub resolve: Duration,
    /// For a TCP connection, over all addresses of the name.
    pub connect: Duration,
    /// For the TLS handshake.
    pub tls: Duration,
    /// For the head of an answer, of a server or a proxy.
    pub request: Duration,
    /// For all of it.
    pub target: Duration,
    /// Between two requests to one server: what is watched shall not feel it.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            resolve: seconds(5),
            connect: seconds(5),
            tls: seconds(5),
            request: seconds(10),
            target: seconds(60),
            pause: seconds(1),
        }
    }
}

/// How it went; the words of a snapshot's `reach.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A web server answered, with whatever status.
    Answers,
    /// The name service gave no address, or not in time.
    NameNotResolved,
    /// The computer is there and nothing listens.
    Refused,
    /// Nothing came within a step's time limit.
    TimedOut,
    /// The network, or a proxy, finds no way.
    Unreachable,
    /// No TLS connection comes about.
    TlsFailed,
    /// The proxy refuses, for want of credentials or by its rules.
    ProxyRefused,
    /// What answers is no web server.
    NoHttp,
}

impl Outcome {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Answers => "answers",
            Outcome::NameNotResolved => "name-not-resolved",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timed-out",
            Outcome::Unreachable => "unreachable",
            Outcome::TlsFailed => "tls-failed",
            Outcome::ProxyRefused => "proxy-refused",
            Outcome::NoHttp => "no-http",
        }
    }
}

impl From<HttpError> for Outcome {
    fn from(error: HttpError) -> Outcome {
        match error {
            HttpError::NoHttp => Outcome::NoHttp,
            HttpError::TimedOut => Outcome::TimedOut,
        }
    }
}

/// What was seen of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// The first thing that went wrong, if any did.
    failure: Option<Outcome>,
    /// Virtual directories with the status of their web services.
    pub directories: Vec<(&'static str, u16)>,
    /// Whether anything answered.
    answered: bool,
    /// Status of the last answer, the proxy's where the proxy refused.
    pub status: Option<u16>,
    /// Certificate that was shown.
    pub certificate: Option<Certificate>,
    /// The server's clock minus ours, in whole seconds.
    pub clock_offset_s: Option<i64>,
}

impl Seen {
    /// How it went. One answer is enough for a server to be there; which of its services do not answer is told one by one.
    pub fn outcome(&self) -> Outcome {
        if self.answered { Outcome::Answers } else { self.failure.unwrap_or(Outcome::TimedOut) }
    }

    /// As a server is seen that answers.
    #[cfg(test)]
    pub fn answering(directories: &[(&'static str, u16)], clock_offset_s: i64) -> Seen {
        let status = directories.last().map(|(_, status)| *status);
        Seen { directories: directories.to_vec(), answered: true, status, clock_offset_s: Some(clock_offset_s), ..Seen::default() }
    }

    fn fail(&mut self, outcome: Outcome) {
        self.failure.get_or_insert(outcome);
    }

    fn answer(&mut self, directory: Option<&'static str>, answer: Answer, now: Timestamp) {
        self.answered = true;
        self.status = Some(answer.status);
        self.directories.extend(directory.map(|directory| (directory, answer.status)));
        let offset = answer.date.map(|date| date.as_second() - now.as_second());
        self.clock_offset_s = self.clock_offset_s.or(offset);
    }
}

/// Asks a server. Ends within the limits, whatever the server does.
pub async fn ask(target: &Target, limits: &Limits, clock: fn() -> Timestamp) -> Seen {
    let mut seen = Seen::default();
    if timeout(limits.target, requests(target, limits, clock, &mut seen)).await.is_err() {
        seen.fail(Outcome::TimedOut);
    }
    seen
}

async fn requests(target: &Target, limits: &Limits, clock: fn() -> Timestamp, seen: &mut Seen) {
    let authority = target.address.authority();
    let (mut session, mut unanswered) = (None, 0);
    for service in target.ask.services() {
        let mut open = match ready(session.take(), target, limits, seen).await {
            Ok(open) => open,
            Err(outcome) => return seen.fail(outcome),
        };
        let uri = if is_forwarded(target) { format!("http://{authority}{}", service.path) } else { service.path.to_owned() };
        match open.get(&authority, &uri, limits.request).await {
            Ok(Answer { status: status @ (407 | 502 | 504), .. }) if is_forwarded(target) => {
                seen.status = Some(status);
                return seen.fail(refusal(status));
            }
            Ok(answer) => {
                unanswered = 0;
                seen.answer(service.directory, answer, clock());
                // One fault of an upstream server says it all, and is the status to keep.
                if target.ask == Ask::Upstream && answer.status >= 500 {
                    return;
                }
            }
            Err(error) => {
                unanswered += 1;
                seen.fail(error.into());
                if unanswered == UNANSWERED {
                    return;
                }
            }
        }
        session = Some(open);
    }
}

/// Whether requests go to a proxy as they are; with SSL it only gives the way.
fn is_forwarded(target: &Target) -> bool {
    target.proxy.is_some() && !target.address.ssl
}

/// A connection for the next request: the one there is, after a pause, or a new one.
async fn ready(session: Option<Session>, target: &Target, limits: &Limits, seen: &mut Seen) -> Result<Session, Outcome> {
    if let Some(mut session) = session {
        session.idle(limits.pause).await;
        if !session.is_over() {
            return Ok(session);
        }
    }
    let stream = connect(target, limits, seen).await?;
    Ok(Session::over(stream).await?)
}

/// What a proxy's own answer means: a fault of a gateway is told of what lies behind it.
fn refusal(status: u16) -> Outcome {
    if status >= 500 { Outcome::Unreachable } else { Outcome::ProxyRefused }
}

async fn connect(target: &Target, limits: &Limits, seen: &mut Seen) -> Result<Box<dyn Stream>, Outcome> {
    let server = &target.address;
    let addresses = resolve(target.proxy.as_ref().unwrap_or(server), limits.resolve).await?;
    let mut tcp = tcp(&addresses, limits.connect).await?;
    if !server.ssl {
        return Ok(Box::new(tcp));
    }
    if target.proxy.is_some() {
        let answer = timeout(limits.request, connect_through(&mut tcp, &server.host_and_port())).await;
        let status = answer.map_err(|_| Outcome::TimedOut)??;
        if !(200..300).contains(&status) {
            seen.status = Some(status);
            return Err(refusal(status));
        }
    }
    tls(tcp, server, limits.tls, seen).await
}

/// The addresses of a name. On a thread of its own: the system's name service cannot be interrupted, and neither a probe nor
/// the end of the agent shall wait for it.
async fn resolve(server: &Address, limit: Duration) -> Result<Vec<SocketAddr>, Outcome> {
    let (host, port) = (server.host.clone(), server.port);
    let (tell, told) = tokio::sync::oneshot::channel();
    let look_up = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES).collect::<Vec<_>>());
        // Nobody listens any more when it took too long.
        let _ = tell.send(found.unwrap_or_default());
    };
    let thread = std::thread::Builder::new().name("name-service".to_owned()).spawn(look_up);
    thread.map_err(|_| Outcome::NameNotResolved)?;
    match timeout(limit, told).await {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        _ => Err(Outcome::NameNotResolved),
    }
}

/// Connects to the first address that takes it. Each gets its share of the time, so that a dead one hides no living one.
async fn tcp(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, Outcome> {
    let share = limit / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut worst = Outcome::Unreachable;
    for address in addresses {
        worst = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Outcome::Refused,
            Ok(Err(error)) if error.kind() == ErrorKind::TimedOut => Outcome::TimedOut,
            Ok(Err(_)) => Outcome::Unreachable,
            Err(_) => Outcome::TimedOut,
        };
    }
    Err(worst)
}

async fn tls(tcp: TcpStream, server: &Address, limit: Duration, seen: &mut Seen) -> Result<Box<dyn Stream>, Outcome> {
    let name = ServerName::try_from(server.host.clone()).map_err(|_| Outcome::TlsFailed)?;
    let (config, shown) = certificate::looking().map_err(|_| Outcome::TlsFailed)?;
    let handshake = timeout(limit, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await;
    // Also a handshake that fails may have come as far as the certificate.
    seen.certificate = shown.read().or(seen.certificate.take());
    match handshake {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(_)) => Err(Outcome::TlsFailed),
        Err(_) => Err(Outcome::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::plan::{Part, Place};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use supwatch_proto::settings::Known;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const QUICK: Limits = Limits {
        resolve: Duration::from_secs(5),
        connect: Duration::from_millis(300),
        tls: Duration::from_millis(300),
        request: Duration::from_millis(300),
        target: Duration::from_secs(5),
        pause: Duration::from_millis(10),
    };

    fn clock() -> Timestamp {
        "2026-03-01T04:00:00Z".parse().expect("a time")
    }

    fn target(url: &str, ask: Ask, proxy: Option<u16>) -> Target {
        let proxy = proxy.and_then(|port| Address::new("127.0.0.1", port, false));
        let places = vec![Place { wsus: "sup1".to_owned(), part: Part::Itself }];
        Target { address: url.parse().expect("an address"), proxy, ask, places }
    }

    /// A server on loopback that answers each request by its first line, as often as a connection asks; and how many
    /// connections it had.
    async fn server(answer: fn(&str) -> String) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let (port, connections) = (listener.local_addr().expect("address").port(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut chunk = vec![0; 4096];
                    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
                        let asked = String::from_utf8_lossy(&chunk[..read]).into_owned();
                        let answer = answer(asked.lines().next().unwrap_or_default());
                        if answer.is_empty() {
                            return std::future::pending().await;
                        }
                        stream.write_all(answer.as_bytes()).await.expect("written");
                    }
                });
            }
        });
        (port, connections)
    }

    fn empty(status: u16) -> String {
        format!("HTTP/1.1 {status} X\r\nDate: Sun, 01 Mar 2026 04:00:07 GMT\r\nContent-Length: 0\r\n\r\n")
    }

    #[tokio::test]
    async fn every_service_is_asked_over_one_connection() {
        let (port, connections) = server(|line| {
            empty(match line {
                "GET /ApiRemoting30/WebService.asmx HTTP/1.1" => 401,
                "GET /SimpleAuthWebService/SimpleAuth.asmx HTTP/1.1" => 403,
                "GET /DssAuthWebService/DssAuthWebService.asmx HTTP/1.1" => 503,
                "GET /ServerSyncWebService/ServerSyncWebService.asmx HTTP/1.1" => 200,
                _ => 404,
            })
        })
        .await;
        let seen = ask(&target(&format!("http://127.0.0.1:{port}"), Ask::Wsus, None), &QUICK, clock).await;
        let expected =
            [("ApiRemoting30", 401), ("SimpleAuthWebService", 403), ("DssAuthWebService", 503), ("ServerSyncWebService", 200)];
        assert_eq!(seen.directories, expected);
        assert_eq!((seen.outcome(), seen.status, seen.clock_offset_s), (Outcome::Answers, Some(200), Some(7)));
        assert_eq!(connections.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_service_that_is_stuck_does_not_hide_the_others() {
        let (port, _) = server(|line| if line.contains("SimpleAuth") { String::new() } else { empty(200) }).await;
        let seen = ask(&target(&format!("http://127.0.0.1:{port}"), Ask::Wsus, None), &QUICK, clock).await;
        let names: Vec<&str> = seen.directories.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ApiRemoting30", "DssAuthWebService", "ServerSyncWebService"]);
        assert_eq!(seen.outcome(), Outcome::Answers);
    }

    #[tokio::test]
    async fn an_upstream_with_a_fault_is_asked_no_more_and_its_fault_is_the_status() {
        let (port, _) = server(|line| empty(if line.contains("DssAuth") { 503 } else { 200 })).await;
        let seen = ask(&target(&format!("http://127.0.0.1:{port}"), Ask::Upstream, None), &QUICK, clock).await;
        assert_eq!((seen.outcome(), seen.status), (Outcome::Answers, Some(503)));
    }

    #[track_caller]
    fn check(seen: &Seen, outcome: Outcome, status: Option<u16>) {
        assert_eq!((seen.outcome(), seen.status), (outcome, status));
    }

    #[tokio::test]
    async fn each_step_fails_in_its_own_words() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
            listener.local_addr().expect("address").port()
        };
        let (silent, _) = server(|_| String::new()).await;
        let (other, _) = server(|_| "SSH-2.0-X\r\n".to_owned()).await;
        for (url, outcome) in [
            ("http://nothing.invalid:8530".to_owned(), Outcome::NameNotResolved),
            (format!("http://127.0.0.1:{closed}"), Outcome::Refused),
            (format!("http://127.0.0.1:{silent}"), Outcome::TimedOut),
            (format!("https://127.0.0.1:{silent}"), Outcome::TimedOut),
            (format!("http://127.0.0.1:{other}"), Outcome::NoHttp),
            (format!("https://127.0.0.1:{other}"), Outcome::TlsFailed),
        ] {
            let start = std::time::Instant::now();
            check(&ask(&target(&url, Ask::Front, None), &QUICK, clock).await, outcome, None);
            assert!(start.elapsed() < Duration::from_secs(6), "{url} took {:?}", start.elapsed());
        }
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_asked_twice_and_no_more() {
        let (port, connections) = server(|_| String::new()).await;
        let seen = ask(&target(&format!("http://127.0.0.1:{port}"), Ask::Wsus, None), &QUICK, clock).await;
        check(&seen, Outcome::TimedOut, None);
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn the_whole_is_bounded_and_keeps_what_was_seen() {
        let (port, _) = server(|line| if line.contains("ApiRemoting30") { empty(401) } else { String::new() }).await;
        let limits = Limits { request: Duration::from_secs(60), target: Duration::from_millis(400), ..QUICK };
        let start = std::time::Instant::now();
        let seen = ask(&target(&format!("http://127.0.0.1:{port}"), Ask::Wsus, None), &limits, clock).await;
        check(&seen, Outcome::Answers, Some(401));
        assert!(start.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_proxy_that_wants_credentials_is_told_with_and_without_ssl() {
        let (proxy, _) = server(|line| {
            let known = ["CONNECT cen.corp.example:8531 HTTP/1.1", "GET http://cen.corp.example:8530/ HTTP/1.1"];
            empty(if known.contains(&line) { 407 } else { 400 })
        })
        .await;
        for url in ["https://cen.corp.example:8531", "http://cen.corp.example:8530"] {
            check(&ask(&target(url, Ask::Front, Some(proxy)), &QUICK, clock).await, Outcome::ProxyRefused, Some(407));
        }
    }

    #[tokio::test]
    async fn a_proxy_that_finds_no_way_is_not_the_one_to_blame() {
        let (proxy, _) = server(|_| empty(504)).await;
        for url in ["https://cen.corp.example", "http://cen.corp.example:8530"] {
            check(&ask(&target(url, Ask::Front, Some(proxy)), &QUICK, clock).await, Outcome::Unreachable, Some(504));
        }
    }

    #[tokio::test]
    async fn a_proxy_gives_the_way_to_a_server_it_resolves_the_name_of() {
        // After its 200 this proxy speaks no TLS, so that the handshake is where it ends: the way itself was given.
        let (proxy, _) = server(|line| if line.starts_with("CONNECT") { empty(200) } else { "nonsense".to_owned() }).await;
        let seen = ask(&target("https://nothing.invalid", Ask::Front, Some(proxy)), &QUICK, clock).await;
        check(&seen, Outcome::TlsFailed, None);
        let (proxy, _) = server(|line| empty(if line == "GET http://nothing.invalid/ HTTP/1.1" { 200 } else { 400 })).await;
        let seen = ask(&target("http://nothing.invalid", Ask::Front, Some(proxy)), &QUICK, clock).await;
        check(&seen, Outcome::Answers, Some(200));
    }

    #[tokio::test]
    async fn any_certificate_is_accepted_and_told() {
        let key = rcgen::KeyPair::generate().expect("key");
        let mut parameters = rcgen::CertificateParams::new(vec!["other.corp.example".to_owned()]).expect("names");
        parameters.not_after = rcgen::date_time_ymd(2020, 2, 3);
        let own = parameters.self_signed(&key).expect("signed");
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("key");
            let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[version])
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![own.der().clone()], der)
                .expect("certificate");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
            let port = listener.local_addr().expect("address").port();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.expect("accepted");
                let mut tls = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.expect("handshake");
                let mut chunk = [0; 4096];
                assert!(tls.read(&mut chunk).await.expect("read") > 0);
                tls.write_all(empty(200).as_bytes()).await.expect("written");
            });
            let seen = ask(&target(&format!("https://localhost:{port}"), Ask::Front, None), &QUICK, clock).await;
            check(&seen, Outcome::Answers, Some(200));
            let certificate = seen.certificate.expect("a certificate");
            assert_eq!(certificate.names, Known::Some(vec!["other.corp.example".to_owned()]));
            assert_eq!(certificate.expires_at, Known::Some("2020-02-03T00:00:00Z".parse().expect("a time")));
        }
    }
}
