//! Findings, worst first, each with its facts, the lines and settings that prove it, and the remedies in order.
//!
//! The first are unfolded, further ones folded; where the page would grow too large, the rest are table rows.

use jiff::Timestamp;
use supwatch_model::finding::{Evidence, Finding};
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::Picture;

use super::html::{Html, Tag};
use super::parts::{NAME, TEXT, badge, cause, left_out, nothing, severity, site_anchor, table, time};
use super::{counted, marks};
use crate::show::render::findings::confidence;
use supwatch_judgement::rules;

/// Findings shown unfolded.
const OPEN: usize = 20;
/// Most characters of a summary in the heading; a longer one is shown below in full.
const HEADING: usize = 240;
/// Most pieces of evidence per finding.
const EVIDENCE: usize = 12;
/// Most characters of a line.
const LINE: usize = 1500;
/// Most remedies per finding.
const REMEDIES: usize = 20;

pub(super) fn section(html: &mut Html, picture: &Picture) {
    super::section(html, "findings", |html| {
        if picture.findings.is_empty() {
            return nothing(html, "No findings.", "問題は見つかりません。");
        }
        let mut shown = 0;
        for finding in &picture.findings {
            if html.len() > marks::FINDINGS {
                break;
            }
            full(html, finding, shown < OPEN);
            shown += 1;
        }
        rows(html, picture.findings.get(shown..).unwrap_or_default());
    });
}

fn full(html: &mut Html, finding: &Finding, open: bool) {
    let look = html.look;
    let summary = look.text(&finding.summary);
    let end = summary.char_indices().nth(HEADING).map_or(summary.len(), |(end, _)| end);
    let heading = summary.get(..end).unwrap_or(summary);
    html.element(Tag::class("article", "finding").attribute("data-finding", finding.id.as_str()), |html| {
        html.element(Tag::from("details").flag("open", open), |html| {
            html.element("summary", |html| {
                html.element("h3", |html| {
                    badge(html, severity(finding.severity, look));
                    html.text(" ");
                    html.element("bdi", |html| html.text(heading));
                    html.text(if heading.len() < summary.len() { "…" } else { "" });
                });
            });
            if heading.len() < summary.len() {
                html.element("p", |html| html.cut(summary, TEXT));
            }
            facts(html, finding);
            evidence(html, &finding.evidence);
            remedies(html, finding);
        });
    });
}

fn facts(html: &mut Html, finding: &Finding) {
    let look = html.look;
    html.element(Tag::class("dl", "facts"), |html| {
        fact(html, look.say("rule", "ルール"), |html| {
            html.element("code", |html| html.cut(&finding.rule, NAME));
            if let Some(rule) = rules::get(&finding.rule) {
                html.text(" ");
                html.text(look.text(&rule.title()));
            }
        });
        fact(html, look.say("site", "サイト"), |html| {
            html.with(Tag::from("a").attribute("href", format!("#{}", site_anchor(finding.site))), finding.site.as_str());
            if !finding.subject.is_empty() {
                html.text(" · ");
                html.element("bdi", |html| html.cut(&finding.subject, NAME));
            }
        });
        if let Some(id) = &finding.cause {
            fact(html, look.say("cause", "原因"), |html| {
                cause(html, id);
                if let Some(sure) = finding.confidence {
                    html.text(&format!(" · {}", confidence(sure, look)));
                }
            });
            for reason in &finding.reasons {
                fact(html, look.say("because", "判断の理由"), |html| html.cut(look.text(reason), NAME));
            }
        }
        if let Some(of) = &finding.because_of {
            fact(html, look.say("consequence of", "原因となる問題"), |html| html.element("code", |html| html.cut(of, NAME)));
        }
        if !finding.consequences.is_empty() {
            let ids = finding.consequences.join(", ");
            fact(html, look.say("consequences", "この問題の結果"), |html| html.element("code", |html| html.cut(&ids, NAME)));
        }
        fact(html, look.say("since", "発生"), |html| time(html, finding.opened_at));
        if finding.resolved_at.is_some() {
            fact(html, look.say("resolved", "解決"), |html| time(html, finding.resolved_at));
        }
        if let Some(suppressed) = &finding.suppressed {
            fact(html, look.say("suppressed", "抑制"), |html| {
                html.cut(&format!("{}: {}", suppressed.by, suppressed.reason), NAME);
            });
        }
        fact(html, look.say("occurrences", "回数"), |html| html.text(&finding.occurrences.to_string()));
        fact(html, "ID", |html| html.element("code", |html| html.cut(&finding.id, NAME)));
    });
}

fn fact(html: &mut Html, name: &str, fill: impl FnOnce(&mut Html)) {
    html.element("div", |html| {
        html.with("dt", name);
        html.element("dd", fill);
    });
}

