//! What adapters and notifiers call: `log`, `secrets`, `mail`, and what requests are built with. Nothing that they may reach
//! answers, and no line that leaves holds a secret.
#![allow(clippy::expect_used, reason = "what does not hold ends it")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use tokio::runtime::Runtime;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::Pollable as _;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    Fields, FutureIncomingResponse, HostFields, HostFutureIncomingResponse, HostOutgoingRequest,
    Method, Scheme,
};

use super::meter::Meter;
use super::notifier::skep::plugin::mail::{self, Host as _};
use super::state::{HeldSecret, Pool, ServiceState};
use super::upstream::skep::plugin::secrets::HostSecret;
use crate::egress::{Egress, Scope, Setup, Teller};
use crate::host::engine::generated::skep::plugin::log::{self, Host as _};
use crate::host::fuzzed::{CALLS_MAX, list, maybe, text};
use crate::protocol::{Rights, SecretText};

/// A port of this machine that nobody listens at: it refuses at once.
const CLOSED: &str = "127.0.0.1:1";

/// The text that must not leave.
const TEXT: &str = "s3cr3t-text";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
});

static EGRESS: LazyLock<Arc<Egress>> = LazyLock::new(|| {
    let name = "key".parse().expect("a name");
    let granted = [
        format!("http-local:{CLOSED}"),
        format!("mail-local:{CLOSED}"),
        "http:*.example.invalid:8443".to_owned(),
        "secret:key".to_owned(),
        "secret:absent".to_owned(),
    ];
    let rights = Rights {
        granted: granted
            .iter()
            .map(|grant| grant.parse().expect("a grant"))
            .collect(),
        secrets: [(name, SecretText::new(TEXT.to_owned()))].into(),
    };
    let setup = Setup {
        plugin: "fuzzed".to_owned(),
        rights,
        own_addresses: Vec::new(),
        // Nobody is asked what a name means.
        resolver: CLOSED.parse().ok(),
        authorities: Vec::new(),
        connect: Duration::from_millis(200),
        silence: Duration::from_millis(200),
    };
    let teller = Teller::new(|_, line| assert!(!line.contains(TEXT), "{line}"));
    Arc::new(Egress::new(setup, Arc::new(teller)).expect("a way out"))
});

/// What a plugin holds; what it gave back as well.
#[derive(Default)]
struct Held {
    secrets: Vec<u32>,
    fields: Vec<u32>,
    stand_ins: Vec<String>,
}

/// Makes calls of `bytes`.
///
/// # Panics
/// When something does not hold that must.
pub fn service_calls(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    RUNTIME.block_on(async {
        let scope = Arc::new(Scope::default());
        let meter = Arc::new(Meter::new(Duration::from_secs(1)));
        let pool = Arc::<Pool>::default();
        let mut state = ServiceState::new(Arc::clone(&EGRESS), scope, meter, pool);
        let mut held = Held::default();
        for _ in 0..CALLS_MAX {
            if u.is_empty() || call(&mut u, &mut state, &mut held).await.is_err() {
                break;
            }
        }
    });
}

/// One call. An error is that the bytes are at their end.
async fn call(u: &mut Unstructured<'_>, state: &mut ServiceState, held: &mut Held) -> Result<()> {
    match u.int_in_range(0..=7)? {
        0 => drop(state.write(log::Level::Warn, said(u, held)?)),
        1 => {
            let opened = state.open(text(u, &["key", "absent", "other"])?);
            let opened = opened.ok().and_then(std::result::Result::ok);
            held.secrets.extend(opened.map(|secret| secret.rep()));
        }
        2 => stand_in(u, state, held)?,
        3 => {
            if let Some(&secret) = held.secrets.first() {
                drop(HostSecret::drop(
                    state,
                    Resource::<HeldSecret>::new_own(secret),
                ));
            }
        }
        4 => send_mail(u, state, held).await?,
        5 | 6 => change_fields(u, state, held)?,
        _ => request(u, state, held).await?,
    }
    Ok(())
}

fn stand_in(u: &mut Unstructured<'_>, state: &mut ServiceState, held: &mut Held) -> Result<()> {
    if held.secrets.is_empty() {
        return Ok(());
    }
    let secret = *u.choose(&held.secrets)?;
    let secret = || Resource::<HeldSecret>::new_borrow(secret);
    let prefix = text(u, &["Bearer ", ""])?;
    let made = [
        state.header_value(secret(), prefix.clone()).ok(),
        state
            .path_value(secret())
            .ok()
            .and_then(std::result::Result::ok),
    ];
    for made in made.into_iter().flatten() {
        assert!(!made.contains(TEXT) || prefix.contains(TEXT), "{made}");
        held.stand_ins.push(made);
    }
    Ok(())
}

