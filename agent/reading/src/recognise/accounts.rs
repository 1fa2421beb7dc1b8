//! Account names (`DOMAIN\\name`) in a line, which never leave the server.
//!
//! A name is distinguished from a path by the word before it: a component *uses* an account, or logs in *as a user*.

/// Words that precede an account name.
const BEFORE: [&str; 8] = ["user", "username", "account", "using", "login", "logon", "credentials", "as"];

/// The text without account names; `None` if it has none, as nearly all lines.
pub(super) fn without(text: &str) -> Option<String> {
    memchr::memchr(b'\\', text.as_bytes())?;
    let mut clean = String::new();
    let mut from = 0;
    for at in memchr::memchr_iter(b'\\', text.as_bytes()) {
        if at < from {
            continue;
        }
        let (before, after) = (text.get(from..at)?, text.get(at + 1..)?);
        let domain = before.len() - before.trim_end_matches(is_name).len();
        let name = after.len() - after.trim_start_matches(is_name).len();
        let head = before.get(..before.len() - domain)?;
        let is_path = head.ends_with(['\\', '/', ':']) || after.get(name..)?.starts_with('\\');
        if domain == 0 || name == 0 || is_path || !follows_word(head) {
            continue;
        }
        clean.push_str(head);
        clean.push_str("<account>");
        from = at + 1 + name;
    }
    (from > 0).then(|| clean + text.get(from..).unwrap_or_default())
}

/// `Using CORP\someone credentials …`: in a line known to name an account, the name is removed, in whatever form it is written,
/// and everything else stays.
pub(super) fn without_any(line: &str) -> String {
    let end = ["to connect", "credentials"].iter().filter_map(|word| line.find(word)).min();
    let start = ["sing account ", "sing "].iter().find_map(|word| line.find(word).map(|at| at + word.len()));
    match (start, end) {
        (Some(start), Some(end)) if start < end => {
            let (before, after) = (line.get(..start).unwrap_or_default(), line.get(end..).unwrap_or_default());
            format!("{before}<account> {after}")
        }
        // In any other shape, no part of the line is safe to keep.
        _ => "<line that names an account>".to_owned(),
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || "._-$".contains(c)
}

fn follows_word(head: &str) -> bool {
    let head = head.trim_end_matches(['\'', '"', '[', '(', '=', ' ', '\n', '\t', '~', ',']);
    let start = head.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |at| at + head.get(at..).map_or(1, first_length));
    let word = head.get(start..).unwrap_or_default();
    BEFORE.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_and_paths_stay() {
        assert_eq!(without("Login failed for user 'CORP\\svc-1'.").as_deref(), Some("Login failed for user '<account>'."));
        assert_eq!(
            without("Using CORP\\a credentials, using CORP\\b").as_deref(),
            Some("Using <account> credentials, using <account>")
        );
        for kept in
            ["using E:\\ConfigMgr\\inboxes", "using \\\\server\\share", "no backslash", "Dropped a\\b", "user \\x", "使用 東京\\x"]
        {
            assert_eq!(without(kept), None, "{kept}");
        }
    }
}
