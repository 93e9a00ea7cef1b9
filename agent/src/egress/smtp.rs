//! The dialogue with a mail server (RFC 5321). Decides what is said, in which order, and what an answer means. Nothing that a
//! server said before TLS began is believed after it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::mail::MailError;
use crate::host::printable;
use crate::limits::{MAIL_REPLY_BYTES, MAIL_REPLY_TIMEOUT};

/// A server that is spoken to.
pub(super) struct Dialogue<S> {
    stream: S,
    /// What came and is not read yet.
    unread: Vec<u8>,
    /// What the server said that it can do, a keyword and its parameters in each.
    abilities: Vec<String>,
}

/// What a server answered.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    /// Waits for the server's greeting.
    pub(super) async fn greeted(stream: S) -> Result<Self, MailError> {
        let mut dialogue = Self::new(stream);
        let greeting = dialogue.reply().await?;
        greeting.expect(220)?;
        Ok(dialogue)
    }

    /// Where TLS has begun after `STARTTLS`: the server says nothing of itself then.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            abilities: Vec::new(),
        }
    }

    /// Says hello, and learns what the server can do.
    pub(super) async fn hello(&mut self) -> Result<(), MailError> {
        // An address literal: nobody's name is made up, and no resolver asked.
        let reply = self.ask("EHLO [127.0.0.1]").await?;
        reply.expect(250)?;
        self.abilities = reply.lines.into_iter().skip(1).collect();
        Ok(())
    }

    /// Asks for TLS and gives back the stream on which it is to begin.
    pub(super) async fn start_tls(mut self) -> Result<S, MailError> {
        if !self.can("STARTTLS") {
            return Err(MailError::Other(
                "the server offers no `STARTTLS`".to_owned(),
            ));
        }
        self.ask("STARTTLS").await?.expect(220)?;
        // Answers to questions that were never asked: somebody on the way put them there (RFC 3207, section 6).
        if !self.unread.is_empty() {
            return Err(MailError::Other(
                "the server said more before TLS than it was asked".to_owned(),
            ));
        }
        Ok(self.stream)
    }

    /// Signs in.
    pub(super) async fn sign_in(&mut self, user: &str, password: &str) -> Result<(), MailError> {
        let offered = self.parameters("AUTH");
        let offers = |mechanism: &str| offered.iter().any(|o| o.eq_ignore_ascii_case(mechanism));
        let reply = if offers("PLAIN") || offered.is_empty() {
            let secret = BASE64.encode(format!("\0{user}\0{password}"));
            self.ask(&format!("AUTH PLAIN {secret}")).await?
        } else if offers("LOGIN") {
            self.ask("AUTH LOGIN").await?.expect(334)?;
            self.ask(&BASE64.encode(user)).await?.expect(334)?;
            self.ask(&BASE64.encode(password)).await?
        } else {
            return Err(MailError::Other(
                "the server offers no way of signing in that is known here (PLAIN, LOGIN)"
                    .to_owned(),
            ));
        };
        match reply.code {
            235 => Ok(()),
            454 | 421 => Err(MailError::Exhausted(reply.text())),
            _ => Err(MailError::Denied(format!(
                "the server refused the user or the password: {}",
                reply.text()
            ))),
        }
    }

    /// Hands over one message.
    pub(super) async fn deliver(
        &mut self,
        sender: &str,
        recipients: &[String],
        message: &[u8],
    ) -> Result<(), MailError> {
        let size = if self.can("SIZE") {
            format!(" SIZE={}", message.len())
        } else {
            String::new()
        };
        let reply = self.ask(&format!("MAIL FROM:<{sender}>{size}")).await?;
        reply.accepted("sender")?;
        for recipient in recipients {
            let reply = self.ask(&format!("RCPT TO:<{recipient}>")).await?;
            reply.accepted("recipients")?;
        }
        self.ask("DATA").await?.expect(354)?;
        let mut text = stuffed(message);
        text.extend_from_slice(b".\r\n");
        self.write(&text).await?;
        self.reply().await?.accepted("body")?;
        // It has the message; how it says goodbye is no matter.
        let _ = self.write(b"QUIT\r\n").await;
        Ok(())
    }

    fn can(&self, ability: &str) -> bool {
        self.abilities.iter().any(|offered| {
            let keyword = offered.split_ascii_whitespace().next().unwrap_or_default();
            keyword.eq_ignore_ascii_case(ability)
        })
    }

    fn parameters(&self, ability: &str) -> Vec<String> {
        let words = |offered: &String| {
            let mut words = offered.split_ascii_whitespace();
            let keyword = words.next()?;
            keyword
                .eq_ignore_ascii_case(ability)
                .then(|| words.map(str::to_owned).collect())
        };
        self.abilities.iter().find_map(words).unwrap_or_default()
    }

    async fn ask(&mut self, command: &str) -> Result<Reply, MailError> {
        // What comes from a plugin was checked; a second line would be a second command.
        if command.contains(['\r', '\n', '\0']) {
            return Err(MailError::Other("a command has one line".to_owned()));
        }
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), MailError> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(MAIL_REPLY_TIMEOUT, written).await {
            Ok(result) => result.map_err(|error| MailError::Other(error.to_string())),
            Err(_) => Err(silent()),
        }
    }

    async fn reply(&mut self) -> Result<Reply, MailError> {
        timeout(MAIL_REPLY_TIMEOUT, self.whole_reply())
            .await
            .map_err(|_| silent())?
    }

    async fn whole_reply(&mut self) -> Result<Reply, MailError> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        loop {
            let line = self.line().await?;
            bytes += line.len();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let (Some(code), true) = (code, bytes <= MAIL_REPLY_BYTES) else {
                return Err(MailError::Other(
                    "the server does not speak SMTP".to_owned(),
                ));
            };
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if !more {
                return Ok(Reply { code, lines });
            }
        }
    }

    async fn line(&mut self) -> Result<String, MailError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(printable(String::from_utf8_lossy(&line).trim_end()));
            }
            let mut piece = [0; 1_024];
            let read = self.stream.read(&mut piece).await;
            let read = read.map_err(|error| MailError::Other(error.to_string()))?;
            self.unread
                .extend_from_slice(piece.get(..read).unwrap_or_default());
            if read == 0 || self.unread.len() > MAIL_REPLY_BYTES {
                let why = "the server hung up, or does not speak SMTP";
                return Err(MailError::Other(why.to_owned()));
            }
        }
    }
}

