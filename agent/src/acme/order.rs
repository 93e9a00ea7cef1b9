//! One certificate, from the account to the chain (RFC 8555), proved by TLS on the port that people use (RFC 8737).
//!
//! Decides what is durable before what: the order and its key before the first proof, the certificate before it is shown. So an
//! attempt that was cut off at any moment is gone on with, and asks for nothing twice.

use std::sync::Arc;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::AcmeError;
use super::authority::Authority;
use super::error::said;
use super::kept::{self, Given, Kept, usable};
use super::shown::{Proving, Shown};
use crate::config::AcmeSettings;
use crate::keys::unix_now_s;
use crate::limits::ACME_PROOF_TIMEOUT;

/// Asks for a certificate, or goes on with what was asked for. It is durable and shown when this returns.
pub(super) async fn attempt(
    settings: &AcmeSettings,
    kept: &Kept,
    shown: &Arc<Shown>,
    authority: &Authority,
) -> Result<Given, AcmeError> {
    let account = account(settings, kept, authority).await?;
    let (mut order, key) = begin(settings, kept, &account).await?;
    let finished = finish(settings, shown, &mut order, &key).await;
    let chain = match finished {
        Ok(chain) => chain,
        Err(error) => {
            // What the authority has given up is not gone on with.
            let status = order.refresh().await.map(|state| state.status);
            if !matches!(
                (&error, status),
                (
                    AcmeError::Slow | AcmeError::Unreached(_),
                    Ok(OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing)
                        | Err(_)
                )
            ) {
                kept.forget_order()?;
            }
            return Err(error);
        }
    };
    let pem = format!("{}{chain}", key.serialize_pem());
    let (given, certificate) = usable(pem.as_bytes()).map_err(AcmeError::Nonsense)?;
    let now = unix_now_s();
    if !settings.names.iter().all(|name| given.names.contains(name)) {
        kept.forget_order()?;
        let why = "the certificate is for other names than those asked for";
        return Err(AcmeError::Nonsense(why.to_owned()));
    }
    if given.validity.until_unix_s <= now {
        kept.forget_order()?;
        let why = "the certificate has ended already; is this machine's clock right?";
        return Err(AcmeError::Nonsense(why.to_owned()));
    }
    kept.set_given(pem.as_bytes())?;
    kept.forget_order()?;
    shown.give(given.names.clone(), certificate);
    Ok(given)
}

