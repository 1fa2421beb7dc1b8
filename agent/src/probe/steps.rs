//! Probes one server step by step: name, TCP, proxy, TLS, HTTP. Each step has its time limit, and so has the whole.
//!
//! The first failing step ends the probe, because later ones would fail alike. A failing request is not a step: one web
//! service may hang while others answer, so the next is still requested; two failures in a row end the probe.

use jiff::Timestamp;
use tokio::time::timeout;

use crate::probe::connect::{connect, refusal};
use crate::probe::http::{Answer, Session};
use crate::probe::limits::Limits;
use crate::probe::plan::{Ask, Target};
use crate::probe::seen::{Outcome, Seen};

/// Consecutive unanswered requests that end the probe of a server.
const UNANSWERED: u32 = 2;

/// Probes a server. Returns within the limits, whatever the server does.
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
                // One server error of an upstream is conclusive, and its status is the one to keep.
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

/// Whether requests are sent to a proxy in absolute form; with SSL the proxy only tunnels.
fn is_forwarded(target: &Target) -> bool {
    target.proxy.is_some() && !target.address.ssl
}

/// A connection for the next request: the existing one after the pause, or a new one.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::address::Address;
    use crate::probe::plan::{Part, ResultSlot};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use supwatch_model::settings::Known;
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
        let slots = vec![ResultSlot { wsus: "sup1".to_owned(), part: Part::Itself }];
        Target { address: url.parse().expect("an address"), proxy, ask, slots }
    }

    /// A server on loopback that chooses its answer by the first line of a request, for any number of requests per connection;
    /// and the number of connections it had.
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
    async fn a_proxy_that_requires_credentials_is_reported_with_and_without_ssl() {
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
        // After its 200 this proxy speaks no TLS, so the probe ends at the handshake: the way to the server itself was open.
        let (proxy, _) = server(|line| if line.starts_with("CONNECT") { empty(200) } else { "nonsense".to_owned() }).await;
        let seen = ask(&target("https://nothing.invalid", Ask::Front, Some(proxy)), &QUICK, clock).await;
        check(&seen, Outcome::TlsFailed, None);
        let (proxy, _) = server(|line| empty(if line == "GET http://nothing.invalid/ HTTP/1.1" { 200 } else { 400 })).await;
        let seen = ask(&target("http://nothing.invalid", Ask::Front, Some(proxy)), &QUICK, clock).await;
        check(&seen, Outcome::Answers, Some(200));
    }

    #[tokio::test]
    async fn any_certificate_is_accepted_and_reported() {
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
