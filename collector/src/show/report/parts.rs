//! Shared by the sections: badges, times, tables, lists of site codes, and notes on what is left out.

use jiff::Timestamp;
use supwatch_model::event::Trigger;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::SiteState;
use supwatch_model::run::RunOutcome;
use supwatch_model::verdict::Severity;

use super::html::{Html, Tag};
use crate::show::render::{self, Look, Tone};
use supwatch_judgement::diagnosis::Catalogue;

/// Most characters of a name, such as a server or a file.
pub(super) const NAME: usize = 300;
/// Most characters of a text, such as a summary or a remedy.
pub(super) const TEXT: usize = 2000;
/// Most site codes listed in one place.
const CODES: usize = 60;

/// Tone, sign and word: a badge is readable without its colour.
pub(super) type Word = (Tone, &'static str, &'static str);

/// A label in a coloured frame; its symbol and word repeat what the colour says.
pub(super) fn badge(html: &mut Html, (tone, sign, word): Word) {
    let class = match tone {
        Tone::Good => "badge good",
        Tone::Warning => "badge warning",
        Tone::Bad => "badge bad",
        Tone::Plain | Tone::Dim | Tone::Strong => "badge",
    };
    html.element(Tag::class("span", class), |html| {
        html.with(Tag::from("span").attribute("aria-hidden", "true"), sign);
        html.text(" ");
        html.text(word);
    });
}

/// A number of findings of one severity, without a line break inside.
pub(super) fn count_badge(html: &mut Html, count: u32, level: Severity) {
    html.element(Tag::class("span", "count"), |html| {
        html.text(&format!("{count} "));
        badge(html, severity(level, html.look));
    });
}

/// The word for a severity.
pub(super) fn severity(level: Severity, look: Look) -> Word {
    let (tone, word) = render::findings::severity(level, look);
    let sign = match level {
        Severity::Critical => "✗",
        Severity::Warning => "!",
        Severity::Info => "i",
    };
    (tone, sign, word)
}

/// The word for a state.
pub(super) fn state(state: SiteState, look: Look) -> Word {
    render::tree::state(state, look)
}

/// The word for a run's outcome.
pub(super) fn outcome(outcome: RunOutcome, look: Look) -> Word {
    match outcome {
        RunOutcome::Succeeded => (Tone::Good, "✓", look.say("succeeded", "成功")),
        RunOutcome::Failed => (Tone::Bad, "✗", look.say("failed", "失敗")),
        RunOutcome::Running => (Tone::Plain, "↻", look.say("running", "実行中")),
        RunOutcome::Unknown => (Tone::Dim, "·", look.say("unknown", "不明")),
    }
}

/// The word for a run's trigger.
pub(super) fn trigger(trigger: Trigger, look: Look) -> &'static str {
    match trigger {
        Trigger::Schedule => look.say("schedule", "スケジュール"),
        Trigger::Local => look.say("local request", "このサイトでの要求"),
        Trigger::Parent => look.say("parent site", "親サイト"),
        Trigger::Retry => look.say("retry", "再試行"),
        Trigger::Unknown => look.say("unknown", "不明"),
    }
}

/// A cause: its title from the catalogue, and its id.
pub(super) fn cause(html: &mut Html, id: &str) {
    let look = html.look;
    if let Some(known) = Catalogue::built_in().get(id) {
        html.text(look.text(&known.title));
        html.text(" ");
    }
    html.element("code", |html| html.cut(id, NAME));
}

/// A moment, in UTC.
pub(super) fn time(html: &mut Html, at: Option<Timestamp>) {
    let Some(at) = at else { return html.say("not known", "不明") };
    let machine = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    html.with(Tag::from("time").attribute("datetime", machine), &format!("{} UTC", render::time(Some(at))));
}

/// A note on what is left out.
pub(super) fn left_out(html: &mut Html, en: &str, ja: &str) {
    html.element(Tag::class("p", "left-out"), |html| html.say(en, ja));
}

/// Text shown where a section is empty.
pub(super) fn nothing(html: &mut Html, en: &str, ja: &str) {
    html.element(Tag::class("p", "nothing"), |html| html.say(en, ja));
}

/// Site codes in a row, limited in number.
pub(super) fn codes(codes: &[SiteCode], look: Look) -> String {
    let shown: Vec<&str> = codes.iter().take(CODES).map(SiteCode::as_str).collect();
    let more = codes.len().saturating_sub(CODES);
    match more {
        0 => shown.join(", "),
        _ => format!("{} {}", shown.join(", "), look.say("and {} more", "ほか {} 件").replace("{}", &more.to_string())),
    }
}

/// Anchor of a site on the page.
pub(super) fn site_anchor(site: SiteCode) -> String {
    if site == SiteCode::UNKNOWN { "site-unknown".to_owned() } else { format!("site-{site}") }
}

/// A table with its caption and headings; its class sets the column widths. On a narrow screen each row is shown as a card, with
/// the headings beside the cells.
pub(super) fn table(html: &mut Html, class: &'static str, caption: &str, head: &[&str], fill: impl FnOnce(&mut Rows<'_>)) {
    html.element(Tag::class("table", class), |html| {
        html.with("caption", caption);
        html.element("thead", |html| {
            html.element("tr", |html| head.iter().for_each(|name| html.with(Tag::from("th").attribute("scope", "col"), name)));
        });
        html.element("tbody", |html| fill(&mut Rows { html, head }));
    });
}

/// The body of a table.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    html: &'a mut Html,
    head: &'a [&'a str],
}

impl Rows<'_> {
    /// Bytes of the page so far.
    pub fn len(&self) -> usize {
        self.html.len()
    }

    /// One row.
    pub fn row(&mut self, fill: impl FnOnce(&mut Row<'_>)) {
        let head = self.head;
        self.html.element("tr", |html| fill(&mut Row { html, head: head.iter() }));
    }
}

/// A row of a table.
#[derive(Debug)]
pub(super) struct Row<'a> {
    html: &'a mut Html,
    head: std::slice::Iter<'a, &'a str>,
}

impl Row<'_> {
    /// The cell that names the row.
    pub fn name(&mut self, fill: impl FnOnce(&mut Html)) {
        self.head.next();
        self.html.element(Tag::from("th").attribute("scope", "row"), fill);
    }

    /// The next cell.
    pub fn cell(&mut self, fill: impl FnOnce(&mut Html)) {
        let heading = self.head.next().copied().unwrap_or_default();
        self.html.element(Tag::from("td").attribute("data-label", heading), |html| {
            html.element(Tag::class("span", "cell"), fill);
        });
    }

    /// The next cell, a number.
    pub fn number(&mut self, number: impl std::fmt::Display) {
        let heading = self.head.next().copied().unwrap_or_default();
        self.html.with(Tag::class("td", "number").attribute("data-label", heading), &number.to_string());
    }
}
