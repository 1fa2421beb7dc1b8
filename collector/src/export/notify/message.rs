//! A step of the plan → what people and programs read: subject, text, JSON, and a key that identifies repetitions.
//!
//! Pure. Every text is cut to a size, because evidence may be a log line of any length. Control characters of log text are
//! escaped in the texts; JSON escapes them itself.

use serde_json::{Value, json};
use supwatch_model::finding::{Evidence, Finding};
use supwatch_model::text::{Lang, Text};

use super::plan::{State, Step};
use crate::show::render::{Look, findings, fit, json as forms, safe};

/// Columns of a subject; mail programs show about this many.
const SUBJECT_COLUMNS: usize = 120;
/// Columns of the text.
const TEXT_COLUMNS: usize = 78;
/// Most lines and settings of evidence, and most remedies, in one notification.
const PARTS: usize = 8;
/// Most characters of one line, setting, summary or remedy.
const PART_CHARS: usize = 2000;

/// A notification as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Idempotency key: the same for every attempt to deliver this state of this finding to this target.
    pub key: String,
    /// The same for all notifications to this target from one opening of this finding to its end.
    pub thread: String,
    /// What it reports of the finding.
    pub state: State,
    /// The finding, cut to size.
    pub finding: Finding,
    /// The finding's summary, in one line without control characters.
    pub summary: String,
    /// One line for a mail.
    pub subject: String,
    /// The whole text.
    pub text: String,
    /// The JSON document `supwatch/notification/v1`.
    pub json: String,
}

/// Sender and receiver of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The hierarchy.
    pub hierarchy: String,
    /// The target.
    pub target: String,
    /// Its language.
    pub lang: Lang,
}

impl Notice {
    /// Writes the notification of a step.
    pub fn new(address: &Address, step: &Step, finding: &Finding) -> Notice {
        let finding = cut(finding);
        let thread = format!("{}-{}-{}", address.target, step.id, step.becomes.opened_at.map_or(0, |time| time.as_second()));
        let key = format!("{thread}-{}-{}", step.state.as_str(), step.becomes.times);
        let summary = safe(finding.summary.get(address.lang));
        let subject = subject(address, step.state, &finding, &summary);
        let text = text(address.lang, step.state, &finding);
        let json = json(address, step.state, &key, &subject, &text, &finding).to_string();
        Notice { key, thread, state: step.state, finding, summary, subject, text, json }
    }
}

fn subject(address: &Address, state: State, finding: &Finding, summary: &str) -> String {
    let look = look(address.lang);
    let (_, severity) = findings::severity(finding.severity, look);
    let what = match state {
        State::Open => severity.to_owned(),
        State::Changed => format!("{} {severity}", look.say("now", "悪化:")),
        State::Resolved => look.say("resolved", "解決").to_owned(),
    };
    fit(&format!("[supwatch {}] {what}: {}: {summary}", address.hierarchy, finding.site), SUBJECT_COLUMNS)
}

fn text(lang: Lang, state: State, finding: &Finding) -> String {
    let look = look(lang);
    let lead = match state {
        State::Open => look.say("A finding opened.", "問題が見つかりました。"),
        State::Changed => look.say("A finding got worse.", "問題が悪化しました。"),
        State::Resolved => look.say("A finding is resolved; nothing is left to do.", "問題は解決しました。対処は不要です。"),
    };
    // Evidence and remedies would only mislead once the finding is resolved.
    let shown = match state {
        State::Resolved => Finding { evidence: Vec::new(), remedy: Vec::new(), ..finding.clone() },
        State::Open | State::Changed => finding.clone(),
    };
    let more = look.say("More", "詳細");
    format!("{lead}\n\n{}\n{more}: supwatch explain {}\n", findings::full(&shown, look), finding.id)
}

fn json(address: &Address, state: State, key: &str, subject: &str, text: &str, finding: &Finding) -> Value {
    json!({
        "schema": "supwatch/notification/v1",
        "key": key,
        "hierarchy": address.hierarchy,
        "target": address.target,
        "state": state.as_str(),
        "subject": subject,
        "text": text,
        "finding": forms::finding(finding, address.lang),
    })
}

fn look(lang: Lang) -> Look {
    Look { lang, color: false, width: TEXT_COLUMNS }
}

/// A finding cut to the size of a notification.
fn cut(finding: &Finding) -> Finding {
    let mut cut = finding.clone();
    cut.summary = cut_text(&finding.summary);
    cut.subject = cut_string(&finding.subject);
    cut.evidence.truncate(PARTS);
    for evidence in &mut cut.evidence {
        match evidence {
            Evidence::Line { file, line, .. } => (*file, *line) = (cut_string(file), cut_string(line)),
            Evidence::Setting { value, setting, .. } => {
                *setting = cut_string(setting);
                let written = value.to_string();
                if written.chars().count() > PART_CHARS {
                    *value = Value::String(cut_string(&written));
                }
            }
        }
    }
    cut.remedy.truncate(PARTS);
    cut.remedy.iter_mut().for_each(|step| *step = cut_text(step));
    cut
}

fn cut_text(text: &Text) -> Text {
    Text::new(cut_string(&text.en), cut_string(&text.ja))
}

