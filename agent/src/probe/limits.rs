//! How long a probe waits for each step of the way to a server.

use std::time::Duration;

/// Time limits of the steps of a probe.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Name resolution.
    pub resolve: Duration,
    /// TCP connection, over all addresses of the name.
    pub connect: Duration,
    /// TLS handshake.
    pub tls: Duration,
    /// Response head of a server or proxy.
    pub request: Duration,
    /// The whole probe of one server.
    pub target: Duration,
    /// Pause between two requests to one server, so that probing adds no noticeable load.
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
