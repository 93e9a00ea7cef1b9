//! Every request passes here: checked, sent to its endpoint, counted, and answered with an id.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;

use super::error::{ApiError, Kind};
use super::guard::{Caller, Guard, Known};
use super::limits::REQUEST_ID_BYTES_MAX;
use super::{api, monitor, openai, page, roles};
use crate::agent::Agent;
use crate::metrics::Endpoint;

/// What all connections share.
pub(super) struct Gateway {
    pub(super) agent: Arc<Agent>,
    guard: Guard,
    api: TowerToHyperService<Router>,
    /// What our request ids begin with, so that two runs of an agent never share one.
    run: u32,
    requests: AtomicU64,
}

impl Gateway {
    pub(super) fn new(agent: Arc<Agent>, guard: Guard) -> Self {
        let api = Router::new()
            .nest("/api/v1", api::routes())
            .fallback(async |method: Method, uri: axum::http::Uri| no_endpoint(&method, uri.path()))
            .method_not_allowed_fallback(async |method: Method, uri: axum::http::Uri| {
                wrong_method(&method, uri.path(), None)
            })
            .with_state(agent.clone());
        Self {
            agent,
            guard,
            api: TowerToHyperService::new(api),
            run: getrandom::u32().unwrap_or_else(|_| std::process::id()),
            requests: AtomicU64::new(1),
        }
    }

    pub(super) fn count_turned_away(&self) {
        self.agent.metrics.turned_away.inc();
    }

    /// Answers one request.
    async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let id = self.request_id(request.headers());
        let endpoint = endpoint(request.uri().path());
        let origin = self.guard.check_origin(request.method(), request.headers());
        let mut response = match origin.clone() {
            Ok(_) => match self.guarded(peer, endpoint, &id, request).await {
                Ok(response) => response,
                Err(error) => error.into_response(),
            },
            Err(error) => error.into_response(),
        };
        if let Ok(Some(origin)) = origin {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        let status = response.status().as_u16();
        self.agent
            .metrics
            .request(endpoint, status, started.elapsed());
        response
    }

    async fn guarded(
        &self,
        peer: SocketAddr,
        endpoint: Endpoint,
        id: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let headers = request.headers();
        let host = self
            .guard
            .check_host(request.version(), request.uri(), headers);
        if let Err(error) = host {
            // Whoever names no host, or two, may mean something else by what follows.
            let mut response = error.into_response();
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            return Ok(response);
        }
        if request.method() == Method::OPTIONS && headers.contains_key(header::ORIGIN) {
            return Ok(preflight());
        }
        let signs_in = SIGN_INS.contains(&request.uri().path());
        let caller = match endpoint {
            // Monitors and the page itself carry no key; the page's own requests do.
            Endpoint::Health | Endpoint::Page => Caller::Anonymous,
            _ => {
                let agent = &self.agent;
                let method = request.method();
                let known = Known {
                    keys: &agent.keys,
                    sessions: &agent.sessions,
                    state: || agent.cluster.view(),
                };
                let caller = self.guard.caller(peer.ip(), method, headers, &known);
                match caller {
                    // Who is not signed in asks there whether they are, and signs in.
                    Err(error) if signs_in && error.status == StatusCode::UNAUTHORIZED => {
                        Caller::Anonymous
                    }
                    caller => caller?,
                }
            }
        };
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if endpoint == Endpoint::Api && !reads && caller == Caller::Anonymous && !signs_in {
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                Kind::AuthenticationError,
                "changing this node needs an API key, a browser that is signed in, or the `skep` command of the user who runs it",
            ));
        }
        roles::check(caller, endpoint, request.method(), request.uri().path())?;
        self.dispatch(peer, endpoint, caller, id, request).await
    }

    async fn dispatch(
        &self,
        peer: SocketAddr,
        endpoint: Endpoint,
        caller: Caller,
        id: &str,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let agent = &self.agent;
        let path = request.uri().path();
        let method = request.method();
        match endpoint {
            Endpoint::Chat | Endpoint::Completions | Endpoint::Embeddings => {
                if method != Method::POST {
                    return Err(wrong_method(method, path, Some("POST")));
                }
                let (parts, body) = request.into_parts();
                let limit = agent.settings.http.body_max_bytes;
                let body = super::body::read_json(&parts.headers, body, limit).await?;
                // Both point into the connection's buffer, which is used again once nothing does.
                drop(parts);
                let asked = openai::parse(endpoint, &body)?;
                drop(body);
                openai::answer(agent, caller, id, asked).await
            }
            Endpoint::Api | Endpoint::Other => {
                request.extensions_mut().insert(caller);
                request.extensions_mut().insert(peer);
                let answer = self.api.call(request).await;
                answer.map_err(|impossible: Infallible| match impossible {})
            }
            Endpoint::Models | Endpoint::Health | Endpoint::Metrics | Endpoint::Page => {
                if !matches!(*method, Method::GET | Method::HEAD) {
                    return Err(wrong_method(method, path, Some("GET")));
                }
                match endpoint {
                    Endpoint::Models => openai::models(agent, path),
                    Endpoint::Page => page::serve(path, request.headers()),
                    _ => monitor::answer(agent, path),
                }
            }
        }
    }

    /// The client's own id where it has a fit one, or a new one.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let fit = |id: &&str| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .filter(fit)
            .map_or_else(
                || {
                    let number = self.requests.fetch_add(1, Ordering::Relaxed);
                    format!("req_{:08x}{number:012x}", self.run)
                },
                ToOwned::to_owned,
            )
    }
}

