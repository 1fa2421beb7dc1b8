//! Opened and resolved findings are sent to a webhook and to a program: each once, whatever fails in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, Running, wait_for};

const FAILED: &str =
    "Sync failed: UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'. Source: X";
const TOKEN: &str = "Bearer s3cret-token";
const PATH: &str = "/services/s3cret-path";

/// A received POST.
#[derive(Debug, Clone)]
struct Post {
    head: String,
    body: Value,
    taken: bool,
}

impl Post {
    fn header(&self, name: &str) -> String {
        let found = self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

/// A webhook receiver that can be out of service.
struct Receiver {
    port: u16,
    up: Arc<Mutex<bool>>,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("address").port();
        let (up, posts) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (is_up, keep) = (Arc::clone(&up), Arc::clone(&posts));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = *is_up.lock().expect("lock");
                // A client that disconnects in the middle has posted nothing.
                if let Ok(post) = answer(stream, taken) {
                    keep.lock().expect("lock").push(post);
                }
            }
        });
        Receiver { port, up, posts }
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().expect("lock").clone()
    }

    fn taken(&self) -> Vec<Post> {
        self.posts().into_iter().filter(|post| post.taken).collect()
    }
}

fn answer(stream: TcpStream, taken: bool) -> std::io::Result<Post> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut post = Post { head, body: Value::Null, taken };
    let mut body = vec![0; post.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    post.body = serde_json::from_slice(&body)?;
    let status = if taken { "204 No Content" } else { "503 Service Unavailable" };
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")?;
    Ok(post)
}

/// A hierarchy of one site with an agent, and a collector that notifies.
fn house(notify: impl FnOnce(&House) -> String) -> (House, SiteFolder, Running) {
    let mut house = House::new("name = \"corp\"\ngeneration = \"current-branch\"\n");
    let notify = notify(&house);
    house.configure(&notify);
    let cen = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    let identity = house.identity(&["CEN"], "cen.corp.example");
    let config = house.agent_config("cen", &identity, std::slice::from_ref(&cen.folder), house.port);
    let agent = House::start_agent(&config);
    (house, cen, agent)
}

fn fails(cen: &mut SiteFolder) {
    cen.write(&["Performing sync on regular schedule".to_owned(), FAILED.to_owned()]);
}

fn succeeds(cen: &mut SiteFolder) {
    cen.write(&[
        "Performing sync on retry schedule".to_owned(),
        "Sync succeeded. Setting sync alert to canceled state on site CEN".to_owned(),
    ]);
}

fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).expect("file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    }
}

