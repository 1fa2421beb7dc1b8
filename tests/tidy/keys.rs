//! Configuration keys and commands in the reference are hand-written; this compares them with what the programs accept.
//!
//! A program that meets an unknown key lists the known ones; given a value of the wrong kind, it says what it wants. So each
//! table is tested twice: with an unknown key, then with a huge number as the value of each known key.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use supwatch_tests::binary;

use super::read;

/// A key that no program knows, or takes for a misspelling.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
/// A number beyond every bound.
const HUGE: &str = "9000000000000000000";

/// The file that contains a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    Collector,
    Hierarchy,
    Rules,
    Cause,
    Agent,
    Site,
}

/// File, the text before the keys, the table's name in messages, and the table's markers in the reference.
const ASKED: &[(File, &str, &str, &[&str])] = &[
    (File::Collector, "", "", &["supwatch.toml"]),
    (File::Collector, "[otlp]", "otlp.", &["supwatch.toml otlp"]),
    (File::Collector, "[[notify]]\nkind = \"webhook\"", "notify.", &["supwatch.toml notify", "supwatch.toml notify webhook"]),
    (File::Collector, "[[notify]]\nkind = \"smtp\"", "notify.", &["supwatch.toml notify", "supwatch.toml notify smtp"]),
    (File::Collector, "[[notify]]\nkind = \"command\"", "notify.", &["supwatch.toml notify", "supwatch.toml notify command"]),
    (File::Hierarchy, "", "", &["hierarchy.toml"]),
    (File::Hierarchy, "[intervals]", "intervals.", &["hierarchy.toml intervals"]),
    (File::Hierarchy, "[[site]]", "site.", &["hierarchy.toml site"]),
    (File::Rules, "", "", &["rules.toml"]),
    (File::Rules, "[limits]", "limits.", &["rules.toml limits"]),
    (File::Rules, "[[rule]]", "rule.", &["rules.toml rule"]),
    (File::Rules, "[[expected]]", "expected.", &["rules.toml expected"]),
    (File::Agent, "", "", &["agent.toml"]),
    (File::Agent, "[[site]]", "site.", &["agent.toml site"]),
    (File::Agent, "[probe]", "probe.", &["agent.toml probe"]),
    (File::Site, "", "", &["site.toml"]),
    (File::Cause, "", "", &["cause"]),
    (File::Cause, "[[pattern]]", "", &["cause pattern"]),
    (File::Cause, "[[remedy]]", "", &["cause remedy"]),
    (File::Cause, "[lines]", "", &["cause lines"]),
];

