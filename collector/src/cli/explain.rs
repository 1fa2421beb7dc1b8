//! `supwatch explain WHAT`.

use supwatch_model::text::{Lang, Text};

use super::client::picture;
use super::rules::rule_json;
use super::{Failure, Global, Outcome, print, print_json};
use crate::show::render::table::Table;
use crate::show::render::{Look, Tone, findings, json, safe, wrap};
use supwatch_judgement::diagnosis::{Catalogue, Cause, Kind, Remedy, article, sources};
use supwatch_judgement::rules;

mod reading;

use reading::{Answer, Fits, Found, NormalLine};

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// A finding id, rule, cause, message id (6703), error code (0x80072EE7, -2146233078, 53) or raw error text
    #[arg(required_unless_present = "list")]
    what: Vec<String>,
    /// Show what matches an error text, how well, and why
    #[arg(long)]
    why: bool,
    /// List every cause
    #[arg(long, conflicts_with_all = ["what", "why"])]
    list: bool,
}

impl Explain {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let catalogue = global.catalogue()?;
        if self.list {
            return list(&catalogue, global);
        }
        let answer = find(self.what.join(" ").trim(), &catalogue, global)?;
        let look = global.look();
        if global.is_json() {
            print_json(&as_json(&answer, global))?;
            return Ok(0);
        }
        let mut out = String::new();
        for (index, found) in answer.found.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            show(&mut out, found, look);
        }
        if !answer.near.is_empty() {
            let near = answer.near.join(", ");
            body(&mut out, look, &Text::new(format!("\nDid you mean: {near}?"), format!("\n次のいずれかですか: {near}")));
        }
        if self.why {
            why(&mut out, &answer.candidates, look);
        }
        print(&out)?;
        Ok(0)
    }
}

fn list(catalogue: &Catalogue, global: &Global) -> Outcome {
    if global.is_json() {
        let all: Vec<_> = catalogue.causes().map(|cause| cause_json(cause, global)).collect();
        print_json(&serde_json::json!({"schema": "supwatch/causes/v1", "causes": all}))?;
        return Ok(0);
    }
    let look = global.look();
    let mut table = Table::new(&[look.say("cause", "原因"), look.say("kind", "種別"), look.say("what it is", "内容")]);
    for cause in catalogue.causes() {
        table.row(vec![cause.id.as_str().into(), kind(cause.kind, look).into(), look.text(&cause.title).into()]);
    }
    print(&table.draw(look))?;
    Ok(0)
}

fn kind(kind: Kind, look: Look) -> &'static str {
    match kind {
        Kind::Cause => look.say("cause", "原因"),
        Kind::General => look.say("general", "一般"),
        Kind::Harmless => look.say("harmless", "無害"),
        Kind::Term => look.say("term", "用語"),
    }
}

fn show(out: &mut String, found: &Found, look: Look) {
    match found {
        Found::Finding(finding) => out.push_str(&findings::full(finding, look)),
        Found::Rule(rule) => {
            head(out, look, rule.name, &rule.title());
            body(out, look, &rule.why());
            let looks_at = rule.looks_at.join(", ");
            body(out, look, &Text::new(format!("It looks at: {looks_at}"), format!("参照する情報: {looks_at}")));
            steps(out, look, &rule.steps());
            source(out, rule.source, look);
        }
        Found::Message(message) => {
            head(out, look, &format!("{} {} {}", message.id, message.severity, message.component), &message.meaning);
            if !message.is_error() {
                body(
                    out,
                    look,
                    &Text::new("A normal message: it reports no error.", "正常なメッセージです。エラーを示すものではありません。"),
                );
            }
        }
        Found::Normal(line) => show_normal(out, line, look),
        Found::Section(section) => {
            head(out, look, look.text(&section.heading), &section.text);
            steps(out, look, &section.points);
        }
        Found::Sections => {
            out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, look.say("which error it was", "該当するエラー"))));
            for section in article::all() {
                let Some(cause) = &section.cause else { continue };
                item(out, look, "  - ", &format!("{}: supwatch explain {cause}", look.text(&section.heading)));
            }
            let text = Text::new(
                "The message contains the error: give its text to `supwatch explain`.",
                "メッセージにエラーが含まれています。その文面を `supwatch explain` に渡してください。",
            );
            body(out, look, &text);
        }
        Found::Hint(hint) => body(out, look, hint),
        Found::Code(code, known) => {
            head(out, look, &notations(*code), &Text::new(known.name.as_str(), known.name.as_str()));
            body(out, look, &known.meaning);
        }
        Found::Cause(cause) => show_cause(out, cause, look),
    }
}

