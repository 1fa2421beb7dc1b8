//! The part of HTTP/1.1 that a probe needs: GETs without credentials over one connection, and a tunnel through a proxy.
//!
//! A response's status and `Date` are used; its body is read up to a small limit, so that the connection can be reused,
//! and discarded. No redirect is followed. The only user of hyper.

use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{DATE, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Value of the `User-Agent` header.
const AGENT: &str = concat!("supwatch-agent/", env!("CARGO_PKG_VERSION"));
/// Most bytes of a body that are read; the description page of a web service is smaller.
const BODY_BYTES: usize = 64 * 1024;
/// Time limit for the body. The response is known by then, so this only saves a connection.
const BODY: Duration = Duration::from_secs(2);
/// Longest head of an answer, here and from a proxy; IIS and proxies stay below 16 KiB.
const HEAD_BYTES: usize = 32 * 1024;

/// A byte stream to a server: TCP, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The part of a response that a probe uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Time of the server's clock, from `Date`.
    pub date: Option<Timestamp>,
}

/// Why a request got no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The peer does not speak HTTP, or the connection closed.
    #[error("the peer does not speak HTTP")]
    NoHttp,
    /// Nothing came within the time limit.
    #[error("the server did not answer in time")]
    TimedOut,
}

type Driver = Connection<TokioIo<Box<dyn Stream>>, Empty<Bytes>>;

/// A connection for requests. Its owner drives it; dropping it closes the connection.
pub struct Session {
    sender: SendRequest<Empty<Bytes>>,
    connection: Pin<Box<Driver>>,
    /// Whether the peer closed the connection, or a body exceeded its limit.
    over: bool,
}

impl Session {
    /// Starts HTTP on a stream; sends nothing yet.
    pub async fn over(stream: Box<dyn Stream>) -> Result<Session, HttpError> {
        let opened = http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|_| HttpError::NoHttp)?;
        Ok(Session { sender, connection: Box::pin(connection), over: false })
    }

    /// Whether no further request can be sent.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Waits for the pause, and notices if the server closes the connection meanwhile.
    pub async fn idle(&mut self, pause: Duration) {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        if !self.over {
            tokio::select! {
                () = &mut pause => return,
                _ = self.connection.as_mut() => self.over = true,
            }
        }
        pause.await;
    }

    /// Requests a path, or an absolute URL from a forwarding proxy.
    pub async fn get(&mut self, authority: &str, uri: &str, limit: Duration) -> Result<Answer, HttpError> {
        if self.over {
            return Err(HttpError::NoHttp);
        }
        let request = Request::get(uri).header(HOST, authority).header(USER_AGENT, AGENT).body(Empty::new());
        let request = request.map_err(|_| HttpError::NoHttp)?;
        let Session { sender, connection, over } = self;
        let exchange = async {
            let response = tokio::time::timeout(limit, sender.send_request(request)).await;
            let response = response.map_err(|_| HttpError::TimedOut)?.map_err(|_| HttpError::NoHttp)?;
            let answer = Answer { status: response.status().as_u16(), date: date(&response) };
            Ok((answer, tokio::time::timeout(BODY, drained(response)).await.unwrap_or(false)))
        };
        tokio::pin!(exchange);
        let ended = tokio::select! {
            biased;
            ended = &mut exchange => ended,
            _ = connection.as_mut() => {
                *over = true;
                exchange.await
            }
        };
        match ended {
            Ok((answer, reusable)) => {
                *over |= !reusable;
                Ok(answer)
            }
            Err(error) => {
                *over = true;
                Err(error)
            }
        }
    }
}

/// Discards a body; false if it exceeds the size or time limit.
async fn drained(mut response: Response<Incoming>) -> bool {
    let mut seen = 0;
    while let Some(frame) = response.body_mut().frame().await {
        let Ok(frame) = frame else { return false };
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > BODY_BYTES {
            return false;
        }
    }
    true
}

fn date(response: &Response<Incoming>) -> Option<Timestamp> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp())
}

/// Sends `CONNECT` to a proxy without credentials and returns the status of its response. Written by hand, because the
/// stream is then used for the tunnelled protocol. The client speaks first, so only the proxy's own bytes are read here.
pub async fn connect_through(stream: &mut dyn Stream, server: &str) -> Result<u16, HttpError> {
    let request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: {AGENT}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|_| HttpError::NoHttp)?;
    stream.flush().await.map_err(|_| HttpError::NoHttp)?;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await.map_err(|_| HttpError::NoHttp)?;
        head.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if read == 0 || head.len() > HEAD_BYTES {
            break;
        }
    }
    status(&head).ok_or(HttpError::NoHttp)
}

