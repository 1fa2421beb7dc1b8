//! Probe result of one server, in the terms of a snapshot. Pure.

use jiff::Timestamp;
use supwatch_model::settings::Certificate;

use crate::probe::http::{Answer, HttpError};

/// Outcome of a probe; the values of a snapshot's `reach.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A web server answered, with whatever status.
    Answers,
    /// The name service gave no address, or not in time.
    NameNotResolved,
    /// The host refuses the connection: nothing listens on the port.
    Refused,
    /// Nothing came within a step's time limit.
    TimedOut,
    /// The network or a proxy finds no route.
    Unreachable,
    /// The TLS handshake fails.
    TlsFailed,
    /// The proxy denies the request: credentials are missing, or a rule forbids it.
    ProxyRefused,
    /// The peer does not speak HTTP.
    NoHttp,
}

impl Outcome {
    /// The value as written in a snapshot.
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

/// Probe result of one server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// First failure, if any.
    failure: Option<Outcome>,
    /// Virtual directories with the HTTP status of their web services.
    pub directories: Vec<(&'static str, u16)>,
    /// Whether any request was answered.
    answered: bool,
    /// Status of the last answer, the proxy's where the proxy refused.
    pub status: Option<u16>,
    /// Certificate that the server presented.
    pub certificate: Option<Certificate>,
    /// The server's clock minus ours, in whole seconds.
    pub clock_offset_s: Option<i64>,
}

impl Seen {
    /// Overall outcome. One response proves that the server is up; services that do not answer are listed one by one.
    pub fn outcome(&self) -> Outcome {
        if self.answered { Outcome::Answers } else { self.failure.unwrap_or(Outcome::TimedOut) }
    }

    /// The result of a server that answers.
    #[cfg(test)]
    pub fn answering(directories: &[(&'static str, u16)], clock_offset_s: i64) -> Seen {
        let status = directories.last().map(|(_, status)| *status);
        Seen { directories: directories.to_vec(), answered: true, status, clock_offset_s: Some(clock_offset_s), ..Seen::default() }
    }

    /// Records a failure; the first one counts.
    pub fn fail(&mut self, outcome: Outcome) {
        self.failure.get_or_insert(outcome);
    }

    /// Records a response received at `now` on the agent's clock.
    pub fn answer(&mut self, directory: Option<&'static str>, answer: Answer, now: Timestamp) {
        self.answered = true;
        self.status = Some(answer.status);
        self.directories.extend(directory.map(|directory| (directory, answer.status)));
        let offset = answer.date.map(|date| date.as_second() - now.as_second());
        self.clock_offset_s = self.clock_offset_s.or(offset);
    }
}
