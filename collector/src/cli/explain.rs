//! `supwatch explain WHAT` and `supwatch rules`.

use std::collections::BTreeMap;

use supwatch_proto::text::Text;
use supwatch_proto::verdict::Answer;

use super::client::picture;
use super::{Failure, Global, Outcome, print, print_json};
use crate::diagnosis::{Catalogue, Cause, messages};
use crate::render::table::Table;
use crate::render::{Look, Tone, findings, json, safe, wrap};
use crate::rules::{self, RULES, Rule};

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// A finding id, rule, cause, message id (6703), error code (0x80072EE7) or raw error text
    #[arg(required = true)]
    what: Vec<String>,
}

enum Found {
    Rule(&'static Rule),
    Cause(&'static Cause),
    Message(&'static messages::Message),
    Finding(Box<supwatch_proto::finding::Finding>),
}

impl Explain {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let what = self.what.join(" ");
        let found = find(&what, global)?;
        let look = global.look();
        if global.is_json() {
            print_json(&as_json(&found, global))?;
            return Ok(0);
        }
        let mut out = String::new();
        match &found {
            Found::Finding(finding) => out = findings::full(finding, look),
            Found::Rule(rule) => {
                head(&mut out, look, rule.name, &rule.title());
                body(&mut out, look, &rule.why());
                let looks_at = rule.looks_at.join(", ");
                body(&mut out, look, &Text::new(format!("It looks at: {looks_at}"), format!("参照する情報: {looks_at}")));
                steps(&mut out, look, &rule.steps());
                body(&mut out, look, &Text::new(format!("Source: {}", rule.source), format!("出典: {}", rule.source)));
            }
            Found::Message(message) => {
                head(&mut out, look, &format!("{} {} {}", message.id, message.severity, message.component), &message.meaning);
            }
            Found::Cause(cause) => {
                head(&mut out, look, &cause.id, &cause.title);
                body(&mut out, look, &cause.meaning);
                steps(&mut out, look, &cause.remedies);
                body(&mut out, look, &Text::new(format!("Source: {}", cause.source), format!("出典: {}", cause.source)));
            }
        }
        print(&out)?;
        Ok(0)
    }
}

fn head(out: &mut String, look: Look, name: &str, title: &Text) {
    out.push_str(&format!("{}\n", look.paint(Tone::Strong, name)));
    body(out, look, title);
}

/// Remedies in order.
fn steps(out: &mut String, look: Look, remedies: &[Text]) {
    out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, look.say("what to do", "対処方法"))));
    for (number, step) in (1..).zip(remedies) {
        for (index, line) in wrap(&safe(look.text(step)), look.width.saturating_sub(5)).iter().enumerate() {
            out.push_str(&if index == 0 { format!("  {number}. {line}\n") } else { format!("     {line}\n") });
        }
    }
}

fn body(out: &mut String, look: Look, text: &Text) {
    for line in wrap(&safe(look.text(text)), look.width) {
        out.push_str(&format!("{line}\n"));
    }
}

fn find(what: &str, global: &Global) -> Result<Found, Failure> {
    if let Some(rule) = rules::get(what) {
        return Ok(Found::Rule(rule));
    }
    if let Some(cause) = Catalogue::built_in().get(what) {
        return Ok(Found::Cause(cause));
    }
    if let Some(message) = what.parse().ok().and_then(messages::get) {
        return Ok(Found::Message(message));
    }
    let is_finding = what.len() == 12 && what.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_finding {
        let finding = picture(global, None, true)?.findings.into_iter().find(|finding| finding.id == what);
        return finding
            .map(|finding| Found::Finding(Box::new(finding)))
            .ok_or_else(|| Failure::Own(format!("the collector has no finding {what}")));
    }
    // A code alone, or an error text as a log or the console shows it.
    let code = what.to_lowercase().starts_with("0x").then_some(what);
    let what = what.split("$$<").next().unwrap_or_default().trim().trim_start_matches("Sync failed:").trim();
    let (text, source) = what.rsplit_once(" Source: ").unwrap_or((what, ""));
    Ok(Found::Cause(Catalogue::built_in().diagnose(text, source, code)))
}

fn as_json(found: &Found, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    let said = |text: &Text| text.get(lang).to_owned();
    match found {
        Found::Finding(finding) => serde_json::json!({"schema": "supwatch/explain/v1", "finding": json::finding(finding, lang)}),
        Found::Rule(rule) => serde_json::json!({"schema": "supwatch/explain/v1", "rule": rule_json(rule, global)}),
        Found::Message(message) => serde_json::json!({"schema": "supwatch/explain/v1", "message": {
            "id": message.id, "severity": message.severity, "component": message.component, "meaning": said(&message.meaning)}}),
        Found::Cause(cause) => serde_json::json!({"schema": "supwatch/explain/v1", "cause": {
            "id": cause.id, "title": said(&cause.title), "meaning": said(&cause.meaning),
            "remedy": cause.remedies.iter().map(said).collect::<Vec<_>>(), "source": cause.source}}),
    }
}

fn rule_json(rule: &Rule, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    serde_json::json!({"rule": rule.name, "severity": rule.severity, "title": rule.title().get(lang), "why": rule.why().get(lang),
        "looks_at": rule.looks_at, "remedy": rule.steps().iter().map(|step| step.get(lang).to_owned()).collect::<Vec<_>>(),
        "source": rule.source, "watcher": rule.watcher})
}

#[derive(Debug, clap::Args)]
pub(super) struct Rules {}

impl Rules {
    /// The rules are known without a collector; what they say here is asked of one if it is named.
    #[allow(clippy::unused_self)]
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let named = global.endpoint.is_some() || std::env::var_os("SUPWATCH_ENDPOINT").is_some();
        let mut counts: BTreeMap<(String, Answer), u32> = BTreeMap::new();
        if named {
            for verdict in picture(global, None, false)?.verdicts {
                *counts.entry((verdict.rule, verdict.answer)).or_default() += 1;
            }
        }
        let count = |rule: &str, answer| counts.get(&(rule.to_owned(), answer)).copied().unwrap_or(0);
        if global.is_json() {
            let list: Vec<_> = RULES
                .iter()
                .map(|rule| {
                    let counts = serde_json::json!({"pass": count(rule.name, Answer::Pass), "fail": count(rule.name, Answer::Fail), "unknown": count(rule.name, Answer::Unknown)});
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
                    count(rule.name, Answer::Pass),
                    count(rule.name, Answer::Fail),
                    count(rule.name, Answer::Unknown)
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
