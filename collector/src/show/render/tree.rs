//! The hierarchy as a tree: state, last success, worst finding, and the next thing to do.

use std::collections::BTreeSet;

use supwatch_model::describe::SiteType;
use supwatch_model::finding::Finding;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Backlog, Picture, SitePicture, SiteState};
use supwatch_model::run::RunOutcome;
use supwatch_model::verdict::Severity;

use super::{Look, Tone, ago, fit, safe, time, width, wrap};

/// Draws the tree, then refused connections, then the totals.
pub fn draw(picture: &Picture, look: Look) -> String {
    let mut out = heading(picture, look);
    let codes: BTreeSet<SiteCode> = picture.sites.iter().map(|site| site.code).collect();
    let is_root = |site: &&SitePicture| site.parent.is_none_or(|parent| !codes.contains(&parent));
    let mut drawn = BTreeSet::new();
    for site in picture.sites.iter().filter(is_root) {
        branch(picture, site, look, "", "", &mut drawn, &mut out);
    }
    // Sites in a cycle have no root to hang from.
    for site in &picture.sites {
        if !drawn.contains(&site.code) {
            branch(picture, site, look, "", "", &mut drawn, &mut out);
        }
    }
    if picture.sites.is_empty() {
        out.push_str(look.say(
            "no sites yet: no agent has connected and hierarchy.toml lists none\n",
            "サイトがまだありません。エージェントが接続しておらず、hierarchy.toml にも記載がありません\n",
        ));
    }
    refusals(picture, look, &mut out);
    out
}

fn heading(picture: &Picture, look: Look) -> String {
    let open = |severity| picture.findings.iter().filter(|f| f.is_open_cause() && f.severity == severity).count();
    let (critical, warning, info) = (open(Severity::Critical), open(Severity::Warning), open(Severity::Info));
    let name = if picture.hierarchy.is_empty() { look.say("hierarchy", "階層").to_owned() } else { safe(&picture.hierarchy) };
    let mut counts = Vec::new();
    for (count, tone, word) in [
        (critical, Tone::Bad, look.say("critical", "重大")),
        (warning, Tone::Warning, look.say("warning", "警告")),
        (info, Tone::Plain, look.say("info", "情報")),
    ] {
        if count > 0 {
            counts.push(look.paint(tone, &format!("{count} {word}")));
        }
    }
    if counts.is_empty() {
        counts.push(look.paint(Tone::Good, look.say("no findings", "問題は見つかりません")));
    }
    let sites = format!(
        "{} {}",
        picture.sites.len(),
        if picture.sites.len() == 1 { look.say("site", "サイト") } else { look.say("sites", "サイト") }
    );
    format!("{} · {} · {} · {} UTC\n\n", look.paint(Tone::Strong, &name), sites, counts.join(", "), time(picture.at))
}

fn branch(
    picture: &Picture,
    site: &SitePicture,
    look: Look,
    lead: &str,
    below: &str,
    drawn: &mut BTreeSet<SiteCode>,
    out: &mut String,
) {
    if !drawn.insert(site.code) {
        return;
    }
    let children: Vec<&SitePicture> =
        picture.sites.iter().filter(|child| child.parent == Some(site.code) && !drawn.contains(&child.code)).collect();
    line(picture, site, look, lead, out);
    let mark = if children.is_empty() { "  " } else { "│ " };
    advice(picture, site, look, &format!("{below}{mark} "), out);
    for (index, child) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        let (lead, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(picture, child, look, &format!("{below}{lead}"), &format!("{below}{deeper}"), drawn, out);
    }
}

/// Tone, sign and word for a site's state.
pub fn state(state: SiteState, look: Look) -> (Tone, &'static str, &'static str) {
    match state {
        SiteState::Ok => (Tone::Good, "✓", look.say("ok", "正常")),
        SiteState::Running => (Tone::Good, "↻", look.say("running", "実行中")),
        SiteState::Failed => (Tone::Bad, "✗", look.say("failed", "失敗")),
        SiteState::Overdue => (Tone::Warning, "!", look.say("overdue", "遅延")),
        SiteState::Silent => (Tone::Warning, "?", look.say("silent", "応答なし")),
        SiteState::Unknown => (Tone::Dim, "·", look.say("unknown", "不明")),
    }
}

/// The word for a site's type.
pub fn kind(site_type: Option<SiteType>, look: Look) -> &'static str {
    match site_type {
        Some(SiteType::Central) => look.say("central", "セントラル"),
        Some(SiteType::Primary) => look.say("primary", "プライマリ"),
        Some(SiteType::Secondary) => look.say("secondary", "セカンダリ"),
        None => look.say("site", "サイト"),
    }
}

