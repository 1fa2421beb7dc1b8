//! Shared by the rules about single software update points: iterates over them, and names what is missing.

use jiff::Timestamp;
use serde_json::Value;
use supwatch_model::describe::SiteType;
use supwatch_model::finding::Evidence;
use supwatch_model::settings::{Settings, Sup, Wsus};
use supwatch_model::text::Text;

use super::{Judged, Outcome, Scene, name_of, no_setting, setting};

/// One software update point of the site, with the WSUS behind it.
pub(super) struct Point<'a> {
    pub scene: &'a Scene<'a>,
    pub settings: &'a Settings,
    pub sup: &'a Sup,
    pub wsus: Option<&'a Wsus>,
    pub first: bool,
    pub name: &'a str,
}

/// Judges each software update point; a secondary site without a report of one gets no verdict, since it need not have one.
pub(super) fn each<'a>(scene: &'a Scene<'a>, judge: impl Fn(&Point<'a>) -> Option<Judged>) -> Vec<Judged> {
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(_) if scene.hierarchy.site_type(scene.site.code) == Some(SiteType::Secondary) => return Vec::new(),
        Err(missing) => return vec![Judged::usual(Outcome::Unknown(vec![missing]))],
    };
    let Some(sups) = settings.sups.value() else {
        if scene.site.has_no_sup() {
            return Vec::new();
        }
        return vec![Judged::usual(Outcome::Unknown(vec![no_setting(scene.site.code, "sups")]))];
    };
    let point = |sup: &'a Sup| Point {
        scene,
        settings,
        sup,
        wsus: settings.wsus_of(sup),
        first: settings.first_sup() == Some(sup),
        name: name_of(sup),
    };
    sups.iter().filter_map(|sup| judge(&point(sup)).map(|judged| judged.of(name_of(sup)))).collect()
}

impl Point<'_> {
    /// A missing field of the SUP.
    pub fn no_sup(&self, field: &str) -> Text {
        no_setting(self.scene.site.code, &format!("sups[{}].{field}", self.name))
    }

    /// A missing field of its WSUS.
    pub fn no_wsus(&self, field: &str) -> Text {
        no_setting(self.scene.site.code, &format!("wsus[{}].{field}", self.name))
    }

    /// A field of the SUP as evidence.
    pub fn sup_says(&self, field: &str, value: impl Into<Value>) -> Evidence {
        setting(self.scene.site, format!("sups[{}].{field}", self.name), value)
    }

    /// A field of its WSUS as evidence.
    pub fn wsus_says(&self, field: &str, value: impl Into<Value>) -> Evidence {
        setting(self.scene.site, format!("wsus[{}].{field}", self.name), value)
    }

    /// When a field of its WSUS was last known.
    pub fn wsus_reported_at(&self, field: &str) -> Option<Timestamp> {
        self.scene.site.merged()?.origin(&format!("wsus[{}].{field}", self.name))?.taken_at
    }

    /// `SUP sup1.corp.example of P01`
    pub fn called(&self) -> Text {
        let code = self.scene.site.code;
        Text::new(format!("SUP {} of {code}", self.name), format!("{code} のソフトウェアの更新ポイント {}", self.name))
    }
}
