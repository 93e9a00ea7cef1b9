//! What must be told as it is: refusals, answers that are cut off, silent, wrong or endless, and requests that are dropped.

use super::{Suite, chat, generation};
use crate::conformance::openai;
use crate::conformance::server::{End, Heard, Reply, Server};
use crate::conformance::service::{refused, scope};
use crate::conformance::{Checks, Outcome};
use crate::host::CallError;
use crate::limits::TRIAL_STEPS;
use crate::protocol::Error;

impl Suite {
    /// What must be told as it is.
    pub(super) async fn meet(&mut self, checks: &mut Checks) {
        let refusals = self.refusals().await;
        checks.note("it tells a refusal by its kind", refusals);
        let cut = self.cut().await;
        checks.note("it takes no part of an answer for all of it", cut);
        let silent = self.silent().await;
        checks.note("it ends when the service says no more", silent);
        let wrong = self.wrong().await;
        checks.note("it takes nothing that is no answer", wrong);
        let endless = self.endless().await;
        checks.note("it ends although what comes does not", endless);
        let elsewhere = self.redirected().await;
        checks.note("it goes nowhere else when it is sent there", elsewhere);
        let cancelled = self.cancelled().await;
        checks.note("a request that is dropped leaves the service", cancelled);
        let pull = self.pull().await;
        checks.note("it gets a model, or says that it cannot", pull);
        let http = match self.server.faults().first() {
            None => Ok(Outcome::Fine),
            Some(fault) => Err(fault.clone()),
        };
        checks.note("what it sends is HTTP", http);
        let leak = match self.trial.leak(&self.said) {
            None if self.trial.has_secret => Ok(Outcome::Fine),
            None => Ok(Outcome::LeftOut("it has no secret".to_owned())),
            Some(text) => Err(format!("it is in: {text}")),
        };
        checks.note("its secret is in no line and no error", leak);
    }

    async fn refusals(&mut self) -> Result<Outcome, String> {
        type Is = fn(&Error) -> bool;
        let kinds: [(u16, &str, Is); 7] = [
            (400, "invalid", |error| matches!(error, Error::Invalid(_))),
            (401, "denied", |error| matches!(error, Error::Denied(_))),
            (404, "invalid", |error| matches!(error, Error::Invalid(_))),
            (429, "exhausted", |error| {
                matches!(error, Error::Exhausted(_))
            }),
            (500, "other", |error| matches!(error, Error::Other(_))),
            (502, "other", |error| matches!(error, Error::Other(_))),
            (503, "exhausted or other", |error| {
                matches!(error, Error::Exhausted(_) | Error::Other(_))
            }),
        ];
        for (status, kind, fits) in kinds {
            let param = if status == 400 { "temperature" } else { "" };
            let reply = openai::refusal(status, "it was refused", param);
            self.server.say(reply.with("retry-after", "7".to_owned()));
            let when = format!("the service answered {status}");
            let error = self.refuse(&when).await?;
            if !fits(&error) {
                return Err(format!("{when}, and it is not `{kind}`: {error:?}"));
            }
            // In plain text, as a proxy before it says it, any error will do.
            self.server.say(Reply::status(status, "<html>no</html>"));
            self.refuse(&when).await?;
        }
        Ok(Outcome::Fine)
    }

