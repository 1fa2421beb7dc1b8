//! `supwatch settings SITE`: now, `--at`, `--history`, `--diff OTHER`; from the collector, or from folders.

use std::path::PathBuf;

use jiff::Timestamp;
use supwatch_model::history::SettingsView;
use supwatch_model::ids::SiteCode;
use supwatch_proto::time::to_wire;
use supwatch_proto::wire;

use super::client::{client, refused};
use super::{Failure, Global, Outcome, print, print_json, runtime};
use crate::analyze::Analysis;
use crate::show::render::settings::{diff, differences, history, now};
use supwatch_judgement::settings_view::view;

#[derive(Debug, clap::Args)]
pub(super) struct Settings {
    /// The site
    #[arg(value_parser = super::site)]
    site: SiteCode,
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Show what changed, when, and whether it was reverted
    #[arg(long, conflicts_with = "diff")]
    history: bool,
    /// Show the differences from another site
    #[arg(long, value_name = "OTHER-SITE", value_parser = super::site)]
    diff: Option<SiteCode>,
    /// Site folders to read instead of asking the collector
    paths: Vec<PathBuf>,
}

impl Settings {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let codes: Vec<SiteCode> = std::iter::once(self.site).chain(self.diff).collect();
        let views = if self.paths.is_empty() { self.ask(global, &codes)? } else { self.offline(global, &codes)? };
        let look = global.look();
        match views.as_slice() {
            [own, other] if global.is_json() => {
                let empty = serde_json::Value::Null;
                let settings = |view: &SettingsView| view.settings.clone().unwrap_or(empty.clone());
                let found = differences(&settings(own), &settings(other));
                print_json(
                    &serde_json::json!({"schema": "supwatch/settings-diff/v1", "here": own.site, "there": other.site, "differences": found}),
                )?;
            }
            [own, other] => print(&diff(own, other, look))?,
            [own] if global.is_json() => print_json(&as_json(own, global))?,
            [own] if self.history => print(&history(own, look))?,
            [own] => print(&now(own, look))?,
            _ => {}
        }
        Ok(0)
    }

    fn offline(&self, global: &Global, codes: &[SiteCode]) -> Result<Vec<SettingsView>, Failure> {
        let analysis = crate::analyze::analyze(&self.paths, self.at, crate::app::now(), global.catalogue()?)
            .and_then(Analysis::with_substance)
            .map_err(Failure::own)?;
        let Analysis { hierarchy, judged_at, .. } = analysis;
        let past = hierarchy.as_of(judged_at);
        let known = || past.sites.keys().map(SiteCode::to_string).collect::<Vec<_>>().join(", ");
        codes
            .iter()
            .map(|code| {
                let site =
                    past.site(*code).ok_or_else(|| Failure::Own(format!("there is no site {code} here; known: {}", known())))?;
                Ok(view(&past, site, judged_at))
            })
            .collect()
    }

    fn ask(&self, global: &Global, codes: &[SiteCode]) -> Result<Vec<SettingsView>, Failure> {
        runtime()?.block_on(async {
            let mut client = client(global).await?;
            let mut views = Vec::new();
            for code in codes {
                let request = wire::SettingsRequest { site: code.to_string(), at: self.at.map(to_wire) };
                let answer = client.settings(request).await.map_err(|status| match status.code() {
                    tonic::Code::NotFound => Failure::Own(status.message().to_owned()),
                    _ => refused(&status),
                })?;
                let view = SettingsView::try_from(answer.into_inner());
                views.push(view.map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))?);
            }
            Ok(views)
        })
    }
}

fn as_json(view: &SettingsView, global: &Global) -> serde_json::Value {
    let stamp = |time: Option<Timestamp>| time.map(|time| time.to_string());
    serde_json::json!({
        "schema": "supwatch/settings-view/v1",
        "site": view.site,
        "settings": view.settings,
        "origins": view.origins.iter().map(|origin| serde_json::json!({
            "setting": origin.path, "source": origin.source, "taken_at": stamp(origin.taken_at), "since": stamp(origin.since),
        })).collect::<Vec<_>>(),
        "changes": view.changes.iter().map(|change| serde_json::json!({
            "setting": change.path, "before": change.before, "after": change.after, "source": change.source,
            "last_seen_before": stamp(change.last_seen_before), "seen_at": stamp(change.seen_at),
        })).collect::<Vec<_>>(),
        "undone": view.undone.iter().map(|undone| serde_json::json!({
            "setting": undone.path, "value": undone.value, "by_wcm": undone.by_wcm,
            "changed_at": stamp(undone.changed_at), "put_back_at": stamp(undone.put_back_at),
        })).collect::<Vec<_>>(),
        "wcm_looks_at": stamp(view.wcm_looks_at),
        "notes": view.notes.iter().map(|note| note.get(global.lang())).collect::<Vec<_>>(),
    })
}
