//! Requests whose worker dies go on where it stopped; the one that kills every worker is told from those beside it.

use std::sync::Arc;
use std::time::Duration;

use skep::fleet::{Component, Fleet, FleetSettings, Plugin};
use skep::models::{Catalogue, Digest};
use skep::protocol::{Error, Event, Prompt, Settings, Usage, Work};
use skep::router::{Job, Parts, Router, Shape, Step};
use skep::scheduling::{Policies, Policy, Source};
use skep_core::{KeyId, Node, NodeId};

use crate::bench::{PATIENCE, cache, guest, work};

const MODEL: &str = "model";

/// A router over one model, which the echo engine serves.
async fn router(folder: &tempfile::TempDir) -> Router {
    let plugin = |name: &str, guest_name: &str| Plugin {
        name: name.to_owned(),
        component: Component::Path(guest(guest_name)),
    };
    let fleet = Fleet::start(FleetSettings {
        executable: env!("CARGO_BIN_EXE_skep").into(),
        cache_dir: cache(),
        plugins: vec![plugin("llama", "echo")],
    })
    .unwrap();
    let scheduler = fleet.scheduler(&plugin("spread", "spread")).await.unwrap();
    let catalogue = Catalogue::open(&folder.path().join("models")).unwrap();
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.resize(64, 0);
    catalogue
        .ensure_embedded(&MODEL.parse().unwrap(), &file, Digest::of(&file))
        .unwrap();
    let router = Router::start(Parts {
        core: skep_core::Settings {
            running_max: 100,
            queued_max: 100,
            per_key_max: 100,
            deadline: PATIENCE,
            load_wait: PATIENCE,
            idle_unload: None,
            loaded_max: 1,
        },
        node: Node {
            id: NodeId([7; 16]),
            name: "node".to_owned(),
            health: skep_core::Health::Healthy,
            draining: false,
            labels: Default::default(),
            devices: vec![skep_core::Device {
                id: "cpu".to_owned(),
                kind: "cpu".to_owned(),
                health: skep_core::Health::Healthy,
                memory_bytes: 1 << 33,
                memory_free_bytes: 1 << 33,
                bandwidth: 0,
            }],
        },
        policies: Policies::new(Policy::new(Source::Embedded("spread"), scheduler)),
        fleet,
        catalogue: Arc::new(catalogue),
        opening: Settings::default(),
        drafts: Default::default(),
        engines: Default::default(),
        threads: Some(1),
        computes_on: Default::default(),
        devices: vec!["cpu".to_owned()],
    });
    router.want(MODEL);
    router.ready(MODEL, PATIENCE).await.unwrap();
    router
}

async fn start(router: &Router, works: Vec<Work>) -> Job {
    let slot = router.admit(KeyId(0), &Arc::from(MODEL)).await.unwrap();
    let shape = Shape {
        prompt_bytes: 1,
        max_tokens: None,
        affinity: 0,
    };
    router.start_work(slot, works, shape).unwrap()
}

/// The whole text, how many vectors there were, and the error if there was one.
async fn whole(mut job: Job) -> (String, usize, Option<Error>, Usage) {
    let (mut text, mut vectors, mut failed) = (String::new(), 0, None);
    while let Some(step) = tokio::time::timeout(PATIENCE, job.next()).await.unwrap() {
        match step {
            Step::Event(_, Event::Gained(gain)) => text.push_str(&gain.text),
            Step::Event(_, Event::Embedded(_)) => vectors += 1,
            Step::Event(_, Event::Failed(error)) => failed = Some(error),
            Step::Event(..) => {}
            Step::Expired => panic!("expired"),
        }
    }
    (text, vectors, failed, job.usage())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_request_ends_alone() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&folder).await;
    let mut innocent = Vec::new();
    for number in 0..12_usize {
        let text = format!("word{number} ").repeat(4_000 + 100 * number);
        let job = start(&router, vec![work(&text, None)]).await;
        innocent.push((text, tokio::spawn(whole(job))));
    }
    let poison = start(&router, vec![work("this is poison to it", None)]).await;
    let poison = tokio::spawn(whole(poison));
    let inputs: Vec<_> = (0..50).map(|n| Prompt::Tokens(vec![n])).collect();
    let vectors = start(&router, vec![Work::Embed(inputs)]).await;
    let vectors = tokio::spawn(whole(vectors));

    let (text, _, failed, _) = poison.await.unwrap();
    assert_eq!(text, "this is ");
    let Some(Error::Lost(why)) = failed else {
        panic!("{failed:?}")
    };
    assert!(why.contains("asked to say `poison`"), "{why}");
    assert!(why.contains("2 times and gained nothing"), "{why}");
    assert!(why.contains("skep logs"), "{why}");
    for (expected, job) in innocent {
        let (text, _, failed, usage) = job.await.unwrap();
        assert_eq!(failed, None);
        assert_eq!(text, expected);
        let words = expected.split_whitespace().count();
        assert_eq!(usage.completion_tokens as usize, words);
        assert_eq!(usage.prompt_tokens as usize, words);
    }
    let (_, count, failed, _) = vectors.await.unwrap();
    assert_eq!((count >= 50, failed), (true, None));
    let replicas = router.fleet().replicas();
    assert_eq!(replicas[0].restarts, 3, "three workers, and no more");
    let counts = router.move_counts();
    assert!(counts.moved >= 12, "{counts:?}");
    assert_eq!(counts.stranded, 0);
    let traces = router.traces();
    let moved = traces
        .iter()
        .filter(|trace| !trace.moves.is_empty())
        .count();
    assert!(moved >= 12, "{moved}");
}

/// An unloaded model is no accident: its requests end, and nobody waits for it to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_ends_is_not_moved() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&folder).await;
    let job = start(&router, vec![work(&"word ".repeat(400_000), None)]).await;
    let job = tokio::spawn(whole(job));
    router.fleet().unload(MODEL, Duration::ZERO).await.unwrap();
    let (_, _, failed, _) = job.await.unwrap();
    assert!(
        matches!(&failed, Some(Error::Other(why)) if why.contains("unloaded")),
        "{failed:?}"
    );
    assert_eq!(router.move_counts(), Default::default());
}

/// Lost while its model is drained: nobody else is there, and that is said at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_model_that_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(&folder).await;
    let text = format!("{} poison", "word ".repeat(20_000));
    let job = start(&router, vec![work(&text, None)]).await;
    let job = tokio::spawn(whole(job));
    let asked = std::time::Instant::now();
    router.fleet().unload(MODEL, PATIENCE).await.unwrap();
    let (_, _, failed, _) = job.await.unwrap();
    let Some(Error::Lost(why)) = failed else {
        panic!("{failed:?}")
    };
    assert!(why.contains("no replica of `model` is there"), "{why}");
    assert!(asked.elapsed() < PATIENCE / 2, "{:?}", asked.elapsed());
    assert_eq!(router.move_counts().stranded, 1);
}
