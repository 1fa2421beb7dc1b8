//! A query → every reading of it: a cause, a status message, a code, a section of the article, a normal line.

use supwatch_model::text::Text;

use crate::analyze::line;
use supwatch_judgement::diagnosis::article::{self, Section};
use supwatch_judgement::diagnosis::{
    Candidate, Catalogue, Cause, Code, Kind, Part, Subject, UNKNOWN, code_of, known_code, messages, normal,
};
use supwatch_judgement::rules::{RULES, Rule};

/// One reading of a query.
pub(super) enum Found {
    Rule(&'static Rule),
    Cause(Box<Cause>),
    Message(&'static messages::Message),
    Code(u32, &'static Code),
    Finding(Box<supwatch_model::finding::Finding>),
    /// A section of the article without a cause of its own.
    Section(&'static Section),
    /// The sections of the article, any of which may apply.
    Sections,
    /// A line that reports no error.
    Normal(NormalLine),
    /// A hint on what would give a better answer.
    Hint(Text),
}

/// A line that reports no error.
#[derive(PartialEq)]
pub(super) struct NormalLine {
    /// The log it is from, if it shows that.
    pub log: Option<&'static str>,
    /// Whether it follows an error.
    pub follows_failure: bool,
    /// Its meaning.
    pub meaning: Text,
}

/// Every reading of the query.
pub(super) struct Answer {
    pub found: Vec<Found>,
    /// Entries that match an error text, best first.
    pub candidates: Vec<Fits>,
    /// Ids with a similar spelling.
    pub near: Vec<String>,
}

/// A matching cause, and the parts that match.
pub(super) struct Fits {
    pub id: String,
    pub title: Text,
    pub score: u32,
    pub parts: Vec<Part>,
}

impl Answer {
    /// A result with one reading.
    pub fn exactly(found: Found) -> Answer {
        Answer { found: vec![found], candidates: Vec::new(), near: Vec::new() }
    }
}

/// Lines of a paste that are explained one by one.
const LINES: usize = 20;

/// The readings of a number or a text.
pub(super) fn of(what: &str, catalogue: &Catalogue) -> Answer {
    // As copied from a table cell: `6703 |`.
    let cell = what.trim_matches(|c: char| c.is_whitespace() || c == '|');
    match code_of(cell) {
        Some(number) => of_number(cell, number, catalogue),
        None => of_text(what, catalogue),
    }
}

fn fits(candidates: &[Candidate<'_>]) -> Vec<Fits> {
    let fit = |candidate: &Candidate<'_>| Fits {
        id: candidate.cause.id.clone(),
        title: candidate.cause.title.clone(),
        score: candidate.score,
        parts: candidate.parts.clone(),
    };
    candidates.iter().map(fit).collect()
}

/// A number may be a message, an error code and an HTTP status: every reading is shown.
fn of_number(what: &str, number: u32, catalogue: &Catalogue) -> Answer {
    let message = messages::get(number);
    let mut found: Vec<Found> = message.map(Found::Message).into_iter().collect();
    found.extend(known_code(number).map(|code| Found::Code(number, code)));
    let asked = if (400..600).contains(&number) && message.is_none() {
        Subject::new(&format!("HTTP status {number}"), "", None)
    } else {
        Subject::new("", "", Some(what)).of_message(number)
    };
    let candidates = catalogue.candidates(&asked);
    // Words that match a bare number carry no information.
    let best: Vec<_> = candidates.iter().filter(|candidate| !candidate.is_words_alone()).take(3).collect();
    if best.is_empty() && message.is_some_and(messages::Message::is_error) {
        found.push(Found::Sections);
    }
    found.extend(best.into_iter().map(|candidate| Found::Cause(Box::new(candidate.cause.clone()))));
    let candidates = fits(&candidates);
    if found.is_empty() {
        found.push(Found::Hint(Text::new(
            format!("{what} is not a status message, error code or HTTP status that is known here. Give the whole line."),
            format!("{what} は、ここで既知のステータス メッセージ、エラー コード、HTTP ステータスのいずれでもありません。行全体を渡してください。"),
        )));
        // The meaning of the components' own numbers is in the message text.
        if (6600..6800).contains(&number) || (7000..7100).contains(&number) {
            found.push(Found::Sections);
        }
    }
    Answer { found, candidates, near: Vec::new() }
}

/// An error text as a log, the console or a forum shows it; a heading of the article; or a misspelt id.
fn of_text(what: &str, catalogue: &Catalogue) -> Answer {
    let mut subject = Subject::of_paste(what);
    if let (None, Some(id)) = (subject.message, message_in(what)) {
        subject = subject.of_message(id);
    }
    let candidates = catalogue.candidates(&subject);
    let cause = catalogue.cause_of(&subject);
    let best = candidates.first();
    // A harmless entry or a term is shown if it fits better than any cause.
    let reported = best.filter(|best| {
        let cause = candidates.iter().find(|candidate| candidate.cause.id == cause.id);
        matches!(best.cause.kind, Kind::Harmless | Kind::Term) && cause.is_none_or(|cause| cause.score < best.score)
    });
    let unknown = candidates.is_empty();
    let mut found = Vec::new();
    // An entry that only says that something failed says less than a heading.
    let vague = reported.is_none() && cause.is_general();
    let section = article::headed(what).or_else(|| vague.then(|| article::nearly_headed(what)).flatten());
    if let Some(section) = section {
        found.extend(subject.message.and_then(messages::get).map(Found::Message));
        let entry = section.cause.as_deref().and_then(|cause| catalogue.get(cause));
        found.push(entry.map_or(Found::Section(section), |entry| Found::Cause(Box::new(entry.clone()))));
        return Answer { found, candidates: fits(&candidates), near: Vec::new() };
    }
    if unknown {
        // The meanings of the numbers say more than "unknown".
        let message = subject.message.and_then(messages::get);
        found.extend(message.map(Found::Message));
        found.extend(subject.codes.iter().filter_map(|code| Some(Found::Code(*code, known_code(*code)?))));
        match message {
            Some(message) if message.is_error() => found.push(Found::Sections),
            None => found.extend(normal_lines(what)),
            Some(_) => {}
        }
    }
    if found.is_empty() {
        found.push(Found::Cause(Box::new(reported.map_or(cause, |best| best.cause).clone())));
    } else if found.iter().any(|found| matches!(found, Found::Code(..))) {
        found.extend(cause.next.iter().cloned().map(Found::Hint));
    }
    let word = unknown && cause.id == UNKNOWN && !what.contains(char::is_whitespace);
    let near = if word { nearly(what, catalogue) } else { Vec::new() };
    Answer { found, candidates: fits(&candidates), near }
}

/// The meanings of pasted lines if none reports an error; `None` if any line is unknown.
fn normal_lines(what: &str) -> Vec<Found> {
    let mut reported: Vec<NormalLine> = Vec::new();
    for text in what.lines().filter(|line| !line.trim().is_empty()).take(LINES) {
        let one = match (normal::of_line(text), line::quiet(text)) {
            (Some(known), _) => {
                NormalLine { log: Some(known.log.as_str()), follows_failure: known.follows_failure, meaning: known.meaning.clone() }
            }
            (None, Some(quiet)) => NormalLine {
                log: quiet.log,
                follows_failure: false,
                meaning: Text::new("A known step; it reports no error.", "既知の処理の行です。エラーを示すものではありません。"),
            },
            (None, None) => return Vec::new(),
        };
        if !reported.contains(&one) {
            reported.push(one);
        }
    }
    reported.into_iter().map(Found::Normal).collect()
}

/// A status message that a text names by id: `message id 6703`, `メッセージ ID 6703`, `event 7000`.
fn message_in(text: &str) -> Option<u32> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.windows(2).find_map(|pair| {
        let [before, number] = pair else { return None };
        let announced = ["id", "message", "event", "メッセージ", "イベント"].contains(before);
        number.parse().ok().filter(|id| announced && messages::get(*id).is_some())
    })
}

/// Ids of causes and rules with a similar spelling.
fn nearly(word: &str, catalogue: &Catalogue) -> Vec<String> {
    let word = word.to_lowercase();
    let ids = catalogue.causes().map(|cause| cause.id.as_str()).chain(RULES.iter().map(|rule| rule.name));
    let mut near: Vec<(f64, &str)> = ids.map(|id| (strsim::jaro_winkler(&word, id), id)).filter(|(near, _)| *near > 0.85).collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().take(3).map(|(_, id)| id.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short description of how a text was interpreted.
    fn read(what: &str) -> String {
        let short = |found: &Found| match found {
            Found::Cause(cause) => cause.id.clone(),
            Found::Message(message) => message.id.to_string(),
            Found::Code(_, code) => code.name.clone(),
            Found::Section(section) => section.heading.en.clone(),
            Found::Sections => "sections".to_owned(),
            Found::Normal(line) => {
                format!("{} in {}", if line.follows_failure { "after a failure" } else { "normal" }, line.log.unwrap_or("a log"))
            }
            Found::Hint(_) => "hint".to_owned(),
            Found::Rule(_) | Found::Finding(_) => String::new(),
        };
        of(what, Catalogue::built_in()).found.iter().map(short).filter(|short| !short.is_empty()).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_normal_line_is_called_normal_and_an_unknown_one_unknown() {
        for (line, expected) in [
            ("Sync succeeded. Setting sync alert to canceled state on site P01", "normal in wsyncmgr.log"),
            ("Sleeping 120 more seconds for WSUS server sync results to become available", "normal in wsyncmgr.log"),
            ("Successfully connected to server: sup1.corp.example, port: 8530, useSSL: False", "normal in WCM.log"),
            (
                "Done synchronizing WSUS Server sup1.corp.example\nSleeping 2 more minutes",
                "normal in wsyncmgr.log, normal in wsyncmgr.log",
            ),
            ("Marked 1 certificates as inactive", "normal in a log"),
            ("Done synchronizing WSUS Server sup1.corp.example\na line that nobody knows", "unknown-cause"),
            ("a line that nobody knows", "unknown-cause"),
            ("Sync failed. Will retry in 60 minutes", "after a failure in wsyncmgr.log"),
            ("Sleeping 2 more minutes\nSync failed: WSUS server not configured. Source: CWSyncMgr::DoSync", "wsus-not-configured"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_heading_of_the_article_leads_to_its_section_in_both_languages() {
        for section in article::all() {
            let expected = section.cause.as_deref().unwrap_or(&section.heading.en);
            for heading in [&section.heading.en, &section.heading.ja] {
                assert!(read(heading).ends_with(expected), "{heading} is {}", read(heading));
            }
        }
        assert_eq!(read("synchronization times out since WSUS is synchronizing"), "wsus-sync-running");
        assert_eq!(read("The Request Failed with DssAuthenticationError: WebException Error"), "dssauth-unauthorized");
        let said = "DssAuthenticationError: something new";
        assert_eq!(read(said), "upstream-authentication");
    }

    #[test]
    fn a_message_that_names_no_cause_leads_to_the_sections() {
        assert_eq!(read("6703"), "6703, sections");
        assert_eq!(read("6703 |"), "6703, sections");
        assert_eq!(read("6700"), "6700, sections");
        assert_eq!(read("status message id 6703"), "6703, Check for errors");
        assert_eq!(read("message ID 6703 again and again"), "6703, sections");
        assert_eq!(read("6702"), "6702");
        assert_eq!(read("6711"), "hint, sections");
        assert_eq!(read("123456"), "hint");
        assert_eq!(read("6600"), "6600, remote-configuration-failed");
        for message in messages::all().iter().filter(|message| message.is_error()) {
            assert!(read(&message.id.to_string()).contains(", "), "{} leads nowhere", message.id);
        }
    }
}
