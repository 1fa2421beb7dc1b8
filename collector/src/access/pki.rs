//! A small certificate authority: one command creates it with the collector's and an operator's certificate, another issues more.
//!
//! Keys are ECDSA P-256 in files that only their owner may read. The SAN URI alone determines what a certificate may do.

use std::io::Write;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use supwatch_proto::channel::{AUTHORITY, CERTIFICATE, KEY};
use time::{Duration, OffsetDateTime};

use crate::access::identity::Peer;

const AUTHORITY_KEY: &str = "ca-key.pem";
const AUTHORITY_DAYS: i64 = 3650;
const CERTIFICATE_DAYS: i64 = 825;

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder has an authority already.
    #[error("{}: there is an authority here already; nothing was changed. Use `supwatch pki issue` to make more certificates", path.display())]
    Exists {
        /// Path of the folder.
        path: PathBuf,
    },
    /// A name that is not allowed in a certificate.
    #[error("{name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate cannot be generated.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Who a certificate is for.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Path of the SAN URI behind the hierarchy, such as `agent/P01/srv1`.
    pub path: String,
    /// DNS names and addresses, for a collector.
    pub hosts: Vec<String>,
    /// Whether a server presents it.
    pub server: bool,
}

/// Creates an authority in a folder, with the identities of the collector and of a first operator in sub-folders.
pub fn init(folder: &Path, hierarchy: &str, hosts: &[String], now: OffsetDateTime) -> Result<(), PkiError> {
    check_name(hierarchy)?;
    if folder.join(AUTHORITY_KEY).exists() {
        return Err(PkiError::Exists { path: folder.to_owned() });
    }
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, format!("supwatch {hierarchy}"));
    params.distinguished_name.push(DnType::OrganizationName, hierarchy);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, now, AUTHORITY_DAYS);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    write(&folder.join(AUTHORITY), &authority.pem(), false)?;
    write(&folder.join(AUTHORITY_KEY), &authority.key().serialize_pem(), true)?;
    let mut names: Vec<String> = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend_from_slice(hosts);
    let name = hosts.first().map_or("localhost", String::as_str);
    let collector = Subject { path: format!("collector/{name}"), hosts: names, server: true };
    issue(folder, &collector, &folder.join("collector"), now)?;
    let operator = Subject { path: "operator/admin".to_owned(), hosts: Vec::new(), server: false };
    issue(folder, &operator, &folder.join("operator"), now)
}

/// Issues a certificate into an identity folder.
pub fn issue(authority: &Path, subject: &Subject, out: &Path, now: OffsetDateTime) -> Result<(), PkiError> {
    let authority_pem = read(&authority.join(AUTHORITY))?;
    let issuer_key = KeyPair::from_pem(&read(&authority.join(AUTHORITY_KEY))?)?;
    let hierarchy = hierarchy_of(&authority_pem)?;
    let issuer = Issuer::from_ca_cert_pem(&authority_pem, issuer_key)?;
    let uri = format!("spiffe://{hierarchy}/{}", subject.path);
    Peer::of_uri(&uri).map_err(|error| PkiError::Name { name: uri.clone(), reason: error.to_string() })?;
    let mut params = CertificateParams::new(subject.hosts.clone())?;
    let name = uri
        .as_str()
        .try_into()
        .map_err(|_| PkiError::Name { name: uri.clone(), reason: "a URI may only contain ASCII".to_owned() })?;
    params.subject_alt_names.push(SanType::URI(name));
    params.distinguished_name.push(DnType::CommonName, subject.path.as_str());
    params.extended_key_usages = if subject.server {
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
    } else {
        vec![ExtendedKeyUsagePurpose::ClientAuth]
    };
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    validity(&mut params, now, CERTIFICATE_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write(&out.join(KEY), &key.serialize_pem(), true)?;
    write(&out.join(CERTIFICATE), &certificate.pem(), false)?;
    write(&out.join(AUTHORITY), &authority_pem, false)
}

/// The hierarchy an authority belongs to: its organisation name.
fn hierarchy_of(pem: &str) -> Result<String, PkiError> {
    let unreadable = |reason: &str| PkiError::Name { name: AUTHORITY.to_owned(), reason: reason.to_owned() };
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| unreadable("this is not a certificate in PEM"))?;
    let certificate = pem.parse_x509().map_err(|_| unreadable("this is not a certificate"))?;
    let name = certificate.subject().iter_organization().next().and_then(|name| name.as_str().ok());
    name.map(str::to_owned).ok_or_else(|| unreadable("it names no organization; it was not made by `supwatch pki init`"))
}

/// The hierarchy's name is a trust domain: lower-case letters, digits, dots and dashes.
fn check_name(name: &str) -> Result<(), PkiError> {
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
    if good {
        return Ok(());
    }
    Err(PkiError::Name {
        name: name.to_owned(),
        reason: "the name of a hierarchy has small letters, digits, dots and dashes, like corp.example".to_owned(),
    })
}

fn validity(params: &mut CertificateParams, now: OffsetDateTime, days: i64) {
    // Server clocks differ a little.
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(days);
}

fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str, secret: bool) -> Result<(), PkiError> {
    let failed = |source| PkiError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = secret; // the folder's ACL protects it
    options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issued_certificate_says_who_it_is_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("folder");
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        init(dir.path(), "corp.example", &["sup.corp.example".to_owned()], now).expect("init");
        assert!(matches!(init(dir.path(), "corp.example", &[], now), Err(PkiError::Exists { .. })));
        let out = dir.path().join("P01");
        let subject = Subject { path: "agent/P01/srv1".to_owned(), hosts: Vec::new(), server: false };
        issue(dir.path(), &subject, &out, now).expect("issue");
        assert!(issue(dir.path(), &subject, &out, now).is_err(), "an identity is never overwritten");
        let pem = std::fs::read(out.join(CERTIFICATE)).expect("certificate");
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).expect("pem");
        let peer = Peer::of_certificate(&pem.contents).expect("peer");
        assert_eq!(peer.uri, "spiffe://corp.example/agent/P01/srv1");
        let bad = Subject { path: "agent/TOOLONG/srv1".to_owned(), hosts: Vec::new(), server: false };
        assert!(issue(dir.path(), &bad, &dir.path().join("x"), now).is_err());
        assert!(init(&dir.path().join("y"), "Not A Name", &[], now).is_err());
    }
}
