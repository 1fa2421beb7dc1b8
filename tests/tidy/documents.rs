//! Documents name only things that exist (paths, links and their headings), and readers can find every page.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use supwatch_tests::root;

use super::{files, read};

/// Folder of the pages for users.
const PAGES: &str = "deploy/docs";

/// Most lines of the README: anything longer belongs on a page.
const README_LINES: usize = 200;

/// Every Markdown document, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    files(".md").into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// A document's lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of links in a document, outside code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        // Text between backticks is code; a link's own text may be code, too.
        let bare: String = line.split('`').step_by(2).collect();
        found.extend(bare.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
    }
    found
}

/// The anchors of a document's headings, as GitHub and GitLab make them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let slug: String = kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
        })
        .collect()
}

/// A path without `.` and `..`.
fn tidied(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                tidied.pop();
            }
            Component::CurDir => {}
            part => tidied.push(part),
        }
    }
    tidied
}

/// The document and anchor that a relative link leads to, or why it is broken.
fn follow(from: &Path, text: &str, link: &str) -> Result<(), String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { from.to_owned() } else { tidied(&from.parent().unwrap_or(Path::new("")).join(path)) };
    if !root().join(&target).exists() {
        return Err(format!("{} does not exist", target.display()));
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let known = if path.is_empty() { anchors(text) } else { anchors(&read(&target)) };
    if known.iter().any(|known| known == anchor) {
        return Ok(());
    }
    Err(format!("{} has no heading #{anchor}; it has {}", target.display(), known.join(", ")))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for link in links(&text).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            seen += 1;
            if let Err(reason) = follow(&path, &text, link) {
                wrong.push(format!("{}: ({link}): {reason}", path.display()));
            }
        }
    }
    assert!(seen > 50, "{seen} links are found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "# One\n## Two `x` words\n```\n# no heading\n```\n## One\n";
    assert_eq!(anchors(text), ["one", "two-x-words", "one-1"]);
    assert_eq!(links("[a](b.md#c), `[no](link)` and [`d`](e)\n```\n[no](link)\n```\n"), ["b.md#c", "e"]);
    let from = Path::new("deploy/docs/install.md");
    for link in ["#one-1", "../../README.md", "../../README.md#try-it", "..", "security.md"] {
        assert_eq!(follow(from, text, link), Ok(()), "{link}");
    }
    for link in ["#three", "no.md", "../README.md", "../../README.md#no-such-heading"] {
        assert!(follow(from, text, link).is_err(), "{link}");
    }
}

#[test]
fn every_path_that_a_document_names_exists() {
    let of_ours = |path: &Path| path.starts_with(PAGES) || (path.components().count() == 1 && !path.ends_with("CHANGELOG.md"));
    for (document, text) in documents().iter().filter(|(path, _)| of_ours(path)) {
        for named in text.split('`').skip(1).step_by(2) {
            let path = named.split_whitespace().next().unwrap_or_default();
            let looks_like_ours =
                ["agent/", "collector/", "proto/", "tests/", "deploy/", ".ci/"].iter().any(|start| path.starts_with(start));
            let exact = !path.contains(['*', '<', '{', '…']);
            if looks_like_ours && exact && named == path {
                assert!(root().join(path).exists(), "{} names {path}, which is not there", document.display());
            }
        }
    }
}

#[test]
fn every_page_that_a_comment_or_message_names_exists() {
    let mut seen = 0;
    for suffix in [".toml", ".rs", ".yml", ".service", ".ps1", ".sh"] {
        for path in files(suffix).iter().filter(|path| !path.ends_with("tidy/documents.rs")) {
            for line in read(path).lines() {
                for rest in line.split("docs/").skip(1) {
                    let page: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
                    let Some((name, _)) = page.split_once(".md") else { continue };
                    seen += 1;
                    let at = format!("{PAGES}/{name}.md");
                    assert!(root().join(&at).is_file(), "{} names {at}, which is not there", path.display());
                }
            }
        }
    }
    assert!(seen > 0, "no comment names a page");
}

#[test]
fn the_readme_stays_short_and_leads_to_every_page() {
    let readme = read(Path::new("README.md"));
    let lines = readme.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines, at most {README_LINES}: move details to a page in {PAGES}");
    let index = Path::new(PAGES).join("README.md");
    let (from_readme, from_index) = (links(&readme), links(&read(&index)));
    for (page, text) in documents().iter().filter(|(path, _)| path.starts_with(PAGES)) {
        let name = page.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(text.starts_with("# "), "{} begins without a heading", page.display());
        assert!(from_readme.contains(&format!("{PAGES}/{name}")), "README.md has no link to {}", page.display());
        assert!(page == &index || from_index.contains(&name), "{} has no link to {name}", index.display());
    }
}
