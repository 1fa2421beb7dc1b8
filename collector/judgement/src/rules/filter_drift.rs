//! A WSUS has the languages, classifications and products of the software update point component.
//!
//! A child's component may have no filters of its own; then the top site's count. Replicas have those of their upstream.

use std::collections::BTreeSet;

use super::expected::{self, WCM_EVERY};
use super::filters::no_ids;
use super::names::Names;
use super::{Expected, Failure, Judged, Outcome, Rule, Scene, no_setting, no_settings, setting};
use crate::hierarchy::{Parent, Site};
use serde_json::json;
use supwatch_model::finding::{Evidence, Finding};
use supwatch_model::run::RunOutcome;
use supwatch_model::settings::{Component, Known, Wsus};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "filter-drift",
    severity: Severity::Warning,
    title: ("WSUS has the filters of the component", "WSUS のフィルタがコンポーネントの設定と一致している"),
    why: (
        "Whoever edits filters in the WSUS console and synchronises there brings in unwanted updates; Configuration Manager takes in everything that WSUS has.",
        "WSUS コンソールでフィルタを編集して同期すると、予期しない更新が取り込まれます。Configuration Manager は WSUS にあるすべてのメタデータを取り込みます。",
    ),
    looks_at: &["wsus[first].languages", "wsus[first].classifications", "wsus[first].products", "component", "WCM.log"],
    fix: &[
        (
            "Do not edit languages, products or classifications in the WSUS console; use Software Update Point Component Properties at the top site.",
            "言語、製品、分類は WSUS コンソールで編集せず、最上位サイトの[ソフトウェアの更新ポイント コンポーネントのプロパティ]で設定してください。",
        ),
        (
            "WSUS Configuration Manager resets the settings every 60 minutes; start no synchronisation until then.",
            "WSUS Configuration Manager は 60 分ごとに設定を元に戻します。それまで同期を開始しないでください。",
        ),
        (
            "Updates that already came in stay: decline them in WSUS, or let their products expire.",
            "既に取り込まれた更新は残ります。WSUS で拒否してください。",
        ),
    ],
    source: "the article, \"unexpected software updates are synchronized\"",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let secondary = scene.hierarchy.site_type(site.code) == Some(supwatch_model::describe::SiteType::Secondary);
    let unknown = |missing: Text| vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    match scene.settings() {
        Ok(_) if site.has_no_sup() => return Vec::new(),
        Err(_) if secondary => return Vec::new(),
        Err(missing) => return unknown(missing),
        Ok(_) => {}
    }
    let Some(wsus) = site.first_wsus() else { return unknown(no_setting(site.code, "wsus[first]")) };
    match wsus.is_replica {
        Known::Some(true) => return Vec::new(),
        Known::Some(false) => {}
        Known::Unknown | Known::None => return unknown(no_setting(site.code, "wsus[first].is_replica")),
    }
    let (mut found, mut missing, mut coming) = (Vec::new(), Vec::new(), Vec::new());
    for filter in FILTERS {
        match filter.differences(scene, wsus) {
            Ok(Differs::Not) => {}
            Ok(Differs::Now(difference)) => found.push(*difference),
            Ok(Differs::Yet(expected)) => coming.push(expected),
            Err(lacking) => missing.push(lacking),
        }
    }
    let failure = (!found.is_empty()).then(|| {
        let say = |of: fn(&Difference) -> &String| found.iter().map(of).cloned().collect::<Vec<_>>();
        let mut summary = Text::new(
            format!("WSUS of {} is not set as its component says: {}", site.code, say(|d| &d.en).join("; ")),
            format!("{} の WSUS がコンポーネントの設定と異なります: {}", site.code, say(|d| &d.ja).join("、")),
        );
        if let Some(next) =
            site.configured.wcm_checked_at().and_then(|at| at.checked_add(WCM_EVERY).ok()).filter(|at| *at > scene.now)
        {
            let at = next.strftime("%H:%M UTC");
            summary.en.push_str(&format!("; WCM puts it back at about {at}"));
            summary.ja.push_str(&format!("。WCM が {at} ごろに元に戻します"));
        }
        Failure::new(Severity::Warning, summary).shown_by(found.into_iter().flat_map(|difference| difference.evidence))
    });
    if failure.is_none()
        && let Some(expected) = coming.into_iter().max_by_key(|expected| expected.by)
    {
        return vec![Judged::expected(RULE.looks_at, expected)];
    }
    vec![Judged::weigh(RULE.looks_at, failure, missing)]
}

