//! The article's sections: a heading, exact or similar, in either language → its advice.

use std::sync::OnceLock;

use serde::Deserialize;
use supwatch_model::text::Text;

use super::localized::letters;
use super::table;

/// One section.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its heading.
    pub heading: Text,
    /// Other wordings, and its subheadings.
    #[serde(default)]
    pub also: Vec<String>,
    /// The catalogue entry that has its advice.
    pub cause: Option<String>,
    /// Its meaning, if no entry has it.
    #[serde(default)]
    pub text: Text,
    /// Its advice, likewise.
    #[serde(default)]
    pub points: Vec<Text>,
}

#[derive(Default, Deserialize)]
struct File {
    section: Vec<Section>,
}

/// Every section, in the article's order.
pub fn all() -> &'static [Section] {
    static ALL: OnceLock<File> = OnceLock::new();
    &ALL.get_or_init(|| table::read(include_str!("article.toml"))).section
}

/// Longest text that can be a heading.
const HEADING_LIMIT: usize = 240;
/// Least similarity of two headings with the same meaning.
const ALIKE: f64 = 0.75;

impl Section {
    fn headings(&self) -> impl Iterator<Item = &str> {
        [self.heading.en.as_str(), &self.heading.ja].into_iter().chain(self.also.iter().map(String::as_str))
    }
}

/// The section with this heading, ignoring quotes, blanks and punctuation.
pub fn headed(text: &str) -> Option<&'static Section> {
    let (text, _) = letters(text);
    all().iter().find(|section| section.headings().any(|heading| letters(heading).0 == text))
}

/// The section with a similar heading: in other words, or a part of it.
pub fn nearly_headed(text: &str) -> Option<&'static Section> {
    if text.len() > HEADING_LIMIT {
        return None;
    }
    let (text, _) = letters(text);
    let nearest = |section: &Section| section.headings().map(|heading| alike(&letters(heading).0, &text)).fold(0.0, f64::max);
    let best = all().iter().map(|section| (nearest(section), section)).max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, section)| section)
}

/// Similarity of two texts from 0 to 1, by shared pairs of neighbouring letters.
fn alike(one: &str, other: &str) -> f64 {
    let pairs = |text: &str| text.chars().zip(text.chars().skip(1)).collect::<Vec<_>>();
    let (one, mut left) = (pairs(one), pairs(other));
    let all = one.len() + left.len();
    let shared = one.iter().filter(|pair| left.iter().position(|other| other == *pair).map(|at| left.swap_remove(at)).is_some());
    let shared = 2 * shared.count();
    if all == 0 { 0.0 } else { shared as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::super::Catalogue;
    use super::*;

    #[test]
    fn every_section_has_advice_and_rules_that_exist() {
        assert_eq!(all().len(), 14);
        for section in all() {
            match &section.cause {
                Some(cause) => assert!(Catalogue::built_in().get(cause).is_some(), "{cause}"),
                None => assert!(!section.text.ja.is_empty() && !section.points.is_empty(), "{:?}", section.heading),
            }
            for text in section.points.iter().chain([&section.heading]) {
                assert!(!text.en.is_empty() && !text.ja.is_empty());
                let rule = text.en.split_once("`supwatch explain ").and_then(|(_, rest)| rest.split_once('`'));
                assert!(rule.is_none_or(|(rule, _)| crate::rules::get(rule).is_some()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_heading_leads_to_its_own_section_as_it_stands_and_nearly_so() {
        for section in all() {
            for heading in section.headings() {
                assert_eq!(headed(heading), Some(section), "{heading}");
                assert_eq!(nearly_headed(heading), Some(section), "{heading}");
                let bare: String = heading.chars().filter(|c| !"「」[]\"。:".contains(*c)).collect();
                assert_eq!(headed(&bare.to_uppercase()), Some(section), "{bare}");
            }
        }
        for (nearly, cause) in [
            ("WSUS Server Not Configured", "wsus-not-configured"),
            ("Run Synchronization action not available in console", "run-synchronization-missing"),
            ("同期の実行操作をコンソールで実行できません", "run-synchronization-missing"),
            ("Wsyncmgr.log records error 12 and invalid schema", "database-error-12"),
            ("WSUS 同期が実行中のため同期がタイムアウトする", "wsus-sync-running"),
        ] {
            assert_eq!(nearly_headed(nearly).and_then(|section| section.cause.as_deref()), Some(cause), "{nearly}");
        }
        assert_eq!(nearly_headed("The backup of the database was restored"), None);
        assert_eq!(nearly_headed(""), None);
    }
}
