//! Components that pass what no language would: numbers for cases that there are not, texts outside of memory, handles that
//! nobody gave them. Each ends its own call, and the service goes on.

use skep::host::World;
use skep::protocol::{Error, Event, FromService, ToService};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::bench::{Service, Wish};
use crate::mail::alert;

/// A notifier whose one function does this.
fn notifier(body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
          (import "skep:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
          (import "skep:plugin/secrets@0.1.0" "[static]secret.open" (func $open (param i32 i32 i32)))
          (import "skep:plugin/secrets@0.1.0" "[method]secret.header-value"
            (func $value (param i32 i32 i32 i32)))
          (import "skep:plugin/secrets@0.1.0" "[resource-drop]secret" (func $drop (param i32)))
          (import "skep:plugin/mail@0.1.0" "send" (func $send (param i32 i32)))
          (memory (export "memory") 16)
          (data (i32.const 8) "key")
          (data (i32.const 16) "\ff\fe\80")
          (global $room (mut i32) (i32.const 65536))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $room) (i32.const 15)) (i32.const -16)))
            (global.set $room (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
          (func (export "skep:plugin/notice@0.1.0#notify") (param i32) (result i32) {body}))"#
    );
    let mut contract = Resolve::default();
    let wit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = contract.push_dir(wit).unwrap();
    let world = contract.select_world(&[package], Some("notifier")).unwrap();
    let mut module = wat::parse_str(&module).unwrap();
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.encode().unwrap()
}

