//! One call from its beginning to its end, and what it tells the agent: whatever happens, its last word is said once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::Sender;

use crate::egress::Scope;
use crate::host::{CallError, ServicePlugin};
use crate::protocol::{Alert, Error, Event, FromService, Tagged, Work};

/// What is called.
pub(super) enum Wish {
    Models,
    Submit { model: String, work: Arc<Work> },
    Pull { model: String },
    Notify { alert: Alert },
}

/// One call.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) plugin: Arc<ServicePlugin>,
    pub(super) scope: Arc<Scope>,
    pub(super) outbox: Sender<FromService>,
    pub(super) last_word: LastWord,
}

/// Who may still say how a call ended: the call, or whoever ends it. How it is said depends on what was called.
#[derive(Clone)]
pub(super) struct LastWord {
    said: Arc<AtomicBool>,
    id: u64,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Models,
    Request,
    Other,
}

impl LastWord {
    pub(super) fn new(id: u64, wish: &Wish) -> Self {
        let kind = match wish {
            Wish::Models => Kind::Models,
            Wish::Submit { .. } => Kind::Request,
            Wish::Pull { .. } | Wish::Notify { .. } => Kind::Other,
        };
        Self {
            said: Arc::default(),
            id,
            kind,
        }
    }

    /// Takes the right to say it; false when somebody has it.
    pub(super) fn take(&self) -> bool {
        !self.said.swap(true, Ordering::Relaxed)
    }

    /// How it is said that a call failed.
    pub(super) fn failed(&self, error: Error) -> FromService {
        let call = self.id;
        match self.kind {
            Kind::Models => FromService::Models {
                call,
                result: Err(error),
            },
            Kind::Request => FromService::Events(vec![Tagged {
                request: call,
                event: Event::Failed(error),
            }]),
            Kind::Other => FromService::Done {
                call,
                result: Err(error),
            },
        }
    }
}

impl Call {
    /// Runs it to its end. Dropping this ends it, too, and then nothing is said.
    pub(super) async fn run(self, wish: Wish) {
        let done = match wish {
            Wish::Models => {
                let offers = self.plugin.models(Arc::clone(&self.scope)).await;
                offers.map(|offers| FromService::Models {
                    call: self.id,
                    result: Ok(offers),
                })
            }
            Wish::Submit { model, work } => self.exchange(&model, work).await,
            Wish::Pull { model } => self.pull(&model).await,
            Wish::Notify { alert } => {
                let told = self.plugin.notify(Arc::clone(&self.scope), alert).await;
                told.map(|()| self.done())
            }
        };
        if !self.last_word.take() {
            return;
        }
        let word = match done {
            Ok(word) => word,
            Err(CallError::Refused(error)) => self.last_word.failed(self.named(error)),
            Err(CallError::Fault(fault)) => {
                let fault = fault.to_string();
                self.say(FromService::Fault(fault.clone())).await;
                self.last_word.failed(Error::Other(fault))
            }
        };
        self.say(word).await;
    }

    /// All events but the last are said here.
    async fn exchange(&self, model: &str, work: Arc<Work>) -> Result<FromService, CallError> {
        let work = Arc::unwrap_or_clone(work);
        let scope = Arc::clone(&self.scope);
        let mut exchange = self.plugin.start(scope, model, self.id, work).await?;
        while let Some(event) = exchange.next().await? {
            let last = event.is_last();
            let event = match event {
                Event::Failed(error) => Event::Failed(self.named(error)),
                event => event,
            };
            let said = FromService::Events(vec![Tagged {
                request: self.id,
                event,
            }]);
            if last {
                return Ok(said);
            }
            self.say(said).await;
        }
        let early = "the plugin ended the request before it was done";
        Err(CallError::Refused(Error::Malformed(early.to_owned())))
    }

    async fn pull(&self, model: &str) -> Result<FromService, CallError> {
        let mut pulling = self.plugin.pull(Arc::clone(&self.scope), model).await?;
        while let Some(progress) = pulling.next().await? {
            let call = self.id;
            self.say(FromService::Progress { call, progress }).await;
        }
        Ok(self.done())
    }

    /// A refusal with what the plugin heard last and has no word for.
    fn named(&self, error: Error) -> Error {
        match (error, self.scope.limit()) {
            (Error::Exhausted(message), Some(limit)) => Error::Limited {
                message,
                retry_after_s: limit.retry_after_s,
            },
            (error, _) => error,
        }
    }

    fn done(&self) -> FromService {
        FromService::Done {
            call: self.id,
            result: Ok(()),
        }
    }

    async fn say(&self, message: FromService) {
        // The writer ends only with the socket, and this process with it.
        let _ = self.outbox.send(message).await;
    }
}
