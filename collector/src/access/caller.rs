//! Who calls: the identity behind a gRPC request, and how one is refused.

use supwatch_model::text::Text;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Status};

use super::identity::Peer;
use super::refusals::Refusals;

/// The peer of a request, by its certificate.
pub fn peer_of<T>(request: &Request<T>, hierarchy: &str) -> Result<Peer, Status> {
    let peer = match request.extensions().get::<Peer>() {
        // Set by the server within this process, as the simulation does; no data from a peer becomes an extension.
        Some(peer) => peer.clone(),
        None => peer_certificate(request)?,
    };
    if peer.hierarchy != hierarchy {
        return Err(Status::permission_denied(format!("{peer} belongs to another hierarchy than {hierarchy}")));
    }
    Ok(peer)
}

fn peer_certificate<T>(request: &Request<T>) -> Result<Peer, Status> {
    let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    let certificates =
        info.and_then(TlsConnectInfo::peer_certs).ok_or_else(|| Status::unauthenticated("no client certificate was shown"))?;
    let leaf = certificates.first().ok_or_else(|| Status::unauthenticated("no client certificate was shown"))?;
    Peer::of_certificate(leaf).map_err(|error| Status::unauthenticated(error.to_string()))
}

/// Records a refusal and returns the gRPC status for it.
pub fn refuse(refusals: &Refusals, at: jiff::Timestamp, peer: &str, reason: Text, remedy: Text) -> Status {
    let status = Status::permission_denied(format!("{}; {}", reason.en, remedy.en));
    refusals.record(at, peer, reason, remedy);
    status
}
