//! Each test is a list of things that happen, and beside each the list of what is to be done.

use super::*;
use crate::ids::{NodeId, ReplicaId};
use crate::limits::LOAD_RETRY;
use crate::registry::{Node, Replica, ReplicaState};

mod devices;

fn settings() -> Settings {
    Settings {
        running_max: 2,
        queued_max: 2,
        per_key_max: 3,
        deadline: Duration::from_secs(100),
        load_wait: Duration::from_secs(30),
        idle_unload: Some(Duration::from_secs(60)),
        loaded_max: 1,
    }
}

struct Play {
    core: Core,
    now: Time,
}

impl Play {
    fn new(settings: Settings) -> Self {
        let mut play = Self {
            core: Core::new(settings),
            now: Time::default(),
        };
        let models = ["a", "b"].map(Arc::from).to_vec();
        play.check(Input::Catalogued(models), &[]);
        play
    }

    /// With model `a` ready as replica 1.
    fn ready(settings: Settings) -> Self {
        let mut play = Self::new(settings);
        play.core.handle(play.now, Input::Wanted("a".into()));
        play.core
            .handle(play.now, replica(1, "a", ReplicaState::Ready));
        play.drain();
        if let Some(view) = play.core.models.get_mut("a") {
            view.kept = false;
        }
        play
    }

    fn check(&mut self, input: Input, expect: &[Output]) {
        let told = format!("{input:?}");
        self.core.handle(self.now, input);
        assert_eq!(self.drain(), expect, "after {told}");
    }

    /// Lets so many seconds pass.
    fn wait(&mut self, seconds: u64, expect: &[Output]) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.core.handle_timeout(self.now);
        assert_eq!(self.drain(), expect, "at {:?}", self.now);
    }

    /// What is to be done, without what only the scheduler is told.
    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output())
            .filter(|output| !matches!(output, Output::Observe(_)))
            .collect()
    }
}

fn arrive(request: u64, key: u64, model: &str) -> Input {
    Input::Arrived(Arrival {
        request: RequestId(request),
        key: KeyId(key),
        model: model.into(),
    })
}

fn settled(request: u64) -> Input {
    Input::Settled {
        request: RequestId(request),
        outcome: Outcome::Answered,
        usage: Usage {
            prompt_tokens: 5,
            cached_tokens: 2,
            completion_tokens: 3,
        },
    }
}

fn replica(id: u64, model: &str, state: ReplicaState) -> Input {
    Input::Replica(Replica {
        id: ReplicaId(id),
        model: model.into(),
        node: NodeId([1; 16]),
        devices: vec!["cpu".into()],
        state,
        running: 0,
        waiting: 0,
        capacity: 8,
        cache_pages: 100,
        cache_pages_used: 0,
        first_token_us: 0,
        token_us: 0,
    })
}

fn admit(request: u64) -> Output {
    Output::Admit(RequestId(request))
}

fn refuse(request: u64, refusal: Refusal) -> Output {
    Output::Refuse(RequestId(request), refusal)
}

const BUSY: Refusal = Refusal::Busy { retry: BUSY_RETRY };

#[test]
fn slots_then_queue_then_refusal_then_in_order() {
    let mut play = Play::ready(settings());
    play.check(arrive(1, 1, "a"), &[admit(1)]);
    play.check(arrive(2, 2, "a"), &[admit(2)]);
    play.check(arrive(3, 3, "a"), &[]);
    play.check(arrive(4, 4, "a"), &[]);
    play.check(arrive(5, 5, "a"), &[refuse(5, BUSY)]);
    assert_eq!(play.core.running_and_waiting(), (2, 2));
    play.check(settled(2), &[admit(3)]);
    // One that leaves while it waits is skipped.
    play.check(settled(4), &[]);
    play.check(arrive(6, 6, "a"), &[]);
    play.check(settled(1), &[admit(6)]);
    play.check(settled(3), &[]);
    play.check(settled(6), &[]);
    play.check(settled(6), &[]);
    assert_eq!(play.core.running_and_waiting(), (0, 0));
    let counters = play.core.counters();
    assert_eq!(
        (counters.arrived, counters.refused, counters.answered),
        (6, 1, 5)
    );
    assert_eq!(counters.usage.prompt_tokens, 25);
    assert_eq!(play.core.used_by(KeyId(1)).completion_tokens, 3);
}