#[test]
fn a_webhook_is_told_once_although_it_was_down_and_the_collector_died() {
    let receiver = Receiver::start();
    let (mut house, mut cen, _agent) = house(|house| {
        secret(&house.path("token"), &format!("Authorization: {TOKEN}\n"));
        format!(
            "[[notify]]\nname = \"chat\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}{PATH}\"\nheader_file = \"token\"\nrules = [\"sync-failed\"]\ndelay_seconds = 0\n",
            receiver.port
        )
    });
    fails(&mut cen);

    wait_for("several attempts", || {
        let page = house.metrics()?;
        let failed =
            page.lines().find_map(|line| line.strip_prefix("supwatch_notifications_total{outcome=\"failed\",target=\"chat\"} "));
        let waits = page.contains("supwatch_notifications_waiting{target=\"chat\"} 1");
        let enough = failed.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= 3);
        if enough && waits { Ok(()) } else { Err(page) }
    });
    let said = house.collector_said();
    assert_eq!(said.matches("notification failed").count(), 1, "an outage is logged once:\n{said}");
    assert!(said.contains("503") && said.contains("check `url`, and the receiver's log"), "{said}");

    *receiver.up.lock().expect("lock") = true;
    let open = wait_for("the notification", || receiver.taken().first().cloned().ok_or(format!("{:?}", receiver.posts())));
    assert!(open.head.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{}", open.head);
    assert_eq!((open.header("authorization"), open.header("content-type")), (TOKEN.to_owned(), "application/json".to_owned()));
    let told = (&open.body["schema"], &open.body["state"], &open.body["hierarchy"]);
    assert_eq!(told, (&"supwatch/notification/v1".into(), &"open".into(), &"corp".into()));
    let findings = house.ask(&["findings", "--rule", "sync-failed"]).expect("findings");
    assert_eq!(open.body["finding"], findings["findings"][0]);
    let keys: Vec<String> = receiver.posts().iter().map(|post| post.header("idempotency-key")).collect();
    assert!(keys.iter().all(|key| *key == keys[0] && *key == open.body["key"]), "{keys:?}");
    wait_for("the record", || {
        let page = house.metrics()?;
        if page.contains("supwatch_notifications_waiting{target=\"chat\"} 0") { Ok(()) } else { Err(page) }
    });

    let said = house.collector_said();
    house.kill_collector();
    house.start_collector();
    succeeds(&mut cen);
    // Opened findings are sent before resolved ones, so nothing can follow this.
    let resolved = wait_for("the end", || {
        let taken = receiver.taken();
        taken.iter().find(|post| post.body["state"] == "resolved").cloned().ok_or(format!("{taken:?}"))
    });
    assert!(resolved.body["finding"]["resolved_at"].is_string());
    let states: Vec<Value> = receiver.taken().iter().map(|post| post.body["state"].clone()).collect();
    assert_eq!(states, ["open", "resolved"], "each is told once");
    for secret in [TOKEN, PATH] {
        assert!(!said.contains(secret) && !house.collector_said().contains(secret), "{secret} in:\n{said}");
    }
}

#[test]
fn a_program_is_told_in_its_language_while_another_target_hangs() {
    // Accepts in the kernel's queue and never answers.
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let script = "printf '%s|%s|%s|%s|%s\\n' \"$SUPWATCH_STATE\" \"$SUPWATCH_SITE\" \"$SUPWATCH_RULE\" \"$SUPWATCH_SEVERITY\" \"$SUPWATCH_SUBJECT\" >> \"$1\"\ncat >> \"$1.json\"; echo >> \"$1.json\"\n";
    let (house, mut cen, _agent) = house(|house| {
        std::fs::write(house.path("tell.sh"), script).expect("script");
        format!(
            "[[notify]]\nname = \"hangs\"\ndelay_seconds = 0\nkind = \"webhook\"\nurl = \"http://{}/\"\n\n[[notify]]\nname = \"desk\"\ndelay_seconds = 0\nkind = \"command\"\ncommand = [\"sh\", {:?}, {:?}]\nlang = \"ja\"\nrules = [\"sync-failed\"]\nseverity = \"critical\"\n",
            hangs.local_addr().expect("address"),
            house.path("tell.sh"),
            house.path("told")
        )
    });
    let told = house.path("told");
    let lines = |many: usize| {
        let read = std::fs::read_to_string(&told).map_err(|error| error.to_string())?;
        if read.lines().count() >= many { Ok(read) } else { Err(read) }
    };
    fails(&mut cen);
    wait_for("the program to be run", || lines(1));
    succeeds(&mut cen);
    let read = wait_for("the program to be run again", || lines(2));
    let starts = [
        "open|CEN|sync-failed|critical|[supwatch corp] 重大: CEN: ",
        "resolved|CEN|sync-failed|critical|[supwatch corp] 解決: CEN: ",
    ];
    assert!(read.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{read}");
    let json = wait_for("both inputs", || {
        let read = std::fs::read_to_string(told.with_extension("json")).map_err(|error| error.to_string())?;
        let all: Vec<Value> = read.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if all.len() == 2 { Ok(all) } else { Err(read) }
    });
    assert_eq!(json[1]["finding"]["id"], json[0]["finding"]["id"]);
}
