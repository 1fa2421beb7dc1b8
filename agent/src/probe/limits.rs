//! How long a probe waits for each step of the way to a server.

use std::time::Duration;

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