/// What may have been synchronised while the filters differed: reported when the finding is resolved.
pub(super) fn closing(scene: &Scene<'_>, finding: &Finding) -> Option<Text> {
    let opened = finding.opened_at?;
    let within = |run: &supwatch_model::run::Run| {
        run.outcome == RunOutcome::Succeeded && run.ended_at.is_some_and(|at| at >= opened && at <= scene.now)
    };
    let runs = scene.site.runs.iter().filter(|tracked| within(&tracked.run)).count();
    Some(if runs == 0 {
        Text::new(
            "No synchronisation has succeeded since, so no such updates came in.",
            "その間に成功した同期はなく、取り込まれた更新はありません。",
        )
    } else {
        Text::new(
            format!("{runs} synchronisations have succeeded since: updates outside the filters may have come in."),
            format!("その間に {runs} 回の同期が成功しており、フィルタ範囲外の更新が取り込まれた可能性があります。"),
        )
    })
}

struct Filter {
    field: &'static str,
    name: (&'static str, &'static str),
    of_wsus: fn(&Wsus) -> Option<&Vec<String>>,
    of_component: fn(&Component) -> Option<BTreeSet<String>>,
}

const FILTERS: &[Filter] = &[
    Filter {
        field: "languages",
        name: ("languages", "言語"),
        of_wsus: |wsus| wsus.languages.value(),
        // WCM sets WSUS to the union of update file and summary languages.
        of_component: |component| {
            let files = component.languages.value()?;
            Some(files.iter().chain(component.summary_languages.value().into_iter().flatten()).cloned().collect())
        },
    },
    Filter {
        field: "classifications",
        name: ("classifications", "分類"),
        of_wsus: |wsus| wsus.classifications.value(),
        of_component: |component| component.classifications.value().map(|all| all.iter().cloned().collect()),
    },
    Filter {
        field: "products",
        name: ("products", "製品"),
        of_wsus: |wsus| wsus.products.value(),
        of_component: |component| component.products.value().map(|all| all.iter().cloned().collect()),
    },
];

/// Whether a filter differs from the component.
enum Differs {
    Not,
    Now(Box<Difference>),
    /// A recent change is still being propagated.
    Yet(Expected),
}

struct Difference {
    en: String,
    ja: String,
    evidence: [Evidence; 2],
}

impl Filter {
    fn differences(&self, scene: &Scene<'_>, wsus: &Wsus) -> Result<Differs, Text> {
        let site = scene.site;
        let path = format!("wsus[first].{}", self.field);
        let (owner, mut wanted) = self.wanted(scene)?;
        // Summary languages are set at the top site for all sites; without them no language is known to be extra.
        let mut whole = true;
        if self.field == "languages" {
            let top = scene.hierarchy.top_of(site.code).and_then(|top| scene.hierarchy.site(top));
            let of = |site: &Site| site.settings()?.component.value()?.summary_languages.value().cloned();
            let summary = [Some(site), top].into_iter().flatten().find_map(of);
            whole = summary.is_some();
            wanted.extend(summary.into_iter().flatten());
        }
        let all = self.field == "languages" && wsus.all_languages == Known::Some(true);
        let set = (self.of_wsus)(wsus).filter(|_| !all);
        if set.is_none() && !all {
            return Err(no_setting(site.code, &path));
        }
        if set.is_some_and(|set| set.len() == wanted.len() && set.iter().all(|name| wanted.contains(name))) {
            return Ok(Differs::Not);
        }
        let wanted: Vec<String> = wanted.into_iter().collect();
        let may = |name: &str| scene.limits.may_differ(RULE.name, site.code, name, scene.now);
        let (extra, lacking) = match set {
            None => (vec!["all languages"], Vec::new()),
            Some(set) => {
                let (set, wanted) = if self.field == "languages" {
                    (Names::languages(set), Names::languages(&wanted))
                } else {
                    (Names::categories(set, site), Names::categories(&wanted, owner))
                };
                if set.are_in_doubt(&wanted) {
                    return Err(no_ids(self.field, site, owner));
                }
                (set.without(&wanted), wanted.without(&set))
            }
        };
        let extra: Vec<&str> = extra.into_iter().filter(|name| whole && !may(name)).collect();
        let lacking: Vec<&str> = lacking.into_iter().filter(|name| !may(name)).collect();
        if extra.is_empty() && lacking.is_empty() {
            return Ok(Differs::Not);
        }
        let mut turn = expected::turn(scene, owner, self.field);
        if self.field == "languages"
            && let Some(top) = scene.hierarchy.top_of(site.code).and_then(|top| scene.hierarchy.site(top))
        {
            turn = turn.and(expected::turn(scene, top, "summary_languages"));
        }
        // A change in WSUS itself was made by hand: nothing is in transit.
        let on_its_way = |name: &&str| turn.has(name);
        let (coming_off, extra): (Vec<&str>, Vec<&str>) = extra.into_iter().partition(on_its_way);
        let (coming, lacking): (Vec<&str>, Vec<&str>) = lacking.into_iter().partition(on_its_way);
        if extra.is_empty() && lacking.is_empty() {
            return Ok(turn.expectation(scene, &coming, &coming_off).map_or(Differs::Not, Differs::Yet));
        }
        let (mut en, mut ja) = (Vec::new(), Vec::new());
        if !extra.is_empty() {
            en.push(format!("{} too many: {}", self.name.0, extra.join(", ")));
            ja.push(format!("余分な{}: {}", self.name.1, extra.join(", ")));
        }
        if !lacking.is_empty() {
            en.push(format!("{} missing: {}", self.name.0, lacking.join(", ")));
            ja.push(format!("不足している{}: {}", self.name.1, lacking.join(", ")));
        }
        let shown = set.map_or_else(|| json!("all"), |set| json!(set));
        let evidence = [setting(site, path, shown), setting(owner, format!("component.{}", self.field), json!(wanted))];
        Ok(Differs::Now(Box::new(Difference { en: en.join("; "), ja: ja.join("、"), evidence })))
    }

