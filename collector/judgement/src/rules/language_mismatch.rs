//! A child's WSUS has no language that its parent's lacks, and has all of the top site's summary languages. Source: the article,
//! "software updates are not synchronized in the configured languages". Fewer update file languages are allowed.

use std::cell::LazyCell;

use super::expected;
use super::filters::edge;
use super::names::Names;
use super::{Failure, Judged, Rule, Scene, no_setting, no_settings, setting};
use serde_json::json;
use supwatch_model::settings::{Known, Wsus};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "language-mismatch",
    severity: Severity::Warning,
    title: ("languages match along the hierarchy", "言語が階層に沿って一致している"),
    why: (
        "A child cannot get a language its parent does not have, and titles and descriptions are in another language where a summary language is missing.",
        "親にない言語は子に届かず、概要詳細の言語が不足するとタイトルや説明がその言語で表示されません。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "Select the languages in Software Update Point Component Properties > Languages: summary details at the top site, update files at each site.",
            "[ソフトウェアの更新ポイント コンポーネントのプロパティ]>[言語]で言語を選択してください (概要詳細は最上位サイト、更新ファイルは各サイト)。",
        ),
        (
            "Do it before the next synchronisation: updates that are already there do not get a language later.",
            "次の同期の前に行ってください。既に同期された更新には後から言語が追加されません。",
        ),
    ],
    source: "the article, \"software updates are not synchronized in the configured languages\"",
    watcher: false,
    judge,
};

const OWN: &str = "wsus[first].languages";
const LOOKED_AT: &[&str] = &[OWN, "component.summary_languages"];

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let edge = match edge(scene, LOOKED_AT) {
        Ok(edge) => edge,
        Err(verdict) => return verdict.into_iter().collect(),
    };
    let (site, parent) = (scene.site, edge.parent);
    let (mut missing_data, mut en, mut ja, mut evidence) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let may = |name: &str| scene.limits.may_differ(RULE.name, site.code, name, scene.now);
    let top = scene.hierarchy.top_of(site.code).and_then(|top| scene.hierarchy.site(top));
    let of = |field| top.map(|top| expected::turn(scene, top, field)).unwrap_or_default();
    // Looked up only if something differs.
    let turn = LazyCell::new(|| of("languages").and(of("summary_languages")));
    let (mut coming, mut coming_off) = (Vec::new(), Vec::new());
    let own = languages(edge.own);
    let Some(own) = own else { return vec![Judged::unknown(LOOKED_AT, vec![no_setting(site.code, OWN)])] };
    match edge.above.and_then(languages) {
        None => {
            missing_data.push(if parent.settings().is_none() { no_settings(parent.code) } else { no_setting(parent.code, OWN) })
        }
        Some(Languages::All) => {}
        Some(Languages::Some(above)) => {
            let extra = match own {
                Languages::All => vec!["all languages"],
                Languages::Some(own) => Names::languages(own).without(&Names::languages(above)),
            };
            let (off, extra): (Vec<&str>, Vec<&str>) = extra.into_iter().filter(|name| !may(name)).partition(|name| turn.has(name));
            coming_off.extend(off);
            if !extra.is_empty() {
                en.push(format!("has {}, which its parent {} lacks", extra.join(", "), parent.code));
                ja.push(format!("親サイト {} にない言語があります: {}", parent.code, extra.join(", ")));
                evidence.push(setting(parent, OWN, json!(above)));
            }
        }
    }
    match summary_languages(scene) {
        Err(missing) => missing_data.push(missing),
        Ok((top, summary)) => {
            let lacking = match own {
                Languages::All => Vec::new(),
                Languages::Some(own) => Names::languages(summary).without(&Names::languages(own)),
            };
            let (on, lacking): (Vec<&str>, Vec<&str>) =
                lacking.into_iter().filter(|name| !may(name)).partition(|name| turn.has(name));
            coming.extend(on);
            if !lacking.is_empty() {
                en.push(format!("lacks {}, a summary language of top site {}", lacking.join(", "), top.code));
                ja.push(format!("最上位サイト {} の概要詳細の言語が不足しています: {}", top.code, lacking.join(", ")));
                evidence.push(setting(top, "component.summary_languages", json!(summary)));
            }
        }
    }
    if en.is_empty()
        && !(coming.is_empty() && coming_off.is_empty())
        && let Some(expected) = turn.expectation(scene, &coming, &coming_off)
    {
        return vec![Judged::expected(LOOKED_AT, expected)];
    }
    let failure = (!en.is_empty()).then(|| {
        let shown = match own {
            Languages::All => json!("all"),
            Languages::Some(own) => json!(own),
        };
        let summary = Text::new(format!("{} {}", site.code, en.join(", and ")), format!("{}: {}", site.code, ja.join("、")));
        Failure::new(Severity::Warning, summary).shown_by([setting(site, OWN, shown)]).shown_by(evidence)
    });
    vec![Judged::weigh(LOOKED_AT, failure, missing_data)]
}

#[derive(Clone, Copy)]
enum Languages<'a> {
    All,
    Some(&'a [String]),
}

fn languages(wsus: &Wsus) -> Option<Languages<'_>> {
    if wsus.all_languages == Known::Some(true) {
        return Some(Languages::All);
    }
    wsus.languages.value().map(|list| Languages::Some(list))
}

fn summary_languages<'a>(scene: &Scene<'a>) -> Result<(&'a crate::hierarchy::Site, &'a [String]), Text> {
    let code = scene.site.code;
    let top = scene.hierarchy.top_of(code).and_then(|top| scene.hierarchy.site(top));
    let top = top.ok_or_else(|| Text::new(format!("the top site above {code}"), format!("{code} の最上位サイト")))?;
    let settings = top.settings().ok_or_else(|| no_settings(top.code))?;
    let summary = settings.component.value().and_then(|component| component.summary_languages.value());
    summary.map(|list| (top, list.as_slice())).ok_or_else(|| no_setting(top.code, "component.summary_languages"))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn world(own: Value, all_above: bool) -> World {
        let mut above = healthy("cen", None);
        above["wsus"][0]["languages"] = json!(["en", "ja", "fr"]);
        above["wsus"][0]["all_languages"] = json!(all_above);
        above["component"]["summary_languages"] = json!(["en", "ja"]);
        let mut settings = healthy("p01", Some("cen"));
        settings["wsus"][0]["languages"] = own;
        World::new().central("CEN").primary("P01", "CEN").settings("CEN", above).settings("P01", settings)
    }

    #[test]
    fn fewer_file_languages_pass_as_long_as_the_summary_ones_are_there() {
        world(json!(["JA", "en"]), false).check("language-mismatch", "P01 pass");
    }

    #[test]
    fn a_missing_summary_language_and_an_extra_one_fail() {
        world(json!(["en"]), false).check("language-mismatch", "P01 fail");
        world(json!(["en", "ja", "de"]), false).check("language-mismatch", "P01 fail");
        world(json!(["en", "ja", "de"]), true).check("language-mismatch", "P01 pass");
    }

    #[test]
    fn without_the_parents_settings_it_is_unknown() {
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("P01", healthy("p01", Some("cen")))
            .check("language-mismatch", "P01 unknown");
    }

    #[test]
    fn what_may_differ_here_does() {
        let expected =
            "[[expected]]\nrule = \"language-mismatch\"\nsites = [\"P01\"]\nvalues = [\"JA\"]\nreason = \"x\"\nuntil = \"never\"\n";
        world(json!(["en"]), false).limits(expected).check("language-mismatch", "P01 pass");
        world(json!(["ja"]), false).limits(expected).check("language-mismatch", "P01 fail");
    }
}