async fn send_mail(u: &mut Unstructured<'_>, state: &mut ServiceState, held: &Held) -> Result<()> {
    use mail::Security::{None, Starttls, Tls};
    let server = mail::Server {
        host: text(u, &["127.0.0.1", "smtp.example.org"])?,
        port: *u.choose(&[1, 1, 1, 25, 587])?,
        security: *u.choose(&[None, Tls, Starttls])?,
        user: maybe(u, |u| u.arbitrary())?,
    };
    let message = mail::Message {
        sender: text(u, &["a@example.org"])?,
        recipients: list(u, 4, |u| text(u, &["b@example.org", "B <b@example.org>"]))?,
        subject: said(u, held)?,
        body: said(u, held)?,
    };
    let password = held.secrets.last().copied();
    let password = password.map(Resource::<HeldSecret>::new_borrow);
    if let Ok(sent) = state.send(server, password, message).await {
        let error = sent.expect_err("nobody takes mail there");
        assert!(!format!("{error:?}").contains(TEXT), "{error:?}");
    }
    Ok(())
}

/// Headers, by each function that changes them.
fn change_fields(
    u: &mut Unstructured<'_>,
    state: &mut ServiceState,
    held: &mut Held,
) -> Result<()> {
    let names = ["authorization", "content-length", "host", "x-a", "X-A"];
    if held.fields.is_empty() || u.ratio(1, 4)? {
        let entries = list(u, 4, |u| {
            Ok((text(u, &names)?, said(u, held)?.into_bytes()))
        })?;
        let made = state.http().from_list(entries);
        held.fields.extend(made.ok().map(|fields| fields.rep()));
        return Ok(());
    }
    let fields = *u.choose(&held.fields)?;
    let fields = || Resource::<Fields>::new_borrow(fields);
    let (name, value) = (text(u, &names)?, said(u, held)?.into_bytes());
    match u.int_in_range(0..=5)? {
        0 | 1 => drop(state.http().append(fields(), name, value)),
        2 => drop(state.http().set(fields(), name, vec![value; 2])),
        3 => drop(state.http().delete(fields(), name)),
        4 => drop(HostFields::get(&mut state.http(), fields(), name)),
        _ => drop(state.http().entries(fields())),
    }
    Ok(())
}

/// A request of some headers, to whomever; what comes of it is an error.
async fn request(
    u: &mut Unstructured<'_>,
    state: &mut ServiceState,
    held: &mut Held,
) -> Result<()> {
    let fields = if held.fields.is_empty() {
        HostFields::new(&mut state.http()).ok()
    } else {
        let at = u.choose_index(held.fields.len())?;
        Some(Resource::<Fields>::new_own(held.fields.swap_remove(at)))
    };
    let Some(made) =
        fields.and_then(|fields| HostOutgoingRequest::new(&mut state.http(), fields).ok())
    else {
        return Ok(());
    };
    let made = made.rep();
    let id = || Resource::new_borrow(made);
    let method = match u.int_in_range(0..=4)? {
        0 => Method::Connect,
        1 => Method::Other(u.arbitrary()?),
        2 => Method::Post,
        _ => Method::Get,
    };
    drop(state.http().set_method(id(), method));
    let scheme = match u.int_in_range(0..=4)? {
        0 => Scheme::Other(text(u, &["file", "unix"])?),
        1 => Scheme::Https,
        _ => Scheme::Http,
    };
    drop(state.http().set_scheme(id(), Some(scheme)));
    let hosts = [
        CLOSED,
        "[::ffff:127.0.0.1]:1",
        "user@127.0.0.1:1",
        "127.1:1",
    ];
    let authority = text(u, &hosts)?;
    drop(state.http().set_authority(id(), Some(authority)));
    let path = match held.stand_ins.last() {
        Some(stand_in) if u.ratio(1, 2)? => format!("/{stand_in}/x"),
        _ => text(u, &["/", "/a?b=c"])?,
    };
    drop(state.http().set_path_with_query(id(), Some(path)));
    if u.ratio(1, 4)? {
        drop(HostOutgoingRequest::body(&mut state.http(), id()));
    }
    let Ok(future) = state.http().handle(Resource::new_own(made), None) else {
        return Ok(());
    };
    let future = future.rep();
    if let Ok(waited) = state
        .table
        .get_mut(&Resource::<FutureIncomingResponse>::new_borrow(future))
    {
        waited.ready().await;
    }
    let answer = HostFutureIncomingResponse::get(&mut state.http(), Resource::new_own(future));
    if let Ok(Some(Ok(answer))) = answer {
        let error = answer.expect_err("nobody answers there");
        assert!(!format!("{error:?}").contains(TEXT), "{error:?}");
    }
    Ok(())
}

/// What is said somewhere: anything, also what stands for a secret.
fn said(u: &mut Unstructured<'_>, held: &Held) -> Result<String> {
    match held.stand_ins.last() {
        Some(stand_in) if u.ratio(1, 4)? => Ok(stand_in.clone()),
        _ if u.ratio(1, 8)? => Ok(TEXT.repeat(u.int_in_range(1..=3)?)),
        _ => u.arbitrary(),
    }
}
