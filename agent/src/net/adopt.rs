//! The connection over which a node is adopted, from its first word until two people have compared digits.
//!
//! Decides what is said in which order, and that nobody gets further who does not keep to it; the digits are
//! `pki::compare`'s. Refuses to know who may be adopted, how often it may be tried and what people said: that
//! is `cluster::adopt`.
//!
//! Neither side knows the other, so TLS believes any certificate here; what makes the connection worth
//! anything is that both people saw the same digits, which hang on its exporter and on the keys of both.

use std::net::SocketAddr;

use quinn::Connection;
use tokio::time::timeout;

mod words;

pub use self::words::{AdoptError, AdoptWord, Introduction, Myself, Stranger};

use self::words::{CALLED, CALLER, short};
use super::entrance::Counted;
use super::frames::{Answers, Asked, FrameError};
use super::link::{Closed, canonical};
use super::tls;
use super::transport::Socket;
use super::wire::Priority;
use crate::limits::{ADOPT_BYTES_MAX, ADOPT_STEP_TIMEOUT, DIAL_TIMEOUT};
use crate::pki::{self, ADOPTING, Badge, Code, Commitment, Pairing};

/// An open exchange.
#[derive(Debug)]
pub struct Line {
    connection: Connection,
    asked: Asked,
    answers: Answers,
    _counted: Option<Counted>,
}

/// Both sides have spoken; now people compare.
#[derive(Debug)]
pub struct Compared {
    /// Who is there.
    pub stranger: Stranger,
    /// What both sides show.
    pub code: Code,
    /// Where it goes on.
    pub line: Line,
}

/// Somebody who wants to adopt this node, not heard yet.
#[derive(Debug)]
pub struct AdoptDoor {
    connection: Connection,
    counted: Counted,
}

/// The same, with its first word.
#[derive(Debug)]
pub struct Adopter {
    line: Line,
    badge: Badge,
    introduction: Introduction,
    commitment: Commitment,
}

