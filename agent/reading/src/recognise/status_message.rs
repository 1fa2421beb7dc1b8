//! `STATMSG:` lines: Configuration Manager status messages as components log them.
//!
//! `STATMSG: ID=<n> SEV=I|W|E LEV=M SOURCE="SMS Server" COMP="…" SYS=… SITE=… PID=… TID=… GMTDATE=… ISTR0="" … ISTR9=""
//! NUMATTRS=<n>[ AIDn=<id> AVALn="<text>"][ LE=0X<hex>]`. Copies truncate them anywhere; the fields present are parsed.

use supwatch_model::event::{StatusAttribute, StatusMessage};

use super::text::{number, one_line, starts_with};

pub(super) fn read(message: &str) -> Option<StatusMessage> {
    if !starts_with(message, "STATMSG:") {
        return None;
    }
    // Text processors make curly quotes, markup escapes underscores.
    if message.contains(['”', '“', '\\']) && message.contains(['”', '“']) {
        return fields_of(&message.replace(['”', '“'], "\"").replace("\\_", "_"));
    }
    fields_of(message)
}

fn fields_of(message: &str) -> Option<StatusMessage> {
    let id = u32::try_from(number(field(message, "ID")?)?).ok()?;
    let mut strings: Vec<String> = (0..10).map(|n| one_line(field(message, &format!("ISTR{n}")).unwrap_or_default())).collect();
    while strings.last().is_some_and(String::is_empty) {
        strings.pop();
    }
    let attributes = (0..10).map_while(|n| {
        let id = number(field(message, &format!("AID{n}"))?).and_then(|id| u32::try_from(id).ok())?;
        Some(StatusAttribute { id, value: one_line(field(message, &format!("AVAL{n}"))?) })
    });
    Some(StatusMessage {
        id,
        severity: field(message, "SEV").unwrap_or_default().chars().take(100).collect(),
        component: field(message, "COMP").unwrap_or_default().chars().take(100).collect(),
        system: field(message, "SYS").unwrap_or_default().trim_end_matches('…').chars().take(100).collect(),
        site: field(message, "SITE").and_then(|code| code.parse().ok()),
        strings,
        attributes: attributes.collect(),
        last_error: field(message, "LE").map(|text| text.chars().take(100).collect()),
    })
}

/// The value of ` NAME=`, with or without quotes. A quoted one ends at a quote before the next field, because insertion strings
/// may contain quotes.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let at = message.match_indices(name).map(|(at, _)| at).find(|at| {
        let bounded = message.get(..*at).is_some_and(|head| head.ends_with([' ', '\n', '\t']));
        bounded && message.get(at + name.len()..).is_some_and(|rest| rest.starts_with('='))
    })?;
    let rest = message.get(at + name.len() + 1..)?;
    let Some(quoted) = rest.strip_prefix('"') else {
        return rest.split([' ', '\n', '\t']).next().filter(|value| !value.is_empty());
    };
    let next = ["ISTR", "NUMATTRS", "AID", "AVAL", "LE=", "SYS=", "COMP=", "SITE=", "SMS_"];
    let end = quoted
        .match_indices('"')
        .map(|(at, _)| at)
        .find(|at| {
            let tail = quoted.get(at + 1..).unwrap_or_default();
            let tail = tail.trim_start_matches(['\n', '\t', ' ']);
            tail.is_empty() || next.iter().any(|start| tail.starts_with(start))
        })
        .unwrap_or(quoted.len());
    quoted.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_gives_its_strings_site_and_error() {
        let line = "STATMSG: ID=6703 SEV=E LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=cen.corp.example SITE=CEN PID=1 TID=2 GMTDATE=Sun Mar 01 04:00:00.000 2026 ISTR0=\"A.B\" ISTR1=\"he said \"no\"~~at X\" ISTR2=\"\" ISTR3=\"\" NUMATTRS=1 AID0=400 AVAL0=\"v\" LE=0X8013150a";
        let message = read(line).expect("a status message");
        assert_eq!(message.id, 6703);
        assert_eq!(message.component, "SMS_WSUS_SYNC_MANAGER");
        assert_eq!(message.site.map(|s| s.to_string()).as_deref(), Some("CEN"));
        assert_eq!(message.strings, ["A.B", "he said \"no\" at X"]);
        assert_eq!(message.attributes, [StatusAttribute { id: 400, value: "v".into() }]);
        assert_eq!(message.last_error.as_deref(), Some("0X8013150a"));
    }

    #[test]
    fn curly_quotes_of_a_text_processor_are_quotes() {
        let message =
            read("STATMSG: ID=6703 SEV=E COMP=”SMS\\_WSUS\\_SYNC\\_MANAGER” SYS=s SITE=CEN ISTR0=”A.B” ISTR1=”no” LE=0X80")
                .expect("one");
        assert_eq!((message.component.as_str(), message.strings.len()), ("SMS_WSUS_SYNC_MANAGER", 2));
    }

    #[test]
    fn a_cut_copy_gives_what_it_has() {
        let message =
            read("STATMSG: ID=6701 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=sup.corp…").expect("one");
        assert_eq!((message.id, message.system.as_str(), message.site), (6701, "sup.corp", None));
        assert!(read("STATMSG: nothing").is_none());
    }
}