impl Reply {
    fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }

    fn expect(&self, code: u16) -> Result<(), MailError> {
        match self.code {
            found if found == code => Ok(()),
            400..500 => Err(MailError::Exhausted(self.text())),
            530 | 534 | 535 | 538 => Err(MailError::Denied(self.text())),
            _ => Err(MailError::Other(format!(
                "the server refused: {}",
                self.text()
            ))),
        }
    }

    /// Of something that the plugin said.
    fn accepted(&self, field: &'static str) -> Result<(), MailError> {
        match self.code {
            200..300 => Ok(()),
            501 | 510..520 | 550..=556 => Err(MailError::Invalid {
                field,
                message: format!("the server refused it: {}", self.text()),
            }),
            _ => self.expect(250),
        }
    }
}

fn silent() -> MailError {
    MailError::Other("the mail server did not answer in time".to_owned())
}

/// A message as it crosses: lines that end in CRLF, and a dot before those that begin with one.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(message.len() + message.len() / 32 + 8);
    for line in message.split(|byte| *byte == b'\n') {
        // A carriage return alone is a line's end to some servers and not to others.
        let mut text = line
            .iter()
            .copied()
            .filter(|byte| *byte != b'\r')
            .peekable();
        if text.peek() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend(text);
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_end_before_its_end() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
            (b"a\r\n.\r\nQUIT", b"a\r\n..\r\nQUIT\r\n"),
            (b".", b"..\r\n"),
            (b"a\r.\r\nb", b"a.\r\nb\r\n"),
            (b"a\n\r.\nb", b"a\r\n..\r\nb\r\n"),
        ];
        for (message, crossed) in cases {
            assert_eq!(stuffed(message), crossed);
        }
    }
}
