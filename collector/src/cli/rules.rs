//! `supwatch rules`.

use std::collections::BTreeMap;

use supwatch_model::verdict::Answer as Verdict;

use super::client::picture;
use super::{Global, Outcome, print, print_json};
use crate::show::render::findings;
use crate::show::render::table::Table;
use supwatch_judgement::rules::{RULES, Rule};

/// A rule as JSON.
pub(super) fn rule_json(rule: &Rule, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    serde_json::json!({"rule": rule.name, "severity": rule.severity, "title": rule.title().get(lang), "why": rule.why().get(lang),
        "looks_at": rule.looks_at, "remedy": rule.steps().iter().map(|step| step.get(lang).to_owned()).collect::<Vec<_>>(),
        "source": rule.source, "watcher": rule.watcher})
}

#[derive(Debug, clap::Args)]
pub(super) struct Rules {}

impl Rules {
    /// The rules are known without a collector; their verdicts come from the collector if one is named.
    #[allow(clippy::unused_self)]
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let named = global.endpoint.is_some() || std::env::var_os("SUPWATCH_ENDPOINT").is_some();
        let mut counts: BTreeMap<(String, Verdict), u32> = BTreeMap::new();
        if named {
            for verdict in picture(global, None, false)?.verdicts {
                *counts.entry((verdict.rule.into_owned(), verdict.answer)).or_default() += 1;
            }
        }
        let count = |rule: &str, answer| counts.get(&(rule.to_owned(), answer)).copied().unwrap_or(0);
        if global.is_json() {
            let list: Vec<_> = RULES
                .iter()
                .map(|rule| {
                    let counts = serde_json::json!({"pass": count(rule.name, Verdict::Pass), "fail": count(rule.name, Verdict::Fail), "unknown": count(rule.name, Verdict::Unknown)});
                    let mut value = rule_json(rule, global);
                    if let (true, Some(fields)) = (named, value.as_object_mut()) {
                        fields.insert("verdicts".to_owned(), counts);
                    }
                    value
                })
                .collect();
            print_json(&serde_json::json!({"schema": "supwatch/rules/v1", "rules": list}))?;
            return Ok(0);
        }
        let look = global.look();
        let mut table = Table::new(&[
            look.say("rule", "ルール"),
            look.say("severity", "重大度"),
            look.say("pass/fail/unknown", "合格/失敗/不明"),
            look.say("what must hold", "内容"),
        ]);
        for rule in RULES {
            let shown = if named {
                format!(
                    "{}/{}/{}",
                    count(rule.name, Verdict::Pass),
                    count(rule.name, Verdict::Fail),
                    count(rule.name, Verdict::Unknown)
                )
            } else {
                "–".to_owned()
            };
            table.row(vec![
                rule.name.into(),
                findings::severity(rule.severity, look).1.into(),
                shown.into(),
                look.text(&rule.title()).into(),
            ]);
        }
        print(&table.draw(look))?;
        Ok(0)
    }
}
