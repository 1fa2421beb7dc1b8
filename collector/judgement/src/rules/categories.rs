//! Classifications and products are identified by id; a title is only their name in one server's language.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use crate::hierarchy::Site;

/// Microsoft's fixed ids of classifications, with their titles in English and Japanese. Source: documentation of the WSUS API,
/// `UpdateClassification`; the Japanese titles are the WSUS console's.
const CLASSIFICATIONS: &[(&str, &[&str])] = &[
    ("5c9376ab-8ce6-464a-b136-22113dd69801", &["Applications", "Application", "アプリケーション"]),
    ("434de588-ed14-48f5-8eed-a15e09a991f6", &["Connectors", "コネクタ"]),
    ("e6cf1350-c01b-414d-a61f-263d14d133b4", &["Critical Updates", "重要な更新"]),
    ("e0789628-ce08-4437-be74-2495b842f43b", &["Definition Updates", "定義更新プログラム"]),
    ("e140075d-8433-45c3-ad87-e72345b36078", &["Developer Kits"]),
    ("ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0", &["Drivers", "ドライバー", "ドライバ"]),
    ("77835c8d-62a7-41f5-82ad-f28d1af1e3b1", &["Driver Sets", "ドライバー セット"]),
    ("b54e7d24-7add-428f-8b75-90a396fa584f", &["Feature Packs", "Feature Pack"]),
    ("9511d615-35b2-47bb-927f-f73d8e9260bb", &["Guidance", "ガイダンス"]),
    ("0fa1201d-4330-4fa8-8ae9-b877473b6441", &["Security Updates", "セキュリティ問題の修正プログラム"]),
    ("68c5b0a3-d1a6-4553-ae49-01d3a7827828", &["Service Packs", "Service Pack"]),
    ("b4832bd8-e735-4761-8daf-37f882276dab", &["Tools", "ツール"]),
    ("28bc880e-0592-4cbf-8f95-c79b17911d5f", &["Update Rollups", "修正プログラム集"]),
    ("cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83", &["Updates", "更新"]),
    ("3689bdc8-b205-4af4-8d4a-a63924c5e9d5", &["Upgrades", "アップグレード"]),
];

/// Titles of classifications on servers in other languages, by the English ones. Source: memory of localised WSUS consoles; a
/// missing title makes a comparison impossible, and causes no false alarm.
const ELSEWHERE: &[(&str, &[(&str, &str)])] = &[
    (
        "de",
        &[
            ("Applications", "Anwendungen"),
            ("Critical Updates", "Wichtige Updates"),
            ("Definition Updates", "Definitionsupdates"),
            ("Drivers", "Treiber"),
            ("Driver Sets", "Treibersätze"),
            ("Security Updates", "Sicherheitsupdates"),
            ("Update Rollups", "Update-Rollups"),
        ],
    ),
    (
        "fr",
        &[
            ("Critical Updates", "Mises à jour critiques"),
            ("Definition Updates", "Mises à jour de définitions"),
            ("Drivers", "Pilotes"),
            ("Security Updates", "Mises à jour de la sécurité"),
            ("Tools", "Outils"),
            ("Updates", "Mises à jour"),
            ("Upgrades", "Mises à niveau"),
        ],
    ),
    (
        "es",
        &[
            ("Critical Updates", "Actualizaciones críticas"),
            ("Definition Updates", "Actualizaciones de definiciones"),
            ("Drivers", "Controladores"),
            ("Security Updates", "Actualizaciones de seguridad"),
            ("Tools", "Herramientas"),
            ("Updates", "Actualizaciones"),
        ],
    ),
    (
        "it",
        &[
            ("Critical Updates", "Aggiornamenti critici"),
            ("Definition Updates", "Aggiornamenti delle definizioni"),
            ("Security Updates", "Aggiornamenti della sicurezza"),
            ("Tools", "Strumenti"),
            ("Updates", "Aggiornamenti"),
        ],
    ),
];

/// The language of a title, if certain: by its letters, else as that of a classification. English titles occur on servers in any
/// language.
fn language_of(title: &str) -> Option<&'static str> {
    let has = |range: std::ops::RangeInclusive<char>| title.chars().any(|letter| range.contains(&letter));
    if has('\u{3040}'..='\u{30ff}') {
        return Some("ja");
    }
    for (language, letters) in [("ko", '\u{ac00}'..='\u{d7a3}'), ("ru", '\u{400}'..='\u{4ff}'), ("zh", '\u{4e00}'..='\u{9fff}')] {
        if has(letters) {
            return Some(language);
        }
    }
    TITLES.get(&title.to_lowercase()).and_then(|known| known.language)
}

