//! The CLI's connection to the collector.

use jiff::Timestamp;
use supwatch_model::picture::Picture;
use supwatch_proto::channel::{IdentityFiles, connect, explain};
use supwatch_proto::time::to_wire;
use supwatch_proto::wire;
use supwatch_proto::wire::operate_service_client::OperateServiceClient;
use supwatch_proto::wire::query_service_client::QueryServiceClient;
use tonic::transport::Channel;

use super::{Failure, Global};

/// Largest response in bytes: ten thousand sites with their runs.
const ANSWER_BYTES: usize = 256 << 20;

/// Connects to the query service, as the global options say.
pub async fn client(global: &Global) -> Result<QueryServiceClient<Channel>, Failure> {
    Ok(QueryServiceClient::new(channel(global).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Connects to the operate service.
pub async fn operate(global: &Global) -> Result<OperateServiceClient<Channel>, Failure> {
    Ok(OperateServiceClient::new(channel(global).await?))
}

async fn channel(global: &Global) -> Result<Channel, Failure> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = global.endpoint.clone().or_else(|| environment("SUPWATCH_ENDPOINT"));
    let endpoint = endpoint.ok_or_else(|| {
        Failure::Usage("which collector? Name it with --endpoint https://host:7443 or SUPWATCH_ENDPOINT".to_owned())
    })?;
    let identity = global.identity.clone().or_else(|| environment("SUPWATCH_IDENTITY").map(Into::into));
    let identity = identity.ok_or_else(|| {
        Failure::Usage(
            "as whom? Name an identity folder with --identity or SUPWATCH_IDENTITY (`supwatch pki init` made one: operator)"
                .to_owned(),
        )
    })?;
    let files = IdentityFiles::read(&identity).map_err(Failure::usage)?;
    connect(&endpoint, &files).await.map_err(|error| Failure::Collector(error.to_string()))
}

/// A gRPC status of the collector as text.
pub fn refused(status: &tonic::Status) -> Failure {
    let cause = std::error::Error::source(status).map(explain).map(|cause| format!(" ({cause})")).unwrap_or_default();
    Failure::Collector(format!("the collector answers: {}{cause}", status.message()))
}

/// Requests the picture.
pub fn picture(global: &Global, at: Option<Timestamp>, resolved: bool) -> Result<Picture, Failure> {
    super::runtime()?.block_on(async {
        let mut client = client(global).await?;
        let request = wire::PictureRequest { at: at.map(to_wire), resolved };
        let answer = client.picture(request).await.map_err(|status| refused(&status))?.into_inner();
        let picture = answer.picture.ok_or_else(|| Failure::Collector("the collector gave an empty answer".to_owned()))?;
        Picture::try_from(picture).map_err(|error| {
            Failure::Collector(format!("the collector's answer is invalid: {error}; are both of the same version?"))
        })
    })
}
