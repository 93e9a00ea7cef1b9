//! What is told of services, and how the router reaches upstreams. Decides nothing.

use std::sync::Arc;

use skep_core::{ReplicaId, ReplicaState};
use tokio::sync::mpsc;

use super::mailbox::Calling;
use super::unit::{Now, Standing, State, Unit};
use super::{Kind, Service, ServiceError, Services, lock};
use crate::fleet::{self, Exchange, SubmitError};
use crate::limits::SERVICE_REQUESTS_MAX;
use crate::protocol::{ModelInfo, PullProgress, ServiceUse, Work};
use crate::router::{Offered, Offers};

/// A service as it is now.
#[derive(Clone, Debug)]
pub struct View {
    pub service: Service,
    pub state: State,
    pub standing: Standing,
    pub pid: Option<u32>,
    pub starts: u32,
    pub used: ServiceUse,
    /// What its plugin did wrong the last time.
    pub fault: Option<String>,
    /// Models that it answers for.
    pub offers: usize,
    /// Requests under way.
    pub requests: u32,
    /// Attempts in a row to reach what it talks to that failed.
    pub failures: u32,
    pub answered_unix_s: u64,
}

/// A model of an upstream.
#[derive(Clone, Debug)]
pub struct Model {
    /// What clients call it.
    pub name: Arc<str>,
    /// What the upstream calls it.
    pub id: Arc<str>,
    pub info: Option<ModelInfo>,
}

/// A pull under way. Dropping it leaves off.
#[derive(Debug)]
pub struct Pulling {
    unit: Arc<Unit>,
    calling: Calling<()>,
    news: mpsc::Receiver<PullProgress>,
}

impl Services {
    /// All services of a kind, by name.
    #[must_use]
    pub fn list(&self, kind: Kind) -> Vec<View> {
        let units: Vec<_> = {
            let all = self.0.units();
            let fitting = all.values().filter(|unit| unit.service.kind == kind);
            fitting.cloned().collect()
        };
        units.iter().map(|unit| view(unit)).collect()
    }

    /// One service.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn view(&self, kind: Kind, name: &str) -> Result<View, ServiceError> {
        Ok(view(&*self.0.unit(kind, name)?))
    }

    /// The models that an upstream answers for, as it last said.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn models(&self, name: &str) -> Result<Vec<Model>, ServiceError> {
        let offers = self.0.unit(Kind::Upstream, name)?.now().offers;
        let models = offers.into_iter().map(|(_, exposed)| Model {
            name: exposed.name,
            id: exposed.id,
            info: exposed.info,
        });
        Ok(models.collect())
    }
}

impl Offers for Services {
    fn offered(&self) -> Vec<Offered> {
        let units: Vec<_> = self.0.units().values().cloned().collect();
        let upstreams = units
            .iter()
            .filter(|unit| unit.service.kind == Kind::Upstream);
        upstreams.flat_map(|unit| offered(unit)).collect()
    }

    fn submit(&self, replica: ReplicaId, work: Arc<Work>) -> Result<Exchange, SubmitError> {
        if let Work::Generate(generation) = &*work
            && !generation.continued.is_empty()
        {
            let why = "an upstream cannot go on with an answer that another replica began";
            return Err(SubmitError::NotReady(why.to_owned()));
        }
        let known = lock(&self.0.numbers).get(&replica).cloned();
        let unknown = || SubmitError::Unknown(fleet::ReplicaId(replica.0));
        let (unit, model) = known.ok_or_else(unknown)?;
        unit.mailbox.submit(&model, work)
    }
}

impl Pulling {
    pub(super) fn new(
        unit: Arc<Unit>,
        calling: Calling<()>,
        news: mpsc::Receiver<PullProgress>,
    ) -> Self {
        Self {
            unit,
            calling,
            news,
        }
    }

    /// Waits until the model is there; `tell` hears how far it is.
    ///
    /// # Errors
    /// Why it does not come.
    pub async fn run(self, mut tell: impl FnMut(PullProgress)) -> Result<(), ServiceError> {
        let Self {
            unit,
            calling,
            mut news,
        } = self;
        let mut done = std::pin::pin!(calling.whenever());
        let result = loop {
            tokio::select! {
                result = &mut done => break result,
                Some(progress) = news.recv() => tell(progress),
            }
        };
        while let Ok(progress) = news.try_recv() {
            tell(progress);
        }
        unit.refresh.notify_one();
        result.map_err(|error| ServiceError::Refused(unit.mailbox.blame().of(error)))
    }
}

fn offered(unit: &Unit) -> Vec<Offered> {
    let Now {
        state,
        standing,
        offers,
        ..
    } = unit.now();
    let who = unit.mailbox.blame().who();
    let state = match (&state, &standing) {
        (State::Restarting(why) | State::Failed(why), _) => {
            ReplicaState::Failed(format!("{who} starts again: {why}"))
        }
        (State::NotGranted(_), _) => {
            ReplicaState::Failed(format!("{who} may not do what it needs to"))
        }
        (_, Standing::Down(why)) => ReplicaState::Failed(why.clone()),
        (_, Standing::Unknown) => ReplicaState::Starting,
        (_, Standing::Up) => ReplicaState::Ready,
    };
    let running = unit.mailbox.running();
    let upstream: Arc<str> = unit.service.name.as_str().into();
    let plugin: Arc<str> = unit.service.plugin.as_str().into();
    let capacity = u32::try_from(SERVICE_REQUESTS_MAX).unwrap_or(u32::MAX);
    let offered = offers.into_iter().map(|(id, exposed)| Offered {
        id,
        running: running.get(&exposed.id).copied().unwrap_or(0),
        model: exposed.name,
        upstream: upstream.clone(),
        plugin: plugin.clone(),
        state: state.clone(),
        capacity,
        info: exposed.info,
    });
    offered.collect()
}

fn view(unit: &Unit) -> View {
    let now = unit.now();
    View {
        service: unit.service.clone(),
        state: now.state,
        standing: now.standing,
        pid: now.pid,
        starts: now.starts,
        used: now.used,
        fault: now.fault,
        offers: now.offers.len(),
        requests: unit.mailbox.running().values().sum(),
        failures: now.failures,
        answered_unix_s: now.answered_unix_s,
    }
}
