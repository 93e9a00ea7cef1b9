//! The notifiers that speak HTTP, against servers that take what they send or refuse it.

use skep::host::World;
use skep::protocol::{Alert, Error, FromService, Severity, ToService};

use crate::bench::{Service, Wish};
use crate::call::KEY;
use crate::servers::{Web, text};

fn alert() -> Alert {
    Alert {
        id: "1".to_owned(),
        kind: "node.down".to_owned(),
        severity: Severity::Critical,
        title: "node <b> is down".to_owned(),
        text: "It was last heard a minute ago.".to_owned(),
        cluster: "home".to_owned(),
        node: Some("b".to_owned()),
        at_unix_s: 60,
        resolved: false,
        facts: vec![("address".to_owned(), "10.0.0.2".to_owned())],
    }
}

async fn told(
    guest: &'static str,
    web: &Web,
    url: (&str, &str),
    settings: &[(&str, &str)],
) -> Result<(), Error> {
    let mut all = vec![(url.0.to_owned(), web.url(url.1))];
    for (name, value) in settings {
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    let mut service = Service::open(Wish {
        guest,
        world: World::Notifier,
        granted: vec![web.grant(), "secret:mine".to_owned()],
        secrets: vec![("mine", KEY.to_owned())],
        settings: all,
        ..Wish::default()
    })
    .await;
    let call = service.id();
    service
        .send(&ToService::Notify {
            call,
            alert: alert(),
        })
        .await;
    match service.of(call).await {
        FromService::Done { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_asks_its_service_in_its_own_way() {
    let web = Web::start(|path| match path {
        "/slack/chat.postMessage" => text("200 OK", "", "{\"ok\":true}"),
        _ => text("200 OK", "", "{}"),
    })
    .await;
    let signed = |prefix: &str| format!("authorization: {prefix}{KEY}");
    told("webhook", &web, ("url", "/hook"), &[("key", "mine")])
        .await
        .unwrap();
    let asked = web.last();
    assert!(
        asked.starts_with("POST /hook ") && asked.contains(&signed("Bearer ")),
        "{asked}"
    );
    let set = [("token", "mine"), ("channel", "42")];
    told("slack", &web, ("base-url", "/slack"), &set)
        .await
        .unwrap();
    let asked = web.last();
    assert!(
        asked.starts_with("POST /slack/chat.postMessage ") && asked.contains(&signed("Bearer ")),
        "{asked}"
    );
    told("discord", &web, ("base-url", "/api"), &set)
        .await
        .unwrap();
    let asked = web.last();
    assert!(
        asked.starts_with("POST /api/channels/42/messages ") && asked.contains(&signed("Bot ")),
        "{asked}"
    );
    let set = [("token", "mine"), ("chat", "-100")];
    told("telegram", &web, ("base-url", "/"), &set)
        .await
        .unwrap();
    let asked = web.last();
    assert!(
        asked.starts_with(&format!("POST /bot{KEY}/sendMessage ")),
        "{asked}"
    );
}

#[tokio::test]
async fn a_refusal_says_whether_later_is_better() {
    let web = Web::start(|path| match path.split('/').nth(1).unwrap_or_default() {
        "busy" => text("429 Too Many Requests", "retry-after: 7\r\n", "{}"),
        "broken" => text("500 Internal Server Error", "", "{}"),
        "gone" => text("410 Gone", "", "{}"),
        "inside" => text("200 OK", "", "{\"ok\":false,\"error\":\"invalid_auth\"}"),
        other => panic!("{other}"),
    })
    .await;
    let webhook = async |path: &str| told("webhook", &web, ("url", path), &[]).await.unwrap_err();
    let busy = webhook("/busy").await;
    assert!(
        matches!(
            &busy,
            Error::Limited {
                retry_after_s: Some(7),
                ..
            }
        ),
        "{busy:?}"
    );
    assert!(matches!(webhook("/broken").await, Error::Other(_)));
    assert!(matches!(webhook("/gone").await, Error::Invalid(_)));
    let set = [("token", "mine"), ("channel", "42")];
    let slack = told("slack", &web, ("base-url", "/inside"), &set).await;
    assert!(matches!(slack, Err(Error::Denied(_))), "{slack:?}");
    let set = [("token", "mine"), ("channel", "../42")];
    let discord = told("discord", &web, ("base-url", "/busy"), &set).await;
    assert!(matches!(discord, Err(Error::Invalid(_))), "{discord:?}");
}
