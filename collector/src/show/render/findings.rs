//! Findings in full: summary, since when, the lines and settings that prove it, and the remedies in order.

use supwatch_model::finding::{Confidence, Evidence, Finding, Suppression};
use supwatch_model::verdict::{Severity, Verdict};

use super::table::{Cell, Table};
use super::{Look, Tone, fit, safe, time, wrap};
use crate::analyze::Nothing;

/// Most lines of evidence per finding.
const EVIDENCE_SHOWN: usize = 4;

/// Most consequences per finding.
const FOLLOWERS_SHOWN: usize = 8;

/// The word and tone for a severity.
pub fn severity(severity: Severity, look: Look) -> (Tone, &'static str) {
    match severity {
        Severity::Critical => (Tone::Bad, look.say("critical", "重大")),
        Severity::Warning => (Tone::Warning, look.say("warning", "警告")),
        Severity::Info => (Tone::Plain, look.say("info", "情報")),
    }
}

/// The word for the confidence in a cause.
pub fn confidence(confidence: Confidence, look: Look) -> &'static str {
    match confidence {
        Confidence::Confirmed => look.say("confirmed", "確認済み"),
        Confidence::Likely => look.say("likely", "可能性大"),
        Confidence::Weak => look.say("weak", "不確か"),
    }
}

/// The note that nothing was recognised, drawn like a finding.
pub fn nothing(nothing: &Nothing, look: Look) -> String {
    let head = look.say("nothing recognised", "解釈できる情報なし");
    let mut out = format!("{}\n", look.paint(Tone::Warning, &format!("● {head}")));
    paragraph(&mut out, "  ", "", &safe(look.text(&nothing.summary)), look);
    for reason in &nothing.reasons {
        paragraph(&mut out, "  ", "- ", &safe(look.text(reason)), look);
    }
    for (number, remedy) in (1..).zip(&nothing.remedies) {
        paragraph(&mut out, "  ", &format!("{number}. "), &safe(look.text(remedy)), look);
    }
    out
}

/// One finding in full.
pub fn full(finding: &Finding, look: Look) -> String {
    let (tone, word) = severity(finding.severity, look);
    let mut out = String::new();
    let subject = if finding.subject.is_empty() { String::new() } else { format!(" {}", safe(&finding.subject)) };
    let head = format!("{} {}{subject}", finding.rule, finding.site);
    out.push_str(&format!(
        "{} {} {}\n",
        look.paint(tone, &format!("● {word}")),
        look.paint(Tone::Strong, &head),
        look.paint(Tone::Dim, &finding.id)
    ));
    paragraph(&mut out, "  ", "", &safe(look.text(&finding.summary)), look);
    let mut facts = Vec::new();
    if finding.opened_at.is_some() {
        facts.push(format!("{} {} UTC", look.say("since", "発生"), time(finding.opened_at)));
    }
    if let Some(resolved) = finding.resolved_at {
        facts.push(format!("{} {} UTC", look.say("resolved", "解決"), time(Some(resolved))));
    }
    if let Some(suppressed) = &finding.suppressed {
        facts.push(suppression(suppressed, look));
    }
    if finding.occurrences > 1 {
        facts.push(format!("{} {}", finding.occurrences, look.say("times", "回")));
    }
    if let Some(cause) = &finding.cause {
        let sure = finding.confidence.map(|sure| format!(", {}", confidence(sure, look))).unwrap_or_default();
        facts.push(format!("{} {cause}{sure}", look.say("cause", "原因")));
    }
    if let Some(cause) = &finding.because_of {
        facts.push(format!("{} {cause}", look.say("consequence of", "次の問題の結果:")));
    }
    match finding.consequences.len() {
        0 => {}
        1 => facts.push(look.say("1 consequence", "この問題の結果 1 件").to_owned()),
        count => facts.push(look.say("{} consequences", "この問題の結果 {} 件").replace("{}", &count.to_string())),
    }
    out.push_str(&format!("  {}\n", look.paint(Tone::Dim, &facts.join(" · "))));
    for reason in &finding.reasons {
        paragraph(&mut out, "  ", "", &safe(look.text(reason)), look);
    }
    if !finding.evidence.is_empty() {
        out.push_str(&format!("  {}\n", look.paint(Tone::Strong, look.say("evidence", "根拠"))));
    }
    for evidence in finding.evidence.iter().take(EVIDENCE_SHOWN) {
        for line in show(evidence, look) {
            out.push_str(&format!("    {line}\n"));
        }
    }
    if !finding.remedy.is_empty() {
        out.push_str(&format!("  {}\n", look.paint(Tone::Strong, look.say("what to do", "対処方法"))));
    }
    for (index, step) in finding.remedy.iter().enumerate() {
        paragraph(&mut out, "    ", &format!("{}. ", index + 1), &safe(look.text(step)), look);
    }
    out
}