/// A line that is no error.
fn show_normal(out: &mut String, line: &NormalLine, look: Look) {
    let log = line.log.unwrap_or_else(|| look.say("the logs of the software update point", "ソフトウェアの更新ポイントのログ"));
    let (name, title) = if line.follows_failure {
        (
            look.say("follows a failure", "失敗に続く行"),
            Text::new(
                format!("A line of {log} that follows a failure; it is no error itself"),
                format!("失敗の後に {log} に記録される行です。この行自体はエラーではありません"),
            ),
        )
    } else {
        (look.say("normal", "正常"), Text::new(format!("A normal line of {log}"), format!("{log} の正常な行です")))
    };
    head(out, look, name, &title);
    body(out, look, &line.meaning);
}

/// A cause, its remedies, and what to look at next.
fn show_cause(out: &mut String, cause: &Cause, look: Look) {
    head(out, look, &cause.id, &cause.title);
    if cause.kind == Kind::Harmless {
        let because = |because: &str, harmless: &str| format!("{harmless}{because}");
        body(out, look, &Text::new(because(&cause.meaning.en, "Harmless: "), because(&cause.meaning.ja, "問題ではありません: ")));
    } else {
        body(out, look, &cause.meaning);
    }
    if !cause.remedies.is_empty() {
        steps(out, look, &remedies(cause));
    }
    if !cause.next.is_empty() {
        out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, look.say("what to look at next", "次に確認する内容"))));
        cause.next.iter().for_each(|next| item(out, look, "  - ", look.text(next)));
    }
    source(out, &cause.source, look);
}

/// Where a rule or a cause is documented.
fn source(out: &mut String, source: &str, look: Look) {
    body(out, look, &Text::new(format!("Source: {source}"), format!("出典: {}", sources::japanese(source))));
}

/// `0x80070035 = -2147024843`, or the number alone.
fn notations(code: u32) -> String {
    if code <= 0xffff { code.to_string() } else { format!("0x{code:08X} = {}", code.cast_signed()) }
}

fn why(out: &mut String, candidates: &[Fits], look: Look) {
    out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, look.say("what fits", "一致した内容"))));
    if candidates.is_empty() {
        body(out, look, &Text::new("  nothing in the catalogue", "  カタログに一致するものはありません"));
    }
    for candidate in candidates {
        let parts: Vec<String> =
            candidate.parts.iter().map(|part| format!("{} {:?} +{}", look.text(&part.name()), part.value, part.points)).collect();
        item(out, look, &format!("  {:>3} ", candidate.score), &format!("{}: {}", candidate.id, parts.join(", ")));
    }
}

fn head(out: &mut String, look: Look, name: &str, title: &Text) {
    out.push_str(&format!("{}\n", look.paint(Tone::Strong, name)));
    body(out, look, title);
}

/// The remedies of a cause; one that applies to some generations only says which.
fn remedies(cause: &Cause) -> Vec<Text> {
    let text = |remedy: &Remedy| match remedy.generations.join(", ") {
        only if only.is_empty() => remedy.text(),
        only => Text::new(format!("({only}) {}", remedy.en), format!("({only}) {}", remedy.ja)),
    };
    cause.remedies.iter().map(text).collect()
}

/// Remedies in order.
fn steps(out: &mut String, look: Look, remedies: &[Text]) {
    out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, look.say("what to do", "対処方法"))));
    for (number, step) in (1..).zip(remedies) {
        item(out, look, &format!("  {number}. "), look.text(step));
    }
}

/// A text after a marker, with continuation lines indented under the first.
fn item(out: &mut String, look: Look, mark: &str, text: &str) {
    let indent = mark.len();
    for (index, line) in wrap(&safe(text), look.width.saturating_sub(indent)).iter().enumerate() {
        out.push_str(&if index == 0 { format!("{mark}{line}\n") } else { format!("{}{line}\n", " ".repeat(indent)) });
    }
}

