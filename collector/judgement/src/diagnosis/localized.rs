//! Localized messages of .NET, Windows and SQL Server → the English originals, which the catalogue matches.
//!
//! An entry thus names a message once, in English, and matches it in every language of the table. Only letters and digits are
//! compared: blanks, quotes and punctuation differ between versions and viewers. In languages with Latin letters only ASCII
//! letters count, because a wrong code page corrupts all others.

use std::sync::OnceLock;

use serde::Deserialize;

use super::table;

/// One message, and its beginnings in other languages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    /// The original.
    pub en: String,
    /// Sources of the message and its translations.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the table"))]
    pub source: String,
    de: Vec<String>,
    fr: Vec<String>,
    es: Vec<String>,
    it: Vec<String>,
    ja: Vec<String>,
    ko: Vec<String>,
    #[serde(rename = "zh-CN")]
    zh_cn: Vec<String>,
    #[serde(rename = "zh-TW")]
    zh_tw: Vec<String>,
    #[serde(rename = "pt-BR")]
    pt_br: Vec<String>,
    ru: Vec<String>,
}

#[derive(Default, Deserialize)]
struct File {
    message: Vec<Message>,
}

impl Message {
    /// Its translations, by language.
    pub fn translations(&self) -> [(&'static str, &[String]); 10] {
        [
            ("de", &self.de),
            ("fr", &self.fr),
            ("es", &self.es),
            ("it", &self.it),
            ("ja", &self.ja),
            ("ko", &self.ko),
            ("zh-CN", &self.zh_cn),
            ("zh-TW", &self.zh_tw),
            ("pt-BR", &self.pt_br),
            ("ru", &self.ru),
        ]
    }
}

/// Every message.
pub(super) fn all() -> &'static [Message] {
    static ALL: OnceLock<File> = OnceLock::new();
    &ALL.get_or_init(|| table::read(include_str!("localized.toml"))).message
}

/// Letters and digits of a text, in lower case: all of them, and the ASCII ones.
pub(super) fn letters(text: &str) -> (String, String) {
    let all: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let ascii = all.chars().filter(char::is_ascii).collect();
    (all, ascii)
}

/// Whether a text is in Latin letters.
fn is_latin(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphabetic()).all(|c| c < '\u{250}')
}

const BUCKETS: usize = 4096;
/// Least length of a phrase in bytes.
const HEAD: usize = 6;

/// Phrases by a hash of their first bytes, so that a text is scanned once, however many there are.
type Index = Vec<Vec<(String, &'static str)>>;

fn bucket(head: &[u8]) -> usize {
    head.iter().take(HEAD).fold(0, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte))) % BUCKETS
}

/// Phrases in non-Latin letters, and those in Latin ones.
fn index() -> &'static [Index; 2] {
    static INDEX: OnceLock<[Index; 2]> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = [vec![Vec::new(); BUCKETS], vec![Vec::new(); BUCKETS]];
        let [others, latins] = &mut index;
        for message in all() {
            for phrase in message.translations().iter().flat_map(|(_, phrases)| phrases.iter()) {
                let (all, ascii) = letters(phrase);
                let (to, phrase) = if is_latin(phrase) { (&mut *latins, ascii) } else { (&mut *others, all) };
                if let Some(bucket) = to.get_mut(bucket(phrase.as_bytes())).filter(|_| phrase.len() >= HEAD) {
                    bucket.push((phrase, message.en.as_str()));
                }
            }
        }
        index
    })
}