/// The consequences of a finding, one a line.
pub fn following(finding: &Finding, all: &[Finding], look: Look) -> String {
    let mut out = String::new();
    let of = all.iter().filter(|other| other.because_of.as_ref() == Some(&finding.id));
    let followers: Vec<&Finding> = of.collect();
    if followers.is_empty() {
        return out;
    }
    out.push_str(&format!("  {}\n", look.paint(Tone::Strong, look.say("what follows from it", "この問題の結果"))));
    let room = look.width.saturating_sub(4).max(30);
    for other in followers.iter().take(FOLLOWERS_SHOWN) {
        let text = format!("{} {}: {}", other.site, other.rule, safe(look.text(&other.summary)));
        out.push_str(&format!("    {}\n", fit(&text, room)));
    }
    let more = followers.len().saturating_sub(FOLLOWERS_SHOWN);
    if more > 0 {
        out.push_str(&format!("    {}\n", look.say("and {} more", "ほか {} 件").replace("{}", &more.to_string())));
    }
    out
}

/// `suppressed by operator/anna until 2026-03-01: new server comes`
fn suppression(suppressed: &Suppression, look: Look) -> String {
    let until = match suppressed.until {
        Some(until) => format!(" {} {} UTC", look.say("until", "期限"), time(Some(until))),
        None => String::new(),
    };
    format!("{} {}{until}: {}", look.say("suppressed by", "抑制"), safe(&suppressed.by), safe(&suppressed.reason))
}

fn show(evidence: &Evidence, look: Look) -> Vec<String> {
    let room = look.width.saturating_sub(6).max(30);
    match evidence {
        Evidence::Line { site, file, offset, time: at, line } => {
            let place = format!("{site} {} @{offset} · {} UTC", safe(file), time(*at));
            let mut lines = vec![look.paint(Tone::Dim, &place)];
            lines.extend(wrap(&safe(line), room).into_iter().take(4).map(|part| format!("  {}", fit(&part, room))));
            lines
        }
        Evidence::Setting { site, setting, value, taken_at, source, since } => {
            let since = since.filter(|since| Some(*since) != *taken_at);
            let since = since.map(|at| format!(", {} {}", look.say("since", "変更"), time(Some(at)))).unwrap_or_default();
            let source = if source.is_empty() { String::new() } else { format!("{} ", safe(source)) };
            let value = safe(&value.to_string());
            let text = format!("{site} {} = {value} ({source}{} UTC{since})", safe(setting), time(*taken_at));
            wrap(&text, room)
        }
    }
}

fn paragraph(out: &mut String, indent: &str, mark: &str, text: &str, look: Look) {
    let lead = format!("{indent}{mark}");
    let hang = " ".repeat(lead.len());
    for (index, part) in wrap(text, look.width.saturating_sub(lead.len()).max(30)).iter().enumerate() {
        out.push_str(if index == 0 { &lead } else { &hang });
        out.push_str(part);
        out.push('\n');
    }
}

/// Findings as a table. Consequences are counted with their cause; those whose cause is not in the table have their own rows.
pub fn list(findings: &[Finding], look: Look) -> String {
    let mut table = Table::new(&[
        look.say("severity", "重大度"),
        look.say("site", "サイト"),
        look.say("rule", "ルール"),
        look.say("since (UTC)", "発生 (UTC)"),
        look.say("id", "ID"),
        look.say("what", "内容"),
    ]);
    let shown = |id: &String| findings.iter().any(|other| other.id == *id);
    for finding in findings.iter().filter(|finding| !finding.because_of.as_ref().is_some_and(shown)) {
        let (tone, word) = severity(finding.severity, look);
        let word = match (&finding.resolved_at, &finding.suppressed) {
            (Some(_), _) => format!("{word}, {}", look.say("resolved", "解決済み")),
            (None, Some(_)) => format!("{word}, {}", look.say("suppressed", "抑制中")),
            (None, None) if finding.because_of.is_some() => format!("{word}, {}", look.say("consequence", "結果")),
            (None, None) => word.to_owned(),
        };
        let followers = match finding.consequences.len() {
            0 => String::new(),
            count => format!(
                " (+{count} {})",
                if count == 1 { look.say("consequence", "件の結果") } else { look.say("consequences", "件の結果") }
            ),
        };
        let tone = if finding.is_pressing() { tone } else { Tone::Dim };
        table.row(vec![
            Cell::new(tone, word),
            finding.site.as_str().into(),
            finding.rule.as_str().into(),
            time(finding.opened_at).into(),
            finding.id.as_str().into(),
            format!("{}{followers}", safe(look.text(&finding.summary))).into(),
        ]);
    }
    if table.is_empty() { format!("{}\n", look.say("no findings", "問題は見つかりません")) } else { table.draw(look) }
}

/// Changes above a site that have not reached it yet, and when they are due.
pub fn expected(verdicts: &[&Verdict], look: Look) -> String {
    let mut table = Table::new(&[
        look.say("site", "サイト"),
        look.say("rule", "ルール"),
        look.say("by (UTC)", "期限 (UTC)"),
        look.say("what", "内容"),
    ]);
    for verdict in verdicts {
        let what = verdict.missing.iter().map(|text| safe(look.text(text))).collect::<Vec<_>>().join("; ");
        let row = [verdict.site.as_str(), &verdict.rule, &time(verdict.expected_by), &what].map(Into::into);
        table.row(row.into());
    }
    let nothing = look.say("nothing is expected", "反映待ちの変更はありません");
    if table.is_empty() { format!("{nothing}\n") } else { table.draw(look) }
}
