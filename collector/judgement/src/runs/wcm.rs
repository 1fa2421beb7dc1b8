//! Whether WSUS Configuration Manager failed to configure WSUS and nothing shows a success since: by message 6600 or state 3,
//! never by words. Unless it recovers, the next synchronisation fails with "WSUS server not configured".

use jiff::Timestamp;
use supwatch_model::event::{Event, EventKind};
use supwatch_model::finding::Evidence;

use super::line_of;
use crate::diagnosis::Catalogue;

/// An open failure of WCM.
#[derive(Debug, Clone, PartialEq)]
pub struct WcmFailure {
    /// When it was reported; absent if its log has no times.
    pub time: Option<Timestamp>,
    /// Lines that show it: the reported error, and the state.
    pub evidence: Vec<Evidence>,
    /// Cause of the reported error.
    pub cause: String,
}

/// The last result WCM reported.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Wcm {
    error: Option<(Evidence, String)>,
    pub failure: Option<WcmFailure>,
}

impl Wcm {
    /// Applies an event; those of other logs are ignored.
    pub fn fold(&mut self, event: &Event, catalogue: &Catalogue) {
        match &event.kind {
            EventKind::WcmState { state: 2 } => *self = Wcm::default(),
            EventKind::WcmState { state: 3 } => self.fail(event),
            EventKind::StatusMessage(message) if matches!(message.id, 6600 | 6602 | 6603) => self.fail(event),
            EventKind::ComponentError { text, source } if event.log == "wcm" => {
                let cause = catalogue.diagnose(text, source, None);
                // An exception comes first and says why; the following lines only say that it failed.
                if self.error.is_none() || !cause.is_general() {
                    self.error = Some((line_of(event), cause.id.clone()));
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, event: &Event) {
        let (error, cause) = self.error.clone().unzip();
        let cause = cause.unwrap_or_else(|| crate::diagnosis::UNKNOWN.to_owned());
        // The status message and the state report the same failure.
        let said = self.failure.take().map(|failure| failure.evidence).unwrap_or_default();
        let mut evidence: Vec<Evidence> = error.into_iter().chain(said.into_iter().last()).collect();
        evidence.push(line_of(event));
        evidence.dedup();
        self.failure = Some(WcmFailure { time: event.time, evidence, cause });
    }
}
