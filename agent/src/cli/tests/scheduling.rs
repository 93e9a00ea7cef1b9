//! `skep scheduler` and `skep explain`.

use super::check;
use crate::cli::terminal::Paint;
use crate::cli::{explain, scheduler};
use crate::router::{Considered, Move, Trace, TracedOutcome};
use crate::wire;

fn ago(_: u64) -> String {
    "5 min ago".to_owned()
}

fn policy(name: &str, state: &str, source: Option<&str>, failures: u64) -> wire::Scheduler {
    wire::Scheduler {
        name: name.to_owned(),
        state: state.to_owned(),
        source: source.map(str::to_owned),
        decisions: 1_234,
        failures,
        last_failure: (failures > 0).then(|| "it trapped in `route`".to_owned()),
    }
}

fn shadow() -> wire::Shadow {
    wire::Shadow {
        name: "pack".to_owned(),
        since_unix_s: 0,
        agreed: 40,
        differed: 2,
        failures: 1,
        last_failure: Some("it was \x1b slow".to_owned()),
        dropped: 3,
        ended: None,
    }
}

#[test]
fn schedulers_are_a_table_with_notes() {
    let schedulers = wire::Schedulers {
        schedulers: vec![
            policy("spread", "active", Some("embedded"), 0),
            policy("pack", "shadow", Some("embedded"), 0),
            policy("built-in", "available", Some("built-in"), 0),
            policy("my.wasm", "retired", None, 3),
        ],
        rolled_back: Some(wire::RolledBack {
            from: "my.wasm".to_owned(),
            to: "spread".to_owned(),
            why: "it trapped in `route`".to_owned(),
            at_unix_s: 0,
        }),
        shadow: Some(shadow()),
        awaited: None,
    };
    let notes = scheduler::notes(&schedulers, ago);
    let table = scheduler::render(&schedulers, Paint::none());
    check(
        "scheduler",
        &format!(
            "{table}\n\n{}",
            notes
                .join("\n")
                .escape_debug()
                .to_string()
                .replace("\\n", "\n")
        ),
    );
}

#[test]
fn differences_show_both_sides() {
    let chosen = |replica, node: &str, why: &str| wire::Chosen {
        replica,
        node: Some(node.to_owned()),
        devices: vec!["cpu".to_owned()],
        why: why.to_owned(),
    };
    let difference = |number, kind: &str, replica| wire::Difference {
        number,
        at_unix_s: 0,
        kind: kind.to_owned(),
        model: "tiny".to_owned(),
        active: "spread".to_owned(),
        live: chosen(
            replica,
            "cellar",
            "0 of 16 places taken, the smallest share",
        ),
        shadow: chosen(
            replica.map(|id| id + 1),
            "attic",
            "the busiest node with a free place",
        ),
    };
    let found = wire::Differences {
        shadow: Some(shadow()),
        differences: vec![
            difference(2, "place", None),
            difference(1, "route", Some(3)),
        ],
    };
    check(
        "scheduler-diff",
        &scheduler::render_differences(&found, Paint::none(), ago),
    );
    let none = wire::Differences {
        shadow: None,
        differences: Vec::new(),
    };
    let text = scheduler::render_differences(&none, Paint::none(), ago);
    assert!(text.contains("skep scheduler shadow"), "{text}");
}

#[test]
fn a_request_is_explained() {
    let considered = |replica, node: Option<&str>, why: &str, refused: Option<&str>| Considered {
        replica,
        node: node.map(str::to_owned),
        why: why.to_owned(),
        refused: refused.map(str::to_owned),
    };
    let moved = |after_us, from, to, why: &str| Move {
        after_us,
        from,
        to,
        why: why.to_owned(),
    };
    let trace = Trace {
        request: 7,
        id: Some("req_3f0c9a1e000000000007".into()),
        at_unix_s: 0,
        key: 1,
        model: "tiny".into(),
        replica: 2,
        node: Some("attic".to_owned()),
        policy: "built-in".into(),
        fault: Some("the plugin `my.wasm` trapped in `route`: unreachable".to_owned()),
        why: "built-in rule: 1 of 16 places taken, the smallest share".to_owned(),
        ranked: vec![
            considered(
                1,
                Some("cellar"),
                "0 of 16 taken",
                Some("the model's worker is overloaded"),
            ),
            considered(2, Some("attic"), "1 of 16 taken", None),
            considered(3, None, "2 of 16 taken", None),
        ],
        passed_over: vec![considered(4, Some("shed"), "node `shed` is draining", None)],
        admitted_after_us: 1_300,
        decided_in_us: 42,
        routed_after_us: 1_500,
        first_after_us: Some(21_000),
        took_us: 1_400_000,
        prompt_tokens: 12,
        cached_tokens: 4,
        completion_tokens: 20,
        moves: vec![
            moved(80_000, 3, 2, "the worker was killed by signal 9"),
            moved(900_000, 2, 2, "the worker did not answer for 10 s"),
        ],
        outcome: TracedOutcome::Answered,
    };
    check("explain", &explain::render(&trace, Paint::none(), ago));
}
