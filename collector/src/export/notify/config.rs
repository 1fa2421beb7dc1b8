//! `[[notify]]`, parsed and checked. Files with secrets are read once here, so that an error shows at start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use supwatch_model::config::Table;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Lang;
use supwatch_model::verdict::Severity;

use super::command::Program;
use super::plan::Filter;
use super::smtp::{self, MailAddress, Protection, Smtp};
use super::webhook::{self, Url, Webhook};

/// Most targets: each has metrics of its own and a task.
const TARGETS: usize = 32;
/// Most characters of a name.
const NAME_CHARS: usize = 64;
/// Longest delay: a week.
const DELAY_SECONDS: i64 = 7 * 24 * 3600;
/// Most recipients of a mail.
const RECIPIENTS: usize = 50;

/// A notification target.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its unique name; the store records deliveries under it.
    pub name: String,
    /// What it is notified of.
    pub filter: Filter,
    /// Language of its notifications.
    pub lang: Lang,
    /// Delivery: webhook, mail or program.
    pub way: Way,
}

/// How a target is reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// HTTP POST.
    Webhook(Webhook),
    /// Mail.
    Smtp(Smtp),
    /// A program.
    Command(Program),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Webhook,
    Smtp,
    Command,
}

/// Reads every `[[notify]]` of a file and records its faults there. Relative paths refer to `base`.
pub fn targets(file: &mut Table, base: &Path) -> Vec<Target> {
    let (mut names, mut targets) = (BTreeSet::new(), Vec::new());
    for (number, mut table) in file.tables("notify").into_iter().enumerate() {
        if number == TARGETS {
            let line = table.line();
            table.fault(line, format!("there are more than {TARGETS} [[notify]]: leave some out"));
        }
        if let Some(target) = target(&mut table, base) {
            if names.insert(target.name.clone()) {
                targets.push(target);
            } else {
                let line = table.line();
                table.fault(line, format!("notify.name: there is another {:?}: give each [[notify]] its own name", target.name));
            }
        }
        file.absorb(table);
    }
    targets
}

fn target(table: &mut Table, base: &Path) -> Option<Target> {
    let name = table.required("name", "a name of your choice, such as \"ops\"", name);
    let kind = table.required("kind", "\"webhook\", \"smtp\" or \"command\"", kind);
    let lang = table.optional("lang", lang).unwrap_or_default();
    let filter = filter(table);
    let way = match kind {
        Some(Kind::Webhook) => webhook(table, base).map(Way::Webhook),
        Some(Kind::Smtp) => smtp(table, base).map(Way::Smtp),
        Some(Kind::Command) => command(table, base).map(Way::Command),
        None => {
            // Which keys are valid here is not known, so none is reported as unknown.
            for key in ["url", "header_file", "ca", "server", "tls", "from", "credentials_file"] {
                table.string(key);
            }
            for key in ["to", "command"] {
                table.strings(key);
            }
            table.integer("port", 1..=65535);
            None
        }
    };
    Some(Target { name: name?, filter, lang, way: way? })
}

fn filter(table: &mut Table) -> Filter {
    let severity = table.optional("severity", |word| {
        Severity::from_word(word).ok_or_else(|| format!("{word:?} is not a severity: write \"critical\", \"warning\" or \"info\""))
    });
    let sites = table.each("sites", str::parse::<SiteCode>).unwrap_or_default();
    let rules = table.each("rules", |name| match supwatch_judgement::rules::get(name) {
        Some(rule) => Ok(rule.name.to_owned()),
        None => Err(format!("there is no rule {name:?}: `supwatch rules` lists them")),
    });
    let on = table.each("on", |word| match word {
        "open" | "resolve" => Ok(word.to_owned()),
        _ => Err(format!("{word:?} is not a notification event: write \"open\", \"resolve\" or both")),
    });
    if on.as_ref().is_some_and(Vec::is_empty) {
        let line = table.line();
        table.fault(line, "notify.on is empty, so nothing would be sent: write \"open\", \"resolve\" or both");
    }
    let wants = |word: &str| on.as_ref().is_none_or(|words| words.iter().any(|one| one == word));
    let (open, resolve) = (wants("open"), wants("resolve"));
    let delay = table.integer("delay_seconds", 0..=DELAY_SECONDS).map(SignedDuration::from_secs);
    Filter { severity: severity.unwrap_or(Severity::Warning), sites, rules: rules.unwrap_or_default(), open, resolve, delay }
}