/// The status code in the first line of a response.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    line.split_whitespace().nth(1)?.parse().ok().filter(|status| (100..1000).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    /// A server that answers each request with the next of these texts and then closes the connection; and the requests it
    /// received.
    fn server(answers: &[&str]) -> (Box<dyn Stream>, tokio::task::JoinHandle<String>) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
        let asked = tokio::spawn(async move {
            let mut asked = String::new();
            for answer in answers {
                let mut chunk = [0; 4096];
                let read = theirs.read(&mut chunk).await.expect("read");
                asked.push_str(&String::from_utf8_lossy(&chunk[..read]));
                theirs.write_all(answer.as_bytes()).await.expect("written");
            }
            asked
        });
        (Box::new(ours), asked)
    }

    #[tokio::test]
    async fn requests_share_a_connection_and_carry_no_credentials() {
        let one = "HTTP/1.1 401 Unauthorized\r\nDate: Sun, 01 Mar 2026 04:00:00 GMT\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 2\r\n\r\nno";
        let (stream, asked) = server(&[one, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let mut session = Session::over(stream).await.expect("session");
        let first = session.get("sup1:8530", "/ApiRemoting30/WebService.asmx", LIMIT).await;
        assert_eq!(first, Ok(Answer { status: 401, date: Some("2026-03-01T04:00:00Z".parse().expect("a time")) }));
        assert!(!session.is_over());
        assert_eq!(session.get("sup1:8530", "/b", LIMIT).await, Ok(Answer { status: 200, date: None }));
        let asked = asked.await.expect("asked").to_lowercase();
        assert!(asked.starts_with("get /apiremoting30/webservice.asmx http/1.1\r\nhost: sup1:8530\r\nuser-agent: supwatch-agent/"));
        assert_eq!(asked.matches("get ").count(), 2);
        assert!(!asked.contains("authorization"), "{asked}");
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_after_its_answer_has_answered() {
        let (stream, _) = server(&["HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nbusy"]);
        let mut session = Session::over(stream).await.expect("session");
        assert_eq!(session.get("sup1", "/", LIMIT).await.map(|answer| answer.status), Ok(503));
        assert_eq!(session.get("sup1", "/", LIMIT).await, Err(HttpError::NoHttp));
        assert!(session.is_over());
    }

    #[tokio::test]
    async fn a_body_without_end_is_not_read_to_its_end() {
        let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n{}", "x".repeat(900_000));
        let (stream, _) = server(&[&large]);
        let mut session = Session::over(stream).await.expect("session");
        assert_eq!(session.get("sup1", "/", LIMIT).await.map(|answer| answer.status), Ok(200));
        assert!(session.is_over());
    }

    #[tokio::test]
    async fn a_peer_that_does_not_speak_http_is_reported() {
        for answer in ["", "SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x01\x00\x02\x02\x46"] {
            let (stream, _) = server(&[answer]);
            let mut session = Session::over(stream).await.expect("session");
            assert_eq!(session.get("sup1", "/", LIMIT).await, Err(HttpError::NoHttp), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn who_never_answers_is_not_waited_for_and_who_hangs_up_is_noticed() {
        let (stream, _held) = tokio::io::duplex(1024);
        let mut session = Session::over(Box::new(stream)).await.expect("session");
        assert_eq!(session.get("sup1", "/", LIMIT).await, Err(HttpError::TimedOut));
        let (stream, theirs) = tokio::io::duplex(1024);
        let mut session = Session::over(Box::new(stream)).await.expect("session");
        drop(theirs);
        session.idle(Duration::from_millis(20)).await;
        assert!(session.is_over());
    }

    #[tokio::test]
    async fn a_proxy_accepts_or_gives_its_status() {
        for (answer, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Ok(200)),
            ("HTTP/1.0 407 Proxy Authentication Required\r\nA: b\r\n\r\n<html>", Ok(407)),
            ("nonsense\r\n\r\n", Err(HttpError::NoHttp)),
            ("HTTP/1.1 9999 x\r\n\r\n", Err(HttpError::NoHttp)),
        ] {
            let (mut stream, asked) = server(&[answer]);
            assert_eq!(connect_through(&mut *stream, "cen.corp.example:443").await, expected, "{answer:?}");
            assert!(
                asked.await.expect("asked").starts_with("CONNECT cen.corp.example:443 HTTP/1.1\r\nHost: cen.corp.example:443\r\n")
            );
        }
    }
}