    async fn cut(&mut self) -> Result<Outcome, String> {
        for kept in 0..3 {
            self.server.answer(move |heard| part(heard, kept, End::Cut));
            self.fail("the answer was cut off").await?;
        }
        self.server.answer(|heard| part(heard, 2, End::Whole));
        self.fail("the answer ended before it was over").await?;
        self.server.answer(|heard| {
            let mut events = openai::events(heard);
            events.truncate(1);
            events.push(r#"{"error":{"message":"it broke","type":"server_error"}}"#.to_owned());
            openai::stream(&events, End::Whole)
        });
        self.fail("the service failed in the middle").await?;
        self.server.say(Reply::Close);
        self.fail("the service hung up").await?;
        Ok(Outcome::Fine)
    }

    async fn silent(&mut self) -> Result<Outcome, String> {
        self.server.say(Reply::Silence);
        self.fail("the service was silent").await?;
        self.server.answer(|heard| part(heard, 1, End::Silence));
        self.fail("the service fell silent").await?;
        Ok(Outcome::Fine)
    }

    async fn wrong(&mut self) -> Result<Outcome, String> {
        let odd = [
            "",
            "no JSON",
            "[]",
            "{\"data\":7}",
            "{\"data\":[{\"id\":7}]}",
            "\u{0}",
        ];
        for text in odd {
            self.server.say(Reply::status(200, text));
            let when = format!("the list of models was {text:?}");
            let listed = self.list().await;
            refused(listed, &when)?;
        }
        let deep = "[".repeat(100_000);
        let pieces = [
            "no JSON",
            "{\"choices\":7}",
            "{\"choices\":[{\"index\":9,\"delta\":{\"content\":\"a\"}}]}",
            "{\"choices\":[{\"index\":0,\"delta\":{\"content\":7}}]}",
            &deep,
        ];
        for data in pieces {
            let events = [data.to_owned()];
            self.server.say(openai::stream(&events, End::Whole));
            let shown: String = data.chars().take(60).collect();
            self.fail(&format!("a piece of the answer was {shown:?}"))
                .await?;
        }
        self.server.say(Reply::Pieces {
            content: "text/event-stream",
            pieces: vec![b"data: {\"choices\":[{\"index\":0,\"text\":\"\xff\xfe\"}]}\n\n".to_vec()],
            end: End::Whole,
        });
        self.fail("a piece of the answer was no text").await?;
        self.server.say(Reply::Noise);
        self.fail("what came was no HTTP").await?;
        Ok(Outcome::Fine)
    }

    async fn endless(&mut self) -> Result<Outcome, String> {
        let endless = |status, piece: &[u8]| Reply::Endless {
            status,
            content: "text/event-stream",
            piece: piece.repeat((16 << 10) / piece.len()),
        };
        self.server.say(endless(200, b"x"));
        let listed = self.list().await;
        refused(listed, "the list of models had no end")?;
        self.fail("an event had no end").await?;
        self.server.say(endless(200, b"data: x\n"));
        self.fail("an event had lines without end").await?;
        self.server.say(endless(500, b"x"));
        self.fail("a refusal had no end").await?;
        Ok(Outcome::Fine)
    }

    async fn redirected(&mut self) -> Result<Outcome, String> {
        let other = Server::start().await?;
        other.answer(openai::reply);
        let reply = Reply::status(307, "");
        let place = format!("http://{}/v1/chat/completions", other.address);
        self.server.say(reply.with("location", place));
        self.fail("the service was elsewhere").await?;
        match other.heard().first() {
            None => Ok(Outcome::Fine),
            Some(heard) => Err(format!("`{}` was asked for there", heard.path)),
        }
    }

    async fn cancelled(&mut self) -> Result<Outcome, String> {
        self.server.answer(|heard| part(heard, 2, End::Silence));
        let started = self
            .trial
            .plugin
            .start(scope(), "tiny", 1, generation(chat()))
            .await;
        let mut exchange = started.map_err(|error| error.to_string())?;
        exchange.next().await.map_err(|error| error.to_string())?;
        drop(exchange);
        if self.server.is_left().await {
            return Ok(Outcome::Fine);
        }
        Err("its connection stays".to_owned())
    }

    async fn pull(&mut self) -> Result<Outcome, String> {
        self.server.answer(openai::reply);
        let pull = async {
            let mut pulling = self.trial.plugin.pull(scope(), "tiny").await?;
            for _ in 0..TRIAL_STEPS {
                if pulling.next().await?.is_none() {
                    break;
                }
            }
            Ok(())
        };
        match pull.await {
            Ok(()) => Ok(Outcome::Fine),
            Err(CallError::Refused(Error::Unsupported(why))) => {
                Ok(Outcome::LeftOut(format!("it cannot: {why}")))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The first events of an answer.
fn part(heard: &Heard, kept: usize, end: End) -> Reply {
    let mut events = openai::events(heard);
    events.truncate(kept);
    openai::stream(&events, end)
}
