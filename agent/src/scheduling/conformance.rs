//! What every scheduler must do, tried on one: it starts, hears everything, never talks nonsense, and repeats itself.
//!
//! Decides what is tried; each cluster is made from a number, so that a failure can be seen again. Refuses to judge which
//! of two sensible answers is better.

use serde::Serialize;

use super::check;
use crate::conformance::Check;
use crate::host::scheduler::{
    Change, Device, Health, Job, Node, Replica, ReplicaState, Request, SchedulerLoadError,
};
use crate::host::{Known, Scheduler};

/// The most that any call took, beside what it might have taken.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Most {
    pub(crate) fuel: u64,
    pub(crate) fuel_limit: u64,
    pub(crate) memory_bytes: usize,
}

/// Random clusters, each with so many steps.
const CLUSTERS: u64 = 16;
const STEPS: usize = 24;

/// Replicas of the large cluster.
const LARGE: u64 = 1_000;

/// Bytes of the long name: sixteen times what the gateway lets through, and an answer may repeat it.
const LONG: usize = 4 << 10;

/// A scheduler, and the cluster as it was told.
struct Trial {
    scheduler: Scheduler,
    known: Known,
    most: Most,
}

/// Runs everything; `load` makes a fresh scheduler of the same component.
pub(crate) fn run(load: &dyn Fn() -> Result<Scheduler, SchedulerLoadError>) -> (Vec<Check>, Most) {
    let mut most = Most::default();
    let mut checks = Vec::new();
    let mut attempt = |name, body: &dyn Fn(&mut Trial) -> Result<(), String>| {
        let outcome = Trial::new(load).and_then(|mut trial| {
            let outcome = body(&mut trial);
            most.take_in(trial.most);
            outcome
        });
        checks.push(Check {
            name,
            fault: outcome.err(),
            left_out: None,
        });
    };
    attempt("it starts", &|_| Ok(()));
    attempt("it answers for an empty cluster", &|trial| {
        trial.ask("tiny").map(drop)
    });
    attempt("it hears every kind of change", &every_change);
    attempt("it refuses what a lost node has", &lost_node);
    attempt("its answers about random clusters make sense", &|trial| {
        (0..CLUSTERS).try_for_each(|seed| {
            trial.begin()?;
            random(trial, seed).map(drop)
        })
    });
    attempt("the same calls give the same answers", &|trial| {
        (0..4).try_for_each(|seed| {
            trial.begin()?;
            let first = random(trial, seed)?;
            let second = random(&mut Trial::new(load)?, seed)?;
            let same = first == second;
            same.then_some(())
                .ok_or_else(|| format!("two instances differ about cluster {seed}"))
        })
    });
    attempt("it serves a thousand replicas", &|trial| {
        trial.tell(&Change::Node(node("n1", Health::Healthy)))?;
        for id in 0..LARGE {
            let running = u32::try_from(id % 7).unwrap_or_default();
            trial.tell(&Change::Replica(replica(id, "tiny", "n1", running)))?;
        }
        trial.ask("tiny").map(drop)
    });
    attempt("it takes names in any script, empty and long", &|trial| {
        let long = "x".repeat(LONG);
        for (id, name) in (1..).zip(["", "模型 🐝 é\u{202e}\0", &long]) {
            trial.tell(&Change::Node(node(name, Health::Healthy)))?;
            trial.tell(&Change::Replica(replica(id, name, name, 1)))?;
            trial.ask(name)?;
        }
        Ok(())
    });
    (checks, most)
}

fn every_change(trial: &mut Trial) -> Result<(), String> {
    use ReplicaState::{Draining, Failed, Ready, Starting};
    trial.tell(&Change::NodeGone("never there".into()))?;
    trial.tell(&Change::ReplicaGone(u64::MAX))?;
    trial.tell(&Change::Node(node("n1", Health::Healthy)))?;
    for state in [Starting, Ready, Draining, Failed, Ready] {
        trial.tell(&Change::Replica(Replica {
            state,
            ..replica(1, "tiny", "n1", 0)
        }))?;
        trial.ask("tiny")?;
    }
    // A known replica is replaced, with its model.
    trial.tell(&Change::Replica(replica(1, "other", "n1", 0)))?;
    trial.ask("tiny")?;
    trial.ask("other")?;
    trial.tell(&Change::ReplicaGone(1))?;
    trial.tell(&Change::NodeGone("n1".into()))?;
    trial.ask("other").map(drop)
}

fn lost_node(trial: &mut Trial) -> Result<(), String> {
    trial.tell(&Change::Replica(replica(1, "tiny", "n1", 0)))?;
    let draining = Node {
        draining: true,
        ..node("n1", Health::Healthy)
    };
    for node in [node("n1", Health::Lost), draining] {
        trial.tell(&Change::Node(node))?;
        trial.ask("tiny")?;
    }
    Ok(())
}

