//! Certificate → identity of the peer, and the sites it may send events of.
//!
//! Pure. The certificate's one SAN URI decides, never what a message claims:
//! `spiffe://<hierarchy>/agent/<CODE>[.<CODE>…]/<host>`, `/operator/<name>`, `/reader/<name>`, `/collector/<name>`.

use std::fmt;

use supwatch_model::ids::{AGENT_BYTES, AgentId, SiteCode};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Role of a peer, which decides what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Streams events of its own sites.
    Agent {
        /// The agent's id.
        id: AgentId,
        /// Sites whose events it may send.
        sites: Vec<SiteCode>,
    },
    /// Reads and administers.
    Operator,
    /// Reads.
    Reader,
    /// A collector.
    Collector,
}

/// A peer with a good certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Trust domain: the name of the hierarchy.
    pub hierarchy: String,
    /// Its role.
    pub role: Role,
    /// The whole URI, for texts.
    pub uri: String,
}

/// Why a certificate identifies no peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be parsed.
    #[error("the certificate cannot be parsed")]
    Unreadable,
    /// No SAN URI, or more than one.
    #[error("the certificate has {0} SAN URIs; it must have exactly one, as `supwatch pki issue` makes it")]
    UriCount(usize),
    /// The URI has another form.
    #[error("the certificate's SAN URI {0:?} names no agent, operator, reader or collector")]
    Form(String),
    /// The name of an agent is longer than the store allows.
    #[error(
        "the certificate's sites and host have {0} characters, at most {AGENT_BYTES} are allowed; issue several agents with fewer sites each"
    )]
    TooLong(usize),
}

impl Peer {
    /// From a certificate.
    pub fn of_certificate(der: &[u8]) -> Result<Peer, IdentityError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
            .collect();
        match uris.as_slice() {
            [uri] => Peer::of_uri(uri),
            many => Err(IdentityError::UriCount(many.len())),
        }
    }

    /// From a SAN URI.
    pub fn of_uri(uri: &str) -> Result<Peer, IdentityError> {
        let form = || IdentityError::Form(uri.to_owned());
        let path = uri.strip_prefix("spiffe://").ok_or_else(form)?;
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(form());
        }
        let (hierarchy, role) = match parts.as_slice() {
            [hierarchy, "agent", codes, host] => {
                let sites = codes.split('.').map(str::parse).collect::<Result<Vec<SiteCode>, _>>().map_err(|_| form())?;
                if sites.contains(&SiteCode::UNKNOWN) {
                    return Err(form());
                }
                let id = AgentId(format!("{codes}/{host}"));
                if id.0.len() > AGENT_BYTES {
                    return Err(IdentityError::TooLong(id.0.len()));
                }
                (hierarchy, Role::Agent { id, sites })
            }
            [hierarchy, "operator", _] => (hierarchy, Role::Operator),
            [hierarchy, "reader", _] => (hierarchy, Role::Reader),
            [hierarchy, "collector", _] => (hierarchy, Role::Collector),
            _ => return Err(form()),
        };
        Ok(Peer { hierarchy: (*hierarchy).to_owned(), role, uri: uri.to_owned() })
    }

    /// Whether the peer may use the query service.
    pub fn may_read(&self) -> bool {
        matches!(self.role, Role::Operator | Role::Reader)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_may_send_events_of_the_sites_in_its_uri() {
        let peer = Peer::of_uri("spiffe://corp/agent/P01.S01/srv1.corp.example").expect("good");
        let Role::Agent { id, sites } = peer.role else { panic!("no agent") };
        assert_eq!((id.0.as_str(), sites.len()), ("P01.S01/srv1.corp.example", 2));
    }

    #[test]
    fn other_forms_name_nobody() {
        for uri in [
            "http://x",
            "spiffe://corp/agent/P01",
            "spiffe://corp/agent/P0001/h",
            "spiffe://corp/agent//h",
            "spiffe://corp/king/x",
            "spiffe:///operator/x",
            "spiffe://corp/agent/?/h",
        ] {
            assert!(Peer::of_uri(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn an_agent_of_more_sites_than_the_store_allows_is_refused() {
        let uri = |sites| format!("spiffe://corp/agent/{}/srv1", vec!["P01"; sites].join("."));
        assert!(Peer::of_uri(&uri(100)).is_ok());
        assert_eq!(Peer::of_uri(&uri(120)), Err(IdentityError::TooLong(484)));
    }

    #[test]
    fn roles_read_or_do_not() {
        let may = |uri| Peer::of_uri(uri).expect("good").may_read();
        assert!(may("spiffe://corp/reader/a") && may("spiffe://corp/operator/a"));
        assert!(!may("spiffe://corp/agent/P01/h") && !may("spiffe://corp/collector/a"));
    }
}
