//! Which part of a hierarchy's history a command shows.

use jiff::Timestamp;
use supwatch_model::ids::SiteCode;

#[derive(Debug, clap::Args)]
pub(super) struct Part {
    /// Only this site
    #[arg(long, value_parser = super::site)]
    pub(super) site: Option<SiteCode>,
    /// From this time on
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    pub(super) since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    pub(super) until: Option<Timestamp>,
}
