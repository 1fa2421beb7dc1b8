//! Accepts TLS 1.3 connections with a client certificate of our authority, and no others.
//!
//! An accept loop of its own: it bounds handshakes, records refusals with their remedy, and sets `TCP_NODELAY`. The identity is
//! read once, at the start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use supwatch_model::text::Text;
use supwatch_proto::channel::{AUTHORITY, CERTIFICATE, KEY};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::access::identity::{IdentityError, Peer};
use crate::access::refusals::Refusals;

/// Most concurrent handshakes; further connections wait in the kernel's queue.
const HANDSHAKES: usize = 256;
/// Accepted connections queued for the server.
const ACCEPTED: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Why the collector's identity is unusable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or not PEM.
    #[error("{}: {reason}; make the collector's identity with `supwatch pki init`", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not match.
    #[error("{}: {reason}", path.display())]
    Config {
        /// Path of the identity folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is not a collector's.
    #[error("{}: {source}", path.display())]
    Identity {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        source: IdentityError,
    },
}

/// The collector's side of TLS.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    /// Configuration of the TLS acceptor.
    pub config: Arc<rustls::ServerConfig>,
    /// Its own name; the trust domain all peers must share.
    pub own: Peer,
}

impl ServerIdentity {
    /// Reads an identity folder.
    pub fn read(folder: &Path) -> Result<ServerIdentity, TlsError> {
        let file = |name: &str, reason: String| TlsError::File { path: folder.join(name), reason };
        let chain = certificates(&folder.join(CERTIFICATE))?;
        let key = PrivateKeyDer::from_pem_file(folder.join(KEY)).map_err(|error| file(KEY, error.to_string()))?;
        let leaf = chain.first().ok_or_else(|| file(CERTIFICATE, "no certificate in it".to_owned()))?;
        let own = Peer::of_certificate(leaf).map_err(|source| TlsError::Identity { path: folder.join(CERTIFICATE), source })?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&folder.join(AUTHORITY))? {
            roots.add(root).map_err(|error| file(AUTHORITY, error.to_string()))?;
        }
        let wrong = |reason: String| TlsError::Config { path: folder.to_owned(), reason };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| wrong(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(ServerIdentity { config: Arc::new(config), own })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error: rustls::pki_types::pem::Error| TlsError::File { path: path.to_owned(), reason: error.to_string() };
    CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)
}

/// A TLS connection handed to the gRPC server.
pub type Accepted = Result<TlsStream<TcpStream>, std::io::Error>;

/// Accepts until the receiver is dropped. No error of one connection ends the loop.
pub fn accept(
    listener: TcpListener,
    identity: &ServerIdentity,
    refusals: Arc<Refusals>,
    clock: fn() -> jiff::Timestamp,
) -> mpsc::Receiver<Accepted> {
    let (sender, accepted) = mpsc::channel(ACCEPTED);
    let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    tokio::spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let connection = tokio::select! {
                connection = listener.accept() => connection,
                () = sender.closed() => return,
            };
            let (socket, peer) = match connection {
                Ok(connection) => connection,
                Err(error) => {
                    // Out of file descriptors, or the peer disconnected: wait a moment and continue.
                    tracing::warn!(%error, "cannot accept a connection; retrying");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (acceptor, sender, refusals) = (acceptor.clone(), sender.clone(), Arc::clone(&refusals));
            tokio::spawn(async move {
                if let Some(stream) = handshake(socket, peer, &acceptor, &refusals, clock).await {
                    // The server is stopping, and so is the connection.
                    let _ = sender.send(Ok(stream)).await;
                }
                drop(place);
            });
        }
    });
    accepted
}

async fn handshake(
    socket: TcpStream,
    peer: SocketAddr,
    acceptor: &TlsAcceptor,
    refusals: &Refusals,
    clock: fn() -> jiff::Timestamp,
) -> Option<TlsStream<TcpStream>> {
    // Nagle's algorithm would delay acknowledgements.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
    }
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            refusals.record(clock(), &peer.ip().to_string(), reason(&error), remedy());
            None
        }
        Err(_) => {
            let text = Text::new("the TLS handshake took too long", "TLS ハンドシェイクがタイムアウトしました");
            refusals.record(clock(), &peer.ip().to_string(), text, remedy());
            None
        }
    }
}

fn reason(error: &std::io::Error) -> Text {
    let text = error.to_string();
    let known = [
        ("no certificates", "no client certificate was shown", "クライアント証明書が提示されませんでした"),
        ("UnknownIssuer", "the client's certificate was issued by another authority", "クライアント証明書が別の認証局のものです"),
        (
            "UnknownCA",
            "the client does not trust this collector's authority",
            "クライアントがこのコレクターの認証局を信頼していません",
        ),
        ("Expired", "the client's certificate has expired", "クライアント証明書の有効期限が切れています"),
        (
            "BadSignature",
            "the client's certificate was issued by another authority with the same name",
            "クライアント証明書が同名の別の認証局のものです",
        ),
    ];
    match known.iter().find(|(sign, ..)| text.contains(sign)) {
        Some((_, en, ja)) => Text::new(*en, *ja),
        None => Text::new(format!("TLS failed: {text}"), format!("TLS に失敗しました: {text}")),
    }
}

fn remedy() -> Text {
    Text::new(
        "If this is one of your agents, issue an identity for it with `supwatch pki issue` from this collector's authority; else find out who connects.",
        "自分のエージェントであれば、このコレクターの認証局から `supwatch pki issue` で証明書を発行してください。そうでなければ接続元を調べてください。",
    )
}