async fn notify(service: &mut Service) -> Result<(), Error> {
    let call = service.id();
    let alert = alert(&[]);
    service.send(&ToService::Notify { call, alert }).await;
    match service.of(call).await {
        FromService::Done { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

/// In each case the memory at 1024 is where answers go.
const CASES: [(&str, &str); 16] = [
    ("a level that is none", "(call $log (i32.const 99) (i32.const 8) (i32.const 3)) (i32.const 1024)"),
    (
        "a line outside of memory",
        "(call $log (i32.const 1) (i32.const 0x7ffffff0) (i32.const 100)) (i32.const 1024)",
    ),
    ("a line of 4 GiB", "(call $log (i32.const 1) (i32.const 8) (i32.const -1)) (i32.const 1024)"),
    ("a line that is no text", "(call $log (i32.const 1) (i32.const 16) (i32.const 3)) (i32.const 1024)"),
    (
        "a name outside of memory",
        "(call $open (i32.const -8) (i32.const 64) (i32.const 1024)) (i32.const 1024)",
    ),
    (
        "room for an answer outside of memory",
        "(call $open (i32.const 8) (i32.const 3) (i32.const -64)) (i32.const 1024)",
    ),
    (
        "room for an answer at an odd place",
        "(call $open (i32.const 8) (i32.const 3) (i32.const 1027)) (i32.const 1024)",
    ),
    (
        "a handle that nobody gave it",
        "(call $value (i32.const 12345) (i32.const 8) (i32.const 0) (i32.const 1024)) (i32.const 1024)",
    ),
    ("a handle of nothing", "(call $drop (i32.const 0)) (i32.const 1024)"),
    (
        "a handle that it gave back",
        "(call $open (i32.const 8) (i32.const 3) (i32.const 2048))
         (call $drop (i32.load (i32.const 2052))) (call $drop (i32.load (i32.const 2052))) (i32.const 1024)",
    ),
    (
        "a handle used after it was given back",
        "(call $open (i32.const 8) (i32.const 3) (i32.const 2048)) (call $drop (i32.load (i32.const 2052)))
         (call $value (i32.load (i32.const 2052)) (i32.const 8) (i32.const 0) (i32.const 1024)) (i32.const 1024)",
    ),
    ("mail outside of memory", "(call $send (i32.const -16) (i32.const 1024)) (i32.const 1024)"),
    (
        "mail to two thousand million people",
        "(i32.store (i32.const 4136) (i32.const 8)) (i32.store (i32.const 4140) (i32.const 0x7fffffff))
         (call $send (i32.const 4096) (i32.const 1024)) (i32.const 1024)",
    ),
    (
        "an answer that is neither right nor wrong",
        "(i32.store8 (i32.const 1024) (i32.const 9)) (i32.const 1024)",
    ),
    (
        "an error of no kind",
        "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 77)) (i32.const 1024)",
    ),
    ("an answer outside of memory", "(i32.const 0x7ffffff0)"),
];

#[tokio::test]
async fn what_no_language_passes_ends_its_call() {
    let folder = tempfile::tempdir().unwrap();
    for (name, body) in CASES {
        let path = folder
            .path()
            .join(format!("{}.wasm", name.replace(' ', "_")));
        std::fs::write(&path, notifier(body)).unwrap();
        let mut service = Service::open(Wish {
            guest: Box::leak(path.to_str().unwrap().to_owned().into_boxed_str()),
            world: World::Notifier,
            granted: vec!["secret:key".to_owned()],
            secrets: vec![("key", "abcdef".to_owned())],
            ..Wish::default()
        })
        .await;
        // Twice: the service is as it was before.
        for _ in 0..2 {
            let Err(Error::Other(why)) = notify(&mut service).await else {
                panic!("{name}: it was taken");
            };
            assert!(why.contains("in `notify`"), "{name}: {why}");
        }
        assert_eq!(service.faults.len(), 2, "{name}");
    }
    // What has nothing wrong in it passes, so that the cases fail for what they do.
    let path = folder.path().join("fine.wasm");
    std::fs::write(&path, notifier("(i32.const 1024)")).unwrap();
    let mut service = Service::open(Wish {
        guest: Box::leak(path.to_str().unwrap().to_owned().into_boxed_str()),
        world: World::Notifier,
        ..Wish::default()
    })
    .await;
    notify(&mut service).await.unwrap();
}

/// Each function of both worlds, in components in which each does nothing but trap.
#[tokio::test]
async fn a_trap_in_each_function_ends_its_call() {
    let mut service = Service::open(Wish {
        guest: "compat/0.1.0/all-upstream.wasm",
        ..Wish::default()
    })
    .await;
    for _ in 0..2 {
        let (models, pull) = (service.id(), service.id());
        service.send(&ToService::Models { call: models }).await;
        let FromService::Models { result, .. } = service.of(models).await else {
            panic!("no models");
        };
        assert!(shown(result).contains("`models`"));
        let model = "m".to_owned();
        service.send(&ToService::Pull { call: pull, model }).await;
        let FromService::Done { result, .. } = service.of(pull).await else {
            panic!("no pull");
        };
        assert!(shown(result).contains("`pull`"));
        let (_, Event::Failed(Error::Other(why))) = service.run("x").await else {
            panic!("it did not fail");
        };
        assert!(why.contains("trapped in `start`"), "{why}");
    }
    let mut service = Service::open(Wish {
        guest: "compat/0.1.0/all-notifier.wasm",
        world: World::Notifier,
        ..Wish::default()
    })
    .await;
    assert!(shown(notify(&mut service).await).contains("trapped in `notify`"));
}

fn shown<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Other(_)), "{error:?}");
    let why = format!("{error:?}");
    assert!(why.contains("trapped"), "{why}");
    why
}

/// A leak of one page in each would show.
#[tokio::test]
async fn a_thousand_instances_that_touch_their_memory_leave_nothing() {
    let mut service = Service::with(&[]).await;
    let touch = "touch 4000000";
    for _ in 0..20 {
        assert_eq!(service.says(touch).await, "4000000");
    }
    let (descriptors, resident) = (service.descriptors(), service.resident_bytes());
    for _ in 0..1_000 {
        assert_eq!(service.says(touch).await, "4000000");
    }
    assert!(service.descriptors() <= descriptors + 1);
    let grown = service.resident_bytes().saturating_sub(resident);
    assert!(grown < 16 << 20, "{grown} bytes");
}
