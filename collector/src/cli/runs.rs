//! `supwatch runs`: the runs of all sites, or those of one site or time.

use jiff::Timestamp;
use supwatch_model::ids::SiteCode;

use super::client::picture;
use super::{Global, Outcome, print, print_json};
use crate::show::render::{json, runs};

#[derive(Debug, clap::Args)]
pub(super) struct Runs {
    /// Only this site
    #[arg(long, value_parser = super::site)]
    site: Option<SiteCode>,
    /// From this time on
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    until: Option<Timestamp>,
}

impl Runs {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let mut picture = picture(global, None, false)?;
        picture.runs.retain(|run| {
            let at = run.started_at.or(run.ended_at);
            self.site.is_none_or(|site| run.site == site)
                && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
                && self.until.is_none_or(|until| at.is_some_and(|at| at <= until))
        });
        if global.is_json() {
            print_json(
                &serde_json::json!({"schema": "supwatch/runs/v1", "runs": picture.runs.iter().map(json::run).collect::<Vec<_>>()}),
            )?;
        } else {
            print(&runs::list(&picture.runs, global.look()))?;
        }
        Ok(0)
    }
}