async fn account(
    settings: &AcmeSettings,
    kept: &Kept,
    authority: &Authority,
) -> Result<Account, AcmeError> {
    let contact = settings
        .contact
        .as_ref()
        .map(|mail| format!("mailto:{mail}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    if let Some(known) = kept.account(&settings.directory)? {
        let builder = Account::builder_with_http(Box::new(authority.clone()));
        let account = builder.from_credentials(known.credentials).await?;
        // Also where nothing changed: so it shows whether the authority knows the account.
        match account
            .update_contacts(&contact)
            .await
            .map_err(AcmeError::from)
        {
            Ok(()) => return Ok(account),
            Err(AcmeError::Refused { kind, .. }) if GONE.contains(&kind.as_str()) => {
                tracing::warn!(
                    kind,
                    "the authority does not know our account: making another"
                );
                kept.set_aside_account()?;
                kept.forget_order()?;
            }
            Err(error) => return Err(error),
        }
    }
    let wish = NewAccount {
        contact: &contact,
        terms_of_service_agreed: settings.terms_agreed,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(authority.clone()));
    let directory = settings.directory.clone();
    let (account, credentials) = builder.create(&wish, directory.clone(), None).await?;
    kept.set_account(&kept::Account {
        directory,
        contact: settings.contact.clone(),
        credentials,
    })?;
    Ok(account)
}

/// The order under way, or a new one; its key.
async fn begin(
    settings: &AcmeSettings,
    kept: &Kept,
    account: &Account,
) -> Result<(Order, KeyPair), AcmeError> {
    if let Some(begun) = kept.order(&settings.directory, &settings.names)
        && let Ok(key) = KeyPair::from_pem(&begun.key_pem)
    {
        match account
            .order(begun.url.clone())
            .await
            .map_err(AcmeError::from)
        {
            Ok(mut order) => {
                if order.state().status != OrderStatus::Invalid {
                    tracing::info!(order = begun.url, "going on with an order that was begun");
                    return Ok((order, key));
                }
                kept.forget_order()?;
            }
            Err(AcmeError::Refused { .. }) => kept.forget_order()?,
            Err(error) => return Err(error),
        }
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map_err(|error| AcmeError::Own(error.to_string()))?;
    let names = settings.names.iter();
    let names: Vec<_> = names.map(|name| Identifier::Dns(name.clone())).collect();
    let order = account.new_order(&NewOrder::new(&names)).await?;
    kept.set_order(&kept::Order {
        directory: settings.directory.clone(),
        names: settings.names.clone(),
        url: order.url().to_owned(),
        key_pem: key.serialize_pem(),
    })?;
    Ok((order, key))
}

/// From whatever state the order is in to the chain, in PEM.
async fn finish(
    settings: &AcmeSettings,
    shown: &Arc<Shown>,
    order: &mut Order,
    key: &KeyPair,
) -> Result<String, AcmeError> {
    let patience = RetryPolicy::new().timeout(ACME_PROOF_TIMEOUT);
    if order.state().status == OrderStatus::Pending {
        let proofs = prove(shown, order).await?;
        let proved = order.poll_ready(&patience).await;
        drop(proofs);
        match proved {
            Ok(OrderStatus::Invalid) => return Err(unproved(order).await),
            Err(instant_acme::Error::Api(problem)) => {
                // The order says that it failed; each name says why.
                return Err(match unproved(order).await {
                    error @ AcmeError::Unproved { .. } => error,
                    _ => instant_acme::Error::Api(problem).into(),
                });
            }
            other => other?,
        };
    }
    if order.state().status == OrderStatus::Ready {
        let request =
            request(&settings.names, key).map_err(|error| AcmeError::Own(error.to_string()))?;
        order.finalize_csr(&request).await?;
    }
    Ok(order.poll_certificate(&patience).await?)
}

/// Shows a proof for each name that wants one, and tells the authority to look.
async fn prove(shown: &Arc<Shown>, order: &mut Order) -> Result<Vec<Proving>, AcmeError> {
    let mut proofs = Vec::new();
    let mut each = order.authorizations();
    while let Some(one) = each.next().await {
        let mut one = one?;
        if one.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = one.identifier().to_string();
        let Some(mut challenge) = one.challenge(ChallengeType::TlsAlpn01) else {
            return Err(AcmeError::Unproved {
                name,
                why: "it takes no proofs by TLS (`tls-alpn-01`), and skep gives no others"
                    .to_owned(),
            });
        };
        let digest = challenge.key_authorization().digest();
        let proof = proof(&name, digest.as_ref()).map_err(AcmeError::Own)?;
        proofs.push(shown.prove(&name, proof));
        challenge.set_ready().await?;
    }
    Ok(proofs)
}

/// A certificate that says what the authority wants to hear (RFC 8737, 3).
fn proof(name: &str, digest: &[u8]) -> Result<CertifiedKey, String> {
    if digest.len() != 32 {
        return Err("a digest has another length".to_owned());
    }
    let made = || {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        Ok::<_, rcgen::Error>((params.self_signed(&key)?, key))
    };
    let (certificate, key) = made().map_err(|error| error.to_string())?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let chain = vec![certificate.der().clone()];
    // Not by `from_der`, which refuses the extension that makes it a proof.
    let key = any_ecdsa_type(&key.into()).map_err(|error| error.to_string())?;
    Ok(CertifiedKey::new(chain, key))
}

/// A signing request (PKCS #10) for the names.
fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// Which name could not be proved, and why.
async fn unproved(order: &mut Order) -> AcmeError {
    let mut each = order.authorizations();
    while let Some(one) = each.next().await {
        let mut one = match one {
            Ok(one) => one,
            Err(error) => return error.into(),
        };
        if let Err(error) = one.refresh().await {
            return error.into();
        }
        let failed = one.challenges.iter().find_map(|one| one.error.as_ref());
        if let Some(problem) = failed {
            let (_, why) = said(problem);
            let name = one.identifier().to_string();
            return AcmeError::Unproved { name, why };
        }
    }
    AcmeError::Refused {
        kind: String::new(),
        why: "the order was given up, and it does not say why".to_owned(),
    }
}

/// An account that is not there any more.
const GONE: [&str; 2] = ["accountDoesNotExist", "unauthorized"];
