//! Message 6703 as a viewer shows it, in the language of the console: `… Message: <text>. Source: <function>. …`.
//!
//! The labels belong to the console, the text to .NET and Windows, and both are translated; the function is not. The labels cover
//! the languages found in Microsoft's own articles, and the other console languages.

use supwatch_model::event::EventKind;

use super::text::one_line;

/// Label of the message, and label of the source.
const LABELS: &[(&str, &str)] = &[
    ("Message", "Source"),
    ("Meldung", "Quelle"),
    ("Mensaje", "Origen"),
    ("Messaggio", "Origine"),
    ("メッセージ", "ソース"),
    ("메시지", "출처"),
    ("메시지", "원본"),
    ("消息", "源"),
    ("訊息", "來源"),
    ("Mensagem", "Origem"),
    ("Сообщение", "Источник"),
    ("Komunikat", "Źródło"),
    ("Zpráva", "Zdroj"),
    ("Meddelande", "Källa"),
    ("Bericht", "Bron"),
];

/// Functions whose failure means that a synchronisation failed.
const FUNCTIONS: [&str; 4] = ["UpdateServices", "SoftwareUpdatesManagement", "CWSyncMgr", "WSyncAction"];

/// Whether a line begins such a text whose source is on a later line.
pub fn opens(text: &str) -> bool {
    let text = text.trim();
    names_message(text)
        || LABELS
            .iter()
            .any(|(message, source)| text.starts_with(message) && labelled(text, message).is_some() && find(text, source).is_none())
}

/// Whether a line names message 6703, as a viewer shows it above the text.
fn names_message(text: &str) -> bool {
    let lower = text.trim_start().as_bytes().get(..10).map(<[u8]>::to_ascii_lowercase);
    lower.as_deref() == Some(b"message id") && text.lines().next().is_some_and(|line| line.trim_end().ends_with("6703"))
}

/// Whether a line gives the operating system's error, which follows the source.
pub fn tells_code(text: &str) -> bool {
    let said = text.trim_start();
    said.starts_with("The operating system reported error")
        || said.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.parse::<u32>().is_ok_and(|number| number >= 0x8000_0000))
}

/// Whether a text contains its source.
pub fn has_source(text: &str) -> bool {
    text.lines().any(closes)
}

/// Whether a line contains the source.
pub fn closes(text: &str) -> bool {
    let text = text.trim();
    LABELS.iter().any(|(_, source)| text.starts_with(source) && labelled(text, source).is_some())
}

pub(super) fn read(text: &str) -> Option<EventKind> {
    if names_message(text) && !has_source(text) {
        let (_, said) = text.split_once('\n').unwrap_or_default();
        let (said, code) = match said.lines().position(tells_code) {
            Some(at) => (said.lines().take(at).collect::<Vec<_>>().join(" "), said.lines().nth(at).and_then(code)),
            None => (said.to_owned(), None),
        };
        return Some(EventKind::RunFailed { text: one_line(&said), source: String::new(), code });
    }
    // Fast rejection: the function name is always present, untranslated.
    FUNCTIONS.iter().any(|name| text.contains(name)).then_some(())?;
    LABELS.iter().find_map(|(message, source)| {
        let (said, rest) = text.split_at_checked(find(text, source)?)?;
        let (_, said) = said.split_at_checked(find(said, message)?)?;
        let said = labelled(said, message)?;
        let rest = labelled(rest, source)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "._:`+".contains(c))).unwrap_or(rest.len());
        let (function, rest) = rest.split_at(end);
        FUNCTIONS.iter().any(|name| function.contains(name)).then(|| EventKind::RunFailed {
            text: one_line(said).trim_end_matches(['.', '。', ' ']).to_owned(),
            source: one_line(function.trim_end_matches(['.', ':'])),
            code: code(rest),
        })
    })
}

/// Position of a label, at the start of the text or after a blank, a line break or the end of a sentence.
fn find(text: &str, label: &str) -> Option<usize> {
    text.match_indices(label).map(|(at, _)| at).find(|at| {
        let before = text.get(..*at).and_then(|head| head.chars().next_back());
        let bounded = before.is_none_or(|c| c.is_whitespace() || "。.：:|".contains(c));
        bounded && text.get(*at..).is_some_and(|rest| labelled(rest, label).is_some())
    })
}

/// The text after a label and its colon.
fn labelled<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(label)?.trim_start_matches([' ', '\u{a0}']);
    Some(rest.strip_prefix([':', '：'])?.trim_start())
}

/// The operating system's error, which the viewer writes as a decimal: `2147500037` is `0x80004005`.
fn code(rest: &str) -> Option<String> {
    let digits = rest.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?;
    let number: u32 = digits.parse().ok()?;
    Some(if number >= 0x8000_0000 { format!("0x{number:08X}") } else { number.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: &str = "Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer";

    #[track_caller]
    fn check(text: &str, said: &str, code: Option<&str>) {
        let expected = EventKind::RunFailed { text: said.into(), source: FUNCTION.into(), code: code.map(str::to_owned) };
        assert_eq!(read(text), Some(expected), "{text}");
    }

    #[test]
    fn every_language_of_the_console_is_read() {
        for (message, source) in LABELS {
            check(&format!("{message}: text here.\n\n{source}: {FUNCTION}."), "text here", None);
            check(&format!("{message} : text here. {source} : {FUNCTION}. 53: x"), "text here", Some("53"));
        }
    }

    #[test]
    fn a_japanese_text_without_blanks_is_read_with_its_error() {
        let text = format!(
            "SMS WSUS の同期に失敗しました。メッセージ :要求が失敗しました。HTTP ステータス 401:未承認。ソース :{FUNCTION}。オペレーティング システムがエラーを報告しました 2147500037:エラーを特定できません |"
        );
        check(&text, "要求が失敗しました。HTTP ステータス 401:未承認", Some("0x80004005"));
    }

    #[test]
    fn a_message_is_read_with_its_id_and_the_error_below_it() {
        let text = format!(
            "Message ID: 6703\n\nWSUS Synchronization failed.\nMessage: text here.\n\nSource: {FUNCTION}.\n\nThe operating system reported error 2148734217:"
        );
        check(&text, "text here", Some("0x80131509"));
        let mut records = Vec::new();
        crate::invariants::records(&format!("{text}\n\nnext\n"), &mut |record| records.push(record.message.to_owned()));
        assert_eq!(records.iter().filter(|message| !message.is_empty()).collect::<Vec<_>>(), [&text, "next"]);
        let alone = read("Message ID: 6703\nThe request failed.\nThe operating system reported error 2148734217:");
        let expected =
            EventKind::RunFailed { text: "The request failed.".into(), source: String::new(), code: Some("0x80131509".into()) };
        assert_eq!(alone, Some(expected));
    }

    #[test]
    fn another_message_with_labels_is_none() {
        assert_eq!(read("Message: hello. Source: SMS Server"), None);
        assert!(opens("Meldung: Die Anforderung ist fehlgeschlagen"));
        assert!(!opens("Message without a colon"));
        assert!(closes("源：Microsoft.UpdateServices.X"));
    }
}
