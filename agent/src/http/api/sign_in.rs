//! The other ways to sign in: what is set, trying and setting it, and the way to a provider and back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use skep_core::capability::SecretName;
use skep_core::state::{Door, DoorSettings, NewDoor, UserAction};
use zeroize::Zeroizing;

use super::body;
use super::plugins::person;
use super::refusal::Refusal;
use super::session::{arrived, enter, too_many};
use super::users::decide;
use crate::agent::Agent;
use crate::http::Caller;
use crate::limits::{COOKIES_BYTES_MAX, PROVIDER_VISIT_LIFE};
use crate::users::{
    CALLBACK, DoorError, DoorSecret, OidcSettings, Returned, Settings, Trial, Tried, secret_name,
};
use crate::wire;

/// The endpoints, below `/sign-in`.
pub(super) fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/", get(show))
        .route("/oidc/start", get(start))
        .route("/oidc/callback", get(callback))
        .route("/{door}", axum::routing::put(set).delete(remove))
        .route("/{door}/test", post(test))
}

async fn show(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Json<wire::SignInDoors>, Refusal> {
    if caller == Caller::Anonymous {
        return Err(Refusal::unknown_caller());
    }
    let state = agent.cluster.view();
    let view = |door| {
        let set = state.users().door(door)?;
        let settings = Settings::read(door, &set.text).ok();
        let secret = match settings.map(|settings| settings.wants_secret()) {
            Some(false) => "not_needed",
            _ if kept(&agent, door).is_some() => "kept",
            _ => "missing",
        };
        Some(wire::SignInDoor {
            settings: serde_json::from_str(&set.text).unwrap_or_default(),
            tested: set.tested,
            set_by: set.set_by.clone(),
            set_unix_s: set.set_at,
            secret: secret.to_owned(),
        })
    };
    let called = called(&agent, &headers).unwrap_or_else(|| agent.public_url());
    let redirect_uri = match Settings::set(&state, Door::Oidc) {
        Ok(Some(Settings::Oidc(settings))) => settings.redirect_uri(&called),
        _ => format!("{called}{CALLBACK}"),
    };
    Ok(Json(wire::SignInDoors {
        ldap: view(Door::Ldap),
        oidc: view(Door::Oidc),
        redirect_uri,
    }))
}

async fn test(
    State(agent): State<Arc<Agent>>,
    Path(door): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<wire::SignInTried>, Refusal> {
    let door = parse(&door)?;
    let wish: wire::SignInWish = body::read(body).await?;
    let (_, tried, _) = try_out(&agent, door, &headers, wish).await?;
    Ok(Json(told(&tried, false)))
}

async fn set(
    State(agent): State<Arc<Agent>>,
    Extension(caller): Extension<Caller>,
    Path(door): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<wire::SignInTried>, Refusal> {
    let door = parse(&door)?;
    let mut wish: wire::SignInWish = body::read(body).await?;
    let (insists, by) = (wish.untested, wish.by.take());
    let (settings, tried, secret) = try_out(&agent, door, &headers, wish).await?;
    let tested = tried.is_good();
    if !tested && !insists {
        return Ok(Json(told(&tried, false)));
    }
    if let Some(secret) = secret {
        let (asked, name) = (agent.clone(), name_of(door)?);
        let kept = move || asked.services.secrets().set(&name, &secret);
        let kept = tokio::task::spawn_blocking(kept);
        kept.await.map_err(Refusal::lost)??;
    }
    let text = settings.text()?;
    let state = agent.cluster.view();
    let same = |set: &Arc<DoorSettings>| set.text == text && set.tested == tested;
    if state.users().door(door).is_some_and(same) {
        return Ok(Json(told(&tried, true)));
    }
    let new = NewDoor {
        text,
        tested,
        by: person(&agent, caller, by),
    };
    let action = UserAction::SetDoor {
        door,
        settings: Some(new),
    };
    decide(&agent, action).await?;
    tracing::info!(door = door.word(), tested, "a way to sign in was set");
    Ok(Json(told(&tried, true)))
}

async fn remove(
    State(agent): State<Arc<Agent>>,
    Path(door): Path<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let door = parse(&door)?;
    let action = UserAction::SetDoor {
        door,
        settings: None,
    };
    decide(&agent, action).await?;
    tracing::info!(door = door.word(), "a way to sign in was removed");
    let name = name_of(door)?;
    if agent.services.secrets().has(&name) {
        let removed = tokio::task::spawn_blocking(move || agent.services.secrets().remove(&name));
        removed.await.map_err(Refusal::lost)??;
    }
    Ok(Json(serde_json::json!({ "door": door.word() })))
}

/// Sends a browser to the provider.
async fn start(
    State(agent): State<Arc<Agent>>,
    Extension(peer): Extension<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let left = async {
        let settings = provider(&agent)?;
        let called = match (&settings.public_url, called(&agent, &headers)) {
            (Some(url), _) => url.clone(),
            (None, Some(called)) => called,
            (None, None) => {
                let why = "this agent is not called so: add the name to `http.allowed_hosts`, or set `public_url`";
                return Err(DoorError::NotSet(why.to_owned()));
            }
        };
        agent.doors.leave(settings, &called, peer.ip()).await
    };
    match left.await {
        Ok((to, cookie)) => {
            let life = PROVIDER_VISIT_LIFE.as_secs();
            go(&to, Some(visit_cookie(&agent, &cookie, life)))
        }
        Err(error) => go(&refused(&error), None),
    }
}

/// A browser comes back from the provider.
async fn callback(
    State(agent): State<Arc<Agent>>,
    Extension(peer): Extension<SocketAddr>,
    headers: HeaderMap,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(returned) = returned?;
    if let Err(left) = agent.sessions.try_one(peer.ip()) {
        return Ok(too_many(left));
    }
    let cookie = cookie(&headers).unwrap_or_default().to_owned();
    let come = async {
        let settings = provider(&agent)?;
        let secret = kept(&agent, Door::Oidc);
        agent
            .doors
            .come_back(settings, secret, returned, &cookie)
            .await
    };
    let done = Some(visit_cookie(&agent, "", 0));
    let arrival = match come.await {
        Ok(arrival) => arrival,
        Err(error) => {
            tracing::warn!(%error, %peer, "somebody who came from the provider was not let in");
            return Ok(go(&refused(&error), done));
        }
    };
    let by = match arrived(&agent, arrival).await {
        Ok(by) => by,
        Err(refusal) => return Ok(go(&sign_in_page(&refusal.message()), done)),
    };
    agent.sessions.was_right(peer.ip());
    let entered = enter(&agent, peer, headers, by).await?;
    let mut response = go("/#/overview", done);
    if let Some(cookie) = entered.headers().get(header::SET_COOKIE) {
        response
            .headers_mut()
            .append(header::SET_COOKIE, cookie.clone());
    }
    Ok(response)
}

/// The settings that are meant, what trying them came to, and the secret that is to be kept.
async fn try_out(
    agent: &Agent,
    door: Door,
    headers: &HeaderMap,
    wish: wire::SignInWish,
) -> Result<(Settings, Tried, DoorSecret), Refusal> {
    let settings = Settings::read(door, &wish.settings.to_string())?;
    let given = wish
        .secret
        .map(Zeroizing::new)
        .filter(|text| !text.is_empty());
    let secret = match &given {
        Some(secret) => Some(secret.clone()),
        None => {
            let set = Settings::set(&agent.cluster.view(), door).ok().flatten();
            let same = set.is_some_and(|set| set.secret_is_for() == settings.secret_is_for());
            same.then(|| kept(agent, door)).flatten()
        }
    };
    let trial = Trial {
        secret,
        name: wish.name,
        password: wish.password.map(Zeroizing::new),
        called: called(agent, headers).unwrap_or_else(|| agent.public_url()),
    };
    let tried = agent.doors.test(settings.clone(), trial).await?;
    Ok((settings, tried, given))
}

fn told(tried: &Tried, saved: bool) -> wire::SignInTried {
    let checks = tried.checks.iter().map(|check| wire::SignInCheck {
        what: check.what.to_owned(),
        ok: check.ok,
        evidence: check.evidence.clone(),
        remedy: check.remedy.clone(),
    });
    wire::SignInTried {
        ok: tried.is_good(),
        saved,
        checks: checks.collect(),
    }
}

fn provider(agent: &Agent) -> Result<OidcSettings, DoorError> {
    match Settings::set(&agent.cluster.view(), Door::Oidc)? {
        Some(Settings::Oidc(settings)) => Ok(settings),
        _ => Err(DoorError::NotSet(
            "no provider is set by which people sign in".to_owned(),
        )),
    }
}

/// A door's secret on this node.
pub(super) fn kept(agent: &Agent, door: Door) -> DoorSecret {
    let name = secret_name(door).parse().ok()?;
    let text = agent.services.secrets().text(&name)?;
    Some(Zeroizing::new(text.reveal().to_owned()))
}

fn name_of(door: Door) -> Result<SecretName, Refusal> {
    let name = secret_name(door).parse();
    name.map_err(|_| Refusal::invalid("invalid_name", "no such secret"))
}

fn parse(door: &str) -> Result<Door, Refusal> {
    match door {
        "ldap" => Ok(Door::Ldap),
        "oidc" => Ok(Door::Oidc),
        _ => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "unknown_door",
            "people sign in by `ldap` or `oidc`",
        )),
    }
}

/// What the browser calls this agent, where it is a name of ours: a provider sends it back there.
fn called(agent: &Agent, headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let authority: axum::http::uri::Authority = host.parse().ok()?;
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let settings = &agent.settings.http;
    let ours = match bare.parse::<IpAddr>() {
        Ok(address) => {
            address.is_loopback()
                || address == settings.listen.ip()
                || crate::cluster::local_addresses().contains(&address)
        }
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost"
                || name.ends_with(".localhost")
                || settings.allowed_hosts.contains(&name)
        }
    };
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    ours.then(|| format!("{scheme}://{authority}"))
}

