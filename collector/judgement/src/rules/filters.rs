//! Shared by the rules about languages, classifications and products: compares the WSUS of a child with what its parent's WSUS
//! provides, ignoring order and case.

use serde_json::json;
use supwatch_model::describe::SiteType;
use supwatch_model::settings::{Known, Wsus};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

use super::names::Names;
use super::{Failure, Judged, Scene, expected, no_parent, no_setting, no_settings, setting};
use crate::hierarchy::{Parent, Site};

/// Data that would show whether different names mean the same.
pub(super) fn no_ids(what: &str, one: &Site, other: &Site) -> Text {
    let (one, other) = (one.code, other.code);
    Text::new(
        format!(
            "the ids of the {what} of {one} and {other}, since their names cannot be compared: Get-SyncSettings.ps1 tells them"
        ),
        format!("{one} と {other} の {what} の ID (名前では比較できません)。Get-SyncSettings.ps1 で取得できます"),
    )
}

/// One edge of the hierarchy: a child and its parent, both with the WSUS of their first SUP.
pub(super) struct Edge<'a> {
    pub parent: &'a Site,
    pub own: &'a Wsus,
    pub above: Option<&'a Wsus>,
}

/// The edge above a site; the verdict if it cannot be compared; nothing if the rule does not concern the site.
pub(super) fn edge<'a>(scene: &Scene<'a>, looked_at: &[&'static str]) -> Result<Edge<'a>, Option<Judged>> {
    let site = scene.site;
    let unknown = |missing| Err(Some(Judged::unknown(looked_at, vec![missing])));
    let parent = match scene.hierarchy.parent(site.code) {
        Parent::Top => return Err(None),
        Parent::Unknown => return unknown(no_parent(site.code)),
        Parent::Of(parent) => parent,
    };
    let secondary = scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary);
    let settings = match scene.settings() {
        Ok(_) if site.has_no_sup() => return Err(None),
        Ok(settings) => settings,
        Err(_) if secondary => return Err(None),
        Err(missing) => return unknown(missing),
    };
    let own = match settings.first_sup().and_then(|sup| settings.wsus_of(sup)) {
        Some(own) => own,
        None => return unknown(no_setting(site.code, "wsus[first]")),
    };
    let Some(parent_site) = scene.hierarchy.site(parent) else { return unknown(no_settings(parent)) };
    Ok(Edge { parent: parent_site, own, above: parent_site.first_wsus() })
}

/// Compares one filter of a child with its parent's; a difference in either direction fails. A replica has whatever its upstream
/// has.
pub(super) fn compare(scene: &Scene<'_>, what: &Filter) -> Vec<Judged> {
    let looked_at = &[what.path];
    let edge = match edge(scene, looked_at) {
        Ok(edge) => edge,
        Err(verdict) => return verdict.into_iter().collect(),
    };
    let (site, parent) = (scene.site, edge.parent);
    match edge.own.is_replica {
        Known::Some(true) => return Vec::new(),
        Known::Some(false) => {}
        Known::Unknown | Known::None => {
            return vec![Judged::unknown(looked_at, vec![no_setting(site.code, "wsus[first].is_replica")])];
        }
    }
    let (own, above) = ((what.read)(edge.own), edge.above.and_then(what.read));
    let (Some(own), Some(above)) = (own, above) else {
        let lacking = if own.is_none() { site } else { parent };
        let missing = if lacking.settings().is_none() { no_settings(lacking.code) } else { no_setting(lacking.code, what.path) };
        return vec![Judged::unknown(looked_at, vec![missing])];
    };
    if own == above {
        return vec![Judged::pass(looked_at)];
    }
    let (own, above) = (Names::categories(own, site), Names::categories(above, parent));
    if own.are_in_doubt(&above) {
        return vec![Judged::unknown(looked_at, vec![no_ids(what.field(), site, parent)])];
    }
    let may = |name: &&str| !scene.limits.may_differ(what.rule, site.code, name, scene.now);
    let extra: Vec<&str> = own.without(&above).into_iter().filter(may).collect();
    let missing: Vec<&str> = above.without(&own).into_iter().filter(may).collect();
    if extra.is_empty() && missing.is_empty() {
        return vec![Judged::pass(looked_at)];
    }
    let top = scene.hierarchy.top_of(site.code).and_then(|top| scene.hierarchy.site(top));
    let turn = top.map(|top| expected::turn(scene, top, what.field())).unwrap_or_default();
    let on_its_way = |name: &&str| turn.has(name);
    let (coming_off, extra): (Vec<&str>, Vec<&str>) = extra.into_iter().partition(on_its_way);
    let (coming, missing): (Vec<&str>, Vec<&str>) = missing.into_iter().partition(on_its_way);
    if extra.is_empty() && missing.is_empty() {
        let expected = turn.expectation(scene, &coming, &coming_off);
        return expected.map(|expected| Judged::expected(looked_at, expected)).into_iter().collect();
    }
    let (mut en, mut ja) = (Vec::new(), Vec::new());
    if !missing.is_empty() {
        en.push(format!("lacks {}", missing.join(", ")));
        ja.push(format!("不足: {}", missing.join(", ")));
    }
    if !extra.is_empty() {
        en.push(format!("has {} too many", extra.join(", ")));
        ja.push(format!("余分: {}", extra.join(", ")));
    }
    let summary = Text::new(
        format!("{} differ between {} and its parent {}: {} {}", what.name.0, site.code, parent.code, site.code, en.join(" and ")),
        format!("{} と親サイト {} の{}が異なります ({})", site.code, parent.code, what.name.1, ja.join("、")),
    );
    let failure = Failure::new(Severity::Warning, summary)
        .shown_by([setting(site, what.path, json!(own.names)), setting(parent, what.path, json!(above.names))]);
    vec![Judged::fail(looked_at, failure)]
}

/// One kind of filter.
pub(super) struct Filter {
    pub rule: &'static str,
    /// Its path in a site's settings, under the WSUS of the first SUP.
    pub path: &'static str,
    pub name: (&'static str, &'static str),
    pub read: fn(&Wsus) -> Option<&[String]>,
}

impl Filter {
    /// The field of a WSUS and of a component.
    fn field(&self) -> &'static str {
        self.path.trim_start_matches("wsus[first].")
    }
}
