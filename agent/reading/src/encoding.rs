//! Bytes of a line → text, whatever code page the server's Windows has.
//!
//! Pure. Valid UTF-8 is UTF-8; anything else is in the configured code page, or in one guess for the whole file. The guess is
//! computed from a sample, the words that are not UTF-8, so it does not depend on read boundaries and survives a restart. A zone
//! name in a known language settles it at once, because a detector needs more text than that.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1254,
};

use crate::lines::{Framing, LINE_LIMIT, Line};

/// Bytes of non-UTF-8 words after which the guess is final.
const SAMPLE: usize = 512;

/// Code pages of the Windows languages whose zone names are known.
const PROVABLE: [&Encoding; 8] = [SHIFT_JIS, EUC_KR, GBK, BIG5, WINDOWS_1252, WINDOWS_1250, WINDOWS_1251, WINDOWS_1254];

/// Decodes the lines of one file.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    configured: Option<&'static Encoding>,
    framing: Option<Framing>,
    sample: Vec<u8>,
    guess: Option<&'static Encoding>,
    /// Whether a zone name confirms the guess.
    proved: bool,
    not_utf8: bool,
}

/// State from which a decoder resumes after a restart.
pub type Sample = Vec<u8>;

impl Decoder {
    /// Creates a decoder with the configured code page, or an earlier decoder's sample.
    pub fn new(configured: Option<&'static Encoding>, sample: Sample) -> Decoder {
        let mut decoder = Decoder { configured, ..Decoder::default() };
        if !sample.is_empty() {
            decoder.sample = sample;
            decoder.guess();
        }
        decoder
    }

    /// The sample behind the guess.
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Name of the encoding, as far as determined.
    pub fn name(&self) -> &'static str {
        match self.framing {
            Some(Framing::Utf16Le) => "utf-16le",
            Some(Framing::Utf16Be) => "utf-16be",
            _ if !self.not_utf8 => "utf-8",
            _ => self.configured.or(self.guess).map_or("utf-8", Encoding::name),
        }
    }

    /// The text of a line, without a BOM and without NUL padding, at most [`LINE_LIMIT`] bytes.
    pub fn text<'a>(&mut self, line: &Line<'a>) -> Cow<'a, str> {
        self.framing = Some(line.framing);
        let text = match line.framing {
            Framing::Utf16Le => UTF_16LE.decode_without_bom_handling(line.bytes).0,
            Framing::Utf16Be => UTF_16BE.decode_without_bom_handling(line.bytes).0,
            Framing::Bytes => {
                let bytes = without_nuls(line.bytes);
                match std::str::from_utf8(bytes) {
                    Ok(text) => Cow::Borrowed(text),
                    // A cut may fall inside a character.
                    Err(error) if line.cut && error.error_len().is_none() => {
                        String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default())
                    }
                    Err(_) => self.ansi(bytes).decode_without_bom_handling(bytes).0,
                }
            }
        };
        // Every line may start with a BOM (role setup logs), so it is removed from each.
        let text = match (text.starts_with('\u{feff}'), text) {
            (false, text) => text,
            (true, Cow::Borrowed(text)) => Cow::Borrowed(text.trim_start_matches('\u{feff}')),
            (true, Cow::Owned(text)) => Cow::Owned(text.trim_start_matches('\u{feff}').to_owned()),
        };
        if text.len() <= LINE_LIMIT {
            return text;
        }
        let end = (0..=LINE_LIMIT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(..end).unwrap_or_default()),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        }
    }

    /// Samples a line in advance, so that the guess has more text when the first line is decoded.
    pub fn look_ahead(&mut self, line: &Line<'_>) {
        if line.framing == Framing::Bytes && std::str::from_utf8(line.bytes).is_err() {
            self.take(line.bytes);
        }
    }

    fn ansi(&mut self, bytes: &[u8]) -> &'static Encoding {
        self.not_utf8 = true;
        if let Some(configured) = self.configured {
            return configured;
        }
        self.take(bytes);
        self.guess.unwrap_or(WINDOWS_1252)
    }

    /// Adds the words of a line that are not ASCII to the sample.
    fn take(&mut self, bytes: &[u8]) {
        if self.proved || self.sample.len() >= SAMPLE {
            return;
        }
        let before = self.sample.len();
        for word in bytes.split(|byte| *byte == b' ').filter(|word| !word.is_ascii()) {
            if self.sample.len() >= SAMPLE {
                break;
            }
            self.sample.extend_from_slice(word.get(..SAMPLE).unwrap_or(word));
            self.sample.push(b' ');
        }
        if let Some(zone) = zone_bytes(bytes).filter(|zone| !zone.is_ascii()) {
            // Separated by a line feed, so that a restart splits the sample in the same way.
            self.sample.push(b'\n');
            self.sample.extend_from_slice(zone.get(..200).unwrap_or(zone));
            self.sample.push(b'\n');
        }
        if self.sample.len() > before {
            self.guess();
        }
    }

    fn guess(&mut self) {
        let proof = self.sample.split(|byte| *byte == b'\n').filter(|zone| !zone.is_ascii()).find_map(|zone| {
            PROVABLE.into_iter().find(|encoding| {
                let (name, wrong) = encoding.decode_without_bom_handling(zone);
                !wrong && crate::clock::zones::lookup(name.trim()).is_some()
            })
        });
        self.proved = proof.is_some();
        self.guess = Some(proof.unwrap_or_else(|| {
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
            detector.feed(&self.sample, true);
            detector.guess(None, Utf8Detection::Deny)
        }));
    }
}

