//! What was seen of one server, in the words of a snapshot. Pure.

use jiff::Timestamp;
use supwatch_model::settings::Certificate;

use crate::probe::http::{Answer, HttpError};

/// How it went; the words of a snapshot's `reach.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A web server answered, with whatever status.
    Answers,
    /// The name service gave no address, or not in time.
    NameNotResolved,
    /// The computer is there and nothing listens.
    Refused,
    /// Nothing came within a step's time limit.
    TimedOut,
    /// The network, or a proxy, finds no way.
    Unreachable,
    /// No TLS connection comes about.
    TlsFailed,
    /// The proxy refuses, for want of credentials or by its rules.
    ProxyRefused,
    /// What answers is no web server.
    NoHttp,
}

impl Outcome {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Answers => "answers",
            Outcome::NameNotResolved => "name-not-resolved",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timed-out",
            Outcome::Unreachable => "unreachable",
            Outcome::TlsFailed => "tls-failed",
            Outcome::ProxyRefused => "proxy-refused",
            Outcome::NoHttp => "no-http",
        }
    }
}

impl From<HttpError> for Outcome {
    fn from(error: HttpError) -> Outcome {
        match error {
            HttpError::NoHttp => Outcome::NoHttp,
            HttpError::TimedOut => Outcome::TimedOut,
        }
    }
}

/// What was seen of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// The first thing that went wrong, if any did.
    failure: Option<Outcome>,
    /// Virtual directories with the status of their web services.
    pub directories: Vec<(&'static str, u16)>,
    /// Whether anything answered.
    answered: bool,
    /// Status of the last answer, the proxy's where the proxy refused.
    pub status: Option<u16>,
    /// Certificate that was shown.
    pub certificate: Option<Certificate>,
    /// The server's clock minus ours, in whole seconds.
    pub clock_offset_s: Option<i64>,
}

impl Seen {
    /// How it went. One answer is enough for a server to be there; which of its services do not answer is told one by one.
    pub fn outcome(&self) -> Outcome {
        if self.answered { Outcome::Answers } else { self.failure.unwrap_or(Outcome::TimedOut) }
    }

    /// As a server is seen that answers.
    #[cfg(test)]
    pub fn answering(directories: &[(&'static str, u16)], clock_offset_s: i64) -> Seen {
        let status = directories.last().map(|(_, status)| *status);
        Seen { directories: directories.to_vec(), answered: true, status, clock_offset_s: Some(clock_offset_s), ..Seen::default() }
    }

    /// Notes what went wrong; the first thing counts.
    pub fn fail(&mut self, outcome: Outcome) {
        self.failure.get_or_insert(outcome);
    }

    /// Notes an answer that came at a moment of the agent's clock.
    pub fn answer(&mut self, directory: Option<&'static str>, answer: Answer, now: Timestamp) {
        self.answered = true;
        self.status = Some(answer.status);
        self.directories.extend(directory.map(|directory| (directory, answer.status)));
        let offset = answer.date.map(|date| date.as_second() - now.as_second());
        self.clock_offset_s = self.clock_offset_s.or(offset);
    }
}
