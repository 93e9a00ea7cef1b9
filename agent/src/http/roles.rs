//! What a role may do: what is not named here is for those who administer.
//!
//! Refuses to know whose something is: each endpoint sees to it that a member touches their own only.

use axum::http::{Method, StatusCode};
use skep_core::state::UserRole;

use super::error::{ApiError, Kind};
use super::guard::Caller;
use crate::metrics::Endpoint;

/// Whether this caller may ask for this.
pub(super) fn check(
    caller: Caller,
    endpoint: Endpoint,
    method: &Method,
    path: &str,
) -> Result<(), ApiError> {
    let Some(person) = caller.person() else {
        return Ok(());
    };
    let may = match (person.role, endpoint) {
        (UserRole::Admin, _) => true,
        (UserRole::Member, Endpoint::Api) => a_member_may(method, path),
        // Models to ask, monitors, the page; and what is not there at all.
        (UserRole::Member, _) => true,
    };
    if may {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        Kind::PermissionError,
        "this is for administrators; one of them can change what you may (`skep user role NAME admin`)",
    )
    .with_code("admin_needed"))
}

fn a_member_may(method: &Method, path: &str) -> bool {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    if matches!(*method, Method::GET | Method::HEAD) {
        return READ.contains(&path);
    }
    CHANGED.contains(&(method.as_str(), path))
        || (*method == Method::DELETE && path.strip_prefix("/keys/").is_some_and(is_one))
}

/// Whether it names one thing and nothing below it.
fn is_one(rest: &str) -> bool {
    !rest.is_empty() && !rest.contains('/')
}

/// What a member sees: how the cluster is, and what it can be asked.
const READ: [&str; 11] = [
    "/session",
    "/node",
    "/version",
    "/models",
    "/top",
    "/ps",
    "/alerts",
    "/cluster/nodes",
    "/keys",
    "/sign-in/oidc/start",
    "/sign-in/oidc/callback",
];

/// What a member changes: their own.
const CHANGED: [(&str, &str); 4] = [
    ("POST", "/session"),
    ("DELETE", "/session"),
    ("POST", "/session/password"),
    ("POST", "/keys"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::guard::Person;

    #[test]
    fn a_member_may_what_is_named_and_nothing_else() {
        let caller = |role| {
            Caller::User(Person {
                number: 1,
                role,
                key: None,
            })
        };
        let may = |role, method: &Method, path: &str| {
            check(caller(role), Endpoint::Api, method, path).is_ok()
        };
        let member = UserRole::Member;
        for (method, path) in [
            (Method::GET, "/api/v1/top"),
            (Method::GET, "/api/v1/keys"),
            (Method::POST, "/api/v1/keys"),
            (Method::DELETE, "/api/v1/keys/3"),
            (Method::DELETE, "/api/v1/session"),
        ] {
            assert!(may(member, &method, path), "{path}");
        }
        for (method, path) in [
            (Method::GET, "/api/v1/logs"),
            (Method::GET, "/api/v1/users"),
            (Method::GET, "/api/v1/secrets"),
            (Method::POST, "/api/v1/users"),
            (Method::POST, "/api/v1/users/ada/role"),
            (Method::DELETE, "/api/v1/keys/"),
            (Method::DELETE, "/api/v1/keys/3/x"),
            (Method::DELETE, "/api/v1/models/tiny"),
            (Method::POST, "/api/v1/models/tiny/load"),
            (Method::POST, "/api/v1/top"),
            (Method::PUT, "/api/v1/keys"),
            (Method::GET, "/api/v1/top/"),
            (Method::GET, "//api/v1/top"),
            (Method::POST, "/api/v1/session/"),
        ] {
            assert!(!may(member, &method, path), "{method} {path}");
            assert!(may(UserRole::Admin, &method, path), "{method} {path}");
        }
        let chat = check(
            caller(member),
            Endpoint::Chat,
            &Method::POST,
            "/v1/chat/completions",
        );
        assert!(chat.is_ok());
    }
}
