//! Settings along each edge of the hierarchy: the WSUS behind a child's first software update point beside its parent's.
//!
//! Compares without judging: some settings, such as a proxy, may differ. Only a child's update source is checked against its
//! expected value, the parent's first software update point.

use std::collections::BTreeMap;

use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Picture, SitePicture};
use supwatch_model::settings::Settings;

use super::html::{Html, Tag};
use super::parts::{NAME, badge, codes, left_out, nothing, table};
use super::{counted, marks};
use crate::show::render::{Look, Tone};

mod compare;

use compare::{First, LINES, Mark, Value};

/// Edges with differences that are unfolded.
const OPEN: usize = 10;
/// Most names shown of a list.
const NAMES: usize = 12;

pub(super) fn section(html: &mut Html, picture: &Picture) {
    super::section(html, "settings", |html| {
        let known: BTreeMap<SiteCode, Settings> = picture.sites.iter().filter_map(snapshot).collect();
        let edges: Vec<(SiteCode, SiteCode)> = picture.sites.iter().filter_map(|site| Some((site.code, site.parent?))).collect();
        if edges.is_empty() {
            return nothing(
                html,
                "No site has a known parent, so there is no edge.",
                "親サイトが分かるサイトがないため、比較対象はありません。",
            );
        }
        let mut compared: Vec<Edge<'_>> =
            edges.iter().filter_map(|(child, parent)| Edge::new(&known, *child, *parent, html.look)).collect();
        compared.sort_by_key(|edge| (std::cmp::Reverse(edge.differing), edge.child));
        if !compared.is_empty() {
            html.element(Tag::class("p", "dim"), |html| {
                html.say(
                    "The first software update point of each site, next to its parent's. A difference is not a fault by itself; faults are findings.",
                    "各サイトの最初のソフトウェアの更新ポイントを親サイトと並べています。違いがあるだけでは障害ではありません。障害は「問題」に示します。",
                );
            });
        }
        draw(html, &compared);
        let seen = |edge: &&(SiteCode, SiteCode)| !compared.iter().any(|own| own.child == edge.0);
        let unseen: Vec<SiteCode> = edges.iter().filter(seen).map(|(child, _)| *child).collect();
        if !unseen.is_empty() {
            let list = codes(&unseen, html.look);
            nothing(
                html,
                &format!(
                    "Not compared, because the site or its parent has no settings snapshot with a first software update point: {list}."
                ),
                &format!(
                    "サイトまたは親サイトに、最初のソフトウェアの更新ポイントを含む設定スナップショットがないため比較できないサイト: {list}"
                ),
            );
        }
    });
}

fn snapshot(site: &SitePicture) -> Option<(SiteCode, Settings)> {
    Some((site.code, Settings::from_json(site.settings.as_ref()?).ok()?))
}

/// A child and its parent, compared.
struct Edge<'a> {
    child: SiteCode,
    parent: SiteCode,
    own: First<'a>,
    above: First<'a>,
    marks: Vec<Mark>,
    differing: usize,
}

impl<'a> Edge<'a> {
    fn new(known: &'a BTreeMap<SiteCode, Settings>, child: SiteCode, parent: SiteCode, look: Look) -> Option<Edge<'a>> {
        let (own, above) = (First::of(known.get(&child)?)?, First::of(known.get(&parent)?)?);
        let marks: Vec<Mark> = LINES.iter().map(|line| (line.compare)(&own, &above, look)).collect();
        let differing = marks.iter().filter(|mark| matches!(mark, Mark::Differs | Mark::NotParent)).count();
        Some(Edge { child, parent, own, above, marks, differing })
    }
}

fn draw(html: &mut Html, edges: &[Edge<'_>]) {
    let mut left = Vec::new();
    for (index, edge) in edges.iter().enumerate() {
        if html.len() > marks::SETTINGS {
            left.push(edge.child);
            continue;
        }
        let open = edge.differing > 0 && index < OPEN;
        html.element(Tag::from("details").flag("open", open), |html| {
            let look = html.look;
            html.element("summary", |html| {
                html.element("h3", |html| {
                    html.text(&format!("{} ← {} · ", edge.child, edge.parent));
                    match edge.differing {
                        0 => html.say("nothing differs", "違いなし"),
                        count => html.text(&counted(count, ("setting differs", "settings differ", "項目が異なる"), look)),
                    }
                });
            });
            of_edge(html, edge);
        });
    }
    if !left.is_empty() {
        let list = codes(&left, html.look);
        left_out(html, &format!("Left out to save space: {list}."), &format!("紙面の都合により省略したサイト: {list}"));
    }
}

fn of_edge(html: &mut Html, edge: &Edge<'_>) {
    let look = html.look;
    let (child, parent) = (edge.child.as_str(), edge.parent.as_str());
    let caption = look
        .say("Software update point {c} next to {p}", "ソフトウェアの更新ポイント {c} と {p}")
        .replace("{p}", edge.above.name(look))
        .replace("{c}", edge.own.name(look));
    let head = [look.say("setting", "設定"), child, parent, look.say("comparison", "比較")];
    table(html, "compare", &caption, &head, |rows| {
        for (line, mark) in LINES.iter().zip(&edge.marks) {
            let (own, above) = ((line.read)(&edge.own, look), (line.read)(&edge.above, look));
            rows.row(|row| {
                row.name(|html| html.say(line.name.0, line.name.1));
                row.cell(|html| value(html, &own, &above, *mark));
                row.cell(|html| value(html, &above, &own, *mark));
                row.cell(|html| badge(html, word(*mark, look)));
            });
        }
    });
}

fn word(mark: Mark, look: Look) -> (Tone, &'static str, &'static str) {
    match mark {
        Mark::Same => (Tone::Dim, "=", look.say("same", "同じ")),
        Mark::Differs => (Tone::Warning, "≠", look.say("differs", "異なる")),
        Mark::Parent => (Tone::Good, "✓", look.say("its parent", "親サイト")),
        Mark::NotParent => (Tone::Bad, "≠", look.say("not its parent", "親サイトではない")),
        Mark::Unknown => (Tone::Dim, "?", look.say("not known", "不明")),
    }
}

fn value(html: &mut Html, own: &Value, other: &Value, mark: Mark) {
    match own {
        Value::Unknown => html.say("not known", "不明"),
        Value::None => html.say("none", "なし"),
        Value::One(text) => html.cut(text, NAME),
        Value::Many(names) => {
            html.cut(&listed(names, html.look), 4 * NAME);
            let only: Vec<String> = match other {
                Value::Many(other) if mark == Mark::Differs => compare::without(names, other),
                _ => Vec::new(),
            };
            if !only.is_empty() {
                let text = format!("≠ {} {}", html.look.say("only here:", "ここのみ:"), listed(&only, html.look));
                html.element(Tag::class("span", "only"), |html| html.cut(&text, 4 * NAME));
            }
        }
    }
}

/// Names in a row, limited in number.
fn listed(names: &[String], look: Look) -> String {
    let shown = names.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 if names.is_empty() => look.say("none", "なし").to_owned(),
        0 => shown,
        more => format!("{shown} {}", look.say("and {} more", "ほか {} 件").replace("{}", &more.to_string())),
    }
}