fn webhook(table: &mut Table, base: &Path) -> Option<Webhook> {
    let url = table.required("url", "the address to post to, like \"https://hooks.corp.example/supwatch\"", str::parse::<Url>);
    let header_file = table.optional("header_file", |text| {
        let path = base.join(text);
        webhook::headers(&path).map(|_| path)
    });
    let ca = ca(table, base);
    Some(Webhook { url: url?, header_file, ca })
}

fn smtp(table: &mut Table, base: &Path) -> Option<Smtp> {
    let server = table.required("server", "the name of the mail server, like \"mail.corp.example\"", |text| {
        if text.is_empty() || text.contains(['/', '@', ' ']) {
            Err(format!("{text:?} is not a host name"))
        } else {
            Ok(text.to_owned())
        }
    });
    let protection = table.required("tls", "\"starttls\", \"tls\" or \"none\"", str::parse::<Protection>);
    let port = table.integer("port", 1..=65535).and_then(|port| u16::try_from(port).ok());
    let from = table.required("from", "the sender, like \"supwatch@corp.example\"", str::parse::<MailAddress>);
    let to = table.each("to", str::parse::<MailAddress>);
    let credentials_file = table.optional("credentials_file", |text| {
        let path = base.join(text);
        smtp::credentials(&path).map(|_| path)
    });
    let ca = ca(table, base);
    let line = table.line();
    if to.as_ref().is_none_or(|to| to.is_empty() || to.len() > RECIPIENTS) {
        table.fault(line, format!("notify.to: give 1 to {RECIPIENTS} recipients, like [\"ops@corp.example\"]"));
    }
    if credentials_file.is_some() && protection == Some(Protection::None) {
        table.fault(line, "notify.credentials_file: a password is not sent in the clear: set `tls` to \"starttls\" or \"tls\"");
    }
    let (protection, to) = (protection?, to?);
    Some(Smtp { server: server?, port: port.unwrap_or(protection.port()), protection, from: from?, to, credentials_file, ca })
}

fn command(table: &mut Table, base: &Path) -> Option<Program> {
    let mut words = table.strings("command").unwrap_or_default().into_iter();
    let Some(program) = words.next().filter(|program| !program.is_empty()) else {
        let line = table.line();
        table.fault(
            line,
            "notify.command is missing: give the program and its arguments, like [\"/usr/local/bin/notify\", \"ops\"]",
        );
        return None;
    };
    // A bare name is searched in the system's program path.
    let path = if program.contains(['/', '\\']) { base.join(&program) } else { PathBuf::from(&program) };
    if program.contains(['/', '\\']) && !path.is_file() {
        let line = table.line();
        table.fault(line, format!("notify.command: {} is not a file: name the program to run", path.display()));
    }
    Some(Program { path, arguments: words.collect() })
}

fn ca(table: &mut Table, base: &Path) -> Option<PathBuf> {
    table.optional("ca", |text| {
        let path = base.join(text);
        webhook::authorities(&path).map(|_| path)
    })
}

fn name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > NAME_CHARS || !text.chars().all(good) {
        return Err(format!("{text:?} is not a name: use up to {NAME_CHARS} letters, digits, dashes, underscores and dots"));
    }
    Ok(text.to_owned())
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "webhook" => Ok(Kind::Webhook),
        "smtp" => Ok(Kind::Smtp),
        "command" => Ok(Kind::Command),
        _ => Err(format!("{text:?} is not a kind of target: write \"webhook\", \"smtp\" or \"command\"")),
    }
}

fn lang(text: &str) -> Result<Lang, String> {
    match text {
        "en" => Ok(Lang::En),
        "ja" => Ok(Lang::Ja),
        _ => Err(format!("{text:?} is not a supported language: write \"en\" or \"ja\"")),
    }
}

#[cfg(test)]
mod tests;
