//! A picture and its input → one self-explanatory HTML page, for a ticket.
//!
//! Pure. The page is self-contained: no script, font or image, and a policy that forbids a browser to load any. Its size is
//! bounded for any input: each section may fill the page up to its limit below, and says what it leaves out.

use ring::digest::{SHA256, digest};
use supwatch_model::picture::Picture;
use supwatch_model::verdict::Severity;

use crate::analyze::InputFile;
use crate::show::render::{Look, fit};

mod html;
mod parts;
mod input;
mod hierarchy;
mod findings;
mod settings;
mod runs;
mod rules;
#[cfg(test)]
mod tests;

use html::{Html, Tag};
use parts::{badge, severity, time};

const STYLE: &str = include_str!("report/style.css");

/// Page size in bytes at which each section is cut short, in order; a page stays below 5 MB, which a browser opens and a ticket
/// system accepts.
mod marks {
    pub(super) const INPUT: usize = 300_000;
    pub(super) const HIERARCHY: usize = 1_200_000;
    /// Findings shown in full; further ones are table rows.
    pub(super) const FINDINGS: usize = 2_400_000;
    pub(super) const FINDING_ROWS: usize = 3_000_000;
    pub(super) const SETTINGS: usize = 3_600_000;
    pub(super) const RUNS: usize = 4_200_000;
    pub(super) const RULES: usize = 4_600_000;
}

/// Columns of the title.
const TITLE: usize = 200;

/// Content of the page besides the picture.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Version of supwatch.
    pub version: &'a str,
    /// What was read.
    pub input: &'a [InputFile],
    /// Remarks on the input.
    pub remarks: &'a [String],
}

/// The page.
pub fn page(picture: &Picture, about: &About<'_>, look: Look) -> String {
    let mut html = Html::new(look);
    let language = look.say("en", "ja");
    html.element(Tag::from("html").attribute("lang", language), |html| {
        html.element("head", |html| head(html, picture, about));
        html.element("body", |html| {
            html.element("header", |html| {
                top(html, picture, about);
                input::section(html, about);
            });
            html.element("main", |html| {
                hierarchy::section(html, picture);
                findings::section(html, picture);
                settings::section(html, picture);
                runs::section(html, picture);
                rules::section(html, picture);
            });
        });
    });
    html.finish()
}

fn head(html: &mut Html, picture: &Picture, about: &About<'_>) {
    let look = html.look;
    let meta = |name: &'static str, content: String| Tag::from("meta").attribute("name", name).attribute("content", content);
    html.void(Tag::from("meta").attribute("charset", "utf-8"));
    html.void(Tag::from("meta").attribute("http-equiv", "Content-Security-Policy").attribute("content", policy()));
    html.void(meta("viewport", "width=device-width, initial-scale=1".to_owned()));
    html.void(meta("color-scheme", "light dark".to_owned()));
    html.void(meta("referrer", "no-referrer".to_owned()));
    html.void(meta("generator", format!("supwatch {}", about.version)));
    let title =
        format!("{}: {} · {} UTC", look.say("supwatch report", "supwatch レポート"), name(picture, look), time_text(picture));
    html.title(&fit(&title, TITLE));
    html.style(STYLE);
}

/// The policy forbids loading, sending and running anything; the one stylesheet is allowed by its hash.
fn policy() -> String {
    use base64::Engine;
    let hash = base64::engine::general_purpose::STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn name(picture: &Picture, look: Look) -> &str {
    if picture.hierarchy.is_empty() { look.say("hierarchy", "階層") } else { &picture.hierarchy }
}

fn time_text(picture: &Picture) -> String {
    crate::show::render::time(picture.at)
}

/// Name, time, and the number of findings.
fn top(html: &mut Html, picture: &Picture, about: &About<'_>) {
    let look = html.look;
    html.element("h1", |html| {
        html.say("Software update synchronisation: ", "ソフトウェアの更新の同期: ");
        html.element("bdi", |html| html.cut(name(picture, look), parts::NAME));
    });
    html.element(Tag::class("p", "dim"), |html| {
        html.say("judged at ", "判定時刻 ");
        time(html, picture.at);
        html.text(&format!(" · supwatch {} · ", about.version));
        html.text(&counted(picture.sites.len(), ("site", "sites", "サイト"), look));
    });
    html.element(Tag::class("ul", "counts"), |html| {
        for level in [Severity::Critical, Severity::Warning, Severity::Info] {
            let open = picture.findings.iter().filter(|f| f.is_open_cause() && f.severity == level).count();
            html.element(Tag::class("li", if open > 0 { "some" } else { "zero" }), |html| {
                html.with("strong", &open.to_string());
                html.text(" ");
                badge(html, severity(level, look));
            });
        }
    });
    html.element(Tag::from("nav").attribute("aria-label", look.say("contents", "目次")), |html| {
        for (target, en, ja) in SECTIONS {
            html.element(Tag::from("a").attribute("href", format!("#{target}")), |html| html.say(en, ja));
            html.text(" ");
        }
    });
}

/// The sections: anchor and heading.
const SECTIONS: [(&str, &str, &str); 5] = [
    ("hierarchy", "Hierarchy", "階層"),
    ("findings", "Findings", "問題"),
    ("settings", "Settings along each edge", "親子間の設定の違い"),
    ("runs", "Recent runs", "最近の同期"),
    ("rules", "Rules", "ルール"),
];

/// A section under its heading.
fn section(html: &mut Html, target: &'static str, fill: impl FnOnce(&mut Html)) {
    let (_, en, ja) = SECTIONS.iter().copied().find(|(own, ..)| *own == target).unwrap_or_default();
    html.element(Tag::from("section").attribute("id", target), |html| {
        html.element("h2", |html| html.say(en, ja));
        fill(html);
    });
}

/// A count with its noun, in English singular or plural, and Japanese.
fn counted(count: usize, (one, many, ja): (&str, &str, &str), look: Look) -> String {
    format!("{count} {}", look.say(if count == 1 { one } else { many }, ja))
}
