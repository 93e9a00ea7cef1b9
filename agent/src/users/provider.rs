//! An OpenID provider on the network.
//!
//! Decides what it is asked and how long; its answers are bounded, it sends nobody elsewhere, and each address that it names is one that
//! `oidc` would take. Refuses to know what its tokens mean.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::door::{DoorError, certificates};
use super::jwt::Keys;
use super::oidc::{OidcSettings, check_address};
use super::visits::Visit;
use crate::limits::{DOOR_STEP_TIMEOUT, PROVIDER_ANSWER_BYTES_MAX};

/// A provider that has described itself.
pub(super) struct Provider<'a> {
    settings: &'a OidcSettings,
    agent: Agent,
    about: About,
}

/// What it gave for a code.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

/// Why a provider is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    #[error("`{url}` cannot be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("`{url}` answers {status}{said}")]
    Status {
        url: String,
        status: u16,
        said: String,
    },
    #[error("what `{url}` answers is not what OpenID Connect says: {why}")]
    Unreadable { url: String, why: String },
    #[error("it calls itself `{0}`")]
    Issuer(String),
    #[error("it names an address that is not used: {0}")]
    Address(String),
    #[error("it refuses: {code}{said}")]
    Refused { code: String, said: String },
    #[error("{0}")]
    Settings(String),
}

/// OpenID Connect Discovery 1.0, section 3, as far as it matters here.
#[derive(Deserialize)]
struct About {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl<'a> Provider<'a> {
    /// Asks it to describe itself.
    pub(super) fn find(settings: &'a OidcSettings) -> Result<Self, ProviderError> {
        let agent = agent(settings.certificates.as_deref())?;
        let url = format!(
            "{}/.well-known/openid-configuration",
            settings.issuer.trim_end_matches('/')
        );
        let about: About = read(&url, agent.get(&url).call())?;
        if about.issuer != settings.issuer {
            return Err(ProviderError::Issuer(
                about.issuer.chars().take(200).collect(),
            ));
        }
        let named = [
            &about.authorization_endpoint,
            &about.token_endpoint,
            &about.jwks_uri,
        ];
        for url in named.into_iter().chain(&about.userinfo_endpoint) {
            check_address(url).map_err(ProviderError::Address)?;
        }
        Ok(Self {
            settings,
            agent,
            about,
        })
    }

    /// Where a browser asks for a code.
    pub(super) fn authorize(&self, fields: &[(&str, &str)]) -> String {
        let to = &self.about.authorization_endpoint;
        let sign = if to.contains('?') { '&' } else { '?' };
        format!("{to}{sign}{}", form(fields))
    }

    /// Whether an answer names its provider (RFC 9207).
    pub(super) fn names_itself(&self) -> bool {
        self.about.authorization_response_iss_parameter_supported
    }

    pub(super) fn keys(&self) -> Result<Keys, ProviderError> {
        let url = &self.about.jwks_uri;
        read(url, self.agent.get(url).call())
    }

    /// Whether a browser that came with this would be let on to sign in.
    pub(super) fn knock(&self, url: &str) -> Result<(), ProviderError> {
        let short = &self.about.authorization_endpoint;
        let answer = self
            .agent
            .get(url)
            .call()
            .map_err(|error| unreachable(short, &error))?;
        let to = answer
            .headers()
            .get("location")
            .and_then(|to| to.to_str().ok());
        let sent_back = to.is_some_and(|to| to.contains("error="));
        if answer.status().as_u16() < 400 && !sent_back {
            return Ok(());
        }
        let status = answer.status().as_u16();
        let said = to.filter(|_| sent_back).unwrap_or_default();
        Err(ProviderError::Status {
            url: short.clone(),
            status,
            said: format!(" {}", said.chars().take(200).collect::<String>()),
        })
    }

