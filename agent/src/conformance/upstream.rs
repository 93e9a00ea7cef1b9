//! What every upstream must do: say a request in its service's words, tell every part of the answer once, and never take a part for
//! the whole.
//!
//! The service at the other end speaks as OpenAI's does. Of an adapter to anything else it is tried that it opens, and no more.

mod failing;

use std::sync::Arc;

use tokio::task::JoinSet;

use super::listener::Listener;
use super::openai::{self, ANSWER, BASE, MODELS};
use super::server::Server;
use super::service::{SECRET, ServiceMost, ServiceSubject, Trial, refused, scope};
use super::{Check, Checks, Outcome};
use crate::host::{CallError, ServicePlugin, World};
use crate::limits::{TRIAL_AT_ONCE, TRIAL_STEPS};
use crate::protocol::{Error, Generation, Message, Offer, Prompt, Sampling, Work};

struct Suite {
    server: Server,
    trial: Trial,
    /// Every error that it gave.
    said: Vec<String>,
}

pub(super) async fn run(subject: &ServiceSubject<'_>) -> Result<(Vec<Check>, ServiceMost), String> {
    let server = Server::start().await?;
    let base = BASE.trim_end_matches('/');
    let trial = subject.open(World::Upstream, &server, base)?;
    let mut suite = Suite {
        server,
        trial,
        said: Vec::new(),
    };
    let mut checks = Checks::default();
    let models = suite.models().await;
    let elsewhere = matches!(&models, Ok(Outcome::LeftOut(_)));
    checks.note("it lists the models", models);
    if !elsewhere {
        suite.ask(&mut checks).await;
        suite.meet(&mut checks).await;
    }
    let mut most = ServiceMost::default();
    suite.trial.weigh(&mut most);
    Ok((checks.0, most))
}

impl Suite {
    /// What must go well.
    async fn ask(&mut self, checks: &mut Checks) {
        let chat = self.whole(generation(chat())).await;
        checks.note("it tells a chat as it comes", chat);
        let text = self
            .whole(generation(Prompt::Text("Say \"hello\".".into())))
            .await;
        checks.note("it tells a completion as it comes", text);
        let several = self.several().await;
        checks.note("it tells several answers apart", several);
        let sampling = self.whole(sampled()).await;
        checks.note(
            "it passes on how tokens are chosen, or says that it does not",
            sampling,
        );
        let vectors = self.vectors().await;
        checks.note("it embeds, or says that it does not", vectors);
        let at_once = self.at_once().await;
        checks.note("it serves several requests at once", at_once);
        let secret = self.secret().await;
        checks.note("its secret goes to the service, and nowhere else", secret);
    }

    async fn models(&mut self) -> Result<Outcome, String> {
        self.server.answer(openai::reply);
        let offers = self.list().await;
        if let Err(CallError::Fault(fault)) = &offers {
            return Err(fault.to_string());
        }
        let heard = self.server.heard();
        let other = heard.iter().find(|heard| openai::place(heard) != "models");
        if let Some(other) = other {
            return Ok(Outcome::LeftOut(format!(
                "its service speaks otherwise than OpenAI's (it asked for `{} {}`), and there is no other here",
                other.method, other.path
            )));
        }
        if heard.is_empty() {
            return Ok(Outcome::LeftOut(
                "it asked nobody for them, or somebody who is not reached from here".to_owned(),
            ));
        }
        let offers = offers.map_err(|error| error.to_string())?;
        let names: Vec<&str> = offers.iter().map(|offer| offer.id.as_str()).collect();
        if names != MODELS {
            return Err(format!("it lists {names:?} of {MODELS:?}"));
        }
        Ok(Outcome::Fine)
    }

