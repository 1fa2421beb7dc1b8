//! Address of a server: host, port, and whether over SSL; and the form in which an operator types it.
//!
//! Pure. Nothing that could carry credentials fits into an [`Address`], so none can be stored, sent or logged.

/// Host, port, and whether over SSL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the server is reached over SSL.
    pub ssl: bool,
}

/// Why a text is not an address. It never repeats the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is not a URL of the expected form.
    #[error("write each server like \"https://sup1.corp.example:8531\" or \"http://sup1.corp.example:8530\"")]
    Form,
    /// The URL contains a user name or password.
    #[error("leave out user name and password: probes are anonymous, and agent.toml must not contain credentials")]
    Account,
    /// The URL continues after the port.
    #[error("leave out what follows the port: the probe knows the paths of the WSUS web services")]
    Path,
    /// The port is out of range.
    #[error("the port must be 1 to 65535")]
    Port,
}

impl Address {
    /// An address, if the host is a name or an IP address and the port can be connected to.
    pub fn new(host: &str, port: u16, ssl: bool) -> Option<Address> {
        (is_host(host) && port > 0).then(|| Address { host: host.trim_end_matches('.').to_owned(), port, ssl })
    }

    /// Host and port as a request names them, without the default port.
    pub fn authority(&self) -> String {
        let usual = if self.ssl { 443 } else { 80 };
        if self.port == usual { bracketed(&self.host) } else { self.host_and_port() }
    }

    /// Host and port, always both.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

/// The form used in `agent.toml`: a URL of scheme, host and port only.
impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (ssl, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(if text.contains('@') { AddressError::Account } else { AddressError::Form }),
        };
        if rest.contains('@') {
            return Err(AddressError::Account);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(AddressError::Path);
        }
        let (host, port) = host_and_port(authority)?;
        Address::new(host, port.unwrap_or(if ssl { 443 } else { 80 }), ssl).ok_or(AddressError::Form)
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), AddressError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(AddressError::Form)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(AddressError::Form)?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or(AddressError::Port)).transpose()?;
    Ok((host, port))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Whether a text is a host name or IP address; anything else would end up in a request.
fn is_host(text: &str) -> bool {
    let name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    (1..=253).contains(&text.len()) && (name(text) || text.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: u16, ssl: bool) {
        assert_eq!(text.parse(), Ok(Address { host: host.to_owned(), port, ssl }));
    }

    #[track_caller]
    fn refused(text: &str, error: AddressError) {
        assert_eq!(text.parse::<Address>(), Err(error));
    }

    #[test]
    fn a_url_is_scheme_host_and_port() {
        check("https://sup1.corp.example:8531", "sup1.corp.example", 8531, true);
        check("http://sup1:8530/", "sup1", 8530, false);
        check("https://sup1.corp.example", "sup1.corp.example", 443, true);
        check("http://[2001:db8::1]:8530", "2001:db8::1", 8530, false);
        check("http://[::1]", "::1", 80, false);
    }

    #[test]
    fn what_else_a_url_can_hold_is_refused() {
        refused("https://user:secret@sup1.corp.example:8531", AddressError::Account);
        refused("user@sup1.corp.example", AddressError::Account);
        refused("sup1.corp.example:8530", AddressError::Form);
        refused("https://sup1/ApiRemoting30", AddressError::Path);
        refused("https://sup1?x", AddressError::Path);
        refused("https://sup1:0", AddressError::Port);
        refused("https://sup1:99999", AddressError::Port);
        refused("https://sup 1", AddressError::Form);
        refused("https://sup1\r\nX", AddressError::Form);
        refused("https://", AddressError::Form);
        refused("https://[::1", AddressError::Form);
    }

    #[test]
    fn a_usual_port_is_left_out_of_a_request() {
        let shown = |text: &str| text.parse::<Address>().expect("an address").authority();
        assert_eq!(shown("https://a:443"), "a");
        assert_eq!(shown("http://a:443"), "a:443");
        assert_eq!(shown("http://[::1]:8530"), "[::1]:8530");
    }
}
