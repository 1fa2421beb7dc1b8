//! An administrator's own causes: a folder of files in the form of the built-in ones.

use std::path::Path;

use supwatch_model::config::Faults;

use supwatch_judgement::diagnosis::{Catalogue, Cause, wrong_line};
use supwatch_judgement::rules::names;

/// Reads a folder of entries and checks each against its test lines.
///
/// # Errors
/// The first invalid file, or else the first test line assigned to another cause than expected, with the correction.
pub fn check_folder(folder: &Path) -> Result<Catalogue, Faults> {
    let unreadable = |error: std::io::Error| {
        Faults::of_file(folder, format!("cannot be read: {error}; `causes` names a folder of files such as my-proxy.toml"))
    };
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut own = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).map_err(|error| Faults::of_file(path, format!("cannot be read: {error}")))?;
        let cause = Cause::parse(&text, path).map_err(|error| Faults::of_file(path, error.reason))?;
        cause.check_rules(&names()).map_err(|reason| Faults::of_file(path, reason))?;
        own.push(cause);
    }
    let catalogue = Catalogue::clone(Catalogue::built_in()).with(own.clone());
    for (path, cause) in files.iter().zip(&own) {
        wrong_line(&catalogue, cause).map_or(Ok(()), |reason| Err(Faults::of_file(path, reason)))?;
    }
    Ok(catalogue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Result<Catalogue, String> {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("our-proxy.toml"), text).expect("file");
        check_folder(dir.path()).map_err(|faults| faults.to_string())
    }

    const OWN: &str = r#"
id = "our-proxy"
source = "our own handbook"
title = { en = "The filter lets the update service through no more", ja = "フィルターが更新サービスを遮断しています" }
meaning = { en = "It answers with its own page.", ja = "独自のページを返します。" }
[[pattern]]
words = ["blocked by corp web filter"]
[[remedy]]
en = "Ask the network team."
ja = "ネットワーク担当に連絡してください。"
[lines]
match = ["WebException: Blocked by Corp Web Filter"]
other = ["WebException: something else"]
"#;

    #[test]
    fn an_administrators_own_entries_are_checked_and_take_part() {
        let catalogue = own(OWN).expect("good");
        assert_eq!(catalogue.diagnose("Sync failed: blocked by corp web filter", "", None).id, "our-proxy");
        for (from, to, said) in [
            ("id = \"our-proxy\"", "id = \"other\"", "give both one name"),
            ("source = ", "sorce = ", "unknown field"),
            ("words = [", "confirmed = [", "unknown field"),
            ("words = [\"blocked by corp web filter\"]", "", "asks for nothing"),
            ("words = [", "codes = [\"0xZZ\"]\nwords = [", "is no code"),
            ("WebException: something else", "blocked by corp web filter", "make the patterns more specific"),
            ("match = [\"WebException: Blocked", "match = [\"WebException: Stopped", "is unknown-cause, not our-proxy"),
            ("[[pattern]]", "confirmed_by = [\"app-pol\"]\n[[pattern]]", "there is no rule"),
        ] {
            let error = own(&OWN.replace(from, to)).expect_err(to);
            assert!(error.contains(said) && error.contains("our-proxy.toml"), "{error}");
        }
        assert!(check_folder(std::path::Path::new("/nowhere")).is_err());
    }
}