/// A program's output for a file.
fn said_of(file: File, text: &str) -> String {
    let dir = tempfile::tempdir().expect("folder");
    let (program, own, name) = match file {
        File::Collector => ("supwatch", None, "supwatch.toml"),
        File::Hierarchy => ("supwatch", Some("hierarchy = \"asked.toml\"\n"), "asked.toml"),
        File::Rules => ("supwatch", Some("rules = \"asked.toml\"\n"), "asked.toml"),
        File::Cause => ("supwatch", Some("causes = \"causes\"\n"), "causes/asked.toml"),
        File::Agent => ("supwatch-agent", None, "agent.toml"),
        File::Site => ("supwatch-agent", Some("[[site]]\nfolder = \".\"\n"), "site.toml"),
    };
    std::fs::create_dir(dir.path().join("causes")).expect("folder");
    let config = dir.path().join(format!("{program}.toml").replace("supwatch-agent", "agent"));
    if let Some(own) = own {
        std::fs::write(&config, own).expect("written");
    }
    std::fs::write(dir.path().join(name), text).expect("written");
    let output = Command::new(binary(program)).arg("--config").arg(&config).args(["config", "check"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "{text}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// The keys of a table, as the program that reads it lists them.
fn known(file: File, head: &str, table: &str) -> BTreeSet<String> {
    let said = said_of(file, &format!("{head}\n{UNKNOWN} = 1\n"));
    let line = said.lines().find(|line| line.contains(UNKNOWN) && (line.contains("known here") || line.contains("expected")));
    let line = line.unwrap_or_else(|| panic!("{file:?} {head}: no list of known keys in:\n{said}"));
    let keys: BTreeSet<String> = if file == File::Cause {
        line.split("expected").nth(1).unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
    } else {
        assert!(line.contains(&format!("{table}{UNKNOWN}")), "{file:?} {head}: {line}");
        line.split("known here: ").nth(1).unwrap_or_default().split(", ").map(str::to_owned).collect()
    };
    assert!(!keys.is_empty(), "{file:?} {head}: {line}");
    keys
}

/// The value that the program wants for each key, in the terms of the reference.
fn wanted(file: File, head: &str, table: &str) -> BTreeSet<(String, String)> {
    let keys = known(file, head, table);
    // A cause is read by another parser, which stops at its first fault and reports no bounds.
    if file == File::Cause {
        return keys.into_iter().map(|key| (key, String::new())).collect();
    }
    let already = |key: &str| head.lines().any(|line| line.starts_with(&format!("{key} =")));
    let values: String = keys.iter().filter(|key| !already(key)).map(|key| format!("{key} = {HUGE}\n")).collect();
    let said = said_of(file, &format!("{head}\n{values}"));
    let of = |key: &String| {
        if already(key) {
            return "string".to_owned();
        }
        let of_kind = format!(": {table}{key} must be ");
        let of_bounds = format!(": {table}{key} is {HUGE}: it must be ");
        for line in said.lines() {
            if let Some((_, bounds)) = line.split_once(&of_bounds) {
                return bounds.to_owned();
            }
            let Some((_, kind)) = line.split_once(&of_kind) else { continue };
            let kind = kind.split(", not ").next().unwrap_or_default();
            return match kind {
                "true or false" => "boolean".to_owned(),
                "a list of tables ([[...]])" => "list of tables".to_owned(),
                kind => kind.trim_start_matches("a ").to_owned(),
            };
        }
        panic!("{file:?} {head}: nothing about {table}{key} in:\n{said}");
    };
    keys.iter().map(|key| (key.clone(), of(key))).collect()
}

/// Key and kind of value, as listed in the reference between the markers.
fn described(reference: &str, mark: &str) -> BTreeSet<(String, String)> {
    let open = format!("<!-- keys: {mark} -->");
    let rest = reference.split(&open).nth(1).unwrap_or_else(|| panic!("deploy/docs/reference.md has no {open}"));
    let rows = rest.split("<!-- end -->").next().unwrap_or_default().lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells.map(|cells| (cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned())).collect()
}

#[test]
fn the_reference_has_every_configuration_key_and_no_other() {
    let reference = read(Path::new("deploy/docs/reference.md"));
    for (file, head, table, marks) in ASKED {
        let mut described: BTreeSet<_> = marks.iter().flat_map(|mark| described(&reference, mark)).collect();
        if *file == File::Cause {
            described = described.into_iter().map(|(key, _)| (key, String::new())).collect();
        }
        let wanted = wanted(*file, head, table);
        let lacking: Vec<_> = wanted.difference(&described).collect();
        let wrong: Vec<_> = described.difference(&wanted).collect();
        assert!(
            lacking.is_empty() && wrong.is_empty(),
            "deploy/docs/reference.md, keys of {marks:?}: it lacks {lacking:?} and has {wrong:?}, which the program does not"
        );
    }
}

#[test]
fn the_examples_in_deploy_name_every_key() {
    for (file, head, table, _) in ASKED {
        let example = match file {
            File::Collector => "deploy/supwatch.toml",
            File::Hierarchy => "deploy/hierarchy.toml",
            File::Rules => "deploy/rules.toml",
            File::Agent => "deploy/agent.toml",
            File::Site => "deploy/site.toml",
            File::Cause => continue,
        };
        let text = read(Path::new(example));
        let lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches(['#', ' '])).collect();
        for (key, kind) in wanted(*file, head, table) {
            let begins = match kind.as_str() {
                "table" => format!("[{key}]"),
                "list of tables" => format!("[[{key}]]"),
                _ => format!("{key} = "),
            };
            // A comment may name a key instead of showing it.
            let explained = lines.iter().any(|line| line.contains(&begins) || line.contains(&format!("`{key}`")));
            assert!(explained, "{example} does not show {table}{key}: add a line that begins with {begins:?}");
        }
    }
}

/// An example with its commented-out parts enabled: keys and table headers, not sentences.
fn uncommented(text: &str) -> String {
    let mut out = String::new();
    let mut open = false;
    for line in text.lines() {
        let bare = line.trim_start_matches(['#', ' ']);
        let key = bare.split(" = ").next().unwrap_or_default();
        let is_key = bare.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_head = bare.starts_with('[') && bare.trim_end().ends_with(']') && !bare.contains(' ');
        if open || is_key || is_head {
            // A list may span lines.
            open = (open || bare.contains(" = [")) && !bare.contains(']');
            out.push_str(bare);
        } else if !line.starts_with('#') {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

#[test]
fn what_the_examples_have_commented_out_is_accepted() {
    let examples =
        [(File::Collector, "supwatch.toml"), (File::Agent, "agent.toml"), (File::Site, "site.toml"), (File::Rules, "rules.toml")];
    for (file, name) in examples {
        let text = uncommented(&read(&Path::new("deploy").join(name)));
        // Files that the example names are missing; nothing else may be wrong.
        for line in said_of(file, &text).lines() {
            for fault in [" must be ", "no known key", "no TOML", "write "] {
                assert!(!line.contains(fault), "deploy/{name}: {line}\n{text}");
            }
        }
    }
}

/// The entries of `--help`: commands, then options.
fn help(program: &str, command: &[&str]) -> (Vec<String>, Vec<String>) {
    let output = Command::new(binary(program)).args(command).arg("--help").env("COLUMNS", "200").output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let listed = text.split("Commands:\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
    let commands = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands = commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let options = text.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let options = options.flat_map(|line| line.split_whitespace().take(2)).filter(|word| word.starts_with("--"));
    (commands.map(str::to_owned).collect(), options.map(|word| word.trim_matches(',').to_owned()).collect())
}

#[test]
fn the_reference_has_every_command_and_option() {
    let reference = read(Path::new("deploy/docs/reference.md"));
    let mut asked: Vec<(&str, Vec<String>)> = vec![("supwatch", Vec::new()), ("supwatch-agent", Vec::new())];
    let mut seen = 0;
    while let Some((program, path)) = asked.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let (commands, options) = help(program, &words);
        let name = [&[program], words.as_slice()].concat().join(" ");
        if commands.is_empty() {
            seen += 1;
            assert!(reference.contains(&format!("`{name}")), "deploy/docs/reference.md lacks the command `{name}`");
        }
        for option in options {
            let shown = [format!("`{option}`"), format!("`{option} ")].iter().any(|shown| reference.contains(shown));
            assert!(shown, "deploy/docs/reference.md lacks {option} of `{name}`");
        }
        asked.extend(commands.into_iter().map(|command| (program, [path.as_slice(), &[command]].concat())));
    }
    assert!(seen > 20, "{seen} commands are found");
}
