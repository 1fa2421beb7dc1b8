//! Consistency of Japanese texts: one term per thing, the article's orthography, and its spacing.

use std::path::Path;

use super::{files, read};

/// String literals of a file outside its tests; of a TOML file those that are texts, not patterns or lines of logs.
fn japanese_texts(path: &Path) -> Vec<(usize, String)> {
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    // Tests below; a file may also name its tests at the top.
    let text = read(path);
    let text = if is_toml { &text } else { text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default() };
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let quoted = line.replace("\\\"", "\u{1}").replace("'\"'", "' '");
        let parts: Vec<&str> = quoted.split('"').collect();
        for (index, part) in parts.iter().enumerate().skip(1).step_by(2) {
            let is_text = !is_toml || parts[index - 1].trim_end().ends_with("ja =");
            if is_text && part.chars().any(is_japanese) {
                found.push((number + 1, part.replace('\u{1}', "\"")));
            }
        }
    }
    found
}

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}') && c != '・'
}

/// Two adjacent English words that are neither quoted nor a name nor input.
fn english_words(text: &str) -> Option<String> {
    let mut depth = 0;
    let mut ticks = false;
    let plain: String = text
        .chars()
        .map(|c| {
            match c {
                '(' | '[' | '「' | '{' | '<' => depth += 1,
                ')' | ']' | '」' | '}' | '>' => depth -= 1,
                '`' | '"' => ticks = !ticks,
                _ => {}
            }
            if depth > 0 || ticks { '|' } else { c }
        })
        .collect();
    let words: Vec<&str> = plain.split(' ').collect();
    let is_word = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase());
    words.windows(2).find(|pair| pair.iter().all(|word| is_word(word))).map(|pair| pair.join(" "))
}

/// What is wrong with a Japanese text, if anything.
fn wrong_japanese(text: &str) -> Option<String> {
    // Old orthography as in the article; one term per thing.
    const WORDS: &[(&str, &str)] = &[
        ("マネージャー", "マネージャ"),
        ("コンピューター", "コンピュータ"),
        ("フォルダー", "フォルダ"),
        ("メンバー", "メンバ"),
        ("フィルター", "フィルタ"),
        ("ブラウザー", "ブラウザ"),
        ("カテゴリー", "カテゴリ"),
        ("プロキシー", "プロキシ"),
        ("更新元", "更新ソース"),
        ("同期元", "更新ソース"),
        ("アップストリーム", "上流"),
        ("ダウンストリーム", "下流"),
        ("中央サイト", "セントラル サイト"),
        ("ソフトウェア更新の", "ソフトウェアの更新の"),
        ("ソフトウェア更新ポイント", "ソフトウェアの更新ポイント"),
        ("サードパーティー", "サードパーティ"),
    ];
    if let Some((word, right)) = WORDS.iter().find(|(word, _)| text.contains(word)) {
        return Some(format!("{word} is {right} elsewhere"));
    }
    // Windows patches have this name; what is synchronised does not.
    const PATCHES: &[&str] = &[
        "累積更新プログラム",
        "ソフトウェア更新プログラムの同期時",
        "Windows の更新プログラム",
        "WSUS の更新プログラム",
        "またはこれを含む更新プログラム",
        "ファームウェアの更新プログラムを含める",
        "バージョンおよび更新プログラム",
        "更新プログラムのロールアップ",
        "更新プログラムの多い",
        "更新プログラムが不足",
        "以降の更新プログラム",
        "対応の更新プログラム",
        "同じ更新プログラムのレ",
    ];
    if PATCHES.iter().fold(text.to_owned(), |text, patch| text.replace(patch, "")).contains("更新プログラム") {
        return Some("更新プログラム is (ソフトウェアの)更新 elsewhere".to_owned());
    }
    if let Some(english) = english_words(text) {
        return Some(format!("English: {english}"));
    }
    let sup = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == "SUP");
    if sup {
        return Some("SUP is ソフトウェアの更新ポイント elsewhere".to_owned());
    }
    let chars: Vec<char> = text.chars().collect();
    for around in chars.windows(3) {
        let [before, middle, after] = around else { continue };
        let particle = "はがをにのもとでやへ".contains(*after);
        if *middle == ' ' && is_japanese(*before) && particle {
            return Some(format!("a blank before {after}"));
        }
        if *middle == ' ' && "、。".contains(*after) {
            return Some(format!("a blank before {after}"));
        }
    }
    // A placeholder that may be empty brings its own blanks: `サーバー{named} です` is `サーバー です` without it.
    for (at, _) in text.match_indices("} ") {
        let before = text[..at].rfind('{').and_then(|open| text[..open].chars().next_back());
        let after = text[at + 2..].chars().next();
        if before.is_some_and(is_japanese) && after.is_some_and(is_japanese) {
            return Some(format!("a blank behind what may be empty: {}", &text[at..]));
        }
    }
    // A Latin word has blanks around it. `\n` is not a word, and `{name}` may be anything.
    for pair in chars.windows(2) {
        let [one, other] = pair else { continue };
        let touches = (one.is_ascii_alphanumeric() && is_japanese(*other)) || (is_japanese(*one) && other.is_ascii_alphanumeric());
        if touches && !text.starts_with("\\n") {
            return Some(format!("no blank between {one} and {other}"));
        }
    }
    for verb in [" です", " でした", " ます", " ました", " から", " まで", " より"] {
        if let Some(at) = text.find(verb) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            if is_japanese(before) || before == '」' {
                return Some(format!("a blank before{verb}"));
            }
        }
    }
    None
}

#[test]
fn japanese_texts_use_one_word_for_one_thing_and_blanks_as_the_article_does() {
    let mut wrong = Vec::new();
    let is_ours = |path: &Path| {
        let at = path.to_string_lossy().replace('\\', "/");
        let is_test = at.ends_with("tests.rs") || at.ends_with("testing.rs") || at.contains("/tests/");
        let of_ours = ["agent/", "collector/", "proto/"].iter().any(|folder| at.starts_with(folder));
        let texts = of_ours && (at.contains("/src/") || at.contains("/causes/"));
        // Words of logs, of consoles and of servers in other languages.
        let foreign =
            at.contains("localized") || at.contains("/recognise/") || at.contains("/parse/") || at.ends_with("rules/categories.rs");
        texts && !foreign && !is_test
    };
    let mut seen = 0;
    for path in files(".rs").iter().chain(&files(".toml")).filter(|path| is_ours(path)) {
        for (line, text) in japanese_texts(path) {
            seen += 1;
            if let Some(reason) = wrong_japanese(&text) {
                wrong.push(format!("{}:{line}: {reason}: {text}", path.display()));
            }
        }
    }
    assert!(seen > 1000, "{seen} texts are found");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_wrong_japanese_text_is_found() {
    for text in [
        "WSUS サーバー です",
        "WSUS サーバー{named} です",
        "最初の SUP を確認します",
        "IIS マネージャーを開きます",
        "WSUSを再起動します",
        "サイト の設定",
        "完了しました 。",
    ] {
        assert!(wrong_japanese(text).is_some(), "{text}");
    }
    for text in
        ["WSUS サーバーです", "`supwatch runs` で確認します", "{code} の設定", "8530 または 80", "SUPSetup.log を確認します"]
    {
        assert_eq!(wrong_japanese(text), None, "{text}");
    }
}