impl AdoptDoor {
    pub(super) fn new(connection: Connection, counted: Counted) -> Self {
        Self {
            connection,
            counted,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// Hears who it is. It gets little time and room to say it, and is told nothing.
    ///
    /// # Errors
    /// When it says nothing, or nothing that can be understood.
    pub async fn open(self) -> Result<Adopter, AdoptError> {
        let Self {
            connection,
            counted,
        } = self;
        let hear = async {
            let streams = connection.accept_bi().await;
            let (send, receive) = streams.map_err(|_| FrameError::Lost)?;
            let mut line = Line {
                asked: Asked::new(receive, ADOPT_BYTES_MAX),
                answers: Answers::new(send, Priority::Control),
                connection: connection.clone(),
                _counted: Some(counted),
            };
            let word = line.next().await?;
            Ok::<_, FrameError>((line, word))
        };
        let heard = timeout(ADOPT_STEP_TIMEOUT, hear).await;
        let (line, word) = heard.unwrap_or(Err(FrameError::Lost))?;
        let AdoptWord::Commit {
            introduction,
            commitment,
        } = word
        else {
            return Err(out_of_turn().into());
        };
        let badge = badge(&line.connection)?;
        introduction.check(CALLER, &badge)?;
        Ok(Adopter {
            line,
            badge,
            introduction,
            commitment,
        })
    }
}

impl Adopter {
    /// Who it is.
    #[must_use]
    pub fn stranger(&self) -> Stranger {
        self.introduction
            .stranger(canonical(self.line.connection.remote_address()))
    }

    /// Says no, and why.
    pub async fn refuse(self, why: &str) {
        self.line.refuse(why).await;
    }

    /// Shows this side's nonce, and sees whether the caller keeps to the one that it is held to.
    ///
    /// # Errors
    /// See [`AdoptError`]; the digits are not known to anybody then.
    pub async fn compare(self, me: Myself<'_>) -> Result<Compared, AdoptError> {
        let stranger = self.stranger();
        let Self {
            mut line,
            badge,
            introduction,
            commitment,
        } = self;
        let ours = me.introduce(CALLED, &badge)?;
        let pairing = Pairing {
            badge,
            caller: introduction.public_key,
            called: ours.public_key.clone(),
        };
        let called = pki::nonce().map_err(|error| AdoptError::Here(error.to_string()))?;
        let reply = AdoptWord::Reply {
            introduction: ours,
            nonce: called,
        };
        let word = timeout(ADOPT_STEP_TIMEOUT, async {
            line.say(&reply).await?;
            line.next().await
        });
        let caller = match word.await.unwrap_or(Err(FrameError::Lost))? {
            AdoptWord::Reveal(nonce) => nonce,
            AdoptWord::Refuse(why) => return Err(AdoptError::Refused(short(&why))),
            _ => return Err(out_of_turn().into()),
        };
        if !pairing.opens(&commitment, &caller) {
            line.refuse("what you show is not what you had committed to")
                .await;
            return Err(AdoptError::Cheated(
                "it showed another number than it had committed to",
            ));
        }
        Ok(Compared {
            code: pairing.code(&caller, &called),
            stranger,
            line,
        })
    }
}

/// Calls a node that waits to be adopted, and exchanges what the digits are made of.
///
/// # Errors
/// See [`AdoptError`].
pub async fn call_to_adopt(
    socket: &Socket,
    address: SocketAddr,
    me: Myself<'_>,
) -> Result<Compared, AdoptError> {
    let failed = |why: String| AdoptError::Failed { address, why };
    let config = tls::stranger(tls::ADOPTERS).map_err(|error| failed(error.to_string()))?;
    let connecting = socket
        .endpoint
        .connect_with(config, address, FACE)
        .map_err(|error| failed(error.to_string()))?;
    let connection = match timeout(DIAL_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => {
            return Err(AdoptError::Silent(address));
        }
        Ok(Err(error)) => return Err(failed(error.to_string())),
    };
    let badge = badge(&connection)?;
    let ours = me.introduce(CALLER, &badge)?;
    let caller = pki::nonce().map_err(|error| AdoptError::Here(error.to_string()))?;
    let commit = AdoptWord::Commit {
        commitment: pki::commit(&badge, &ours.public_key, &caller),
        introduction: ours.clone(),
    };
    let exchange = async {
        let streams = connection.open_bi().await;
        let (send, receive) = streams.map_err(|_| FrameError::Lost)?;
        let mut line = Line {
            asked: Asked::new(receive, ADOPT_BYTES_MAX),
            answers: Answers::new(send, Priority::Control),
            connection: connection.clone(),
            _counted: None,
        };
        line.say(&commit).await?;
        let word = line.next().await?;
        Ok::<_, FrameError>((line, word))
    };
    let said = timeout(ADOPT_STEP_TIMEOUT, exchange).await;
    let (mut line, word) = said.unwrap_or(Err(FrameError::Lost))?;
    let (theirs, called) = match word {
        AdoptWord::Reply {
            introduction,
            nonce,
        } => (introduction, nonce),
        AdoptWord::Refuse(why) => return Err(AdoptError::Refused(short(&why))),
        _ => return Err(out_of_turn().into()),
    };
    theirs.check(CALLED, &badge)?;
    line.say(&AdoptWord::Reveal(caller)).await?;
    let stranger = theirs.stranger(canonical(connection.remote_address()));
    let pairing = Pairing {
        badge,
        caller: ours.public_key,
        called: theirs.public_key,
    };
    Ok(Compared {
        code: pairing.code(&caller, &called),
        stranger,
        line,
    })
}

impl Line {
    /// Says a word.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub async fn say(&mut self, word: &AdoptWord) -> Result<(), FrameError> {
        self.answers.send(word).await
    }

    /// The next word. May be dropped and asked again: nothing is lost.
    ///
    /// # Errors
    /// When the other side is gone, or what it says is no word.
    pub async fn next(&mut self) -> Result<AdoptWord, FrameError> {
        self.asked.next().await?.ok_or(FrameError::Ended)
    }

    /// Says no, waits until it was heard, and ends.
    pub async fn refuse(mut self, why: &str) {
        let word = AdoptWord::Refuse(why.to_owned());
        if self.say(&word).await.is_ok() {
            self.finish().await;
        }
    }

    /// Says nothing more, waits a moment until the other side has heard it all and ends, and ends.
    pub async fn finish(mut self) {
        self.answers.end();
        let _ = timeout(ADOPT_STEP_TIMEOUT, self.connection.closed()).await;
        self.close();
    }

    /// Ends at once; what was said last may be lost.
    pub fn close(self) {
        self.connection.close(Closed::Stopping.code(), b"");
    }
}

fn badge(connection: &Connection) -> Result<Badge, FrameError> {
    let mut badge = [0; 32];
    connection
        .export_keying_material(&mut badge, ADOPTING, b"")
        .map_err(|_| FrameError::Lost)?;
    Ok(badge)
}

fn out_of_turn() -> FrameError {
    FrameError::Malformed("it is not what comes next".into())
}

/// Nobody is called so: the certificate is not looked at.
const FACE: &str = "adopt.skep";
