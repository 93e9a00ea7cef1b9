//! Components that were built against earlier versions of the contract are linked and do what they did.

use std::path::Path;

use skep::host::World;
use skep::protocol::{Error, FromService, ToService};

use crate::bench::{Service, Wish};
use crate::mail::alert;
use crate::servers::{Web, text};

/// Every version that was recorded.
fn versions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/compat");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let versions: Vec<_> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(versions.contains(&"0.1.0".to_owned()), "{versions:?}");
    versions
}

fn recorded(version: &str, name: &str, world: World) -> Wish {
    Wish {
        guest: Box::leak(format!("compat/{version}/{name}.wasm").into_boxed_str()),
        world,
        ..Wish::default()
    }
}

#[tokio::test]
async fn an_old_adapter_reaches_what_is_granted() {
    for version in versions() {
        let web = Web::start(|_| text("200 OK", "", "hello")).await;
        let mut service = Service::open(Wish {
            granted: vec![web.grant(), "secret:key".to_owned()],
            secrets: vec![("key", "abcdef".to_owned())],
            ..recorded(&version, "upstream", World::Upstream)
        })
        .await;
        let said = service.says(&format!("fetch GET {}", web.url("/"))).await;
        assert!(said.starts_with("200 5 "), "{version}: {said}");
        let ask = format!("with-secret key header GET {}", web.url("/"));
        let said = service.says(&ask).await;
        assert!(said.starts_with("200 5 "), "{version}: {said}");
        let asked = web.last();
        assert!(asked.contains("authorization: Bearer abcdef"), "{asked}");
        service.says("log 1").await;
        let world = service.says("world").await;
        assert_eq!(world, "env 0 args 0 dir false stdin 0", "{version}");
    }
}

#[tokio::test]
async fn an_old_notifier_is_called_and_answers() {
    for version in versions() {
        let mut service = Service::open(recorded(&version, "notifier", World::Notifier)).await;
        let facts = [("host", "127.0.0.1".to_owned()), ("port", "1".to_owned())];
        let call = service.id();
        let alert = alert(&facts);
        service.send(&ToService::Notify { call, alert }).await;
        match service.of(call).await {
            // It asked the host to send, and was told that nothing is granted.
            FromService::Done {
                result: Err(Error::Denied(why)),
                ..
            } => assert!(why.contains("127.0.0.1"), "{version}: {why}"),
            other => panic!("{version}: {other:?}"),
        }
    }
}

/// A component that imports all that its world had cannot be opened where any of it is missing or of another type.
#[tokio::test]
async fn all_that_a_service_could_import_is_still_linked() {
    for version in versions() {
        for (name, world) in [
            ("all-upstream", World::Upstream),
            ("all-notifier", World::Notifier),
        ] {
            drop(Service::open(recorded(&version, name, world)).await);
        }
    }
}
