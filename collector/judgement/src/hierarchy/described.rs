//! What is known of a site's type, generation, mode, server and parent, each from the best source that reports it.
//!
//! What an agent reports about its own site wins over `hierarchy.toml`, then comes what the provider of a site reports; what logs
//! merely imply (a notification names parent and child) comes last.

use supwatch_model::describe::{Generation, SiteDescription, SiteMode, SiteType};
use supwatch_model::ids::SiteCode;

use super::{Hierarchy, Parent};

impl Hierarchy {
    fn expected_site(&self, code: SiteCode) -> Option<&SiteDescription> {
        self.expected_sites.get(&code)
    }

    /// What agents, then `hierarchy.toml`, then a site's provider report about a site.
    fn described<'a, T>(&'a self, code: SiteCode, read: impl Fn(&'a SiteDescription) -> Option<T>) -> Option<T> {
        let reported = self.site(code).into_iter().flat_map(|site| site.descriptions.values());
        reported
            .chain(self.expected_site(code))
            .chain(self.site(code).and_then(|site| site.provider_description.as_ref()))
            .find_map(read)
    }

    /// Its type.
    pub fn site_type(&self, code: SiteCode) -> Option<SiteType> {
        self.described(code, |description| description.site_type)
    }

    /// Its generation.
    pub fn generation(&self, code: SiteCode) -> Option<Generation> {
        self.described(code, |description| description.generation)
            .or(self.expected.generation)
            .or_else(|| self.site(code)?.implied_generation)
    }

    /// Its security mode, on 2007.
    pub fn mode(&self, code: SiteCode) -> Option<SiteMode> {
        self.described(code, |description| description.mode)
    }

    /// Its site server.
    pub fn server(&self, code: SiteCode) -> Option<&str> {
        self.described(code, |description| description.server.as_deref())
    }

    /// Its place in the hierarchy. A site whose logs show a parent is below it; a central site, or one that synchronises on its
    /// own schedule, is at the top. Nothing else is guessed.
    pub fn parent(&self, code: SiteCode) -> Parent {
        match self.described(code, |description| description.parent) {
            Some(Some(parent)) => Parent::Of(parent),
            Some(None) => Parent::Top,
            None => match self.site(code).and_then(|site| site.implied_parent) {
                Some(parent) => Parent::Of(parent),
                None if self.site_type(code) == Some(SiteType::Central) => Parent::Top,
                None if self.is_scheduled(code) => Parent::Top,
                None => Parent::Unknown,
            },
        }
    }

    /// Whether the site synchronises on its own schedule and is not known to be a secondary site.
    fn is_scheduled(&self, code: SiteCode) -> bool {
        self.site(code).is_some_and(|site| site.scheduled) && self.site_type(code) != Some(SiteType::Secondary)
    }

    /// The top site above a site; `None` if the path is unknown or loops.
    pub fn top_of(&self, code: SiteCode) -> Option<SiteCode> {
        let mut at = code;
        for _ in 0..=self.sites.len() {
            match self.parent(at) {
                Parent::Top => return Some(at),
                Parent::Of(parent) => at = parent,
                Parent::Unknown => return None,
            }
        }
        None
    }
}