/// The originals of all messages in a text, without duplicates.
pub(super) fn originals(text: &str) -> Vec<&'static str> {
    let (all, ascii) = letters(text);
    let mut found = Vec::new();
    let [others, latins] = index();
    for (index, text) in [(others, all), (latins, ascii)] {
        // Most texts are English, and have no non-Latin letters.
        if std::ptr::eq(index, others) && text.is_ascii() {
            continue;
        }
        let bytes = text.as_bytes();
        for (at, head) in bytes.windows(HEAD).enumerate() {
            for (phrase, original) in index.get(bucket(head)).into_iter().flatten() {
                let fits = bytes.get(at..).is_some_and(|rest| rest.starts_with(phrase.as_bytes()));
                if fits && !found.contains(original) {
                    found.push(*original);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Catalogue, Subject, UNKNOWN};
    use super::*;

    /// A context in the logs, and a message as it is written there.
    type Context = (&'static str, fn(&str) -> String);

    /// The text around a message in the logs.
    fn contexts() -> Vec<Context> {
        vec![
            ("alone", |text| text.to_owned()),
            ("from WSUS", |text| {
                format!(
                    "UssCommunicationError: WebException: {text}. Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS"
                )
            }),
            ("to WSUS", |text| {
                format!(
                    "System.Net.WebException: {text}.~~   at Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer(Object[] args)"
                )
            }),
            ("of SQL", |text| format!("System.Data.SqlClient.SqlException (0x80131904): {text} ---> x")),
        ]
    }

    /// In every context, each translation is assigned the cause of its original.
    #[test]
    fn a_message_has_the_cause_of_its_original_in_every_language() {
        let catalogue = Catalogue::built_in();
        let cause = |text: &str| catalogue.cause_of(&Subject::of_line(text)).id.as_str();
        let mut wrong = Vec::new();
        for message in all() {
            if cause(&message.en) == UNKNOWN {
                wrong.push(format!("the catalogue does not know {:?}", message.en));
            }
            assert!(!message.source.is_empty());
            for (language, phrases) in message.translations() {
                assert!(!phrases.is_empty(), "{language} lacks {:?}", message.en);
                for (phrase, (place, context)) in phrases.iter().flat_map(|phrase| contexts().into_iter().map(move |c| (phrase, c)))
                {
                    let (right, found) = (cause(&context(&message.en)).to_owned(), cause(&context(phrase)).to_owned());
                    if right != found {
                        wrong.push(format!("{language}, {place}: {phrase} is {found}, not {right}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn no_translation_is_one_of_a_message_with_another_cause() {
        let catalogue = Catalogue::built_in();
        let cause = |text: &str| catalogue.cause_of(&Subject::of_line(text)).id.as_str();
        for message in all() {
            for phrase in message.translations().iter().flat_map(|(_, phrases)| phrases.iter()) {
                let found = originals(phrase);
                assert!(found.contains(&message.en.as_str()), "{phrase} is found as {found:?}");
                assert!(found.iter().all(|original| cause(original) == cause(&message.en)), "{phrase} is {found:?}");
            }
        }
    }

    /// Every translation contains the number and the word HTTP, and the content types of an unexpected response.
    #[test]
    fn what_is_not_translated_is_read_in_every_language() {
        let catalogue = Catalogue::built_in();
        let cause = |text: &str| catalogue.cause_of(&Subject::of_line(text)).id.as_str();
        for status in [
            "Fehler bei der Anforderung mit HTTP-Status 403: Forbidden.",
            "La demande a échoué avec l'état HTTP 403 : Forbidden.",
            "Error en la solicitud con el estado HTTP 403: Forbidden.",
            "Richiesta non riuscita con stato HTTP 403: Forbidden.",
            "要求が失敗しました。HTTP ステータス 403:許可されていません。",
            "HTTP 상태 403: Forbidden(으)로 인해 요청이 실패했습니다.",
            "请求因 HTTP 状态 403 失败: Forbidden。",
            "要求失敗，HTTP 狀態 403: Forbidden。",
            "Falha na solicitação com status HTTP 403: Forbidden.",
            "Запрос завершился ошибкой с состоянием HTTP 403: Forbidden.",
            "Der Remoteserver hat einen Fehler zurückgegeben: (403) Unzulässig.",
            "远程服务器返回错误: (403) 已禁止。",
            "リモート サーバーがエラーを返しました: (403) 使用不可能",
        ] {
            assert_eq!(cause(status), "wsus-forbidden", "{status}");
        }
        for types in [
            "Der Client hat den Antwortinhaltstyp 'text/html; charset=utf-8' gefunden, erwartete jedoch 'text/xml'.",
            "Le client a trouvé le type de contenu de réponse « text/html », mais attendait « text/xml ».",
            "El cliente encontró el tipo de contenido de respuesta 'text/html', pero se esperaba 'text/xml'.",
            "客户端发现响应内容类型为“text/html”，但应为“text/xml”。",
        ] {
            assert_eq!(cause(types), "not-wsus-answers", "{types}");
        }
    }

    #[test]
    fn blanks_punctuation_case_and_lost_accents_do_not_matter() {
        let name = ["The remote name could not be resolved"];
        for text in [
            "Der Remotename konnte nicht aufgelöst werden: 'x'",
            "DER REMOTENAME KONNTE NICHT AUFGELÖST WERDEN",
            "Der Remotename konnte nicht aufgel?st werden",
            "Der Remotename konnte nicht aufgelÃ¶st werden",
            "Le nom distant n\u{2019}a pas pu \u{ea}tre r\u{e9}solu\u{a0}: x",
            "リモート名を~~解決できませんでした：x",
        ] {
            assert_eq!(originals(text), name, "{text}");
        }
        assert_eq!(originals("Der Remotename ist lang"), Vec::<&str>::new());
        assert_eq!(originals(""), Vec::<&str>::new());
    }
}
