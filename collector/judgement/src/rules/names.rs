//! Lists of languages, classifications and products, compared by identity under any of their names.

use std::collections::BTreeSet;

use super::categories;
use crate::hierarchy::Site;

/// A list of names as a set of normalised names, with their original spelling.
pub(crate) struct Names<'a> {
    pub(super) names: Vec<&'a str>,
    /// Further identities of each name: an id, or a language.
    ids: Vec<Option<String>>,
    /// The site the titles come from, if their language limits the comparison.
    site: Option<&'a Site>,
}

impl<'a> Names<'a> {
    /// Languages, by normalised tag.
    pub(super) fn languages(list: &'a [String]) -> Names<'a> {
        Names::with(list, |tag| Some(categories::language(tag)), None)
    }

    /// Classifications or products, by the ids that their site reports and the fixed ones.
    pub(super) fn categories(list: &'a [String], site: &'a Site) -> Names<'a> {
        let reported = site.settings().and_then(|settings| settings.category_ids.value());
        Names::with(list, |title| categories::id(title, reported), Some(site))
    }

    /// Either kind, by the name of the field.
    pub(crate) fn of_field(list: &'a [String], site: &'a Site, field: &str) -> Names<'a> {
        if field == "languages" { Names::languages(list) } else { Names::categories(list, site) }
    }

    fn with(list: &'a [String], id: impl Fn(&str) -> Option<String>, site: Option<&'a Site>) -> Names<'a> {
        let names: Vec<&str> = list.iter().map(String::as_str).collect();
        let ids = names.iter().map(|name| id(name)).collect();
        Names { names, ids, site }
    }

    fn each(&self) -> impl Iterator<Item = (&'a str, Option<&String>)> {
        self.names.iter().copied().zip(self.ids.iter().map(Option::as_ref))
    }

    /// Compares by id if both have one, else by name.
    fn has(&self, name: &str, id: Option<&String>) -> bool {
        self.each().any(|(own, own_id)| match (own_id, id) {
            (Some(own_id), Some(id)) => own_id == id,
            _ => own.to_lowercase() == name.to_lowercase(),
        })
    }

    /// Names here that are certainly not there.
    pub(crate) fn without(&self, other: &Names<'_>) -> Vec<&'a str> {
        let missing: BTreeSet<&str> = self.absent_in(other).map(|(name, _)| name).collect();
        missing.into_iter().collect()
    }

    /// The same, each with what it compares as: its id if it has one.
    pub(crate) fn keys_without(&self, other: &Names<'_>) -> Vec<(String, &'a str)> {
        self.absent_in(other).map(|(name, id)| (id.cloned().unwrap_or_else(|| name.to_lowercase()), name)).collect()
    }

    fn absent_in(&self, other: &Names<'_>) -> impl Iterator<Item = (&'a str, Option<&String>)> {
        self.each().filter(|(name, id)| !other.has(name, *id) && self.is_certain(name, *id, other))
    }

    /// Whether an absent name is certain to be absent under any other name too. An id without a title, or a title in another
    /// language, is not.
    fn is_certain(&self, name: &str, id: Option<&String>, other: &Names<'_>) -> bool {
        let titled = |name: &str| !categories::is_id(name);
        // The language is determined only if something differs, which is rare.
        let comparable = titled(name) && self.language() == other.language();
        other.each().all(|(there, other_id)| (id.is_some() && other_id.is_some()) || (comparable && titled(there)))
    }

    fn language(&self) -> Option<&'static str> {
        self.site.and_then(categories::language_of_site)
    }

    /// Whether nothing certainly differs, but something may: titles in different languages, and ids without titles.
    pub(super) fn are_in_doubt(&self, other: &Names<'_>) -> bool {
        let doubted = |one: &Names<'_>, other: &Names<'_>| {
            one.each().any(|(name, id)| !other.has(name, id) && !one.is_certain(name, id, other))
        };
        (doubted(self, other) || doubted(other, self)) && self.without(other).is_empty() && other.without(self).is_empty()
    }
}
