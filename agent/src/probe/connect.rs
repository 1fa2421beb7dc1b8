//! The way to a server: name, TCP, proxy, TLS, each within its time limit.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::address::Address;
use crate::probe::certificate;
use crate::probe::http::{Stream, connect_through};
use crate::probe::limits::Limits;
use crate::probe::plan::Target;
use crate::probe::seen::{Outcome, Seen};

/// Most addresses of one host name that are tried.
const ADDRESSES: usize = 4;

/// Connects a stream for requests; records the certificate presented on the way.
pub async fn connect(target: &Target, limits: &Limits, seen: &mut Seen) -> Result<Box<dyn Stream>, Outcome> {
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

/// The outcome for a proxy's own response: a gateway error concerns the server behind the proxy.
pub fn refusal(status: u16) -> Outcome {
    if status >= 500 { Outcome::Unreachable } else { Outcome::ProxyRefused }
}

/// Resolves a host name on a separate thread: the system resolver cannot be interrupted, and neither a probe nor the
/// agent's shutdown may wait for it.
async fn resolve(server: &Address, limit: Duration) -> Result<Vec<SocketAddr>, Outcome> {
    let (host, port) = (server.host.clone(), server.port);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let look_up = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES).collect::<Vec<_>>());
        // After the time limit the receiver is gone.
        let _ = sender.send(found.unwrap_or_default());
    };
    let thread = std::thread::Builder::new().name("name-service".to_owned()).spawn(look_up);
    thread.map_err(|_| Outcome::NameNotResolved)?;
    match timeout(limit, receiver).await {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        _ => Err(Outcome::NameNotResolved),
    }
}

/// Connects to the first address that accepts. Each gets a share of the time, so that a dead address does not hide a live one.
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
    // A failed handshake may still have presented the certificate.
    seen.certificate = shown.read().or(seen.certificate.take());
    match handshake {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(_)) => Err(Outcome::TlsFailed),
        Err(_) => Err(Outcome::TimedOut),
    }
}
