//! `supwatch runs`: the runs of all sites, or those of one site or time.

use super::client::picture;
use super::part::Part;
use super::{Global, Outcome, print, print_json};
use crate::show::render::{json, runs};

#[derive(Debug, clap::Args)]
pub(super) struct Runs {
    #[command(flatten)]
    part: Part,
}

impl Runs {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let mut picture = picture(global, None, false)?;
        picture.runs.retain(|run| {
            let at = run.started_at.or(run.ended_at);
            self.part.site.is_none_or(|site| run.site == site)
                && self.part.since.is_none_or(|since| at.is_some_and(|at| at >= since))
                && self.part.until.is_none_or(|until| at.is_some_and(|at| at <= until))
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
