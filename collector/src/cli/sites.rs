//! `supwatch sites [SITE]`: every site on one line, or one site in full.

use jiff::Timestamp;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Picture, SitePicture};

use super::client::picture;
use super::{Failure, Global, Outcome, print, print_json};
use crate::show::render::{json, sites};

#[derive(Debug, clap::Args)]
pub(super) struct Sites {
    /// Show this site in full
    #[arg(value_parser = super::site)]
    site: Option<SiteCode>,
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
}

impl Sites {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let picture = picture(global, self.at, false)?;
        let look = global.look();
        match self.site {
            None if global.is_json() => {
                print_json(
                    &serde_json::json!({"schema": "supwatch/sites/v1", "sites": picture.sites.iter().map(json::site).collect::<Vec<_>>()}),
                )?;
            }
            None => print(&sites::list(&picture.sites, look))?,
            Some(code) => {
                let known = || picture.sites.iter().map(|site| site.code.to_string()).collect::<Vec<_>>().join(", ");
                let site = picture
                    .sites
                    .iter()
                    .find(|site| site.code == code)
                    .ok_or_else(|| Failure::Own(format!("there is no site {code} here; known: {}", known())))?;
                if global.is_json() {
                    print_json(&site_json(&picture, site, global))?
                } else {
                    print(&sites::full(&picture, site, look))?
                }
            }
        }
        Ok(0)
    }
}

fn site_json(picture: &Picture, site: &SitePicture, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    serde_json::json!({
        "schema": "supwatch/site/v1",
        "site": json::site(site),
        "runs": picture.runs.iter().filter(|run| run.site == site.code).map(json::run).collect::<Vec<_>>(),
        "findings": picture.findings.iter().filter(|f| f.site == site.code).map(|f| json::finding(f, lang)).collect::<Vec<_>>(),
        "verdicts": picture.verdicts.iter().filter(|v| v.site == site.code).map(|v| json::verdict(v, lang)).collect::<Vec<_>>(),
        "settings": site.settings,
    })
}