fn body(out: &mut String, look: Look, text: &Text) {
    let text = look.text(text);
    if text.starts_with('\n') {
        out.push('\n');
    }
    for line in wrap(&safe(text.trim_start_matches('\n')), look.width) {
        out.push_str(&format!("{line}\n"));
    }
}

fn find(what: &str, catalogue: &Catalogue, global: &Global) -> Result<Answer, Failure> {
    let word = what.to_lowercase();
    if let Some(rule) = rules::get(&word) {
        return Ok(Answer::exactly(Found::Rule(rule)));
    }
    if let Some(cause) = catalogue.get(&word) {
        return Ok(Answer::exactly(Found::Cause(Box::new(cause.clone()))));
    }
    let is_finding = what.len() == 12 && what.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_finding && !what.bytes().all(|byte| byte.is_ascii_digit()) {
        let finding = picture(global, None, true)?.findings.into_iter().find(|finding| finding.id == what);
        return finding
            .map(|finding| Answer::exactly(Found::Finding(Box::new(finding))))
            .ok_or_else(|| Failure::Own(format!("the collector has no finding {what}")));
    }
    Ok(reading::of(what, catalogue))
}

fn cause_json(cause: &Cause, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    let said = |text: &Text| text.get(lang).to_owned();
    serde_json::json!({
        "id": cause.id, "kind": kind(cause.kind, Look { lang: Lang::En, color: false, width: 80 }),
        "title": said(&cause.title), "meaning": said(&cause.meaning),
        "remedy": remedies(cause).iter().map(said).collect::<Vec<_>>(), "next": cause.next.iter().map(said).collect::<Vec<_>>(),
        "confirmed_by": cause.confirmed_by, "generations": cause.generations, "source": cause.source})
}

/// The first reading of each kind is listed under its kind; further causes are among the candidates.
fn as_json(answer: &Answer, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    let said = |text: &Text| text.get(lang).to_owned();
    let mut out = serde_json::Map::from_iter([("schema".to_owned(), "supwatch/explain/v1".into())]);
    for found in answer.found.iter().rev() {
        let (name, value) = match found {
            Found::Finding(finding) => ("finding", serde_json::json!(json::finding(finding, lang))),
            Found::Rule(rule) => ("rule", rule_json(rule, global)),
            Found::Message(message) => (
                "message",
                serde_json::json!({"id": message.id, "severity": message.severity, "component": message.component,
                    "meaning": said(&message.meaning)}),
            ),
            Found::Code(code, known) => {
                ("code", serde_json::json!({"code": notations(*code), "name": known.name, "meaning": said(&known.meaning)}))
            }
            Found::Cause(cause) => ("cause", cause_json(cause, global)),
            Found::Hint(hint) => ("hint", said(hint).into()),
            Found::Normal(line) => (
                "normal",
                serde_json::json!({"log": line.log, "follows_failure": line.follows_failure, "meaning": said(&line.meaning)}),
            ),
            Found::Section(section) => (
                "section",
                serde_json::json!({"heading": said(&section.heading), "text": said(&section.text),
                    "points": section.points.iter().map(said).collect::<Vec<_>>()}),
            ),
            Found::Sections => {
                let one =
                    |section: &article::Section| serde_json::json!({"heading": said(&section.heading), "cause": section.cause});
                ("sections", article::all().iter().filter(|section| section.cause.is_some()).map(one).collect())
            }
        };
        out.insert(name.to_owned(), value);
    }
    let candidate = |fits: &Fits| {
        let matched: Vec<_> = fits
            .parts
            .iter()
            .map(|part| serde_json::json!({"what": part.what, "value": part.value, "points": part.points}))
            .collect();
        serde_json::json!({"cause": fits.id, "title": said(&fits.title), "score": fits.score, "matched": matched})
    };
    out.insert("candidates".to_owned(), answer.candidates.iter().map(candidate).collect());
    out.insert("near".to_owned(), answer.near.clone().into());
    out.into()
}