#[test]
fn a_key_has_its_own_limit() {
    let mut settings = settings();
    settings.running_max = 10;
    let mut play = Play::ready(settings);
    for request in 1..=3 {
        play.check(arrive(request, 1, "a"), &[admit(request)]);
    }
    let busy = Refusal::KeyBusy {
        limit: 3,
        retry: BUSY_RETRY,
    };
    play.check(arrive(4, 1, "a"), &[refuse(4, busy)]);
    play.check(arrive(5, 2, "a"), &[admit(5)]);
    play.check(settled(1), &[]);
    play.check(arrive(6, 1, "a"), &[admit(6)]);
}

/// What nobody has files of is not unknown while an upstream that answered for it does not.
#[test]
fn a_model_of_an_upstream_that_fails_is_not_unknown() {
    let offered = |state| match replica(1, "far", state) {
        Input::Replica(mut replica) => {
            replica.devices = vec![format!("{}lab", Replica::UPSTREAM).into()];
            Input::Replica(replica)
        }
        other => other,
    };
    let mut play = Play::new(settings());
    play.check(offered(ReplicaState::Ready), &[]);
    play.check(arrive(1, 1, "far"), &[admit(1)]);
    play.check(settled(1), &[]);
    play.check(offered(ReplicaState::Failed("it is away".into())), &[]);
    let away = Refusal::LoadFailed {
        why: "it is away".into(),
        retry: LOAD_RETRY,
    };
    play.check(arrive(2, 1, "far"), &[refuse(2, away.clone())]);
    // Also when all that was known of the model is forgotten.
    play.check(Input::Catalogued(vec!["a".into(), "b".into()]), &[]);
    play.check(arrive(3, 1, "far"), &[refuse(3, away)]);
    play.check(Input::ReplicaGone(ReplicaId(1)), &[]);
    play.check(arrive(4, 1, "far"), &[refuse(4, Refusal::UnknownModel)]);
}

#[test]
fn a_model_on_disk_is_loaded_for_whoever_names_it() {
    let mut play = Play::new(settings());
    play.check(arrive(1, 1, "nope"), &[refuse(1, Refusal::UnknownModel)]);
    play.check(arrive(2, 1, "a"), &[Output::Load("a".into())]);
    play.check(arrive(3, 1, "a"), &[]);
    play.check(replica(1, "a", ReplicaState::Starting), &[]);
    play.wait(10, &[]);
    play.check(replica(1, "a", ReplicaState::Ready), &[admit(2), admit(3)]);
    play.wait(25, &[]);
}

#[test]
fn waiting_for_a_model_has_an_end() {
    let mut play = Play::new(settings());
    play.check(arrive(1, 1, "a"), &[Output::Load("a".into())]);
    play.wait(20, &[]);
    play.check(arrive(2, 1, "a"), &[]);
    let loading = |elapsed| Refusal::Loading {
        elapsed: Duration::from_secs(elapsed),
        retry: LOADING_RETRY,
    };
    play.wait(10, &[refuse(1, loading(30))]);
    play.wait(20, &[refuse(2, loading(50))]);
    // The load itself goes on.
    play.check(replica(1, "a", ReplicaState::Ready), &[]);
    play.check(arrive(3, 1, "a"), &[admit(3)]);
}

#[test]
fn a_failed_load_is_told_and_not_repeated_at_once() {
    let mut play = Play::new(settings());
    let failed = |seconds| Refusal::LoadFailed {
        why: "damaged".into(),
        retry: Duration::from_secs(seconds),
    };
    play.check(arrive(1, 1, "a"), &[Output::Load("a".into())]);
    let input = Input::LoadFailed {
        model: "a".into(),
        why: "damaged".into(),
    };
    play.check(input, &[refuse(1, failed(10))]);
    play.wait(4, &[]);
    play.check(arrive(2, 1, "a"), &[refuse(2, failed(6))]);
    play.wait(6, &[]);
    play.check(arrive(3, 1, "a"), &[Output::Load("a".into())]);
}