    /// The value of the site's own component, else the top site's.
    fn wanted<'a>(&self, scene: &Scene<'a>) -> Result<(&'a Site, BTreeSet<String>), Text> {
        let of = |site: &'a Site| {
            let component = site.settings()?.component.value()?;
            // An empty list at a child means that it has none of its own: filters belong to the top site.
            let wanted = (self.of_component)(component)?;
            (!wanted.is_empty() || scene.hierarchy.parent(site.code) == Parent::Top).then_some((site, wanted))
        };
        let path = format!("component.{}", self.field);
        if let Some(own) = of(scene.site) {
            return Ok(own);
        }
        let Some(top) = scene.hierarchy.top_of(scene.site.code).and_then(|top| scene.hierarchy.site(top)) else {
            return Err(no_setting(scene.site.code, &path));
        };
        // Each site chooses its own update file languages.
        if self.field == "languages" && top.code != scene.site.code {
            return Err(no_setting(scene.site.code, &path));
        }
        of(top).ok_or_else(|| if top.settings().is_none() { no_settings(top.code) } else { no_setting(top.code, &path) })
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn top(change: impl Fn(&mut Value)) -> Value {
        let mut settings = healthy("cen", None);
        settings["component"] = json!({"languages": ["en"], "summary_languages": ["ja"],
            "classifications": ["Security Updates"], "products": ["Windows Server 2019"]});
        change(&mut settings);
        settings
    }

    #[track_caller]
    fn check(expected: &str, change: impl Fn(&mut Value)) {
        World::new().central("CEN").settings("CEN", top(change)).check("filter-drift", expected);
    }

    #[test]
    fn empty_lists_at_a_child_are_none_of_its_own() {
        let (mut above, mut own) = (healthy("cen", None), healthy("p01", Some("cen")));
        for (filter, value) in [("classifications", "Security Updates"), ("products", "Windows Server 2019")] {
            above["component"][filter] = json!([value]);
            own["component"][filter] = json!([]);
        }
        for settings in [&mut above, &mut own] {
            settings["component"]["languages"] = json!(["en-US", "ja"]);
        }
        let world = World::new().central("CEN").primary("P01", "CEN").settings("CEN", above).settings("P01", own);
        world.check("filter-drift", "CEN pass, P01 pass");
    }

    #[test]
    fn what_the_component_says_passes_and_more_or_less_fails() {
        check("CEN pass", |_| {});
        check("CEN fail", |settings| settings["wsus"][0]["languages"] = json!(["en", "ja", "de"]));
        check("CEN fail", |settings| settings["wsus"][0]["all_languages"] = json!(true));
        check("CEN fail", |settings| settings["wsus"][0]["products"] = json!([]));
        check("", |settings| settings["wsus"][0]["is_replica"] = json!(true));
        check("CEN unknown", |settings| settings["component"]["products"] = Value::Null);
    }

    #[test]
    fn a_child_without_filters_of_its_own_is_measured_by_the_top_site() {
        let mut child = healthy("p01", Some("cen"));
        child["component"]["languages"] = json!(["en"]);
        child["wsus"][0]["classifications"] = json!(["Security Updates", "Drivers"]);
        let world = World::new().central("CEN").primary("P01", "CEN").settings("CEN", top(|_| {})).settings("P01", child);
        let failure = world.failure("filter-drift", "P01");
        assert!(failure.summary.en.contains("classifications too many: Drivers"), "{}", failure.summary.en);
    }

    #[test]
    fn it_says_when_wcm_puts_it_back() {
        let drifted = top(|settings| settings["wsus"][0]["products"] = json!([]));
        let world = World::new()
            .central("CEN")
            .settings("CEN", drifted)
            .wcm("CEN", &["Verify Upstream Server settings on the Active WSUS Server"]);
        let summary = world.later_minutes(-30).failure("filter-drift", "CEN").summary.en;
        assert!(summary.contains("WCM puts it back at about 05:00 UTC"), "{summary}");
    }

    #[test]
    fn a_childs_wsus_has_the_top_sites_summary_languages_too() {
        let mut child = healthy("p01", Some("cen"));
        child["component"] = json!({"languages": ["en"]});
        let above = top(|_| {});
        let world = World::new().central("CEN").primary("P01", "CEN").settings("CEN", above).settings("P01", child);
        world.check("filter-drift", "CEN pass, P01 pass");
    }
}
