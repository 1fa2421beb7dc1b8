//! Names of servers, compared the way administrators write them: bare or fully qualified, in any case, with a trailing dot, a
//! scheme, a protocol prefix or a port. The one comparison that every rule uses.

use std::net::Ipv4Addr;

/// Prefixes of a host name that do not identify the host.
const PREFIXES: &[&str] = &["http://", "https://", "tcp:", "np:", "lpc:", "\\\\"];

/// The host in a name: without scheme, user, path, SQL Server instance, port and trailing dot.
pub fn host(name: &str) -> &str {
    let rest = unprefixed(name);
    let rest = rest.split(['/', '\\', ',']).next().unwrap_or_default();
    let rest = rest.rsplit('@').next().unwrap_or_default();
    if let Some((address, _)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let host = match rest.split_once(':') {
        // Several colons are an IPv6 address.
        Some((host, port)) if !port.contains(':') => host,
        _ => rest,
    };
    host.trim().trim_end_matches('.')
}

/// The port written after a host's name, such as in `http://proxy:8080`.
pub fn port(name: &str) -> Option<u16> {
    let rest = unprefixed(name).split('/').next().unwrap_or_default();
    let (host, port) = rest.rsplit_once(':')?;
    if host.contains(':') && !host.ends_with(']') {
        return None;
    }
    port.trim().parse().ok()
}

fn unprefixed(name: &str) -> &str {
    let name = name.trim();
    let prefix = PREFIXES.iter().find(|prefix| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)));
    prefix.and_then(|prefix| name.get(prefix.len()..)).unwrap_or(name)
}

/// Whether two names denote one server: case is ignored, and a bare name equals a fully qualified one with that first
/// label. An IP address equals only itself.
pub fn same_server(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (one, other) = (host(one), host(other));
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let is_address = |name: &str| name.contains(':') || name.parse::<Ipv4Addr>().is_ok();
    if is_address(one) || is_address(other) {
        return false;
    }
    match (one.split_once('.'), other.split_once('.')) {
        (None, Some((label, _))) => label.eq_ignore_ascii_case(one),
        (Some((label, _)), None) => label.eq_ignore_ascii_case(other),
        _ => false,
    }
}

/// Whether two names denote one SQL Server instance: `SQL`, `tcp:sql.corp.example,1433` and `SQL\MSSQLSERVER` are one.
pub fn same_instance(one: &str, other: &str) -> bool {
    if !same_server(one, other) {
        return false;
    }
    let ((one, one_port), (other, other_port)) = (instance(one), instance(other));
    // The port of a named instance only finds it; the default instance is the one without a name at the default port.
    match (one_port, other_port) {
        (Some(one_port), Some(other_port)) => one_port == other_port,
        (None, None) => one.eq_ignore_ascii_case(other),
        (port, None) | (None, port) => {
            one.eq_ignore_ascii_case(other) && (!one.is_empty() || port.is_none_or(|port| port == "1433"))
        }
    }
}

/// Name and port of an instance; the default one has no name.
fn instance(name: &str) -> (&str, Option<&str>) {
    let rest = unprefixed(name);
    let (rest, port) = rest.split_once(',').map_or((rest, None), |(rest, port)| (rest, Some(port.trim())));
    let name = rest.split_once('\\').map_or("", |(_, name)| name.trim());
    (if name.eq_ignore_ascii_case("MSSQLSERVER") { "" } else { name }, port)
}

/// Whether a certificate's name is valid for a server; `*` matches one label, and a bare name matches in any domain.
pub fn certifies(certified: &str, server: &str) -> bool {
    let server = host(server);
    match certified.trim().strip_prefix("*.") {
        Some(domain) => {
            let domain = domain.trim_end_matches('.');
            server.split_once('.').map_or(!server.is_empty(), |(_, rest)| rest.eq_ignore_ascii_case(domain))
        }
        None => same_server(certified, server),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_written_in_many_ways() {
        for name in ["SUP1", "sup1.corp.example", "Sup1.Corp.Example.", "http://SUP1:8530/", "sup1:8531", " tcp:sup1,1433"] {
            assert!(same_server("SUP1.corp.example", name), "{name}");
            assert!(same_server(name, "SUP1.corp.example"), "{name}");
        }
        for name in ["sup1.lab.example", "sup10", "sup10.corp.example", "corp.example", ""] {
            assert!(!same_server("sup1.corp.example", name), "{name}");
        }
        assert!(!same_server("10", "10.0.0.1"));
        assert!(same_server("[fd00::1]:8530", "fd00::1"));
    }

    #[test]
    fn ports_stand_after_a_host() {
        assert_eq!(port("http://proxy:8080"), Some(8080));
        assert_eq!(port("proxy.corp.example:3128/"), Some(3128));
        assert_eq!(port("[fd00::1]:8080"), Some(8080));
        assert_eq!(port("fd00::1"), None);
        assert_eq!(port("proxy"), None);
    }

    #[test]
    fn instances_of_one_server_are_apart() {
        assert!(same_instance("SQL1", "tcp:sql1.corp.example,1433"));
        assert!(same_instance("SQL1\\MSSQLSERVER", "SQL1"));
        assert!(same_instance("SQL1\\WSUS", "sql1\\wsus,50000"));
        assert!(!same_instance("SQL1\\WSUS", "SQL1"));
        assert!(!same_instance("SQL1,50000", "SQL1"));
        assert!(!same_instance("SQL1", "SQL2"));
    }

    #[test]
    fn a_certificate_is_for_any_way_to_write_its_name() {
        assert!(certifies("sup1.corp.example", "SUP1"));
        assert!(certifies("*.corp.example", "sup1.corp.example"));
        assert!(certifies("*.corp.example", "SUP1"));
        assert!(!certifies("*.corp.example", "sup1.lab.corp.example"));
        assert!(!certifies("*.corp.example", "corp.example"));
        assert!(!certifies("sup2.corp.example", "sup1.corp.example"));
    }
}