/// The meaning of a classification's title.
struct Known {
    id: &'static str,
    /// Where it is a title of [`ELSEWHERE`].
    language: Option<&'static str>,
}

/// Both tables by title in lower case; if two languages share a title, the first counts.
static TITLES: LazyLock<HashMap<String, Known>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    for (id, titles) in CLASSIFICATIONS {
        for title in *titles {
            all.entry(title.to_lowercase()).or_insert(Known { id, language: None });
        }
    }
    for (language, titles) in ELSEWHERE {
        for (english, title) in *titles {
            if let Some((id, _)) = CLASSIFICATIONS.iter().find(|(_, titles)| titles.contains(english)) {
                all.entry(title.to_lowercase()).or_insert(Known { id, language: Some(language) });
            }
        }
    }
    all
});

/// The language of a site's servers, as far as their titles show it; `None` usually means English.
pub(super) fn language_of_site(site: &Site) -> Option<&'static str> {
    let settings = site.settings()?;
    let component = settings.component.value();
    let wsus = settings.wsus.value().into_iter().flatten().flat_map(|wsus| [&wsus.classifications, &wsus.products]);
    let own = component.into_iter().flat_map(|component| [&component.classifications, &component.products]);
    wsus.chain(own).filter_map(|list| list.value()).flatten().find_map(|title| language_of(title))
}

/// The id of a title: the one the site itself reports, else the fixed one, else the title if it is an id.
pub(super) fn id(title: &str, reported: Option<&BTreeMap<String, String>>) -> Option<String> {
    let title = title.trim().trim_matches(['{', '}']);
    let small = title.to_lowercase();
    let of_the_site = reported.and_then(|reported| {
        // Usually it is spelt as on the site's own servers.
        reported.get(title).or_else(|| reported.iter().find(|(own, _)| own.to_lowercase() == small).map(|(_, id)| id))
    });
    if let Some(id) = of_the_site {
        return Some(id.trim_matches(['{', '}']).to_lowercase());
    }
    TITLES.get(&small).map(|known| known.id.to_owned()).or_else(|| is_id(title).then_some(small))
}

/// Whether a name is an id and not a title.
pub(super) fn is_id(name: &str) -> bool {
    let name = name.trim().trim_matches(['{', '}']);
    name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The normalised form of a language tag: `en-US` becomes `en` and `zh-Hans` becomes `zh-cn`, but `pt-br` stays distinct from
/// `pt`.
pub(super) fn language(tag: &str) -> String {
    let tag = tag.trim().replace('_', "-").to_lowercase();
    let (first, rest) = tag.split_once('-').map_or((tag.as_str(), ""), |(first, rest)| (first, rest));
    match (first, rest) {
        ("zh", "hans" | "cn" | "sg" | "chs" | "hans-cn") => "zh-cn".to_owned(),
        ("zh", "hant" | "tw" | "cht" | "hant-tw") => "zh-tw".to_owned(),
        ("zh", "hk" | "hant-hk") => "zh-hk".to_owned(),
        ("pt", "br") | ("zh", _) => tag,
        _ => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_in_any_language_has_its_id() {
        assert_eq!(id("Security Updates", None), id("セキュリティ問題の修正プログラム", None));
        assert_eq!(id("critical updates", None), id("{E6CF1350-C01B-414D-A61F-263D14D133B4}", None));
        assert_ne!(id("Updates", None), id("Upgrades", None));
        assert_eq!(id("Windows 11", None), None);
        let reported = BTreeMap::from([("Windows 11".to_owned(), "{ABC}".to_owned())]);
        assert_eq!(id("windows 11", Some(&reported)), Some("abc".to_owned()));
    }

    #[test]
    fn titles_of_other_languages_are_those_of_known_ids() {
        for (_, titles) in ELSEWHERE {
            for (english, title) in *titles {
                assert!(CLASSIFICATIONS.iter().any(|(_, own)| own.contains(english)), "{english}");
                assert_eq!(id(title, None), id(english, None), "{title}");
            }
        }
        assert_eq!(id("Sicherheitsupdates", None), id("セキュリティ問題の修正プログラム", None));
        assert_eq!(language_of("Security Updates"), None);
        assert_eq!(language_of("sicherheitsupdates"), Some("de"));
        assert_eq!(language_of("Microsoft Defender ウイルス対策"), Some("ja"));
    }

    #[test]
    fn language_tags_of_one_language_are_one() {
        for (one, other) in [("en-US", "en"), ("zh-Hans", "zh-cn"), ("zh-CN", "zh_cn"), ("ja-JP", "JA"), ("pt-PT", "pt")] {
            assert_eq!(language(one), language(other));
        }
        assert_ne!(language("pt"), language("pt-BR"));
        assert_ne!(language("zh-cn"), language("zh-tw"));
    }
}
