//! `[otlp]` of `supwatch.toml`, parsed and checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use supwatch_model::config::Table;

/// Where to send and what.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// Address of an OTLP receiver over gRPC.
    pub endpoint: Address,
    /// File with further headers, such as a token.
    pub header_file: Option<PathBuf>,
    /// File with the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether waves are sent as traces.
    pub traces: bool,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// Interval between two exports of metrics.
    pub interval: Duration,
    /// How long a wave must be unchanged before it is sent.
    pub settle: Duration,
    /// Waves that began longer before the very first start are not sent.
    pub since: Duration,
}

/// Scheme, host and port, without a user or path, so it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `http` or `https`, host and port.
    pub uri: String,
    /// Whether the scheme is `https`.
    pub tls: bool,
}

impl std::str::FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        let wrong = "this is not an address: write one like \"http://otel.corp.example:4317\"";
        let uri: tonic::codegen::http::Uri = text.parse().map_err(|_| wrong)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(wrong)?;
        if authority.as_str().contains('@') {
            return Err("an address must not hold a user or password: put an `Authorization` header into `header_file`");
        }
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err("OTLP over gRPC has no path: give scheme, host and port alone");
        }
        let port = authority.port_u16().unwrap_or(4317);
        Ok(Address { uri: format!("{}://{}:{port}", if tls { "https" } else { "http" }, authority.host()), tls })
    }
}

/// Reads `[otlp]`, if present, and records its faults in the file. Relative paths refer to `base`.
pub fn otlp(file: &mut Table, base: &Path) -> Option<Otlp> {
    let mut table = file.table("otlp")?;
    let endpoint = table.required("endpoint", "an OTLP receiver over gRPC, like \"http://otel.corp.example:4317\"", str::parse);
    let path = |text: &str| Ok::<_, String>(base.join(text));
    let header_file = table.optional("header_file", path);
    let ca = table.optional("ca", path);
    let traces = table.boolean("traces").unwrap_or(true);
    let metrics = table.boolean("metrics").unwrap_or(true);
    let mut seconds = |key: &str, bounds: std::ops::RangeInclusive<i64>, default: u64| {
        Duration::from_secs(table.integer(key, bounds).map_or(default, |value| u64::try_from(value).unwrap_or(default)))
    };
    let interval = seconds("interval_seconds", 1..=3600, 60);
    let settle = seconds("settle_seconds", 0..=3600, 60);
    let since = seconds("since_hours", 0..=24 * 3650, 24) * 3600;
    let line = table.line();
    if !traces && !metrics {
        table.fault(line, "otlp: traces and metrics are both off, so nothing would be sent: leave [otlp] out");
    }
    if let Some(header_file) = &header_file
        && let Err(error) = crate::export::notify::webhook::headers(header_file)
    {
        table.fault(line, format!("otlp.header_file: {error}"));
    }
    if let Some(ca) = &ca
        && let Err(error) = crate::export::notify::webhook::authorities(ca)
    {
        table.fault(line, format!("otlp.ca: {error}"));
    }
    if ca.is_some() && endpoint.as_ref().is_some_and(|endpoint: &Address| !endpoint.tls) {
        table.fault(line, "otlp.ca: the endpoint is not https, so no authority would be asked: write https, or leave `ca` out");
    }
    file.absorb(table);
    Some(Otlp { endpoint: endpoint?, header_file, ca, traces, metrics, interval, settle, since })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Otlp>, String> {
        let mut table = Table::parse(text, Path::new("supwatch.toml")).map_err(|faults| faults.to_string())?;
        let otlp = otlp(&mut table, Path::new("/etc/supwatch"));
        table.finish(otlp).map_err(|faults| faults.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default_and_without_a_table_nothing_is_sent() {
        assert!(read("").expect("nothing").is_none());
        let otlp = read("[otlp]\nendpoint = \"http://otel.corp.example\"\n").expect("good").expect("there");
        assert_eq!(otlp.endpoint.uri, "http://otel.corp.example:4317");
        assert!(otlp.traces && otlp.metrics);
        assert_eq!((otlp.interval.as_secs(), otlp.settle.as_secs(), otlp.since.as_secs()), (60, 60, 86_400));
    }

    #[test]
    fn an_invalid_configuration_is_reported() {
        for (text, said) in [
            ("", "endpoint is missing"),
            ("endpoint = \"otel:4317\"", "this is not an address"),
            ("endpoint = \"http://a:b@otel:4317\"", "must not hold a user"),
            ("endpoint = \"http://otel:4318/v1/traces\"", "has no path"),
            ("endpoint = \"http://otel:4317\"\ninterval_seconds = 0", "it must be 1 to 3600"),
            ("endpoint = \"http://otel:4317\"\ntraces = false\nmetrics = false", "nothing would be sent"),
            ("endpoint = \"http://otel:4317\"\nheader_fil = \"x\"", "did you mean \"header_file\""),
            ("endpoint = \"https://otel:4317\"\nca = \"none.pem\"", "otlp.ca: "),
        ] {
            let error = read(&format!("[otlp]\n{text}\n")).expect_err(text);
            assert!(error.contains(said), "{said} not in {error}");
        }
    }
}