/// Where browsers sign in and out, and leave for a provider and come back.
const SIGN_INS: [&str; 3] = [
    "/api/v1/session",
    "/api/v1/sign-in/oidc/start",
    "/api/v1/sign-in/oidc/callback",
];

/// One connection's way to the gateway. Its futures have a place of their own in the connection, where
/// boxed ones would cost an allocation of some kilobytes each.
pub(super) fn visit(
    gateway: Arc<Gateway>,
    peer: SocketAddr,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Future + Send>
{
    let open = Open::new(gateway.agent.clone());
    service_fn(move |request| {
        let _ = &open;
        let gateway = gateway.clone();
        async move { Ok(gateway.answer(peer, request).await) }
    })
}

/// Counts a connection while it lives.
struct Open(Arc<Agent>);

impl Open {
    fn new(agent: Arc<Agent>) -> Self {
        agent.metrics.connections.inc();
        Self(agent)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

fn endpoint(path: &str) -> Endpoint {
    match path {
        "/v1/chat/completions" => Endpoint::Chat,
        "/v1/completions" => Endpoint::Completions,
        "/v1/embeddings" => Endpoint::Embeddings,
        "/v1/models" => Endpoint::Models,
        "/healthz" | "/readyz" => Endpoint::Health,
        "/metrics" => Endpoint::Metrics,
        _ if path.starts_with("/v1/models/") => Endpoint::Models,
        _ if path == "/api/v1" || path.starts_with("/api/v1/") => Endpoint::Api,
        _ if page::has(path) => Endpoint::Page,
        _ => Endpoint::Other,
    }
}

fn no_endpoint(method: &Method, path: &str) -> ApiError {
    let path: String = path.chars().take(200).collect();
    ApiError::not_found(format!(
        "there is no endpoint `{method} {}`",
        path.escape_debug()
    ))
    .with_code("unknown_endpoint")
}

fn wrong_method(method: &Method, path: &str, allowed: Option<&str>) -> ApiError {
    let path: String = path.chars().take(200).collect();
    let hint = allowed.map_or_else(String::new, |allowed| format!("; use {allowed}"));
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Kind::InvalidRequestError,
        format!("`{}` does not take {method}{hint}", path.escape_debug()),
    )
    .with_code("method_not_allowed")
}

/// What a browser asks before it sends a request from another origin. Whether that origin may is
/// told by the `access-control-allow-origin` field, which only allowed ones get.
fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, x-api-key, x-request-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
