//! `supwatch whatif --site S --set K=V…`: offline over folders, else on the collector.

use std::path::PathBuf;

use supwatch_model::history::VerdictChange;
use supwatch_model::ids::SiteCode;
use supwatch_model::verdict::{Answer, Verdict};
use supwatch_proto::wire;

use super::client::{client, refused};
use super::{Failure, Global, Outcome, print, print_json, runtime};
use crate::show::render::{Look, Tone, json, safe, wrap};
use supwatch_judgement::whatif::{WhatIfError, whatif};

#[derive(Debug, clap::Args)]
pub(super) struct WhatIf {
    /// The site to change
    #[arg(long, value_parser = super::site)]
    site: SiteCode,
    /// A setting and its value, such as wsus.is_replica=true, wsus[sup2].languages=en,de or component.schedule_hours=none
    #[arg(long = "set", required = true, value_name = "SETTING=VALUE")]
    set: Vec<String>,
    /// Site folders to read instead of asking the collector
    paths: Vec<PathBuf>,
}

impl WhatIf {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let changes = if self.paths.is_empty() { self.ask(global)? } else { self.offline(global)? };
        if global.is_json() {
            let list: Vec<_> = changes.iter().map(|change| as_json(change, global)).collect();
            print_json(&serde_json::json!({"schema": "supwatch/whatif/v1", "site": self.site, "set": self.set, "changes": list}))?;
        } else {
            print(&draw(&changes, &self.set, self.site, global.look()))?;
        }
        Ok(0)
    }

    fn offline(&self, global: &Global) -> Result<Vec<VerdictChange>, Failure> {
        let analysis = crate::analyze::analyze(&self.paths, None, crate::app::now(), global.catalogue()?)
            .and_then(crate::analyze::Analysis::with_substance)
            .map_err(Failure::own)?;
        let changes = whatif(&analysis.hierarchy, &analysis.limits, self.site, &self.set, analysis.judged_at);
        changes.map_err(|error| match error {
            WhatIfError::Site { .. } => Failure::own(error),
            _ => Failure::usage(error),
        })
    }

    fn ask(&self, global: &Global) -> Result<Vec<VerdictChange>, Failure> {
        runtime()?.block_on(async {
            let mut client = client(global).await?;
            let request = wire::WhatIfRequest { site: self.site.to_string(), set: self.set.clone() };
            let answer = client.what_if(request).await.map_err(|status| match status.code() {
                tonic::Code::InvalidArgument => Failure::usage(status.message()),
                _ => refused(&status),
            })?;
            let changes = answer.into_inner().changes.into_iter().map(VerdictChange::try_from).collect::<Result<_, _>>();
            changes.map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))
        })
    }
}

fn as_json(change: &VerdictChange, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    serde_json::json!({
        "before": change.before.as_ref().map(|verdict| json::verdict(verdict, lang)),
        "after": change.after.as_ref().map(|verdict| json::verdict(verdict, lang)),
        "summary": change.summary.as_ref().map(|text| text.get(lang)),
    })
}

/// The changed verdicts as text.
pub(super) fn draw(changes: &[VerdictChange], set: &[String], site: SiteCode, look: Look) -> String {
    let what = look.paint(Tone::Strong, &format!("{site} {}", set.join(" ")));
    if changes.is_empty() {
        return format!("{what}\n{}\n", look.say("no verdict would change", "判定が変わるルールはありません"));
    }
    let mut out = format!("{what}\n");
    for change in changes {
        let Some(verdict) = change.after.as_ref().or(change.before.as_ref()) else { continue };
        let word = |verdict: &Option<Verdict>| match verdict {
            Some(verdict) => verdict.answer.as_str(),
            None => look.say("no verdict", "判定なし"),
        };
        let tone = match change.after.as_ref().map(|after| after.answer) {
            Some(Answer::Fail) => Tone::Bad,
            Some(Answer::Pass) => Tone::Good,
            Some(Answer::Unknown) | None => Tone::Dim,
        };
        let subject = if verdict.subject.is_empty() { String::new() } else { format!(" {}", safe(&verdict.subject)) };
        let step = look.paint(tone, &format!("{} → {}", word(&change.before), word(&change.after)));
        out.push_str(&format!("  {} {}{subject}: {step}\n", verdict.site, verdict.rule));
        let missing = change.after.as_ref().map(|after| after.missing.as_slice()).unwrap_or_default();
        for text in change.summary.iter().chain(missing) {
            for line in wrap(&safe(look.text(text)), look.width.saturating_sub(6)) {
                out.push_str(&format!("      {line}\n"));
            }
        }
    }
    out
}
