//! The calls under way. Decides how many there are, and how one ends that is cancelled, or that used a right which is gone.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::call::{Call, LastWord, Wish};
use super::link::{Inbox, Lost};
use crate::egress::{Egress, Scope};
use crate::host::ServicePlugin;
use crate::limits::{SERVICE_CALLS_MAX, SERVICE_USE_INTERVAL};
use crate::protocol::{Error, FromService, Rights, ToService};

/// All calls of a service.
pub(super) struct Calls {
    plugin: Arc<ServicePlugin>,
    egress: Arc<Egress>,
    outbox: Sender<FromService>,
    running: HashMap<u64, Running>,
    tasks: JoinSet<()>,
    /// Which call a task is.
    ids: HashMap<Id, u64>,
    draining: bool,
    /// Something may have been used that the agent has not been told of.
    untold: bool,
}

struct Running {
    scope: Arc<Scope>,
    last_word: LastWord,
    task: AbortHandle,
}

impl Calls {
    pub(super) fn new(
        plugin: Arc<ServicePlugin>,
        egress: Arc<Egress>,
        outbox: Sender<FromService>,
    ) -> Self {
        Self {
            plugin,
            egress,
            outbox,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            draining: false,
            untold: false,
        }
    }

    /// Does what the agent says until it has nothing more to say, or is gone.
    pub(super) async fn serve(mut self, inbox: &mut Inbox) -> Result<(), Lost> {
        let mut beat: Interval = interval(SERVICE_USE_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !(self.draining && self.running.is_empty()) {
            tokio::select! {
                message = inbox.next() => self.handle(message?).await?,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                _ = beat.tick(), if self.untold => self.tell_use().await,
            }
        }
        self.tell_use().await;
        Ok(())
    }

    async fn handle(&mut self, message: ToService) -> Result<(), Lost> {
        match message {
            ToService::Models { call } => self.begin(call, Wish::Models).await,
            ToService::Submit {
                request,
                model,
                work,
            } => self.begin(request, Wish::Submit { model, work }).await,
            ToService::Pull { call, model } => self.begin(call, Wish::Pull { model }).await,
            ToService::Notify { call, alert } => self.begin(call, Wish::Notify { alert }).await,
            ToService::Cancel { request } => {
                if let Some(call) = self.running.remove(&request) {
                    call.task.abort();
                }
                Ok(())
            }
            ToService::Rights(rights) => {
                self.change(rights).await;
                Ok(())
            }
            ToService::Drain => {
                self.draining = true;
                Ok(())
            }
            ToService::Hello { .. } | ToService::Open(_) => {
                Err(Lost::Protocol("the agent opened a second time"))
            }
        }
    }

    async fn begin(&mut self, id: u64, wish: Wish) -> Result<(), Lost> {
        if self.running.contains_key(&id) {
            return Err(Lost::Protocol("two calls have the same identity"));
        }
        let last_word = LastWord::new(id, &wish);
        let refusal = if self.draining {
            Some(Error::Lost("the service is leaving".to_owned()))
        } else if self.running.len() >= SERVICE_CALLS_MAX {
            let text = format!("{SERVICE_CALLS_MAX} calls are under way; try again later");
            Some(Error::Exhausted(text))
        } else {
            None
        };
        if let Some(error) = refusal {
            self.say(last_word.failed(error)).await;
            return Ok(());
        }
        let scope = Arc::new(Scope::default());
        let call = Call {
            id,
            plugin: Arc::clone(&self.plugin),
            scope: Arc::clone(&scope),
            outbox: self.outbox.clone(),
            last_word: last_word.clone(),
        };
        let task = self.tasks.spawn(call.run(wish));
        self.ids.insert(task.id(), id);
        self.untold = true;
        let running = Running {
            scope,
            last_word,
            task,
        };
        self.running.insert(id, running);
        Ok(())
    }

    /// Rights change for calls that are under way, too: one that used what is gone is over.
    async fn change(&mut self, rights: Rights) {
        self.egress.set_rights(rights);
        let rights = self.egress.rights();
        let lost = self.running.iter().filter_map(|(id, call)| {
            let lost = call.scope.lost(&rights)?;
            Some((*id, lost))
        });
        let mut words = Vec::new();
        for (id, lost) in lost.collect::<Vec<_>>() {
            let Some(call) = self.running.remove(&id) else {
                continue;
            };
            // It may be saying its last word just now.
            if call.last_word.take() {
                call.task.abort();
                let text = format!("the grant of {lost} was revoked while it was used");
                words.push(call.last_word.failed(Error::Denied(text)));
            }
        }
        for word in words {
            self.say(word).await;
        }
    }

    async fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (task, panicked) = match ended {
            Ok((task, ())) => (task, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        self.untold = true;
        let Some(id) = self.ids.remove(&task) else {
            return;
        };
        // A call that was cancelled may have been followed by another of its name.
        if self
            .running
            .get(&id)
            .is_none_or(|call| call.task.id() != task)
        {
            return;
        }
        if let Some(call) = self.running.remove(&id)
            && panicked
            && call.last_word.take()
        {
            let error = Error::Other("the host failed; its log says where".to_owned());
            self.say(call.last_word.failed(error)).await;
        }
    }

    async fn tell_use(&mut self) {
        self.untold = !self.running.is_empty();
        if let Some(used) = self.egress.tally().take() {
            self.say(FromService::Used(used)).await;
        }
    }

    async fn say(&self, message: FromService) {
        // The writer ends only with the socket, which the inbox notices.
        let _ = self.outbox.send(message).await;
    }
}