/// The zone name of a 2007 line, undecoded: the bytes between the year and the end of the stamp.
fn zone_bytes(line: &[u8]) -> Option<&[u8]> {
    let tail = line.get(line.windows(3).rposition(|mark| mark == b"$$<")?..)?;
    let next = |bytes: &[u8]| bytes.windows(2).position(|mark| mark == b"><");
    let stamp = tail.get(next(tail)? + 2..)?;
    let stamp = stamp.get(..next(stamp)?)?;
    // `Www Mon DD HH:MM:SS.mmm YYYY `, whose day and hour may have one digit.
    stamp.splitn(6, |byte| *byte == b' ').nth(5)
}

fn without_nuls(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

/// The encoding for a configured label; accepts the labels that administrators use for Windows code pages too.
pub fn code_page(label: &str) -> Option<&'static Encoding> {
    let standard = match label.to_ascii_lowercase().trim_start_matches("cp") {
        "932" => "shift_jis".to_owned(),
        "936" => "gbk".to_owned(),
        "949" => "euc-kr".to_owned(),
        "950" => "big5".to_owned(),
        "65001" => "utf-8".to_owned(),
        number if number.len() == 4 && number.starts_with("125") => format!("windows-{number}"),
        _ => label.to_owned(),
    };
    Encoding::for_label(standard.as_bytes()).filter(|encoding| *encoding != UTF_8 || standard.starts_with("utf"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::lines_of;

    fn texts(bytes: &[u8], configured: Option<&'static Encoding>) -> (Vec<String>, &'static str) {
        let mut decoder = Decoder::new(configured, Sample::new());
        let texts = lines_of(bytes, &[5]).iter().map(|line| decoder.text(&line.line()).into_owned()).collect();
        (texts, decoder.name())
    }

    #[test]
    fn utf16_of_both_kinds_with_and_without_a_bom_is_read() {
        for (bom, big) in [(true, false), (true, true), (false, false), (false, true)] {
            let text = format!("{}one\r\n東京\n", if bom { "\u{feff}" } else { "" });
            let bytes: Vec<u8> = text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
            assert_eq!(texts(&bytes, None).0, ["one", "東京"]);
        }
    }

    #[test]
    fn a_bom_goes_wherever_a_line_begins_with_one() {
        assert_eq!(texts("\u{feff}one\n\u{feff}two\n".as_bytes(), None).0, ["one", "two"]);
    }

    #[test]
    fn nul_padding_is_no_text() {
        assert_eq!(texts(b"\0\0one\nlast\0\0\0", None).0, ["one", "last"]);
    }

    #[test]
    fn ansi_text_of_each_language_is_guessed_or_configured() {
        for (encoding, text) in [
            (SHIFT_JIS, "リモート名を解決できませんでした。同期に失敗しました"),
            (EUC_KR, "HTTP 상태 503 요청이 실패했습니다. 서비스를 사용할 수 없습니다."),
            (GBK, "请求失败，状态 503：服务不可用。无法连接到远程服务器，请检查名称"),
            (WINDOWS_1251, "Не удалось разрешить удаленное имя. Синхронизация завершилась сбоем"),
            (WINDOWS_1252, "Die Anforderung ist fehlgeschlagen: Der Dienst ist nicht verfügbar"),
            (WINDOWS_1252, "La demande a échoué : Service non disponible, problème réseau à vérifier"),
        ] {
            let (bytes, ..) = encoding.encode(text);
            assert_eq!(texts(&bytes, None), (vec![text.to_owned()], encoding.name()), "guessed");
            assert_eq!(texts(&bytes, Some(encoding)).0, [text], "configured");
        }
        assert_eq!(code_page("cp1252"), Some(WINDOWS_1252));
        assert_eq!(code_page("932"), Some(SHIFT_JIS));
        assert_eq!(code_page("no such page"), None);
    }

    #[test]
    fn a_zone_name_settles_the_code_page_where_a_detector_cannot() {
        for (encoding, zone) in
            [(SHIFT_JIS, "東京 (標準時)"), (EUC_KR, "대한민국 표준시"), (WINDOWS_1252, "Mitteleuropäische Zeit")]
        {
            let line = format!("Starting Sync  $$<SMS_WSUS_SYNC_MANAGER><Mon Aug 6 7:54:25.519 2007 {zone}><thread=756 (0x2F4)>");
            let (bytes, ..) = encoding.encode(&line);
            assert_eq!(texts(&bytes, None), (vec![line], encoding.name()));
        }
    }

    #[test]
    fn a_decoder_resumes_where_another_stopped() {
        let (bytes, ..) = SHIFT_JIS.encode("同期に失敗しました。メッセージ");
        let mut first = Decoder::default();
        for line in lines_of(&bytes, &[7]) {
            first.text(&line.line());
        }
        let second = Decoder::new(None, first.sample().clone());
        assert_eq!(second.guess, Some(SHIFT_JIS));
    }
}