fn cut_string(text: &str) -> String {
    match text.char_indices().nth(PART_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::export::notify::plan::tests::{at, filter, finding, resolved};
    use crate::export::notify::plan::{Pending, Step, plan};
    use std::collections::BTreeMap;
    use supwatch_model::verdict::Severity;
    use supwatch_store::LastNotified;

    fn address(lang: Lang) -> Address {
        Address { hierarchy: "corp".to_owned(), target: "ops".to_owned(), lang }
    }

    fn example() -> Finding {
        let mut example = finding("3fa9c1d2e4b5", Severity::Critical, 0);
        example.cause = Some("cannot-connect".to_owned());
        example.occurrences = 3;
        example.evidence = vec![Evidence::Line {
            site: example.site,
            file: "wsyncmgr.log".to_owned(),
            offset: 70,
            time: Some(at(0)),
            line: "Sync failed:\u{1b}[31m Unable to connect".to_owned(),
        }];
        example.remedy = vec![Text::new("Start the proxy", "プロキシを起動します")];
        example
    }

    fn notice(finding: &Finding, notified: &BTreeMap<String, LastNotified>, lang: Lang) -> Notice {
        let step: Step = plan(&filter(), std::slice::from_ref(finding), notified, &Pending::new(), at(9)).steps.remove(0);
        Notice::new(&address(lang), &step, finding)
    }

    /// A notification for tests of the senders.
    pub fn opened() -> Notice {
        notice(&example(), &BTreeMap::new(), Lang::En)
    }

    fn notified(resolved: bool, times: u64) -> BTreeMap<String, LastNotified> {
        [(example().id, LastNotified { opened_at: Some(at(0)), severity: Severity::Warning, resolved, times })].into()
    }

    #[test]
    fn an_opened_finding_says_what_since_when_what_shows_it_and_what_to_do() {
        let notice = notice(&example(), &BTreeMap::new(), Lang::En);
        assert_eq!(notice.subject, "[supwatch corp] critical: P01: the last run failed");
        let expected = "\
A finding opened.

● critical sync-failed P01 3fa9c1d2e4b5
  the last run failed
  since 2026-03-01 00:00:00 UTC · 3 times · cause cannot-connect
  evidence
    P01 wsyncmgr.log @70 · 2026-03-01 00:00:00 UTC
      Sync failed:\\u{1b}[31m Unable to connect
  what to do
    1. Start the proxy

More: supwatch explain 3fa9c1d2e4b5
";
        assert_eq!(notice.text, expected);
    }

    #[test]
    fn a_resolved_finding_gives_no_advice() {
        let notice = notice(&resolved(example(), 5), &notified(false, 1), Lang::Ja);
        assert_eq!(notice.subject, "[supwatch corp] 解決: P01: 最後の実行が失敗しました");
        let expected = "\
問題は解決しました。対処は不要です。

● 重大 sync-failed P01 3fa9c1d2e4b5
  最後の実行が失敗しました
  発生 2026-03-01 00:00:00 UTC · 解決 2026-03-01 00:00:05 UTC · 3 回 · 原因 cannot-connect

詳細: supwatch explain 3fa9c1d2e4b5
";
        assert_eq!(notice.text, expected);
    }

    #[test]
    fn a_finding_that_grew_worse_says_so() {
        assert_eq!(
            notice(&example(), &notified(false, 1), Lang::En).subject,
            "[supwatch corp] now critical: P01: the last run failed"
        );
    }

    #[test]
    fn the_json_holds_the_finding_as_the_command_line_gives_it() {
        let json: Value = serde_json::from_str(&notice(&example(), &BTreeMap::new(), Lang::Ja).json).expect("json");
        assert_eq!((&json["schema"], &json["state"]), (&json!("supwatch/notification/v1"), &json!("open")));
        assert_eq!(json["finding"], serde_json::to_value(forms::finding(&example(), Lang::Ja)).expect("json"));
    }

    #[test]
    fn the_key_is_the_same_for_every_attempt_and_another_for_every_state() {
        let key = |finding: &Finding, notified: &BTreeMap<String, LastNotified>| notice(finding, notified, Lang::En).key;
        let open = key(&example(), &BTreeMap::new());
        assert_eq!(open, "ops-3fa9c1d2e4b5-1772323200-open-1");
        assert_eq!(open, key(&example(), &BTreeMap::new()));
        let others = [
            key(&example(), &notified(false, 1)),
            key(&resolved(example(), 5), &notified(false, 1)),
            key(&resolved(example(), 5), &notified(false, 3)),
            key(&example(), &notified(true, 2)),
        ];
        let different: std::collections::BTreeSet<_> = others.iter().chain([&open]).collect();
        assert_eq!(different.len(), 5, "{different:?}");
    }

    #[test]
    fn whatever_the_finding_the_notification_is_bounded() {
        let mut huge = example();
        huge.summary = Text::new("x".repeat(100_000), "長".repeat(100_000));
        huge.remedy = vec![huge.summary.clone(); 100];
        huge.evidence = vec![
            Evidence::Line { site: huge.site, file: "f".repeat(9000), offset: 0, time: None, line: "行".repeat(100_000) },
            Evidence::Setting {
                site: huge.site,
                setting: "s".to_owned(),
                value: json!(vec!["v"; 100_000]),
                taken_at: None,
                source: String::new(),
                since: None,
            },
        ];
        huge.evidence = huge.evidence.iter().cycle().take(100).cloned().collect();
        for lang in [Lang::En, Lang::Ja] {
            let notice = notice(&huge, &BTreeMap::new(), lang);
            assert!(notice.subject.chars().count() <= SUBJECT_COLUMNS && notice.subject.ends_with('…'), "{}", notice.subject);
            assert!(notice.text.len() < 128 * 1024, "{}", notice.text.len());
            assert!(notice.json.len() < 256 * 1024, "{}", notice.json.len());
        }
    }
}
