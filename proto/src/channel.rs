//! How a client reaches the collector: its identity folder, mutual TLS, and error texts with remedies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Certificate of an identity folder.
pub const CERTIFICATE: &str = "certificate.pem";
/// Its private key.
pub const KEY: &str = "key.pem";
/// The authority that both sides trust.
pub const AUTHORITY: &str = "ca.pem";

/// The three PEM files of an identity folder.
pub struct IdentityFiles {
    /// Certificate chain.
    pub certificate: String,
    /// Private key.
    pub key: String,
    /// Authority.
    pub authority: String,
}

impl std::fmt::Debug for IdentityFiles {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("IdentityFiles { .. }") // never the key
    }
}

/// Why the collector cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file of the identity is missing or unreadable.
    #[error("{}: {reason}; make an identity with `supwatch pki issue` and name its folder", path.display())]
    Identity {
        /// Path of the file.
        path: PathBuf,
        /// What the operating system or the parser reports.
        reason: String,
    },
    /// The private key is readable by other users.
    #[error("{}: this private key is readable by other users; restrict it: chmod 600", path.display())]
    KeyExposed {
        /// Path of the key file.
        path: PathBuf,
    },
    /// The endpoint URL is invalid.
    #[error("{endpoint}: {reason}; write it like https://collector.corp.example:7443")]
    Endpoint {
        /// Endpoint URL as configured.
        endpoint: String,
        /// Why the URL was rejected.
        reason: String,
    },
    /// The connection failed.
    #[error("{endpoint}: {reason}")]
    Connect {
        /// Endpoint URL as configured.
        endpoint: String,
        /// Error text with the remedy.
        reason: String,
    },
}

impl IdentityFiles {
    /// Reads an identity folder.
    pub fn read(folder: &Path) -> Result<IdentityFiles, ConnectError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|error| ConnectError::Identity { path, reason: error.to_string() })
        };
        let key_path = folder.join(KEY);
        if is_exposed(&key_path) {
            return Err(ConnectError::KeyExposed { path: key_path });
        }
        Ok(IdentityFiles { certificate: read(CERTIFICATE)?, key: read(KEY)?, authority: read(AUTHORITY)? })
    }
}

/// Whether a file is readable by users other than its owner.
#[cfg(unix)]
pub fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// Whether a file is readable by users other than its owner.
#[cfg(not(unix))]
pub fn is_exposed(_path: &Path) -> bool {
    false // the folder's ACL protects it
}

/// Connects with an identity.
pub async fn connect(endpoint: &str, identity: &IdentityFiles) -> Result<Channel, ConnectError> {
    let wrong = |reason: String| ConnectError::Endpoint { endpoint: endpoint.to_owned(), reason };
    if !endpoint.starts_with("https://") {
        return Err(wrong("it must begin with https://, because nothing is sent in clear text".to_owned()));
    }
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&identity.authority))
        .identity(Identity::from_pem(&identity.certificate, &identity.key));
    let target = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|error| wrong(words(&error)))?
        .connect_timeout(Duration::from_secs(10))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .tls_config(tls)
        .map_err(|error| wrong(words(&error)))?;
    target.connect().await.map_err(|error| ConnectError::Connect { endpoint: endpoint.to_owned(), reason: explain(&error) })
}

/// An error with its source chain: the outer errors say only "transport error".
pub fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = Some(error);
    while let Some(error) = at {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        at = error.source();
    }
    parts.join(": ")
}

/// The error text with a remedy for the usual causes. With TLS 1.3 a rejected client certificate shows only after connecting.
pub fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let text = words(error);
    let advice = [
        ("CertificateRevoked", "this certificate was revoked; ask for a new one"),
        ("CertificateExpired", "a certificate has expired; renew it, and compare both clocks"),
        ("certificate expired", "a certificate has expired; renew it, and compare both clocks"),
        ("CertificateRequired", "the collector requires a client certificate; name its folder with --identity"),
        (
            "UnknownCA",
            "the collector does not trust the authority of this certificate; issue one from the collector's own authority",
        ),
        ("UnknownIssuer", "the collector's certificate was issued by another authority than ca.pem; copy the collector's ca.pem"),
        ("NotValidForName", "the collector's certificate does not carry this host name; use a name given to `pki init --name`"),
        (
            "BadSignature",
            "the collector's certificate was issued by another authority with the same name as ca.pem; copy the collector's ca.pem",
        ),
        (
            "DecryptError",
            "the collector does not trust the authority of this certificate; issue one from the collector's own authority",
        ),
        ("BadCertificate", "the collector refuses this certificate; issue a new one"),
        ("Connection refused", "check that `supwatch serve` is running, and the port"),
        ("dns error", "cannot resolve the host name; check it"),
        ("failed to lookup address", "cannot resolve the host name; check it"),
    ];
    match advice.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, advice)) => format!("{text} – {advice}"),
        None => text,
    }
}
