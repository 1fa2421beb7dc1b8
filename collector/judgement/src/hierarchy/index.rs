//! Indexes of parents, children and server names, updated one site at a time, so that no query about one site scans all of
//! them.

use std::collections::{BTreeMap, BTreeSet};

use supwatch_model::ids::SiteCode;

/// Parents, children and server names of all sites.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    parents: BTreeMap<SiteCode, Option<SiteCode>>,
    children: BTreeMap<SiteCode, BTreeSet<SiteCode>>,
    tops: BTreeSet<SiteCode>,
    /// First labels of each site's servers, and of the upstream servers its WSUS servers use.
    names: BTreeMap<SiteCode, (BTreeSet<String>, BTreeSet<String>)>,
    named: BTreeMap<String, BTreeSet<SiteCode>>,
    asked: BTreeMap<String, BTreeSet<SiteCode>>,
}

/// Names belong to the same server only if their first labels are equal.
fn label(name: &str) -> String {
    name.split('.').next().unwrap_or(name).to_lowercase()
}

impl Index {
    /// Puts a site below a parent, at the top, or nowhere. Marks the sites whose path to the top, or whose top, changes.
    pub fn place(&mut self, code: SiteCode, parent: Option<SiteCode>, top: bool, touched: &mut BTreeSet<SiteCode>) {
        let was_top = self.tops.contains(&code);
        let known = self.parents.insert(code, parent);
        if known == Some(parent) && was_top == top {
            return;
        }
        if let Some(Some(old)) = known {
            touched.insert(old);
            if let Some(children) = self.children.get_mut(&old) {
                children.remove(&code);
            }
        }
        if let Some(parent) = parent {
            touched.insert(parent);
            self.children.entry(parent).or_default().insert(code);
        }
        if was_top != top {
            // With two top sites, both are at fault.
            if top {
                self.tops.insert(code)
            } else {
                self.tops.remove(&code)
            };
            touched.extend(&self.tops);
        }
        touched.insert(code);
        self.below(code, touched);
    }

    /// All sites below a site.
    pub fn below(&self, code: SiteCode, found: &mut BTreeSet<SiteCode>) {
        let mut open: Vec<SiteCode> = self.children(code).collect();
        let mut seen = BTreeSet::from([code]);
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                found.insert(next);
                open.extend(self.children(next));
            }
        }
    }

    /// Direct children of a site.
    pub fn children(&self, code: SiteCode) -> impl Iterator<Item = SiteCode> + '_ {
        self.children.get(&code).into_iter().flatten().copied()
    }

    /// Sites at the top.
    pub fn tops(&self) -> &BTreeSet<SiteCode> {
        &self.tops
    }

    /// Updates the names of a site's servers and of its upstream servers. Marks the sites that refer to an added or removed name.
    pub fn rename(&mut self, code: SiteCode, names: BTreeSet<String>, asks: BTreeSet<String>, touched: &mut BTreeSet<SiteCode>) {
        let labels = |names: BTreeSet<String>| names.iter().map(|name| label(name)).collect::<BTreeSet<String>>();
        let next = (labels(names), labels(asks));
        let known = self.names.insert(code, next.clone()).unwrap_or_default();
        for name in known.0.symmetric_difference(&next.0) {
            touched.extend(self.asked.get(name).into_iter().flatten());
        }
        keep(&mut self.named, code, &known.0, &next.0);
        keep(&mut self.asked, code, &known.1, &next.1);
    }

    /// Sites with a server that has the same first label.
    pub fn named(&self, name: &str) -> impl Iterator<Item = SiteCode> + '_ {
        self.named.get(&label(name)).into_iter().flatten().copied()
    }
}

fn keep(map: &mut BTreeMap<String, BTreeSet<SiteCode>>, code: SiteCode, old: &BTreeSet<String>, new: &BTreeSet<String>) {
    for gone in old.difference(new) {
        if let Some(sites) = map.get_mut(gone) {
            sites.remove(&code);
            if sites.is_empty() {
                map.remove(gone);
            }
        }
    }
    for added in new.difference(old) {
        map.entry(added.clone()).or_default().insert(code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> SiteCode {
        text.parse().expect("code")
    }

    #[test]
    fn moving_a_site_touches_both_parents_and_everybody_below() {
        let mut index = Index::default();
        let mut none = BTreeSet::new();
        index.place(code("CEN"), None, true, &mut none);
        index.place(code("P01"), Some(code("CEN")), false, &mut none);
        index.place(code("P02"), Some(code("CEN")), false, &mut none);
        index.place(code("S01"), Some(code("P01")), false, &mut none);
        let mut touched = BTreeSet::new();
        index.place(code("S01"), Some(code("P01")), false, &mut touched);
        assert!(touched.is_empty(), "nothing changed");
        index.place(code("P01"), Some(code("P02")), false, &mut touched);
        assert_eq!(touched, ["CEN", "P01", "P02", "S01"].map(code).into());
        assert_eq!(index.children(code("CEN")).collect::<Vec<_>>(), [code("P02")]);
    }

    #[test]
    fn a_name_that_comes_touches_who_asks_for_it() {
        let mut index = Index::default();
        let mut touched = BTreeSet::new();
        index.rename(code("P01"), BTreeSet::new(), ["SUP1.corp.example".to_owned()].into(), &mut touched);
        assert!(touched.is_empty());
        index.rename(code("CEN"), ["sup1".to_owned()].into(), BTreeSet::new(), &mut touched);
        assert_eq!(touched, [code("P01")].into());
        assert_eq!(index.named("sup1.other.example").collect::<Vec<_>>(), [code("CEN")]);
    }
}