fn line(picture: &Picture, site: &SitePicture, look: Look, lead: &str, out: &mut String) {
    let ((tone, sign, word), kind) = (state(site.state, look), kind(site.site_type, look));
    let success = match (site.last_success_at, picture.at) {
        (Some(then), Some(now)) => format!("{} {}", look.say("last success", "最終成功"), ago(now, then, look)),
        _ => look.say("never seen to succeed", "成功の記録なし").to_owned(),
    };
    let plain = format!("{lead}{} {kind}", site.code);
    let pad = " ".repeat(22usize.saturating_sub(width(&plain)).max(1));
    let state = format!("{sign} {word}");
    let gap = " ".repeat(11usize.saturating_sub(width(&state)).max(1));
    let version =
        site.catalog_version.map(|version| format!(" · {} {version}", look.say("catalog", "カタログ"))).unwrap_or_default();
    out.push_str(&format!(
        "{lead}{} {kind}{pad}{}{gap}{success}{version}\n",
        look.paint(Tone::Strong, site.code.as_str()),
        look.paint(tone, &state)
    ));
    if let Some(backlog) = site.backlog {
        let indent = " ".repeat(width(lead).max(2));
        out.push_str(&format!("{indent}  {}\n", look.paint(Tone::Dim, &reading_back(site, backlog, look))));
    }
    // A running synchronisation shows its progress.
    let running = picture.runs.iter().find(|run| run.site == site.code).filter(|run| run.outcome == RunOutcome::Running);
    if let Some((done, total)) = running.and_then(|run| run.progress) {
        let phase = running.and_then(|run| run.phases.last()).map(|phase| phase.phase.as_str()).unwrap_or_default();
        let indent = " ".repeat(width(lead).max(2));
        out.push_str(&format!("{indent}  {}\n", look.paint(Tone::Dim, &format!("{phase} {done}/{total}"))));
    }
}

/// `reading back: 12 MiB to go, judged as of 03:12`
fn reading_back(site: &SitePicture, Backlog { unread_bytes, spooled_events }: Backlog, look: Look) -> String {
    let left = match (unread_bytes, spooled_events) {
        (0, 0) => String::new(),
        (0, events) => format!("{} {events} {}", look.say(":", ":"), look.say("events to come", "件のイベントが未着")),
        (bytes, _) => format!("{} {} {}", look.say(":", ":"), size(bytes), look.say("to go", "が未読")),
    };
    let judged = match site.judged_as_of {
        Some(at) => format!("{} {}", look.say(", judged as of", "、判定時点"), time(Some(at))),
        None => look.say(", not judged yet", "、まだ判定していません").to_owned(),
    };
    format!("{}{left}{judged}", look.say("reading back", "過去のログを読み取り中"))
}

/// A size for display.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Open findings of the site, worst first, and the remedy for the worst.
fn advice(picture: &Picture, site: &SitePicture, look: Look, indent: &str, out: &mut String) {
    let open: Vec<&Finding> = picture.findings.iter().filter(|f| f.site == site.code && f.resolved_at.is_none()).collect();
    let room = look.width.saturating_sub(width(indent)).max(30);
    for finding in &open {
        let tone = match &finding.because_of {
            Some(_) => Tone::Dim,
            None if finding.severity == Severity::Critical => Tone::Bad,
            None => Tone::Warning,
        };
        let mut times = String::new();
        if finding.occurrences > 1 {
            times = format!(" ×{}", finding.occurrences);
        }
        let head = format!("{}{times}: ", finding.rule);
        let summary = safe(look.text(&finding.summary));
        for (index, part) in wrap(&format!("{head}{summary}"), room).iter().take(3).enumerate() {
            let shown = match part.strip_prefix(&finding.rule).filter(|_| index == 0) {
                Some(rest) => format!("{}{rest}", look.paint(tone, &finding.rule)),
                None => part.clone(),
            };
            out.push_str(&format!("{indent}{shown}\n"));
        }
    }
    let expected = picture.verdicts.iter().filter(|verdict| verdict.site == site.code && verdict.expected_by.is_some());
    let expected: std::collections::BTreeSet<&str> =
        expected.flat_map(|verdict| &verdict.missing).map(|text| look.text(text)).collect();
    for text in expected {
        for part in wrap(&safe(text), room).iter().take(3) {
            out.push_str(&format!("{indent}{}\n", look.paint(Tone::Dim, part)));
        }
    }
    if let Some(next) = open.first().and_then(|worst| worst.remedy.first()) {
        let text = format!("→ {}", safe(look.text(next)));
        let lines = wrap(&text, room);
        let cut = lines.len() > 2;
        for (index, part) in lines.iter().take(2).enumerate() {
            let part = if cut && index == 1 { fit(&format!("{part} …"), room) } else { part.clone() };
            out.push_str(&format!("{indent}{}\n", look.paint(Tone::Dim, &part)));
        }
    }
}

fn refusals(picture: &Picture, look: Look, out: &mut String) {
    if picture.refusals.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", look.paint(Tone::Strong, look.say("refused connections", "拒否された接続"))));
    for refusal in picture.refusals.iter().take(5) {
        let text = format!("{} {} ×{}: {}", time(refusal.at), safe(&refusal.peer), refusal.times, safe(look.text(&refusal.reason)));
        for part in wrap(&text, look.width.saturating_sub(2)) {
            out.push_str(&format!("  {part}\n"));
        }
        for part in wrap(&format!("→ {}", safe(look.text(&refusal.remedy))), look.width.saturating_sub(4)) {
            out.push_str(&format!("    {}\n", look.paint(Tone::Dim, &part)));
        }
    }
}
