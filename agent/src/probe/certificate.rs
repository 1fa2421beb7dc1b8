//! TLS for inspection, not for trust: any certificate is accepted and recorded.
//!
//! Why that is safe here, and nowhere else: a probe sends four anonymous GETs for paths that are public knowledge, and
//! believes nothing that comes back beyond a status and a date. There is no secret to steal and no answer to forge that the
//! same attacker could not forge by refusing the connection. A probe that rejected unknown authorities could not
//! report which certificate such a server presents, for which names and until when. The connection to the collector is
//! verified in full, by separate code.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use supwatch_model::settings::{Certificate, Known};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Most names of a certificate that are reported. With more, none is: a partial list would suggest that names are missing.
const NAMES: usize = 50;

/// The certificate that a server presented, if the handshake got that far.
#[derive(Debug, Default)]
pub struct Shown(OnceLock<CertificateDer<'static>>);

impl Shown {
    /// Names and expiry of the certificate.
    pub fn read(&self) -> Option<Certificate> {
        self.0.get().and_then(|der| read(der))
    }
}

/// A TLS client that records the certificate. New for each connection: a resumed session would present none.
pub fn looking() -> Result<(ClientConfig, Arc<Shown>), rustls::Error> {
    let shown = Arc::new(Shown::default());
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Recorder(Arc::clone(&shown))))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok((config, shown))
}

#[derive(Debug)]
struct Recorder(Arc<Shown>);

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // One connection, one certificate.
        let _ = self.0.0.set(certificate.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// Every scheme that a server may use, because none is verified.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]
    }
}

/// DNS names and expiry of a certificate; `None` if it cannot be parsed.
fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => dns_names(&names.value.general_names),
        Ok(None) => Known::None,
        Err(_) => Known::Unknown,
    };
    let end = Timestamp::from_second(certificate.validity().not_after.timestamp());
    Some(Certificate { names, expires_at: end.map_or(Known::Unknown, Known::Some) })
}

fn dns_names(names: &[GeneralName<'_>]) -> Known<Vec<String>> {
    let dns = names.iter().filter_map(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None });
    let names: Vec<String> = dns.collect();
    if names.len() > NAMES { Known::Unknown } else { Known::Some(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: Vec<String>) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("key");
        let mut parameters = rcgen::CertificateParams::new(names).expect("names");
        parameters.not_after = rcgen::date_time_ymd(2020, 2, 3);
        parameters.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn names_and_expiry_are_reported_and_addresses_are_no_names() {
        let names = ["sup1.corp.example", "wsus.corp.example", "127.0.0.1"].map(str::to_owned).to_vec();
        let told = read(&certificate(names)).expect("read");
        assert_eq!(told.names, Known::Some(vec!["sup1.corp.example".to_owned(), "wsus.corp.example".to_owned()]));
        assert_eq!(told.expires_at, Known::Some("2020-02-03T00:00:00Z".parse().expect("a time")));
    }

    #[test]
    fn too_many_names_are_not_reported() {
        let told = |count: usize| read(&certificate((0..count).map(|n| format!("s{n}.corp.example")).collect())).expect("read");
        assert_eq!(told(NAMES).names.value().map(Vec::len), Some(NAMES));
        assert_eq!(told(NAMES + 1).names, Known::Unknown);
    }

    #[test]
    fn an_unreadable_certificate_reports_nothing() {
        assert_eq!(read(b"no certificate"), None);
        assert_eq!(read(&certificate(vec![])).map(|told| told.names), Some(Known::None));
    }
}
