//! The catalogue against the lines in its entries, unchanged and as real systems alter them.

use proptest::prelude::*;
use proptest::sample::select;

use super::check::{entry_of, wrong_line};
use super::*;

#[test]
fn every_file_is_read_and_complete() {
    let all = Catalogue::built_in();
    assert_eq!(all.causes().count(), FILES.len(), "a file cannot be read");
    for cause in all.causes() {
        let id = &cause.id;
        let remedies: Vec<_> = cause.remedies.iter().map(Remedy::text).collect();
        for text in remedies.iter().chain(&cause.next).chain([&cause.title, &cause.meaning]) {
            assert!(!text.en.is_empty() && !text.ja.is_empty(), "{id} lacks a language");
        }
        assert!(!cause.source.is_empty(), "{id} lacks its source");
        assert!(!cause.remedies.is_empty() || cause.kind != Kind::Cause, "{id} lacks remedies");
        assert!(cause.lines.matching.len() >= 3 && cause.lines.other.len() >= 3, "{id} lacks test lines");
    }
}

/// Each line is assigned to the entry it belongs to: the confusion matrix is diagonal.
#[test]
fn no_entry_takes_the_lines_of_another() {
    let all = Catalogue::built_in();
    let mut wrong = Vec::new();
    for cause in all.causes() {
        for line in &cause.lines.matching {
            let found = entry_of(all, cause.kind, line);
            if found != cause.id {
                let candidates = all.candidates(&Subject::of_line(line));
                let scores: Vec<String> = candidates.iter().map(|c| format!("{} {}", c.cause.id, c.score)).collect();
                wrong.push(format!("{} is taken for {found}: {line}\n    {}", cause.id, scores.join(", ")));
            }
        }
        wrong.extend(
            cause
                .lines
                .other
                .iter()
                .filter(|line| entry_of(all, cause.kind, line) == cause.id)
                .map(|line| format!("{} takes {line}", cause.id)),
        );
    }
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all.causes().all(|cause| wrong_line(all, cause).is_none()));
}

/// Ways in which systems and people alter an error text.
#[derive(Debug, Clone, Copy)]
enum Change {
    Upper,
    Lower,
    LineBreaks,
    CurlyQuotes,
    Guillemets,
    Blanks,
    HardBlanks,
    Prefix,
    LocalizedPrefix,
    Stack,
    CutStack,
    Exception,
    OtherServer,
    ConsoleTail,
    LocalizedSource,
    Indented,
}

fn change(line: &str, change: Change) -> String {
    let stack = "~~at System.Threading.ThreadHelper.ThreadStart_Context(Object state)~~at System.Threading.ExecutionContext.Run(ExecutionContext context)";
    match change {
        Change::Upper => line.to_uppercase(),
        Change::Lower => line.to_lowercase(),
        // A frame of a stack trace; the word alone occurs in sentences too.
        Change::LineBreaks => line.replace(" at System.", "~~at System.").replace(" at Microsoft.", "~~at Microsoft."),
        Change::CurlyQuotes => line.replace('\'', "\u{2019}"),
        Change::Guillemets => line.replace('\'', "\u{ab}"),
        Change::Blanks => line.replace(' ', "  "),
        Change::HardBlanks => line.replace(' ', "\u{a0}"),
        Change::Prefix => format!("Sync failed: {line}"),
        Change::LocalizedPrefix => format!("SMS WSUS の同期に失敗しました。メッセージ :{line}"),
        Change::Stack => format!("{line}{stack}"),
        Change::CutStack => format!("{line}{}", stack.get(..31).unwrap_or_default()),
        Change::Exception => format!("System.Exception: {line}"),
        Change::OtherServer => {
            line.replace("corp.example", "ad.fabrikam.local").replace("10.4.2.31", "192.0.2.77").replace("sup0", "WSUS-BRN-0")
        }
        Change::ConsoleTail => {
            format!("{line}。オペレーティング システムがエラーを報告しました 2147500037:エラーを特定できません")
        }
        Change::LocalizedSource => line.replace(" Source: ", " ソース :").replace("~~at ", "~~場所 "),
        Change::Indented => format!("   {line}\r"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000)
    ))]

    #[test]
    fn a_changed_text_keeps_its_cause(
        at in any::<prop::sample::Index>(),
        changes in prop::collection::vec(select(vec![
            Change::Upper, Change::Lower, Change::LineBreaks, Change::CurlyQuotes, Change::Guillemets, Change::Blanks,
            Change::HardBlanks, Change::Prefix, Change::LocalizedPrefix, Change::Stack, Change::CutStack, Change::Exception, Change::OtherServer,
            Change::ConsoleTail, Change::LocalizedSource, Change::Indented,
        ]), 1..4),
    ) {
        let all = Catalogue::built_in();
        let lines: Vec<(&Cause, &String)> = all
            .causes()
            .filter(|cause| matches!(cause.kind, Kind::Cause | Kind::General))
            .flat_map(|cause| cause.lines.matching.iter().map(move |line| (cause, line)))
            .collect();
        let (cause, line) = at.get(&lines);
        let changed = changes.iter().fold((*line).clone(), |line, by| change(&line, *by));
        prop_assert_eq!(entry_of(all, cause.kind, &changed), cause.id.as_str(), "{}", changed);
        if changes.len() > 1 {
            return Ok(());
        }
        // The index leaves no entry out, and what is remembered is what would be found again.
        let subject = Subject::of_line(&changed);
        let mut every: Vec<&str> = all.causes().filter(|cause| cause.fit(&subject).is_some()).map(|cause| cause.id.as_str()).collect();
        let mut indexed: Vec<&str> = all.candidates(&subject).iter().map(|candidate| candidate.cause.id.as_str()).collect();
        every.sort_unstable();
        indexed.sort_unstable();
        prop_assert_eq!(every, indexed, "{}", changed);
        let said = Said { text: &changed, message: subject.message, ..Said::default() };
        let (first, again) = (all.best(said), all.best(said));
        prop_assert_eq!(first, again);
    }
}

#[test]
fn the_more_specific_pattern_wins_and_says_why() {
    let all = Catalogue::built_in();
    let text = "DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized";
    let found = all.candidates(&Subject::of_line(text));
    let best = found.first().expect("a candidate");
    assert_eq!(best.cause.id, "dssauth-unauthorized");
    assert!(best.parts.iter().any(|part| part.what == "class" && part.value == "DssAuthenticationError"));
    assert_eq!(best.score, best.parts.iter().map(|part| part.points).sum::<u32>());
    assert_eq!(all.diagnose("something else entirely", "", None).id, UNKNOWN);
}