#[test]
fn the_idle_model_makes_room_and_the_busy_one_stays() {
    let mut play = Play::ready(settings());
    play.check(arrive(1, 1, "a"), &[admit(1)]);
    let no_room = Refusal::NoRoom {
        limit: 1,
        retry: LOAD_RETRY,
    };
    play.check(arrive(2, 1, "b"), &[refuse(2, no_room)]);
    play.check(settled(1), &[]);
    play.check(arrive(3, 1, "b"), &[Output::Unload(ReplicaId(1))]);
    play.check(replica(1, "a", ReplicaState::Draining), &[]);
    play.check(
        Input::ReplicaGone(ReplicaId(1)),
        &[Output::Load("b".into())],
    );
    play.check(replica(2, "b", ReplicaState::Ready), &[admit(3)]);
}

#[test]
fn an_idle_model_is_unloaded_unless_it_is_kept() {
    let mut play = Play::ready(settings());
    play.check(arrive(1, 1, "a"), &[admit(1)]);
    play.wait(90, &[]);
    play.check(settled(1), &[]);
    play.wait(59, &[]);
    play.check(arrive(2, 1, "a"), &[admit(2)]);
    play.check(settled(2), &[]);
    play.wait(59, &[]);
    play.wait(1, &[Output::Unload(ReplicaId(1))]);
    // Named while it leaves: it comes back.
    play.check(arrive(3, 1, "a"), &[]);
    play.check(replica(1, "a", ReplicaState::Draining), &[]);
    play.check(
        Input::ReplicaGone(ReplicaId(1)),
        &[Output::Load("a".into())],
    );
    play.check(replica(2, "a", ReplicaState::Ready), &[admit(3)]);
    play.check(settled(3), &[]);
    play.check(Input::Wanted("a".into()), &[]);
    play.wait(500, &[]);
    play.check(Input::Unwanted("a".into()), &[Output::Unload(ReplicaId(2))]);
}

#[test]
fn a_request_has_a_deadline_wherever_it_is() {
    let mut play = Play::ready(settings());
    for request in 1..=3 {
        let expect = if request < 3 {
            vec![admit(request)]
        } else {
            vec![]
        };
        play.check(arrive(request, request, "a"), &expect);
    }
    let expire = |request| Output::Expire(RequestId(request));
    play.wait(100, &[expire(1), expire(2), refuse(3, Refusal::TimedOut)]);
    play.check(settled(1), &[]);
    play.check(settled(2), &[]);
    assert_eq!(
        play.core.poll_timeout(),
        Some(play.now.after(Duration::from_secs(60)))
    );
}

#[test]
fn a_worker_that_dies_makes_requests_wait_for_its_return() {
    let mut play = Play::ready(settings());
    play.check(replica(1, "a", ReplicaState::Starting), &[]);
    play.check(arrive(1, 1, "a"), &[]);
    play.check(replica(1, "a", ReplicaState::Ready), &[admit(1)]);
    let failed = ReplicaState::Failed("died 5 times".into());
    play.check(replica(1, "a", failed), &[]);
    let refusal = Refusal::LoadFailed {
        why: "died 5 times".into(),
        retry: LOAD_RETRY,
    };
    play.check(arrive(2, 1, "a"), &[refuse(2, refusal)]);
}

#[test]
fn draining_ends_arrivals_and_tells_the_scheduler() {
    let mut play = Play::ready(settings());
    let node = Node {
        id: NodeId([1; 16]),
        name: "n".into(),
        health: crate::Health::Healthy,
        draining: false,
        labels: std::collections::BTreeMap::new(),
        devices: Vec::new(),
    };
    play.core.handle(play.now, Input::Node(node.clone()));
    play.check(arrive(1, 1, "a"), &[admit(1)]);
    play.core.handle(play.now, Input::Drain);
    let told: Vec<_> = std::iter::from_fn(|| play.core.poll_output()).collect();
    let draining = Node {
        draining: true,
        ..node
    };
    assert_eq!(told.last(), Some(&Output::Observe(Change::Node(draining))));
    play.check(arrive(2, 1, "a"), &[refuse(2, Refusal::Draining)]);
    play.check(settled(1), &[]);
    assert_eq!(play.core.running_and_waiting(), (0, 0));
}
