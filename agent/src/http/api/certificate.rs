//! The certificate that callers are shown, and having it renewed.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::body;
use super::refusal::Refusal;
use crate::acme::{RenewError, View};
use crate::agent::Agent;
use crate::pki::validity;
use crate::wire::{AcmeStanding, Certificate, RenewWish};

pub(super) async fn show(State(agent): State<Arc<Agent>>) -> Json<Certificate> {
    let view = agent.certificates.as_ref().map(|acme| acme.view());
    let standing = view.as_ref().map(standing);
    if let Some(given) = view.and_then(|view| view.given) {
        return Json(Certificate {
            source: "acme".to_owned(),
            names: given.names,
            issuer: Some(given.issuer),
            valid_from_unix_s: Some(given.validity.from_unix_s),
            valid_until_unix_s: Some(given.validity.until_unix_s),
            path: None,
            acme: standing,
        });
    }
    let files = agent.settings.http.tls.clone();
    let here = agent.paths.state.clone();
    let read = tokio::task::spawn_blocking(move || {
        let path = files?.certificate;
        let leaf = CertificateDer::from_pem_file(&path).ok();
        let times = leaf.and_then(|leaf| validity(&leaf));
        Some((path, times))
    });
    let (path, times) = read.await.ok().flatten().unzip();
    let times = times.flatten();
    Json(Certificate {
        source: match &path {
            None => "none",
            Some(path) if path.starts_with(here) => "own",
            Some(_) => "file",
        }
        .to_owned(),
        names: Vec::new(),
        issuer: None,
        valid_from_unix_s: times.as_ref().map(|times| times.from_unix_s),
        valid_until_unix_s: times.as_ref().map(|times| times.until_unix_s),
        path: path.map(|path| path.display().to_string()),
        acme: standing,
    })
}

pub(super) async fn renew(
    State(agent): State<Arc<Agent>>,
    body: Body,
) -> Result<Json<Certificate>, Refusal> {
    let wish: RenewWish = body::read(body).await?;
    let Some(acme) = &agent.certificates else {
        let message = "no certificate is had by ACME here";
        return Err(Refusal::invalid("no_acme", message).with_hint(
            "set `http.acme_names`, or go through the step for security of `skep setup`",
        ));
    };
    match acme.renew(wish.force).await {
        Ok(()) => Ok(show(State(agent)).await),
        Err(error) => Err(refusal(&error)),
    }
}

fn refusal(error: &RenewError) -> Refusal {
    match error {
        RenewError::Early { .. } => {
            Refusal::new(StatusCode::CONFLICT, "early", error.to_string())
                .with_hint("`skep certificate renew --force` renews it all the same; authorities allow that a few times a week")
        }
        RenewError::Busy => Refusal::new(StatusCode::CONFLICT, "busy", error.to_string()),
        RenewError::Failed(why) => {
            Refusal::new(StatusCode::BAD_GATEWAY, "acme_failed", why.why()).with_hint(why.remedy())
        }
    }
}

fn standing(view: &View) -> AcmeStanding {
    let (settings, standing) = (&view.settings, &view.standing);
    AcmeStanding {
        directory: settings.directory.clone(),
        names: settings.names.clone(),
        contact: settings.contact.clone(),
        terms: standing.terms.clone().filter(|terms| !terms.is_empty()),
        terms_agreed: settings.terms_agreed,
        under_way: view.under_way,
        failures: standing.failures,
        tried_unix_s: standing.tried_unix_s,
        next_unix_s: view.next_unix_s,
        why: standing.why.clone(),
        remedy: standing.remedy.clone(),
    }
}
