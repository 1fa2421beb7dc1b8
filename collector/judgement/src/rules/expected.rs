//! A proper change at the top reaches the sites below at WCM's next check. Until then the difference is expected.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;

use super::names::Names;
use super::{Expected, Scene};
use crate::hierarchy::Site;

/// How often WCM reverts other settings.
pub(super) const WCM_EVERY: SignedDuration = SignedDuration::from_mins(60);
/// Allowance for the time WCM takes, and for clock differences.
const SLACK: SignedDuration = SignedDuration::from_mins(5);
/// How often an agent takes a settings snapshot: the next one shows what WCM did.
const SNAPSHOT_EVERY: SignedDuration = SignedDuration::from_mins(60);
/// An older change has already arrived, or never will.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);

/// A recent change above a site that has not reached it yet.
#[derive(Debug, Default)]
pub(super) struct Turn {
    names: BTreeSet<String>,
    owner: Option<SiteCode>,
    by: Option<Timestamp>,
}

/// Names of a field that changed recently in the component of `owner`; `field` is a field of the component. If no source reports
/// the component, those of the WSUS of its first SUP.
pub(super) fn turn(scene: &Scene<'_>, owner: &Site, field: &str) -> Turn {
    let component = format!("component.{field}");
    let reported = owner.merged().is_some_and(|merged| merged.origin(&component).is_some());
    let wsus = owner.first_sup().and_then(|sup| sup.server.value()).map(|server| format!("wsus[{server}].{field}"));
    let path = if reported { component } else { wsus.unwrap_or_default() };
    let mut turn = Turn::default();
    for change in owner.configured.changes().iter().rev().filter(|change| change.path == path) {
        let Some(changed_at) = change.seen_at.filter(|at| *at <= scene.now && scene.now.duration_since(*at) <= OLDEST) else {
            continue;
        };
        let Some(by) = due(scene, changed_at, field).filter(|by| *by > scene.now) else { continue };
        let list = |value: &Option<Value>| -> Vec<String> {
            value.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (before, after) = (list(&change.before), list(&change.after));
        let names = |list| Names::of_field(list, owner, field.trim_start_matches("summary_"));
        let (before, after) = (names(&before), names(&after));
        turn.names.extend(before.without(&after).into_iter().chain(after.without(&before)).map(str::to_lowercase));
        turn.by = turn.by.max(Some(by));
        turn.owner = Some(owner.code);
    }
    turn
}

/// Time until which a site may lack a change made above it: WCM's next check, and the next snapshot that shows it.
fn due(scene: &Scene<'_>, changed_at: Timestamp, field: &str) -> Option<Timestamp> {
    let site = scene.site;
    let after = |at: Timestamp, wait: SignedDuration| at.checked_add(wait).ok();
    let next = match site.configured.wcm_checked_at() {
        Some(looked) if looked >= changed_at => looked,
        Some(looked) => after(looked, WCM_EVERY).filter(|next| *next >= changed_at).or_else(|| after(changed_at, WCM_EVERY))?,
        None => after(changed_at, WCM_EVERY)?,
    };
    let turn = after(next, SLACK)?;
    let path = format!("wsus[first].{}", field.trim_start_matches("summary_"));
    let taken = site.merged().and_then(|merged| merged.origin(&path)).and_then(|origin| origin.taken_at);
    // Where an agent reports, the next snapshot shows what WCM did.
    if scene.live && taken.is_none_or(|taken| taken < turn) { after(turn, SNAPSHOT_EVERY) } else { Some(turn) }
}

impl Turn {
    /// Whether a difference in this name is still being propagated.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(&name.to_lowercase())
    }

    /// Combines two changes.
    pub(super) fn and(mut self, other: Turn) -> Turn {
        self.names.extend(other.names);
        self.by = self.by.max(other.by);
        self.owner = self.owner.or(other.owner);
        self
    }

    /// Changes in transit: names the site will get, and names it will lose.
    pub(super) fn expectation(&self, scene: &Scene<'_>, lacking: &[&str], extra: &[&str]) -> Option<Expected> {
        let by = self.by.filter(|_| !(lacking.is_empty() && extra.is_empty()))?;
        let (code, at) = (scene.site.code, by.strftime("%H:%M UTC"));
        let (mut en, mut ja) = (Vec::new(), Vec::new());
        if !lacking.is_empty() {
            en.push(format!("to have {}", lacking.join(", ")));
            ja.push(format!("{} が反映される", lacking.join(", ")));
        }
        if !extra.is_empty() {
            en.push(format!("to drop {}", extra.join(", ")));
            ja.push(format!("{} が外れる", extra.join(", ")));
        }
        let from = self.owner.map(|owner| owner.to_string()).unwrap_or_default();
        Some(Expected {
            by,
            text: Text::new(
                format!(
                    "{code} is expected {} by {at}: it was changed at {from}, and WCM of {code} looks every 60 minutes",
                    en.join(" and ")
                ),
                format!(
                    "{code} には {at} までに {}見込みです ({from} で変更され、{code} の WCM は 60 分ごとに確認します)",
                    ja.join("、")
                ),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    const OLD: &[&str] = &["Windows Server 2019"];
    const NEW: &[&str] = &["Windows Server 2019", "Windows 11"];

    fn settings(code: &str, parent: Option<&str>, taken_at: &str, component: &[&str], wsus: &[&str]) -> Value {
        let mut settings = healthy(code, parent);
        settings["taken_at"] = json!(taken_at);
        settings["component"]["products"] = json!(component);
        settings["component"]["classifications"] = json!(["Security Updates"]);
        settings["component"]["languages"] = json!(["en", "ja"]);
        settings["wsus"][0]["products"] = json!(wsus);
        settings
    }

    /// The products at the top change between 04:00 and 04:35; the site below was last seen at 04:50, and its WCM last checked at
    /// 04:20.
    fn world(component: &[&str], wsus: &[&str], below: &[&str]) -> World {
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("CEN", settings("cen", None, "2026-03-01T04:00:00Z", OLD, OLD))
            .settings("CEN", settings("cen", None, "2026-03-01T04:35:00Z", component, wsus))
            .settings("P01", settings("p01", Some("cen"), "2026-03-01T04:50:00Z", OLD, below))
            .pause_minutes(20)
            .wcm("P01", &["Verify Upstream Server settings on the Active WSUS Server"])
    }

    #[test]
    fn a_product_chosen_properly_is_expected_until_wcm_had_its_turn() {
        let world = world(NEW, NEW, OLD);
        world.clone().check("product-mismatch", "P01 unknown");
        let missing = world.clone().missing("product-mismatch", "P01");
        assert!(missing[0].en.starts_with("P01 is expected to have Windows 11 by 05:25 UTC"), "{missing:?}");
        world.clone().later_minutes(24).check("product-mismatch", "P01 unknown");
        world.later_minutes(26).check("product-mismatch", "P01 fail");
    }

    #[test]
    fn a_product_taken_away_properly_is_expected_to_go() {
        world(&[], &[], OLD).check("product-mismatch", "P01 unknown");
        world(&[], OLD, OLD).check("filter-drift", "CEN unknown, P01 pass");
    }

    #[test]
    fn what_was_ticked_in_a_wsus_console_is_a_finding_at_once() {
        world(OLD, NEW, OLD).check("filter-drift", "CEN fail, P01 pass");
        world(OLD, NEW, OLD).check("product-mismatch", "P01 fail");
        world(NEW, NEW, &["Windows Server 2019", "Office 2019"]).check("product-mismatch", "P01 fail");
    }

    #[test]
    fn a_look_of_wcm_after_the_change_was_its_turn() {
        let looked = world(NEW, NEW, OLD).wcm("P01", &["Verify Upstream Server settings on the Active WSUS Server"; 20]);
        looked.check("product-mismatch", "P01 fail");
    }
}
