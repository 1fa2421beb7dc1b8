//! What an operator may change over gRPC. Who did it comes from the certificate, never from the message.

use std::sync::Arc;

use supwatch_model::text::Text;
use supwatch_proto::time::from_wire;
use supwatch_proto::wire;
use supwatch_proto::wire::operate_service_server::OperateService;
use tonic::{Request, Response, Status};

use crate::access::caller::{peer_of, refuse};
use crate::access::identity::{Peer, Role};
use crate::engine::{Decision, Engine};

/// Longest reason, in bytes.
const REASON_BYTES: usize = 1000;

/// The operate service.
#[derive(Clone)]
pub struct Operate {
    /// The collector's state, which records the decisions.
    pub engine: Arc<Engine>,
    /// Trust domain.
    pub hierarchy: String,
}

impl Operate {
    fn admit<T>(&self, request: &Request<T>) -> Result<Peer, Status> {
        let peer = peer_of(request, &self.hierarchy)?;
        if peer.role == Role::Operator {
            return Ok(peer);
        }
        let reason = Text::new(format!("{peer} may not change anything"), format!("{peer} には変更の権限がありません"));
        let remedy = Text::new(
            "use an identity made with `supwatch pki issue --role operator`",
            "`supwatch pki issue --role operator` で発行した証明書を使用してください",
        );
        Err(refuse(&self.engine.refusals, (self.engine.clock)(), &peer.uri, reason, remedy))
    }

    async fn decide(&self, id: &str, peer: &Peer, decision: Decision) -> Result<wire::Finding, Status> {
        let decided = self.engine.decide(id, &peer.to_string(), decision).await;
        let finding = decided.map_err(|error| Status::unavailable(error.to_string()))?;
        finding.map(wire::Finding::from).ok_or_else(|| Status::not_found(format!("there is no finding {id:?} here")))
    }
}

fn reason(text: &str) -> Result<String, Status> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Status::invalid_argument("a decision needs a reason, so that it can be understood a year later"));
    }
    if text.len() > REASON_BYTES {
        return Err(Status::invalid_argument(format!("the reason is longer than {REASON_BYTES} bytes")));
    }
    Ok(text.to_owned())
}

#[tonic::async_trait]
impl OperateService for Operate {
    async fn suppress(&self, request: Request<wire::SuppressRequest>) -> Result<Response<wire::SuppressResponse>, Status> {
        let peer = self.admit(&request)?;
        let wire::SuppressRequest { finding, reason: why, until } = request.into_inner();
        let until = from_wire(until);
        if until.is_some_and(|until| until <= (self.engine.clock)()) {
            return Err(Status::invalid_argument("the end of the suppression is in the past"));
        }
        let finding = self.decide(&finding, &peer, Decision::Suppress { reason: reason(&why)?, until }).await?;
        Ok(Response::new(wire::SuppressResponse { finding: Some(finding) }))
    }

    async fn unsuppress(&self, request: Request<wire::UnsuppressRequest>) -> Result<Response<wire::UnsuppressResponse>, Status> {
        let peer = self.admit(&request)?;
        let wire::UnsuppressRequest { finding, reason: why } = request.into_inner();
        let finding = self.decide(&finding, &peer, Decision::Unsuppress { reason: reason(&why)? }).await?;
        Ok(Response::new(wire::UnsuppressResponse { finding: Some(finding) }))
    }
}
