//! A scheduler that goes astray is replaced, knows again what it was told, and the answer says so.

use skep::fleet::{Component, Plugin};
use skep::host::scheduler::{
    Change, Refusal, Replica, ReplicaState, Request, ScheduleError, Scheduler,
};

use crate::bench::{Bench, guest};

fn request(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        prompt_bytes: 10,
        max_tokens: 10,
        affinity: 0,
        priority: 0,
    }
}

fn replica(id: u64) -> Change {
    Change::Replica(Replica {
        id,
        model: "model".to_owned(),
        node: "node".to_owned(),
        devices: Vec::new(),
        state: ReplicaState::Ready,
        running: 0,
        waiting: 0,
        capacity: 1,
        cache_pages: 0,
        cache_pages_used: 0,
    })
}

fn check_alive(scheduler: &mut Scheduler) {
    let choice = scheduler.route(&request("model")).unwrap();
    assert_eq!((choice.replica, choice.why.as_str()), (7, "the first of 2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vice_of_a_scheduler_is_contained() {
    let bench = Bench::new();
    let plugin = Plugin {
        name: "astray".to_owned(),
        component: Component::Path(guest("astray")),
    };
    let mut scheduler = bench.fleet.scheduler(&plugin).await.unwrap();
    scheduler.observe(&replica(7)).unwrap();
    scheduler.observe(&replica(8)).unwrap();
    check_alive(&mut scheduler);
    for (vice, cause) in [
        ("loop", "used more than 100000000 units of work in `route`"),
        ("grow", "reached its memory limit of 64 MiB in `route`"),
        ("panic", "trapped in `route`"),
        ("talk", "`route`"),
    ] {
        let error = scheduler.route(&request(vice)).unwrap_err();
        assert!(
            matches!(error, ScheduleError::Replaced(_)),
            "{vice}: {error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains(cause) && text.ends_with("it was replaced"),
            "{vice}: {text}"
        );
        check_alive(&mut scheduler);
    }
    let refused = scheduler.route(&request("babble")).unwrap_err();
    assert!(
        matches!(refused, ScheduleError::Refused(Refusal::Busy(_))),
        "{refused:?}"
    );
    assert_eq!(refused.to_string(), r"\u{1b}[2J\u{a}");
    check_alive(&mut scheduler);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_world_is_no_scheduler() {
    let bench = Bench::new();
    let plugin = Plugin {
        name: "echo".to_owned(),
        component: Component::Path(guest("echo")),
    };
    let error = bench.fleet.scheduler(&plugin).await.unwrap_err();
    assert!(
        error.contains("a plugin of the world `engine` and not of `scheduler`"),
        "{error}"
    );
}
