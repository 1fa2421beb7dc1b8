//! The sites that a site's SMS Provider lists: used where no other source describes them.

use std::collections::BTreeSet;

use supwatch_model::describe::{SiteDescription, SiteType};
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::{Known, ListedSite};

use super::{Hierarchy, Site};

impl Hierarchy {
    /// A site's provider knows the sites below it, including those without an agent.
    pub(super) fn list(&mut self, code: SiteCode, touched: &mut BTreeSet<SiteCode>) {
        let rows = self.site(code).and_then(|site| site.settings()?.sites.value()).into_iter().flatten();
        let described = |row: &ListedSite| {
            let site_type = match row.type_number.value()? {
                1 => SiteType::Secondary,
                2 => SiteType::Primary,
                4 => SiteType::Central,
                _ => return None,
            };
            let parent = match &row.parent {
                Known::Unknown => None,
                Known::None => Some(None),
                Known::Some(parent) => Some(Some(*parent)),
            };
            let server = row.server.value().cloned();
            let description = SiteDescription { site_type: Some(site_type), parent, server, ..SiteDescription::default() };
            Some((*row.site.value()?, description))
        };
        let listed: Vec<(SiteCode, SiteDescription)> = rows.filter_map(described).collect();
        for (known, description) in listed {
            let site = self.sites.entry(known).or_insert_with(|| Site::new(known));
            if site.provider_description.as_ref() == Some(&description) {
                continue;
            }
            site.provider_description = Some(description);
            touched.insert(known);
            touched.extend(self.index.children(known));
            self.place(known, touched);
            self.rename(known, touched);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use supwatch_model::describe::SiteType;

    use crate::hierarchy::Parent;
    use crate::rules::testing::{World, healthy};

    #[test]
    fn one_dump_at_the_top_makes_every_site_known() {
        let mut settings = healthy("cen", None);
        settings["sites"] = json!([
            {"site": "CEN", "parent": null, "type_number": 4},
            {"site": "P01", "parent": "CEN", "type_number": 2, "server": "p01.corp.example"},
            {"site": "S01", "parent": "P01", "type_number": 1},
            {"site": "X01", "parent": "CEN", "type_number": 9},
        ]);
        let world = World::new().settings("CEN", settings);
        let known = |code: &str| {
            let code = code.parse().expect("code");
            (world.hierarchy().site_type(code), world.hierarchy().parent(code))
        };
        let of = |code: &str| Parent::Of(code.parse().expect("code"));
        assert_eq!(known("CEN"), (Some(SiteType::Central), Parent::Top));
        assert_eq!(known("P01"), (Some(SiteType::Primary), of("CEN")));
        assert_eq!(known("S01"), (Some(SiteType::Secondary), of("P01")));
        assert_eq!(known("X01"), (None, Parent::Unknown));
        // What an agent reports about its own site takes precedence.
        let moved = world.clone().primary("P01", "NEW");
        assert_eq!(moved.hierarchy().parent("P01".parse().expect("code")), of("NEW"));
    }

    #[test]
    fn a_database_phase_of_its_own_shows_the_top() {
        let phase = "STATMSG: ID=6705 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=p01.corp.example SITE=P01 PID=1 TID=2 GMTDATE=Sun Mar 01 04:00:02.000 2026 ISTR0=\"\" NUMATTRS=0";
        let code = "P01".parse().expect("code");
        let world = World::new().untold("P01");
        assert_eq!(world.hierarchy().parent(code), Parent::Unknown);
        assert_eq!(world.log("P01", &[phase]).hierarchy().parent(code), Parent::Top);
    }
}
