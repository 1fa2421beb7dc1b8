//! One connection to an OTLP receiver over gRPC, opened when needed and dropped when it fails.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::config::Otlp;
use super::spans::text;
use crate::export::notify::secret::SecretError;
use crate::export::notify::webhook;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time for one request.
const SEND: Duration = Duration::from_secs(30);

/// Most characters shown of a receiver's error message.
const MESSAGE_CHARS: usize = 300;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The file with headers is unusable.
    #[error(transparent)]
    Headers(#[from] SecretError),
    /// The file with authorities cannot be read.
    #[error("{}: {source}", path.display())]
    Authority {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// No connection, or the TLS handshake failed.
    #[error("{endpoint} cannot be reached: {reason}")]
    Connect {
        /// Address of the receiver.
        endpoint: String,
        /// The underlying error.
        reason: String,
    },
    /// The receiver answered with an error.
    #[error("{endpoint} answered {code:?}: {message}")]
    Answer {
        /// Address of the receiver.
        endpoint: String,
        /// The gRPC code.
        code: Code,
        /// Its error message.
        message: String,
    },
}

impl SendError {
    /// Whether the receiver rejects this permanently: by the OTLP specification, every code except those of a temporary failure.
    /// Errors that an operator can correct (a token, a wrong port) are retried too.
    pub fn is_final(&self) -> bool {
        let passing = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::Unavailable,
            Code::DataLoss,
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Unimplemented,
        ];
        matches!(self, SendError::Answer { code, .. } if !passing.contains(code))
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            SendError::Headers(_) => "correct the file that otlp.header_file names",
            SendError::Authority { .. } => "give otlp.ca a PEM file with the authority of the receiver",
            SendError::Connect { .. } => "check otlp.endpoint, the receiver, and the network path to it",
            SendError::Answer { code: Code::Unimplemented, .. } => {
                "check that otlp.endpoint is the receiver's port for OTLP over gRPC, 4317 as a rule"
            }
            SendError::Answer { code: Code::Unauthenticated | Code::PermissionDenied, .. } => {
                "check the token in the file that otlp.header_file names"
            }
            SendError::Answer { .. } => "check the receiver's log",
        }
    }
}

/// Sends to one receiver.
pub struct Sender {
    config: Otlp,
    resource: Resource,
    channel: Option<Channel>,
}

impl Sender {
    /// Creates a sender for a hierarchy; it connects when something is sent.
    pub fn new(config: Otlp, hierarchy: &str) -> Sender {
        let attributes = vec![
            text("service.name", "supwatch"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", hierarchy),
        ];
        Sender { config, resource: Resource { attributes, ..Resource::default() }, channel: None }
    }

    /// Sends spans; returns how many the receiver rejected.
    pub async fn traces(&mut self, spans: Vec<Span>) -> Result<u64, SendError> {
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        };
        let request = self.request(ExportTraceServiceRequest { resource_spans: vec![resource_spans] })?;
        let mut client = TraceServiceClient::new(self.channel().await?);
        let answer = client.export(request).await.map_err(|status| self.failed(&status))?.into_inner();
        Ok(answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }

    /// Sends metrics; returns how many points the receiver rejected.
    pub async fn metrics(&mut self, metrics: Vec<Metric>) -> Result<u64, SendError> {
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        };
        let request = self.request(ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] })?;
        let mut client = MetricsServiceClient::new(self.channel().await?);
        let answer = client.export(request).await.map_err(|status| self.failed(&status))?.into_inner();
        Ok(answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_data_points).unwrap_or(0)))
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, SendError> {
        let mut request = Request::new(message);
        if let Some(path) = &self.config.header_file {
            *request.metadata_mut() = MetadataMap::from_headers(webhook::headers(path)?);
        }
        request.set_timeout(SEND);
        Ok(request)
    }

    async fn channel(&mut self) -> Result<Channel, SendError> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let uri = &self.config.endpoint.uri;
        let refused = |error: tonic::transport::Error| SendError::Connect {
            endpoint: uri.clone(),
            reason: supwatch_proto::channel::words(&error),
        };
        let mut endpoint = Endpoint::from_shared(uri.clone()).map_err(refused)?;
        if self.config.endpoint.tls {
            endpoint = endpoint.tls_config(self.tls()?).map_err(refused)?;
        }
        let endpoint = endpoint.connect_timeout(CONNECT).timeout(SEND);
        // The connection's time limit covers only TCP; a peer that is silent during the TLS handshake has none.
        let late =
            |_| SendError::Connect { endpoint: uri.clone(), reason: format!("no connection within {} s", CONNECT.as_secs()) };
        let channel = tokio::time::timeout(CONNECT, endpoint.connect()).await.map_err(late)?.map_err(refused)?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    fn tls(&self) -> Result<ClientTlsConfig, SendError> {
        let Some(path) = &self.config.ca else { return Ok(ClientTlsConfig::new().with_native_roots()) };
        let pem = std::fs::read(path).map_err(|source| SendError::Authority { path: path.clone(), source })?;
        Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
    }

    fn failed(&mut self, status: &Status) -> SendError {
        self.channel = None;
        SendError::Answer {
            endpoint: self.config.endpoint.uri.clone(),
            code: status.code(),
            message: status.message().chars().take(MESSAGE_CHARS).collect(),
        }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "supwatch".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
