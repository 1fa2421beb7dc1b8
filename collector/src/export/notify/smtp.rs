//! Sends a notification as a mail, over SMTP. The only user of the mail library.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::message::Notice;
use super::secret::{self, SecretError};

/// Longest wait for one response of the server.
const ANSWER: Duration = Duration::from_secs(20);

/// Protection of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// None.
    None,
    /// STARTTLS; nothing is sent without it.
    StartTls,
    /// TLS from the first byte on.
    Tls,
}

impl Protection {
    /// The default port.
    pub fn port(self) -> u16 {
        match self {
            Protection::None => 25,
            Protection::StartTls => 587,
            Protection::Tls => 465,
        }
    }
}

impl FromStr for Protection {
    type Err = String;

    fn from_str(text: &str) -> Result<Protection, String> {
        match text {
            "none" => Ok(Protection::None),
            "starttls" => Ok(Protection::StartTls),
            "tls" => Ok(Protection::Tls),
            _ => Err(format!("{text:?} is not a TLS mode: write \"none\", \"starttls\" or \"tls\"")),
        }
    }
}

/// A mail address, with or without a display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(Mailbox);

impl FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<MailAddress, String> {
        let wrong =
            |_| format!("{text:?} is not a mail address: write one like \"ops@corp.example\" or \"Ops <ops@corp.example>\"");
        text.parse().map(MailAddress).map_err(wrong)
    }
}

/// Where and how to mail.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// The server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// Sender.
    pub from: MailAddress,
    /// Recipients.
    pub to: Vec<MailAddress>,
    /// File with user and password in two lines.
    pub credentials_file: Option<PathBuf>,
    /// File with the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The file with credentials is unusable.
    #[error(transparent)]
    Credentials(#[from] SecretError),
    /// The file with authorities is unusable.
    #[error("{} cannot be read: {source}", path.display())]
    Authorities {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS with {server} cannot be set up: {reason}")]
    Tls {
        /// Name of the server.
        server: String,
        /// The underlying error.
        reason: String,
    },
    /// The mail cannot be composed.
    #[error("the mail cannot be composed: {0}")]
    Message(#[from] lettre::error::Error),
    /// The server rejected the mail, or the connection failed.
    #[error("{server} rejected the mail: {}", supwatch_proto::channel::words(source))]
    Server {
        /// Server and port.
        server: String,
        /// The underlying error.
        source: lettre::transport::smtp::Error,
    },
}

impl SmtpError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            SmtpError::Credentials(_) => "correct the file that `credentials_file` names: user and password in two lines",
            SmtpError::Authorities { .. } | SmtpError::Tls { .. } => "give `ca` a PEM file with the authority of the server",
            SmtpError::Message(_) => "check `from` and `to`",
            SmtpError::Server { source, .. } if source.is_permanent() => {
                "the server refuses: check `from`, every address in `to`, and `credentials_file`"
            }
            SmtpError::Server { source, .. } if source.is_tls() => {
                "check `tls`, and give `ca` the authority of the server, or a `server` that its certificate names"
            }
            SmtpError::Server { .. } => "check `server`, `port` and `tls`, and the network path to it",
        }
    }
}

/// User and password from a file of two lines.
pub fn credentials(path: &Path) -> Result<Credentials, SecretError> {
    let lines = secret::lines(path)?;
    let wrong = |line, wanted| SecretError::Form { path: path.to_owned(), line, wanted };
    match lines.as_slice() {
        [user, password, rest @ ..] if rest.iter().all(String::is_empty) => match (user.is_empty(), password.is_empty()) {
            (false, false) => Ok(Credentials::new(user.clone(), password.clone())),
            (true, _) => Err(wrong(1, "the user is missing")),
            (_, true) => Err(wrong(2, "the password is missing")),
        },
        [_, _, ..] => Err(wrong(3, "nothing belongs behind user and password, in two lines")),
        _ => Err(wrong(1, "write the user on the first line and the password on the second")),
    }
}