/// The page, which says why it did not work.
fn refused(error: &DoorError) -> String {
    sign_in_page(&error.to_string())
}

fn sign_in_page(why: &str) -> String {
    let mut text = String::from("/#refused=");
    for byte in why.bytes().take(600) {
        use std::fmt::Write as _;
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn go(to: &str, cookie: Option<String>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    let to = HeaderValue::from_str(to);
    headers.insert(
        header::LOCATION,
        to.unwrap_or(HeaderValue::from_static("/")),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

/// Lax, since it has to come along from the provider's page; it opens nothing by itself.
fn visit_cookie(agent: &Agent, text: &str, life: u64) -> String {
    let secure = if agent.settings.http.tls.is_some() {
        "; Secure"
    } else {
        ""
    };
    format!("{VISIT}={text}; Path={CALLBACK}; HttpOnly; SameSite=Lax; Max-Age={life}{secure}")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter(|field| field.len() <= COOKIES_BYTES_MAX)
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == VISIT)
        .map(|(_, text)| text)
}

/// What a browser has that left for the provider.
const VISIT: &str = "skep_visit";

impl From<DoorError> for Refusal {
    fn from(error: DoorError) -> Self {
        let (status, code) = match &error {
            DoorError::Wrong => (StatusCode::UNAUTHORIZED, "wrong_password"),
            DoorError::NotLetIn => (StatusCode::FORBIDDEN, "not_let_in"),
            DoorError::NotBelieved(_) => (StatusCode::UNAUTHORIZED, "not_believed"),
            DoorError::Away(_) => (StatusCode::BAD_GATEWAY, "unreachable"),
            DoorError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            DoorError::NotSet(_) => (StatusCode::BAD_REQUEST, "invalid_settings"),
        };
        Self::new(status, code, error.to_string())
    }
}