    /// A request of which all must come, or that it must say not to do.
    async fn whole(&mut self, work: Work) -> Result<Outcome, String> {
        self.server.answer(openai::reply);
        match self.exchange(work).await? {
            Ok(listener) => {
                self.is_whole(&listener)?;
                Ok(Outcome::Fine)
            }
            Err(CallError::Refused(Error::Unsupported(why))) => {
                Ok(Outcome::LeftOut(format!("it does not: {why}")))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_whole(&self, listener: &Listener) -> Result<(), String> {
        if let Some(fault) = self
            .server
            .heard()
            .iter()
            .find_map(|heard| openai::check(heard).err())
        {
            return Err(format!("it asked for what no service takes: {fault}"));
        }
        let usage = listener.whole()?;
        for answer in &listener.answers {
            if answer.text != ANSWER {
                return Err(format!("of {ANSWER:?} it told {:?}", answer.text));
            }
        }
        let used = (usage.prompt_tokens, usage.completion_tokens);
        if used != openai::USED && used != (0, 0) {
            return Err(format!("{:?} was used, and it told {used:?}", openai::USED));
        }
        Ok(())
    }

    async fn several(&mut self) -> Result<Outcome, String> {
        let mut work = generation(chat());
        if let Work::Generate(generation) = &mut work {
            generation.choices = 3;
        }
        self.whole(work).await
    }

    async fn vectors(&mut self) -> Result<Outcome, String> {
        self.server.answer(openai::reply);
        let inputs = vec![Prompt::Text("one".into()), Prompt::Text("two".into())];
        match self.exchange(Work::Embed(inputs)).await? {
            Ok(listener) => {
                listener.whole()?;
                let wanted = [Some(vec![0.0, 0.5]), Some(vec![1.0, 0.5])];
                (listener.embeddings == wanted)
                    .then_some(Outcome::Fine)
                    .ok_or_else(|| format!("it told {:?}", listener.embeddings))
            }
            Err(CallError::Refused(Error::Unsupported(why))) => {
                Ok(Outcome::LeftOut(format!("it does not: {why}")))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn at_once(&mut self) -> Result<Outcome, String> {
        self.server.answer(openai::reply);
        let mut calls = JoinSet::new();
        for _ in 0..TRIAL_AT_ONCE {
            let plugin = Arc::clone(&self.trial.plugin);
            calls.spawn(async move { exchange(&plugin, generation(chat())).await });
        }
        while let Some(came) = calls.join_next().await {
            let came = came.map_err(|error| error.to_string())??;
            self.is_whole(&came.map_err(|error| error.to_string())?)?;
        }
        Ok(Outcome::Fine)
    }

    async fn secret(&mut self) -> Result<Outcome, String> {
        if !self.trial.has_secret {
            return Ok(Outcome::LeftOut("it has no secret".to_owned()));
        }
        self.server.answer(openai::reply);
        let came = self.exchange(generation(chat())).await?;
        came.map_err(|error| error.to_string())?;
        if !self
            .server
            .heard()
            .iter()
            .all(|heard| heard.head_has(SECRET))
        {
            return Err("it was given one and does not send it".to_owned());
        }
        // What the service says back comes into an error, and from there to people.
        self.server.answer(|heard| {
            let shown = heard.header("authorization").unwrap_or(SECRET).to_owned();
            openai::refusal(401, &format!("this key is wrong: {shown}"), "")
        });
        let when = "its key was refused";
        match self.refuse(when).await? {
            Error::Denied(_) => Ok(Outcome::Fine),
            other => Err(format!("{when}, and it is not `denied`: {other:?}")),
        }
    }

    /// A request that must fail: at its start or later, with a refusal and not by breaking off.
    async fn fail(&mut self, when: &str) -> Result<(), String> {
        self.refuse(when).await.map(drop)
    }

    async fn refuse(&mut self, when: &str) -> Result<Error, String> {
        let came = self.exchange(generation(chat())).await;
        let came = came.map_err(|fault| format!("{when}: {fault}"))?;
        let came = came.and_then(|listener| match listener.end {
            Some(Err(error)) => Err(CallError::Refused(error)),
            _ => Ok(()),
        });
        refused(came, when)
    }

    async fn list(&mut self) -> Result<Vec<Offer>, CallError> {
        let listed = self.trial.plugin.models(scope()).await;
        self.keep(&listed);
        listed
    }

    async fn exchange(&mut self, work: Work) -> Result<Result<Listener, CallError>, String> {
        let came = exchange(&self.trial.plugin, work).await?;
        self.keep(&came);
        Ok(came)
    }

    fn keep<T>(&mut self, called: &Result<T, CallError>) {
        if let Err(error) = called {
            self.said.push(error.to_string());
        }
    }
}

/// A request from its beginning to its end: what was told, or how it was refused.
///
/// # Errors
/// When what it told makes no sense.
async fn exchange(
    plugin: &ServicePlugin,
    work: Work,
) -> Result<Result<Listener, CallError>, String> {
    let mut listener = match &work {
        Work::Generate(generation) => Listener::new(generation.choices as usize, 0),
        Work::Embed(inputs) => Listener::new(0, inputs.len()),
    };
    let mut exchange = match plugin.start(scope(), "tiny", 1, work).await {
        Ok(exchange) => exchange,
        Err(error) => return Ok(Err(error)),
    };
    for _ in 0..TRIAL_STEPS {
        match exchange.next().await {
            Err(error) => return Ok(Err(error)),
            Ok(Some(event)) => listener.take(event)?,
            Ok(None) if listener.end.is_some() => return Ok(Ok(listener)),
            Ok(None) => return Err("it ended without a last event".to_owned()),
        }
    }
    Err(format!("it had no end after {TRIAL_STEPS} events"))
}

fn chat() -> Prompt {
    let message = |role: &str, content: &str| Message {
        role: role.to_owned(),
        content: content.to_owned(),
        name: None,
    };
    Prompt::Chat(vec![
        message("system", "Be \"brief\".\n"),
        message("user", "\u{6a21}\u{578b} \u{1f41d}\u{0}?"),
    ])
}

fn generation(prompt: Prompt) -> Work {
    Work::Generate(Generation {
        prompt,
        sampling: Sampling::default(),
        max_tokens: Some(100),
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    })
}

/// With everything that a client may say of it.
fn sampled() -> Work {
    let mut work = generation(chat());
    if let Work::Generate(generation) = &mut work {
        generation.stop = vec!["\n\n".to_owned(), "\"".to_owned()];
        generation.sampling = Sampling {
            logit_bias: vec![(7, -1.5)],
            presence_penalty: 0.5,
            frequency_penalty: -0.5,
            temperature: 0.7,
            top_p: 0.9,
            seed: Some(42),
            ..Sampling::default()
        };
    }
    work
}
