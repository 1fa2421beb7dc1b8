//! Events, one a line.

use supwatch_model::event::StoredEvent;

use super::{Look, fit, safe, time};

/// One event, cut to the terminal.
pub fn line(stored: &StoredEvent, look: Look) -> String {
    let event = &stored.event;
    let text = if event.line.is_empty() { event.file.clone() } else { event.line.clone() };
    let head = format!("{:<19} {} {:<17} ", time(event.time), event.site, event.kind.name());
    format!("{head}{}\n", fit(&safe(&text), look.width.saturating_sub(head.len()).max(20)))
}