/// Random changes with questions between them; everything that was answered.
fn random(trial: &mut Trial, seed: u64) -> Result<Vec<String>, String> {
    let mut dice = Dice(seed);
    let mut answers = Vec::new();
    for step in 0..STEPS {
        let name = format!("n{}", dice.below(4));
        let id = dice.below(12);
        let model = format!("m{}", dice.below(3));
        let change = match dice.below(8) {
            0 => Change::NodeGone(name),
            1 => Change::ReplicaGone(id),
            2 | 3 => {
                let health = match dice.below(5) {
                    0 => Health::Lost,
                    1 => Health::Degraded,
                    _ => Health::Healthy,
                };
                Change::Node(Node {
                    draining: dice.below(5) == 0,
                    ..node(&name, health)
                })
            }
            _ => {
                let state = match dice.below(6) {
                    0 => ReplicaState::Starting,
                    1 => ReplicaState::Draining,
                    2 => ReplicaState::Failed,
                    _ => ReplicaState::Ready,
                };
                let running = u32::try_from(dice.below(10)).unwrap_or_default();
                Change::Replica(Replica {
                    state,
                    ..replica(id, &model, &name, running)
                })
            }
        };
        trial.tell(&change)?;
        let answer = trial.ask(&format!("m{}", dice.below(3)));
        answers.push(answer.map_err(|fault| format!("cluster {seed}, step {step}: {fault}"))?);
    }
    Ok(answers)
}

impl Most {
    /// Of two calls the one that came nearer to its limit counts.
    fn take_in(&mut self, other: Self) {
        let nearer = u128::from(other.fuel) * u128::from(self.fuel_limit.max(1))
            > u128::from(self.fuel) * u128::from(other.fuel_limit.max(1));
        if nearer {
            self.fuel = other.fuel;
            self.fuel_limit = other.fuel_limit;
        }
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
    }
}

impl Trial {
    fn new(load: &dyn Fn() -> Result<Scheduler, SchedulerLoadError>) -> Result<Self, String> {
        Ok(Self {
            scheduler: load().map_err(|error| error.to_string())?,
            known: Known::default(),
            most: Most::default(),
        })
    }

    /// A fresh instance that knows nothing.
    fn begin(&mut self) -> Result<(), String> {
        self.known = Known::default();
        self.scheduler
            .start(&self.known)
            .map_err(|fault| fault.to_string())
    }

    fn tell(&mut self, change: &Change) -> Result<(), String> {
        self.known.take_in(change);
        let told = self.scheduler.observe(change, &self.known);
        told.map_err(|fault| fault.to_string())?;
        self.weigh();
        Ok(())
    }

    /// Asks where a request and where a model goes; both answers must make sense.
    fn ask(&mut self, model: &str) -> Result<String, String> {
        let request = request(model);
        let routed = self.scheduler.route(&request, &self.known);
        let routed = routed.map_err(|fault| fault.to_string())?;
        self.weigh();
        match &routed {
            Ok(choice) => check::choice(&self.known, &request, choice),
            Err(refusal) => check::refusal(&self.known, &request, refusal),
        }
        .map_err(|nonsense| nonsense.to_string())?;
        let job = Job {
            model: model.to_owned(),
            digest: "0".repeat(64),
            memory_bytes: 1 << 30,
            require: Vec::new(),
            devices: Vec::new(),
        };
        let placed = self.scheduler.place(&job, &self.known);
        let placed = placed.map_err(|fault| fault.to_string())?;
        self.weigh();
        if let Ok(placement) = &placed {
            check::placement(&self.known, &job, placement)
                .map_err(|nonsense| nonsense.to_string())?;
        }
        Ok(format!("{routed:?} {placed:?}"))
    }

    fn weigh(&mut self) {
        if let Some(taken) = self.scheduler.taken() {
            self.most.take_in(Most {
                fuel: taken.fuel,
                fuel_limit: taken.fuel_limit,
                memory_bytes: taken.memory_bytes,
            });
        }
    }
}

/// A request for a model.
pub(crate) fn request(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        prompt_bytes: 1_000,
        max_tokens: 100,
        affinity: 0,
        priority: 0,
    }
}

/// A node with one device.
pub(crate) fn node(id: &str, health: Health) -> Node {
    Node {
        id: id.to_owned(),
        name: id.to_owned(),
        health,
        draining: false,
        labels: vec![("zone".into(), "a".into())],
        devices: vec![Device {
            id: "cpu".into(),
            kind: "cpu".into(),
            health: Health::Healthy,
            memory_bytes: 64 << 30,
            memory_free_bytes: 32 << 30,
            bandwidth: 0,
        }],
        models: Vec::new(),
    }
}

/// A replica that is ready.
pub(crate) fn replica(id: u64, model: &str, node: &str, running: u32) -> Replica {
    Replica {
        id,
        model: model.to_owned(),
        node: node.to_owned(),
        devices: vec!["cpu".into()],
        state: ReplicaState::Ready,
        running,
        waiting: 0,
        capacity: 8,
        cache_pages: 64,
        cache_pages_used: running,
        first_token_us: 0,
        token_us: 0,
    }
}

/// SplitMix64: the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}