    /// Tokens for a code.
    pub(super) fn exchange(
        &self,
        secret: Option<&str>,
        code: &str,
        visit: &Visit,
    ) -> Result<Tokens, ProviderError> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &visit.redirect_uri),
            ("code_verifier", &visit.verifier),
        ];
        let url = &self.about.token_endpoint;
        let mut request = self.agent.post(url);
        let id = self.settings.client_id.as_str();
        match secret {
            None => fields.push(("client_id", id)),
            Some(secret) if self.takes_post_only() => {
                fields.extend([("client_id", id), ("client_secret", secret)]);
            }
            Some(secret) => {
                // RFC 6749, section 2.3.1: each of the two is encoded before they are put together.
                let both = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
                request = request.header("authorization", format!("Basic {both}"));
            }
        }
        let body = form(&fields);
        let sent = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .send(body.as_str());
        read(url, sent)
    }

    /// What it says of whom the tokens are, besides what is in them.
    pub(super) fn user_info(&self, tokens: &Tokens) -> Result<Option<Value>, ProviderError> {
        let (Some(url), Some(token)) = (&self.about.userinfo_endpoint, &tokens.access_token) else {
            return Ok(None);
        };
        let request = self
            .agent
            .get(url)
            .header("authorization", format!("Bearer {token}"));
        read(url, request.call()).map(Some)
    }

    /// Without a word of its own, a provider takes the two in a header.
    fn takes_post_only(&self) -> bool {
        let methods = self.about.token_endpoint_auth_methods_supported.as_ref();
        methods.is_some_and(|methods| {
            let has = |name: &str| methods.iter().any(|method| method == name);
            has("client_secret_post") && !has("client_secret_basic")
        })
    }
}

impl ProviderError {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the address, that it runs and is reached from here, and give the certificate of whoever signed its own (`certificates_file` in a file)"
            }
            Self::Issuer(_) => "set `issuer` to exactly that, if it is the provider that you mean",
            Self::Refused { code, .. } if code == "invalid_client" => {
                "check `client_id` and the secret"
            }
            Self::Refused { .. } => "let the provider's client use the authorization code flow",
            Self::Status { .. }
            | Self::Unreadable { .. }
            | Self::Address(_)
            | Self::Settings(_) => {
                "check `issuer`: below it is `/.well-known/openid-configuration`"
            }
        }
    }
}

impl From<ProviderError> for DoorError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Refused { code, .. } if code == "invalid_grant" => {
                Self::NotBelieved("its code is used, over, or somebody else's".to_owned())
            }
            other => Self::Away(format!("the provider cannot be asked: {other}")),
        }
    }
}

fn agent(pem: Option<&str>) -> Result<Agent, ProviderError> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(DOOR_STEP_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(concat!("skep/", env!("CARGO_PKG_VERSION")));
    let Some(pem) = pem else {
        return Ok(config.build().into());
    };
    let certificates = certificates(pem).map_err(ProviderError::Settings)?;
    let certificates: Vec<_> = certificates
        .iter()
        .map(|one| Certificate::from_der(one).to_owned())
        .collect();
    let roots = RootCerts::new_with_certs(&certificates);
    let tls = TlsConfig::builder().root_certs(roots).build();
    Ok(config.tls_config(tls).build().into())
}

fn read<T: DeserializeOwned>(
    url: &str,
    answer: Result<Response<Body>, ureq::Error>,
) -> Result<T, ProviderError> {
    let mut answer = answer.map_err(|error| unreachable(url, &error))?;
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(PROVIDER_ANSWER_BYTES_MAX)
        .read_to_vec();
    let bytes = bytes.map_err(|error| unreachable(url, &error))?;
    let status = answer.status().as_u16();
    if status != 200 {
        let refusal: Refusal = serde_json::from_slice(&bytes).unwrap_or_default();
        let cut = |text: &str| {
            text.chars()
                .filter(|one| !one.is_control())
                .take(200)
                .collect()
        };
        if !refusal.error.is_empty() {
            let said: String = cut(&refusal.error_description);
            return Err(ProviderError::Refused {
                code: cut(&refusal.error),
                said: if said.is_empty() {
                    said
                } else {
                    format!(" ({said})")
                },
            });
        }
        return Err(ProviderError::Status {
            url: url.to_owned(),
            status,
            said: String::new(),
        });
    }
    serde_json::from_slice(&bytes).map_err(|error| ProviderError::Unreadable {
        url: url.to_owned(),
        why: error.to_string(),
    })
}

fn unreachable(url: &str, error: &ureq::Error) -> ProviderError {
    ProviderError::Unreachable {
        url: url.to_owned(),
        why: error.to_string(),
    }
}

/// Fields as forms are sent.
fn form(fields: &[(&str, &str)]) -> String {
    let all: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    all.join("&")
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
