//! The page as a browser reads it: parsed by an HTML5 parser that records every error a browser would correct.

use proptest::prelude::*;
use supwatch_model::picture::Picture;
use supwatch_model::text::Lang;

use super::html::as_seen;
use super::{About, STYLE, page};
use crate::analyze::InputFile;
use crate::show::render::Look;

mod dom;
mod world;

use dom::Dom;
use world::{filled, wide};

/// Largest page that the contract allows.
const LIMIT: usize = 5_000_000;

fn draw(picture: &Picture, text: &str, lang: Lang) -> String {
    let file = InputFile {
        path: text.to_owned(),
        form: text.to_owned(),
        encoding: text.to_owned(),
        lines: 7,
        recognised: 6,
        unrecognised: 1,
        typed: 5,
        mended: 0,
        joined: 0,
        taken_off: Vec::new(),
    };
    let about = About { version: "9.9.9", input: &[file], remarks: &[text.to_owned()] };
    page(picture, &about, Look { lang, color: false, width: 0 })
}

/// Parses a page; it must be free of errors and of everything that could run or load.
#[track_caller]
fn read(page: &str) -> Dom {
    let dom = Dom::read(page);
    assert!(dom.errors.is_empty(), "{:?}", dom.errors);
    let known = "html head meta title style body header main section nav h1 h2 h3 h4 p a ul ol li dl dt dd div span strong bdi \
        code pre time details summary article table caption thead tbody tr th td";
    for element in &dom.elements {
        assert!(known.split_whitespace().any(|name| name == element.name), "<{}>", element.name);
        for (name, value) in &element.attributes {
            let known = "lang charset http-equiv name content class id href aria-label aria-hidden open scope data-label \
                data-finding datetime";
            assert!(known.split_whitespace().any(|own| own == name), "<{} {name}>", element.name);
            assert!(name != "href" || value.starts_with('#'), "{value}");
        }
    }
    dom
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => any::<char>().prop_map(String::from),
        1 => prop::sample::select(vec![
            "</pre>", "</title>", "</style>", "<script>alert(1)</script>", "<!--", "-->", "]]>", "\" onclick=\"", "'", "&amp;",
            "&#0;", "\u{0}", "\u{202e}", "\u{1b}[31m", "\r", "\r\n", "\n", "\t", "\u{fffe}", "\u{200b}", "日本語", "  ", "<img src=x>",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..30).prop_map(|pieces| format!("<{}>", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_in_any_field_is_seen_and_does_nothing(text in hostile(), ja in any::<bool>()) {
        let lang = if ja { Lang::Ja } else { Lang::En };
        let (dom, plain) = (read(&draw(&filled(&text), &text, lang)), read(&draw(&filled("<x>"), "<x>", lang)));
        // Whatever the text, the elements are the same, except for the boxes around invisible characters.
        prop_assert_eq!(dom.shape(), plain.shape());
        let times = |text: &str| dom.text.matches(text).count();
        // Browsers allow no elements in the title, so a box there would appear as text.
        let title = dom.elements.iter().find(|element| element.name == "title").map(|title| title.text.contains("<span class="));
        prop_assert_eq!(title, Some(false), "{:?}", text);
        // A setting is shown as JSON, which has its own escapes.
        let escaped = serde_json::to_string(&text).is_ok_and(|json| !as_seen(&json).contains(&as_seen(&text)));
        let expected = plain.text.matches("<x>").count() - usize::from(escaped);
        prop_assert_eq!(times(&as_seen(&text)), expected, "{:?}", text);
    }
}

#[test]
fn every_field_of_a_picture_is_on_the_page() {
    // A picture with a distinct text for each field, so that a missing one is noticed.
    let dom = read(&draw(&world::named(), "input-field", Lang::En));
    for name in world::NAMES.iter().chain(&["input-field"]) {
        assert!(dom.text.contains(name), "{name} is not on the page");
    }
}

#[test]
fn the_policy_lets_nothing_in_but_the_stylesheet() {
    let page = draw(&filled("x"), "x", Lang::En);
    let dom = read(&page);
    let policy = dom.with("http-equiv", "Content-Security-Policy").and_then(|meta| meta.attribute("content")).expect("a policy");
    use base64::Engine;
    let style = dom.elements.iter().find(|element| element.name == "style").map(|element| element.text.clone()).expect("a style");
    assert_eq!(style, STYLE);
    let hash = base64::engine::general_purpose::STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()));
    assert_eq!(policy, format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"));
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"), "the stylesheet loads nothing");
}

#[test]
fn headings_tables_and_links_are_as_they_must_be_for_all_readers() {
    let dom = read(&draw(&wide(40), "x", Lang::En));
    let mut level = 0;
    for heading in dom.elements.iter().filter_map(|element| element.name.strip_prefix('h')?.parse::<u32>().ok()) {
        assert!(heading <= level + 1, "h{heading} after h{level}");
        level = heading;
    }
    for (index, table) in dom.elements.iter().enumerate().filter(|(_, element)| element.name == "table") {
        assert_eq!(dom.elements[index + 1].name, "caption", "{table:?}");
        assert!(!dom.elements[index + 1].text.trim().is_empty());
    }
    assert!(dom.elements.iter().filter(|element| element.name == "th").all(|th| th.attribute("scope").is_some()));
    let ids: Vec<&str> = dom.elements.iter().filter_map(|element| element.attribute("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len(), "an id stands for one element");
    for target in dom.elements.iter().filter_map(|element| element.attribute("href")) {
        assert!(ids.contains(&target.trim_start_matches('#')), "{target} leads nowhere");
    }
    assert_eq!(dom.elements[0].attribute("lang"), Some("en"));
}

#[test]
fn a_japanese_page_is_japanese() {
    for picture in [world::empty(), filled("値"), wide(40)] {
        let dom = read(&draw(&picture, "値", Lang::Ja));
        assert_eq!(dom.elements[0].attribute("lang"), Some("ja"));
        // Our names, Microsoft's, and units; any other letters are untranslated text.
        let names = ["supwatch", "UTC", "SUP", "WSUS", "HTTP", "HTTPS", "SSL", "Microsoft", "Update", "min", "true", "false"];
        let is_word = |word: &str| word.len() > 2 && word.chars().all(|c| c.is_ascii_alphabetic());
        let is_code = |word: &str| {
            names.contains(&word) || world::CODES.contains(&word) || word.parse::<supwatch_model::ids::SiteCode>().is_ok()
        };
        for element in dom.elements.iter().filter(|element| element.name != "style") {
            let labels = element.attribute("aria-label").into_iter().chain(element.attribute("data-label"));
            for word in labels.chain([element.own.as_str()]).flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric())) {
                assert!(!is_word(word) || is_code(word), "{word:?} in {:?}", element.own);
            }
        }
    }
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let dom = read(&page(&world::empty(), &About { version: "9.9.9", input: &[], remarks: &[] }, world::LOOK));
    for words in
        ["No log was read.", "No site is known.", "No findings.", "there is no edge", "No run was seen.", "No rule has given"]
    {
        assert!(dom.text.contains(words), "{words}");
    }
}

#[test]
fn a_large_hierarchy_is_folded_and_bounded_and_says_what_it_leaves_out() {
    let picture = wide(526);
    let text = draw(&picture, "x", Lang::En);
    assert!(text.len() < LIMIT, "{} bytes", text.len());
    let dom = read(&text);
    let open = dom.elements.iter().filter(|element| element.name == "article").count();
    assert!(open > 100, "{open} findings in full");
    for words in
        ["more sites here", "without evidence and remedies", "more pieces of evidence are left out", "Older runs left out: 5"]
    {
        assert!(dom.text.contains(words), "{words}");
    }
    assert!(dom.with("id", "site-X00").is_some() && dom.with("id", "site-XEK").is_some(), "every site has its line");
}

#[test]
fn nothing_makes_a_page_too_large_or_too_deep() {
    for picture in [wide(8_000), world::hostile(526), world::deep(8_000), world::round()] {
        let text = draw(&picture, "x", Lang::En);
        assert!(text.len() < LIMIT, "{} bytes of {} sites", text.len(), picture.sites.len());
        let dom = read(&text);
        assert!(dom.depth < 60, "{} levels", dom.depth);
        let lines = dom.elements.iter().filter(|element| element.attribute("class") == Some("site")).count();
        assert!(lines == picture.sites.len() || dom.text.contains("sites are left out"), "{lines} of {}", picture.sites.len());
    }
}
