//! Number of verdicts of each rule, and what is missing for the unknown ones.

use std::collections::BTreeMap;

use supwatch_model::ids::SiteCode;
use supwatch_model::picture::Picture;
use supwatch_model::text::Text;
use supwatch_model::verdict::{Answer, Verdict};

use super::html::{Html, Tag};
use super::parts::{NAME, TEXT, codes, left_out, nothing, table};
use super::{counted, marks};
use supwatch_judgement::rules;

pub(super) fn section(html: &mut Html, picture: &Picture) {
    super::section(html, "rules", |html| {
        if picture.verdicts.is_empty() {
            return nothing(html, "No rule has given a verdict.", "判定はありません。");
        }
        let look = html.look;
        let mut by_rule: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
        for verdict in &picture.verdicts {
            by_rule.entry(&verdict.rule).or_default().push(verdict);
        }
        let head = [
            look.say("rule", "ルール"),
            look.say("what must hold", "内容"),
            look.say("pass", "合格"),
            look.say("fail", "失敗"),
            look.say("unknown", "不明"),
        ];
        let mut shown = 0;
        table(html, "verdicts", look.say("Verdicts by rule", "ルール別の判定数"), &head, |rows| {
            for (rule, verdicts) in &by_rule {
                if rows.len() > marks::RULES {
                    break;
                }
                shown += 1;
                let count = |answer| verdicts.iter().filter(|verdict| verdict.answer == answer).count();
                rows.row(|row| {
                    row.name(|html| html.element("code", |html| html.cut(rule, NAME)));
                    row.cell(|html| match rules::get(rule) {
                        Some(known) => html.text(look.text(&known.title())),
                        None => html.say("not known to this version", "このバージョンでは未定義"),
                    });
                    row.number(count(Answer::Pass));
                    row.number(count(Answer::Fail));
                    row.number(count(Answer::Unknown));
                });
            }
        });
        let more = by_rule.len() - shown;
        if more > 0 {
            left_out(html, &format!("{more} more rules are left out."), &format!("ほか {more} 件のルールを省略しました。"));
        }
        unknowns(html, &by_rule);
    });
}

/// Unknown verdicts that lack the same data, with their sites.
type Lacking<'a> = BTreeMap<Vec<&'a str>, Vec<(SiteCode, &'a str)>>;

fn unknowns(html: &mut Html, by_rule: &BTreeMap<&str, Vec<&Verdict>>) {
    let look = html.look;
    let is_unknown = |verdict: &&Verdict| verdict.answer == Answer::Unknown;
    let count: usize = by_rule.values().map(|verdicts| verdicts.iter().copied().filter(is_unknown).count()).sum();
    if count == 0 {
        return nothing(html, "No verdict is unknown.", "不明な判定はありません。");
    }
    let mut left = 0;
    html.element("details", |html| {
        let verdicts = counted(count, ("verdict is unknown", "verdicts are unknown", "件の判定が不明"), look);
        html.with("summary", &format!("{verdicts}: {}", look.say("what is missing", "不足している情報")));
        for (rule, verdicts) in by_rule {
            let mut lacking: Lacking<'_> = BTreeMap::new();
            for verdict in verdicts.iter().copied().filter(is_unknown) {
                let missing = verdict.missing.iter().map(|text: &Text| look.text(text)).collect();
                lacking.entry(missing).or_default().push((verdict.site, verdict.subject.as_str()));
            }
            if html.len() > marks::RULES {
                left += lacking.values().map(Vec::len).sum::<usize>();
            } else if !lacking.is_empty() {
                html.element("h3", |html| html.element("code", |html| html.cut(rule, NAME)));
                html.element("ul", |html| lacking.iter().for_each(|(missing, about)| entry(html, missing, about, &mut left)));
            }
        }
    });
    if left > 0 {
        left_out(html, &format!("{left} unknown verdicts are left out."), &format!("不明な判定 {left} 件を省略しました。"));
    }
}

fn entry(html: &mut Html, missing: &[&str], about: &[(SiteCode, &str)], left: &mut usize) {
    if html.len() > marks::RULES {
        *left += about.len();
        return;
    }
    let look = html.look;
    html.element("li", |html| {
        html.with("strong", &codes(&about.iter().map(|(site, _)| *site).collect::<Vec<_>>(), look));
        for (_, subject) in about.iter().filter(|(_, subject)| !subject.is_empty()).take(5) {
            html.text(" ");
            html.element(Tag::class("span", "dim"), |html| html.cut(subject, NAME));
        }
        html.text(": ");
        if missing.is_empty() {
            html.say("what is missing is not stated", "不足している情報は示されていません");
        }
        for (index, text) in missing.iter().take(5).enumerate() {
            html.text(if index > 0 { "; " } else { "" });
            html.cut(text, TEXT);
        }
    });
}
