//! A notification as an HTTP POST of its JSON. 2xx means delivered; anything else does not.
//!
//! One connection for each notification, over HTTP/1.1. Redirects are not followed and proxies not used. The path of the
//! address is often a secret, so no message names more than scheme and host.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::message::Notice;
use super::secret::{self, SecretError};

/// Lets the receiver recognise a repeated notification.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Where and how to POST.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Address of the receiver.
    pub url: Url,
    /// File with further headers, such as a token.
    pub header_file: Option<PathBuf>,
    /// File with the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// An HTTP or HTTPS URL without a user name. Shown without its path.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    https: bool,
    authority: String,
    host: String,
    port: u16,
    path: String,
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Url, &'static str> {
        let wrong = "this is not an address: write one like \"https://hooks.corp.example/supwatch\"";
        let uri: Uri = text.parse().map_err(|_| wrong)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong),
        };
        let authority = uri.authority().ok_or(wrong)?;
        if authority.as_str().contains('@') {
            return Err("an address must not hold a user or password: put an `Authorization` header into `header_file`");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong);
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Url { https, authority: authority.to_string(), host, port, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why a webhook did not deliver.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The file with headers is unusable.
    #[error(transparent)]
    Headers(#[from] SecretError),
    /// No certificate authority to trust.
    #[error("no certificate authorities in {place}: {reason}")]
    Authorities {
        /// Where they were looked for.
        place: String,
        /// The underlying error.
        reason: String,
    },
    /// No connection.
    #[error("{url} cannot be reached: {source}")]
    Connect {
        /// Address of the receiver.
        url: Url,
        /// The underlying error.
        source: std::io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {url} failed: {source}")]
    Tls {
        /// Address of the receiver.
        url: Url,
        /// The underlying error.
        source: std::io::Error,
    },
    /// The connection closed early, or the receiver speaks no HTTP.
    #[error("{url} did not answer: {source}")]
    Exchange {
        /// Address of the receiver.
        url: Url,
        /// The underlying error.
        source: hyper::Error,
    },
    /// The receiver answered with another status than 2xx.
    #[error("{url} answered {status}")]
    Status {
        /// Address of the receiver.
        url: Url,
        /// Its answer.
        status: StatusCode,
    },
}

impl WebhookError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            WebhookError::Headers(_) => "correct the file that `header_file` names",
            WebhookError::Authorities { .. } => "give `ca` a PEM file with the authority of the receiver",
            WebhookError::Connect { .. } => "check `url`, the receiver, and the network path to it",
            WebhookError::Tls { .. } => "give `ca` the authority of the receiver, or a `url` that its certificate names",
            WebhookError::Exchange { .. } => "check that `url` is an HTTP receiver, with `https` if it requires TLS",
            WebhookError::Status { status, .. } if status.is_redirection() => "redirects are not followed: give the final `url`",
            WebhookError::Status { status, .. } if matches!(status.as_u16(), 401 | 403 | 407) => "check the token in `header_file`",
            WebhookError::Status { .. } => "check `url`, and the receiver's log",
        }
    }
}

/// Headers from a file: `Name: value` lines; empty ones and those that begin with `#` are left out.
pub fn headers(path: &Path) -> Result<HeaderMap, SecretError> {
    let mut headers = HeaderMap::new();
    for (number, line) in secret::lines(path)?.iter().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || SecretError::Form { path: path.to_owned(), line: number + 1, wanted: "this is no `Name: value`" };
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = name.trim().parse::<HeaderName>().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Certificates of authorities from a PEM file.
pub fn authorities(path: &Path) -> Result<RootCertStore, WebhookError> {
    let wrong = |reason: String| WebhookError::Authorities { place: path.display().to_string(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore, WebhookError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(WebhookError::Authorities { place: "this system".to_owned(), reason });
    }
    Ok(roots)
}

impl Webhook {
    /// Posts a notification; the caller limits the time.
    pub async fn send(&self, notice: &Notice) -> Result<(), WebhookError> {
        let url = &self.url;
        let request = self.request(notice)?;
        let connected = TcpStream::connect((url.host.as_str(), url.port)).await;
        let stream = connected.map_err(|source| WebhookError::Connect { url: url.clone(), source })?;
        let status = if url.https {
            self.exchange(self.secured(stream).await?, request).await
        } else {
            self.exchange(stream, request).await
        }?;
        if status.is_success() { Ok(()) } else { Err(WebhookError::Status { url: url.clone(), status }) }
    }

    fn request(&self, notice: &Notice) -> Result<Request<Full<Bytes>>, WebhookError> {
        let mut request = Request::new(Full::new(Bytes::from(notice.json.clone())));
        *request.method_mut() = hyper::Method::POST;
        // The URL was already parsed, and keys consist of letters, digits and dashes.
        *request.uri_mut() = self.url.path.parse().unwrap_or_default();
        let own = [
            (HOST, self.url.authority.as_str()),
            (CONTENT_TYPE, "application/json"),
            (USER_AGENT, concat!("supwatch/", env!("CARGO_PKG_VERSION"))),
            (CONNECTION, "close"),
            (KEY, notice.key.as_str()),
        ];
        for (name, value) in own {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers_mut().insert(name, value);
            }
        }
        if let Some(path) = &self.header_file {
            request.headers_mut().extend(headers(path)?);
        }
        Ok(request)
    }

    async fn secured(&self, stream: TcpStream) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, WebhookError> {
        let roots = match &self.ca {
            Some(path) => authorities(path)?,
            None => system_authorities()?,
        };
        let wrong = |source| WebhookError::Tls { url: self.url.clone(), source };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(std::io::Error::other(error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.url.host.clone()).map_err(|error| wrong(std::io::Error::other(error)))?;
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(wrong)
    }

    async fn exchange<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, WebhookError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let wrong = |source| WebhookError::Exchange { url: self.url.clone(), source };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(wrong)?;
        // Dropping the set ends the connection, whatever the answer.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        Ok(sender.send_request(request).await.map_err(wrong)?.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_path() {
        let url: Url = "https://hooks.corp.example:8443/services/T0K3N?key=s".parse().expect("address");
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("hooks.corp.example", 8443, "/services/T0K3N?key=s"));
        assert_eq!((url.to_string(), format!("{url:?}")), (format!("{url:?}"), "https://hooks.corp.example:8443".to_owned()));
        let url: Url = "http://[::1]".parse().expect("address");
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("::1", 80, "/"));
    }

    #[track_caller]
    fn refused(text: &str, because: &str) {
        let error = text.parse::<Url>().expect_err("refused");
        assert!(error.contains(because), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        refused("hooks.corp.example", "not an address");
        refused("ftp://hooks.corp.example/", "not an address");
        refused("/path", "not an address");
        refused("https:///path", "not an address");
        refused("https://user:s3cret@hooks.corp.example/", "must not hold a user");
    }

    #[test]
    fn a_file_of_headers_is_read_line_by_line_and_faults_do_not_repeat_it() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("headers");
        secret::tests::write(&path, "# token\nAuthorization: Bearer s3cret\n\nX-Team:  ops \n");
        let read = headers(&path).expect("headers");
        assert_eq!((read["authorization"].as_bytes(), read["x-team"].as_bytes()), (&b"Bearer s3cret"[..], &b"ops"[..]));
        assert!(!format!("{read:?}").contains("s3cret"));
        secret::tests::write(&path, "Authorization: x\nBearer s3cret\n");
        let error = headers(&path).expect_err("no header").to_string();
        assert!(error.ends_with("headers:2: this is no `Name: value`"), "{error}");
    }
}
