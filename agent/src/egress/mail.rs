//! One message by a granted mail server. Decides what a message may hold, and that a password crosses only where nobody else
//! reads it. `lettre` writes the message.

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use skep_core::capability::{Host, SecretName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::rights::{Scope, Way, covering};
use super::smtp::Dialogue;
use super::tally::Tally;
use super::{Egress, EgressError, SecretError, tls};
use crate::limits::{MAIL_BODY_BYTES, MAIL_RECIPIENTS, MAIL_SUBJECT_BYTES};

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    Tls,
    StartTls,
    None,
}

/// One message, and the server that takes it.
#[derive(Clone, Debug)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub protection: Protection,
    /// Who signs in.
    pub user: Option<String>,
    /// The secret that is the user's password.
    pub password: Option<SecretName>,
    pub sender: String,
    pub recipients: Vec<String>,
    pub subject: String,
    pub body: String,
}

/// Why a message did not leave.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    #[error("`{field}`: {message}")]
    Invalid {
        field: &'static str,
        message: String,
    },
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Exhausted(String),
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Egress(#[from] EgressError),
}

/// A message that can be handed over.
struct Letter {
    sender: String,
    recipients: Vec<String>,
    text: Vec<u8>,
}

impl Egress {
    /// Sends one message. When this returns, the server has it.
    pub(crate) async fn mail(&self, scope: &Scope, mail: &Mail) -> Result<(), MailError> {
        Tally::add(&self.tally.requests_out, 1);
        let host: Host = mail
            .host
            .parse()
            .map_err(|error: skep_core::capability::HostError| {
                invalid("host", error.to_string())
            })?;
        self.check_name(Way::Mail, &host, mail.port)?;
        self.check_protection(&host, mail)?;
        let password = match &mail.password {
            Some(name) => Some(self.secret(name)?),
            None => None,
        };
        let letter = letter(mail)?;
        if !scope.one_more() {
            return Err(EgressError::TooMany.into());
        }
        let stands = timeout(self.connect, async {
            let reached = self.reach(Way::Mail, &host, mail.port, scope).await?;
            if mail.protection != Protection::Tls {
                return Ok((None, Some(reached.stream)));
            }
            let stream = tls::start(&self.tls, &host, None, reached.stream).await?;
            Ok::<_, EgressError>((Some(stream), None))
        });
        let stands = stands.await.map_err(|_| EgressError::ConnectTimeout)??;
        let signs_in = mail.user.as_deref().zip(password.as_ref());
        match stands {
            (Some(stream), _) => {
                let dialogue = Dialogue::greeted(stream).await?;
                converse(dialogue, signs_in, &letter).await
            }
            (None, Some(stream)) if mail.protection == Protection::StartTls => {
                let mut dialogue = Dialogue::greeted(stream).await?;
                dialogue.hello().await?;
                let stream = dialogue.start_tls().await?;
                let started = timeout(self.connect, tls::start(&self.tls, &host, None, stream));
                let stream = started.await.map_err(|_| EgressError::ConnectTimeout)?;
                let dialogue = Dialogue::new(stream.map_err(EgressError::Tls)?);
                converse(dialogue, signs_in, &letter).await
            }
            (None, Some(stream)) => converse(Dialogue::greeted(stream).await?, None, &letter).await,
            (None, None) => Err(EgressError::ConnectTimeout.into()),
        }
    }

    fn check_protection(&self, host: &Host, mail: &Mail) -> Result<(), MailError> {
        if mail.user.is_some() != mail.password.is_some() {
            return Err(invalid("user", "a user and a password come together"));
        }
        if mail.protection != Protection::None {
            return Ok(());
        }
        if mail.password.is_some() {
            return Err(invalid(
                "security",
                "a password is not sent without TLS: choose `tls` or `starttls`",
            ));
        }
        let rights = self.rights();
        let local = covering(&rights, Way::Mail, host, mail.port).any(|place| place.local);
        if local {
            return Ok(());
        }
        Err(invalid(
            "security",
            "a server that is not granted as local needs `tls` or `starttls`",
        ))
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut dialogue: Dialogue<S>,
    signs_in: Option<(&str, &crate::protocol::SecretText)>,
    letter: &Letter,
) -> Result<(), MailError> {
    dialogue.hello().await?;
    if let Some((user, password)) = signs_in {
        dialogue.sign_in(user, password.reveal()).await?;
    }
    dialogue
        .deliver(&letter.sender, &letter.recipients, &letter.text)
        .await
}

/// Writes the message, once nothing in it can be taken for anything else.
fn letter(mail: &Mail) -> Result<Letter, MailError> {
    if mail
        .user
        .as_deref()
        .is_some_and(|user| user.contains(char::is_control))
    {
        return Err(invalid("user", "it holds a control character"));
    }
    let sender = mailbox("sender", &mail.sender)?;
    if mail.recipients.is_empty() || mail.recipients.len() > MAIL_RECIPIENTS {
        let message = format!("1 to {MAIL_RECIPIENTS} people can get a message");
        return Err(invalid("recipients", message));
    }
    let recipients: Vec<Mailbox> = mail
        .recipients
        .iter()
        .map(|recipient| mailbox("recipients", recipient))
        .collect::<Result<_, _>>()?;
    if mail.subject.len() > MAIL_SUBJECT_BYTES || mail.subject.contains(char::is_control) {
        let message = format!("it is one line of at most {MAIL_SUBJECT_BYTES} bytes");
        return Err(invalid("subject", message));
    }
    if mail.body.len() > MAIL_BODY_BYTES {
        let message = format!("it has more than {MAIL_BODY_BYTES} bytes");
        return Err(invalid("body", message));
    }
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| SecretError::Randomness)?;
    let id = format!("<{}@{}>", crate::host::hex(&bits), sender.email.domain());
    let mut builder = Message::builder()
        .from(sender.clone())
        .subject(&mail.subject)
        .date_now()
        .message_id(Some(id))
        .header(ContentType::TEXT_PLAIN);
    for recipient in &recipients {
        builder = builder.to(recipient.clone());
    }
    let message = builder
        .body(mail.body.clone())
        .map_err(|error| invalid("body", error.to_string()))?;
    Ok(Letter {
        sender: sender.email.to_string(),
        recipients: recipients
            .iter()
            .map(|recipient| recipient.email.to_string())
            .collect(),
        text: message.formatted(),
    })
}

fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, MailError> {
    if text.contains(char::is_control) {
        return Err(invalid(field, "an address holds a control character"));
    }
    let mailbox: Mailbox = text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        invalid(
            field,
            format!("`{shown}` is no address: write `user@host` or `name <user@host>`"),
        )
    })?;
    // Other scripts need a server with SMTPUTF8; a line's end or a bracket would be a second address.
    let address = mailbox.email.to_string();
    if !address.is_ascii() || address.contains(['<', '>', ' ']) {
        return Err(invalid(field, "an address has ASCII characters alone"));
    }
    Ok(mailbox)
}

fn invalid(field: &'static str, message: impl Into<String>) -> MailError {
    MailError::Invalid {
        field,
        message: message.into(),
    }
}
