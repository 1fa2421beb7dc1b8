//! Tests entries with the example lines they contain.

use super::entry::Cause;
use super::subject::Subject;
use super::{Catalogue, Kind};

/// The first line of an entry that is assigned to another entry than it should be.
pub fn wrong_line(catalogue: &Catalogue, cause: &Cause) -> Option<String> {
    let of = |line: &str| entry_of(catalogue, cause.kind, line).to_owned();
    let matching = cause.lines.matching.iter().find(|line| of(line) != cause.id).map(|line| {
        let other = of(line);
        format!("lines.match: {line:?} is {other}, not {}; make the patterns more specific", cause.id)
    });
    matching.or_else(|| {
        let line = cause.lines.other.iter().find(|line| of(line) == cause.id)?;
        Some(format!("lines.other: {line:?} is {} too; make the patterns more specific", cause.id))
    })
}

/// The entry assigned to a line. Entries that are not causes compete with all others, causes only with causes.
pub(super) fn entry_of<'a>(catalogue: &'a Catalogue, kind: Kind, line: &str) -> &'a str {
    let subject = Subject::of_line(line);
    match kind {
        Kind::Cause | Kind::General => &catalogue.cause_of(&subject).id,
        Kind::Harmless | Kind::Term => {
            catalogue.candidates(&subject).first().map_or(catalogue.unknown().id.as_str(), |best| best.cause.id.as_str())
        }
    }
}
