//! The known settings of a site → the view that queries return.

use jiff::{SignedDuration, Timestamp};
use supwatch_model::describe::Generation;
use supwatch_model::history::{FieldOrigin, SettingsView};
use supwatch_model::text::Text;

use crate::hierarchy::{Hierarchy, Parent, Site};
use crate::settings::undone;

/// How often WCM checks WSUS.
const WCM_EVERY: SignedDuration = SignedDuration::from_mins(60);

/// The settings of a site, with their history and what WCM will do about them.
pub fn view(hierarchy: &Hierarchy, site: &Site, now: Timestamp) -> SettingsView {
    let merged = site.merged();
    let origins = merged.map(|merged| &merged.origins).into_iter().flatten().map(|(path, origin)| FieldOrigin {
        path: path.clone(),
        source: origin.source.clone(),
        taken_at: origin.taken_at,
        since: origin.since,
    });
    let next = site.configured.wcm_checked_at().and_then(|at| at.checked_add(WCM_EVERY).ok()).filter(|at| *at > now);
    let mut notes = Vec::new();
    if let Some(next) = next {
        let at = next.strftime("%Y-%m-%d %H:%M UTC");
        notes.push(Text::new(
            format!("WCM looks at WSUS again at about {at} and puts back what was changed in the WSUS console"),
            format!("WCM は {at} ごろに再び WSUS を確認し、WSUS コンソールでの変更を元に戻します"),
        ));
    }
    if merged.is_some() && hierarchy.parent(site.code) == Parent::Top {
        let always = hierarchy.generation(site.code) == Some(Generation::Cm2007);
        notes.push(if always {
            Text::new(
                "the update source of the top site's WSUS is set once, when its SUP is made; WCM never puts it back",
                "最上位サイトの WSUS の更新ソースはソフトウェアの更新ポイントの作成時に一度だけ構成され、WCM は元に戻しません",
            )
        } else {
            Text::new(
                "do not count on WCM to put back the update source of the top site's WSUS (2007 never does)",
                "最上位サイトの WSUS の更新ソースが WCM によって元に戻されるとは限りません (2007 では戻されません)",
            )
        });
    }
    SettingsView {
        site: site.code,
        settings: merged.map(|merged| merged.raw.clone()),
        origins: origins.collect(),
        changes: site.configured.changes().to_vec(),
        undone: undone(&site.configured),
        wcm_looks_at: next,
        notes,
    }
}