impl Smtp {
    /// Sends a notification; the caller limits the time.
    pub async fn send(&self, notice: &Notice, date: SystemTime) -> Result<(), SmtpError> {
        let message = self.message(notice, date)?;
        let failed = |source| SmtpError::Server { server: format!("{}:{}", self.server, self.port), source };
        self.transport()?.send(message).await.map(drop).map_err(failed)
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, SmtpError> {
        let tls = match self.protection {
            Protection::None => Tls::None,
            Protection::StartTls => Tls::Required(self.parameters()?),
            Protection::Tls => Tls::Wrapper(self.parameters()?),
        };
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.server).port(self.port).timeout(Some(ANSWER)).tls(tls);
        if let Some(path) = &self.credentials_file {
            transport = transport.credentials(credentials(path)?).authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        Ok(transport.build())
    }

    fn parameters(&self) -> Result<TlsParameters, SmtpError> {
        let wrong =
            |error: lettre::transport::smtp::Error| SmtpError::Tls { server: self.server.clone(), reason: error.to_string() };
        let mut parameters = TlsParameters::builder(self.server.clone());
        if let Some(path) = &self.ca {
            let pem = std::fs::read(path).map_err(|source| SmtpError::Authorities { path: path.clone(), source })?;
            parameters = parameters
                .certificate_store(CertificateStore::None)
                .add_root_certificate(Certificate::from_pem(&pem).map_err(wrong)?);
        }
        parameters.build_rustls().map_err(wrong)
    }

    fn message(&self, notice: &Notice, date: SystemTime) -> Result<Message, SmtpError> {
        let id = |name: &str| format!("<{name}@{}>", self.from.0.email.domain());
        let raw = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        let addressed = |message: MessageBuilder| self.to.iter().fold(message, |message, address| message.to(address.0.clone()));
        let message = addressed(Message::builder().from(self.from.0.clone()))
            .date(date)
            .subject(notice.subject.clone())
            .message_id(Some(id(&notice.key)))
            // No mail has this id: it threads the mails about one finding.
            .references(id(&notice.thread))
            // Suppresses out-of-office replies.
            .raw_header(raw("Auto-Submitted", "auto-generated"))
            .header(ContentType::TEXT_PLAIN);
        Ok(message.body(notice.text.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::notify::message::tests::opened;

    #[test]
    fn a_mail_has_a_stable_id_a_thread_and_asks_for_no_answer() {
        let smtp = Smtp {
            server: "mail.corp.example".to_owned(),
            port: 25,
            protection: Protection::None,
            from: "supwatch <supwatch@corp.example>".parse().expect("address"),
            to: vec!["ops@corp.example".parse().expect("address"), "team@corp.example".parse().expect("address")],
            credentials_file: None,
            ca: None,
        };
        let mail = smtp.message(&opened(), SystemTime::UNIX_EPOCH).expect("mail").formatted();
        let mail = String::from_utf8(mail).expect("ASCII");
        for header in [
            "From: supwatch <supwatch@corp.example>\r\n",
            "To: ops@corp.example, team@corp.example\r\n",
            "Message-ID: <ops-3fa9c1d2e4b5-1772323200-open-1@corp.example>\r\n",
            "References: <ops-3fa9c1d2e4b5-1772323200@corp.example>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Subject: [supwatch corp] critical: P01: the last run failed\r\n",
        ] {
            assert!(mail.contains(header), "{header} not in:\n{mail}");
        }
    }

    #[track_caller]
    fn refused(text: &str, because: &str) {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("credentials");
        secret::tests::write(&path, text);
        let error = credentials(&path).expect_err("refused").to_string();
        assert!(error.ends_with(because) && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn credentials_are_two_lines() {
        refused("s3cret\n", "credentials:1: write the user on the first line and the password on the second");
        refused("\ns3cret\n", "credentials:1: the user is missing");
        refused("s3cret\n\n", "credentials:2: the password is missing");
        refused("s3cret\ns3cret\ns3cret\n", "credentials:3: nothing belongs behind user and password, in two lines");
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("credentials");
        secret::tests::write(&path, "user\npass word\n\n");
        assert!(credentials(&path).is_ok());
    }
}