fn evidence(html: &mut Html, evidence: &[Evidence]) {
    html.element("h4", |html| html.say("Evidence", "根拠"));
    if evidence.is_empty() {
        return nothing(html, "There is no line or setting to show.", "示すべきログ行や設定はありません。");
    }
    html.element(Tag::class("ul", "evidence"), |html| {
        let shown = evidence.get(..EVIDENCE).unwrap_or(evidence);
        shown.chunk_by(|one, other| snapshot(one).is_some() && snapshot(one) == snapshot(other)).for_each(|pieces| {
            html.element("li", |html| show(html, pieces));
        });
    });
    let more = evidence.len().saturating_sub(EVIDENCE);
    if more > 0 {
        left_out(html, &format!("{more} more pieces of evidence are left out."), &format!("ほか {more} 件の根拠を省略しました。"));
    }
}

/// The snapshot that a setting belongs to; settings of one snapshot are grouped.
fn snapshot(evidence: &Evidence) -> Option<(SiteCode, Option<Timestamp>, &str, Option<Timestamp>)> {
    match evidence {
        Evidence::Setting { site, taken_at, source, since, .. } => Some((*site, *taken_at, source.as_str(), *since)),
        Evidence::Line { .. } => None,
    }
}

/// A line, or the settings of one snapshot.
fn show(html: &mut Html, pieces: &[Evidence]) {
    html.element(Tag::class("p", "place"), |html| pieces.iter().take(1).for_each(|piece| place(html, piece)));
    html.element("pre", |html| {
        html.element("code", |html| {
            for (index, piece) in pieces.iter().enumerate() {
                html.text(if index > 0 { "\n" } else { "" });
                match piece {
                    Evidence::Line { line, .. } => html.cut(line, LINE),
                    Evidence::Setting { setting, value, .. } => {
                        html.cut(setting, NAME);
                        html.text(" = ");
                        html.cut(&value.to_string(), LINE);
                    }
                }
            }
        });
    });
}

/// Where and when a piece of evidence was seen.
fn place(html: &mut Html, piece: &Evidence) {
    match piece {
        Evidence::Line { site, file, offset, time: at, .. } => {
            html.text(&format!("{site} · "));
            html.element("code", |html| {
                html.cut(file, NAME);
                html.text(&format!(":{offset}"));
            });
            html.text(" · ");
            time(html, *at);
        }
        Evidence::Setting { site, taken_at, source, since, .. } => {
            html.text(&format!("{site} · "));
            html.say("settings taken at ", "設定 取得時刻 ");
            time(html, *taken_at);
            if !source.is_empty() {
                html.text(" · ");
                html.cut(source, NAME);
            }
            if since.is_some() && since != taken_at {
                html.say(", set so since ", "、変更時刻 ");
                time(html, *since);
            }
        }
    }
}

fn remedies(html: &mut Html, finding: &Finding) {
    let look = html.look;
    html.element("h4", |html| html.say("What to do", "対処方法"));
    if finding.remedy.is_empty() {
        return nothing(html, "No remedy is known.", "対処方法は登録されていません。");
    }
    html.element("ol", |html| {
        finding.remedy.iter().take(REMEDIES).for_each(|step| html.element("li", |html| html.cut(look.text(step), TEXT)));
    });
    let more = finding.remedy.len().saturating_sub(REMEDIES);
    if more > 0 {
        left_out(html, &format!("{more} more remedies are left out."), &format!("ほか {more} 件の対処方法を省略しました。"));
    }
}

/// Findings for which there is no room in full.
fn rows(html: &mut Html, rest: &[Finding]) {
    if rest.is_empty() {
        return;
    }
    let look = html.look;
    let head = [look.say("severity", "重大度"), look.say("site", "サイト"), look.say("rule", "ルール"), look.say("what", "内容")];
    let caption = look
        .say(
            "{} more findings, without evidence and remedies to save space",
            "ほかの問題 {} 件 (紙面の都合により根拠と対処方法は省略)",
        )
        .replace("{}", &rest.len().to_string());
    let mut shown = 0;
    html.element("details", |html| {
        html.with("summary", &caption);
        table(html, "rest", &caption, &head, |rows| {
            for finding in rest {
                if rows.len() > marks::FINDING_ROWS {
                    break;
                }
                shown += 1;
                rows.row(|row| {
                    row.name(|html| badge(html, severity(finding.severity, look)));
                    row.cell(|html| html.text(finding.site.as_str()));
                    row.cell(|html| html.element("code", |html| html.cut(&finding.rule, NAME)));
                    row.cell(|html| html.cut(look.text(&finding.summary), NAME));
                });
            }
        });
    });
    let more = rest.len() - shown;
    if more > 0 {
        let findings = counted(more, ("more finding is", "more findings are", "件"), look);
        left_out(html, &format!("{findings} left out."), &format!("ほか {findings} の問題を省略しました。"));
    }
}
