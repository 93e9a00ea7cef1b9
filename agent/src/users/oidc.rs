//! Signing in by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636).
//!
//! Decides where a browser is sent, that only the browser that was sent comes back, once, with an answer to what was asked, and who that
//! is. Nothing that a provider says is kept from one sign-in to the next: a new key of its is used at once. Refuses to know how a
//! signature is checked (`jwt`) and how the provider is reached (`provider`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skep_core::state::{Arrival, UserRole, UserSource};
use ureq::http::Uri;

use super::door::{DoorError, DoorSecret, Tried, is_loopback, tls};
use super::jwt;
use super::provider::{Provider, ProviderError};
use super::visits::Visit;
use crate::keys::unix_now_s;

/// What has to be known of a provider. The client's secret is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// What the page's button calls it.
    #[serde(default = "usual_name")]
    pub name: String,
    /// Its address, as it calls itself.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim, and its value, of those who administer, as `groups=skep-admins`; none: nobody does by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admins: Option<String>,
    /// The same of those who may sign in; none: whoever the provider lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<String>,
    /// Where browsers reach this agent, as `https://skep.example.org`; none: as each browser calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// PEM of whoever signed the provider's certificate; none: somebody whom browsers believe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
}

/// What a browser brings back.
#[derive(Debug, Default, Deserialize)]
pub struct Returned {
    pub code: Option<String>,
    pub state: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// Where a provider sends browsers back to, after the address of this agent.
pub const CALLBACK: &str = "/api/v1/sign-in/oidc/callback";

impl OidcSettings {
    /// Whether it can be tried at all; if not, why.
    ///
    /// # Errors
    /// What is wrong, for whoever set it.
    pub fn check(&self) -> Result<(), String> {
        check_address(&self.issuer).map_err(|why| format!("`issuer`: {why}"))?;
        if let Some(url) = &self.public_url {
            check_address(url).map_err(|why| format!("`public_url`: {why}"))?;
            let path = url.parse::<Uri>().map(|uri| uri.path().to_owned());
            if !path.is_ok_and(|path| path == "/" || path.is_empty()) {
                return Err("`public_url` is a scheme, a host and a port".to_owned());
            }
        }
        if self.client_id.is_empty() || self.name.trim().is_empty() || self.name.len() > 64 {
            return Err("`client_id` and `name` are not empty, and a name is short".to_owned());
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Err(
                "`scopes` has no `openid`, so the provider would tell of nobody".to_owned(),
            );
        }
        for rule in [&self.admins, &self.members].into_iter().flatten() {
            if split(rule).is_none() {
                return Err(format!("`{rule}` is not CLAIM=VALUE"));
            }
        }
        tls(self.certificates.as_deref()).map(drop)
    }

    /// Where a browser is sent back to that calls this agent so.
    #[must_use]
    pub fn redirect_uri(&self, called: &str) -> String {
        let base = self.public_url.as_deref().unwrap_or(called);
        format!("{}{CALLBACK}", base.trim_end_matches('/'))
    }

    /// Where to send a browser, and what to remember of it. Blocks on the network.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    pub(super) fn begin(&self, redirect_uri: String) -> Result<(String, Visit), DoorError> {
        self.check().map_err(DoorError::NotSet)?;
        let provider = Provider::find(self)?;
        let visit = Visit::new(redirect_uri)?;
        let challenge = visit.challenge();
        let scopes = self.scopes.join(" ");
        let fields = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &visit.redirect_uri),
            ("scope", &scopes),
            ("state", &visit.state),
            ("nonce", &visit.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        Ok((provider.authorize(&fields), visit))
    }

    /// Who came back. Blocks on the network.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub(super) fn end(
        &self,
        secret: &DoorSecret,
        visit: &Visit,
        returned: Returned,
    ) -> Result<Arrival, DoorError> {
        let not = |why: &str| DoorError::NotBelieved(why.to_owned());
        if let Some(error) = returned.error {
            let more = returned.error_description.unwrap_or_default();
            let said: String = format!("{error} {more}").chars().take(200).collect();
            return Err(DoorError::Away(format!(
                "the provider says: {}",
                said.trim()
            )));
        }
        let provider = Provider::find(self)?;
        // RFC 9207: which provider an answer is of.
        match &returned.iss {
            Some(issuer) if *issuer != self.issuer => return Err(not("it is of another provider")),
            None if provider.names_itself() => {
                return Err(not("it does not say of which provider it is"));
            }
            _ => {}
        }
        let code = returned.code.ok_or_else(|| not("there is no code"))?;
        let secret = secret.as_ref().map(|secret| secret.as_str());
        let tokens = provider.exchange(secret, &code, visit)?;
        let keys = provider.keys()?;
        let claims =
            jwt::verify(&tokens.id_token, &keys).map_err(|error| not(&error.to_string()))?;
        check_claims(&claims, self, &visit.nonce, unix_now_s()).map_err(not)?;
        let mut told = claims.clone();
        if let Some(more) = provider.user_info(&tokens)?
            && more.get("sub") == claims.get("sub")
            && let (Some(told), Value::Object(more)) = (told.as_object_mut(), more)
        {
            for (name, value) in more {
                // What is signed goes before.
                told.entry(name).or_insert(value);
            }
        }
        self.arrival(&told)
    }

    /// Tries what can be tried without a person. Blocks on the network.
    #[must_use]
    pub(super) fn test(&self, secret: &DoorSecret, redirect_uri: &str) -> Tried {
        let mut tried = Tried::default();
        if let Err(why) = self.check() {
            tried.bad("settings", why, "correct it and test again");
            return tried;
        }
        tried.good("settings", "they make sense");
        let provider = match Provider::find(self) {
            Ok(provider) => provider,
            Err(error) => {
                let (evidence, remedy) = (error.to_string(), error.remedy());
                tried.bad("provider", evidence, remedy);
                return tried;
            }
        };
        tried.good("provider", format!("{} describes itself", self.issuer));
        match provider.keys() {
            Ok(keys) if keys.usable() > 0 => {
                tried.good("keys", format!("{} that can be used", keys.usable()));
            }
            Ok(_) => tried.bad(
                "keys",
                "none that can be used",
                "let the provider sign with RS256, PS256, ES256 or EdDSA",
            ),
            Err(error) => tried.bad("keys", error.to_string(), error.remedy()),
        }
        let Ok(visit) = Visit::new(redirect_uri.to_owned()) else {
            tried.bad("redirect", "the system has no randomness", "try again");
            return tried;
        };
        let challenge = visit.challenge();
        let scopes = self.scopes.join(" ");
        let fields = [
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("scope", &scopes),
            ("state", &visit.state),
            ("nonce", &visit.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        match provider.knock(&provider.authorize(&fields)) {
            Ok(()) => tried.good(
                "redirect",
                format!("it takes people who come back to {redirect_uri}"),
            ),
            Err(error) => tried.bad(
                "redirect",
                error.to_string(),
                format!(
                    "register the client `{}` there, with {redirect_uri}",
                    self.client_id
                ),
            ),
        }
        let secret = secret.as_ref().map(|secret| secret.as_str());
        match provider.exchange(secret, "skep-test", &visit) {
            // A code that it never gave: whoever asks was believed.
            Err(ProviderError::Refused { ref code, .. }) if code == "invalid_grant" => {
                tried.good("client", "it believes the client's id and secret");
            }
            Err(error) => tried.bad("client", error.to_string(), error.remedy()),
            Ok(_) => tried.bad(
                "client",
                "it gives tokens for a code that it never gave",
                "do not trust this provider",
            ),
        }
        tried
    }

    fn arrival(&self, claims: &Value) -> Result<Arrival, DoorError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text("sub").unwrap_or_default().to_owned();
        let verified = claims.get("email_verified") == Some(&Value::Bool(true));
        let email = text("email").filter(|_| verified);
        let name = text("preferred_username").or(email).unwrap_or(&subject);
        let has = |rule: &Option<String>| {
            let (claim, value) = rule.as_deref().and_then(split)?;
            Some(match claims.get(claim) {
                Some(Value::String(found)) => found == value,
                Some(Value::Bool(found)) => found.to_string() == value,
                Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(value)),
                _ => false,
            })
        };
        let role = match (has(&self.admins), has(&self.members)) {
            (Some(true), _) => UserRole::Admin,
            (_, None | Some(true)) => UserRole::Member,
            (_, Some(false)) => return Err(DoorError::NotLetIn),
        };
        let display = text("name").unwrap_or_default();
        Ok(Arrival {
            name: name.to_ascii_lowercase(),
            display: display
                .chars()
                .filter(|one| !one.is_control())
                .take(32)
                .collect(),
            role,
            source: UserSource::Oidc {
                issuer: self.issuer.clone(),
                subject,
            },
        })
    }
}

/// What OpenID Connect Core 1.0 asks of an ID token, section 3.1.3.7.
fn check_claims(
    claims: &Value,
    settings: &OidcSettings,
    nonce: &str,
    now: u64,
) -> Result<(), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let skew = crate::limits::PROVIDER_CLOCK_SKEW.as_secs_f64();
    if text("iss") != Some(&settings.issuer) {
        return Err("it is of another issuer");
    }
    let (ours, alone) = match claims.get("aud") {
        Some(Value::String(one)) => (*one == settings.client_id, true),
        Some(Value::Array(all)) => {
            let ours = all
                .iter()
                .any(|one| one.as_str() == Some(&settings.client_id));
            (ours, all.len() == 1)
        }
        _ => (false, false),
    };
    if !ours {
        return Err("it is for somebody else");
    }
    let party = text("azp");
    if party.is_some_and(|party| party != settings.client_id) || (!alone && party.is_none()) {
        return Err("it was given to somebody else");
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
    let now = now as f64;
    if number("exp").is_none_or(|end| end + skew <= now) {
        return Err("it is over");
    }
    if number("iat").is_none_or(|begin| begin - skew > now)
        || number("nbf").is_some_and(|begin| begin - skew > now)
    {
        return Err("it is of a time to come: one of the two clocks is wrong");
    }
    if text("nonce") != Some(nonce) {
        return Err("it answers another question");
    }
    match text("sub") {
        Some(subject) if (1..=255).contains(&subject.len()) => Ok(()),
        _ => Err("it does not say of whom it is"),
    }
}

/// An address of a provider: over TLS, or on this machine.
pub(super) fn check_address(text: &str) -> Result<(), String> {
    let uri: Uri = text
        .parse()
        .map_err(|_| format!("`{text}` is no address"))?;
    let host = uri.host().unwrap_or_default();
    let plain = uri.scheme_str() == Some("http") && is_loopback(host);
    if host.is_empty() || !(uri.scheme_str() == Some("https") || plain) {
        return Err(format!("`{text}` does not begin with `https://`"));
    }
    if uri
        .authority()
        .is_some_and(|all| all.as_str().contains('@'))
        || text.contains('#')
    {
        return Err(format!("`{text}` has more than a host and a path"));
    }
    Ok(())
}

fn split(rule: &str) -> Option<(&str, &str)> {
    let (claim, value) = rule.split_once('=')?;
    (!claim.is_empty() && !value.is_empty()).then_some((claim, value))
}

fn usual_name() -> String {
    "OpenID Connect".to_owned()
}

fn usual_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings() -> OidcSettings {
        let text =
            r#"{"issuer":"https://id.example.org","client_id":"skep","admins":"groups=admins"}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        let good = json!({
            "iss": "https://id.example.org", "aud": "skep", "sub": "7", "exp": 1_100, "iat": 1_000, "nonce": "n",
        });
        let check = |change: &[(&str, Value)], fits: bool| {
            let mut claims = good.clone();
            for (name, value) in change {
                claims[*name] = value.clone();
            }
            let found = check_claims(&claims, &settings(), "n", 1_050);
            assert_eq!(found.is_ok(), fits, "{change:?}: {found:?}");
        };
        check(&[], true);
        check(&[("aud", json!(["skep"]))], true);
        check(
            &[("aud", json!(["skep", "x"])), ("azp", json!("skep"))],
            true,
        );
        for (name, wrong) in [
            ("iss", json!("https://id.example.org/")),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", json!(["skep", "x"])),
            ("azp", json!("other")),
            ("exp", json!(900)),
            ("exp", json!("later")),
            ("iat", json!(2_000)),
            ("nbf", json!(2_000)),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("sub", json!("")),
            ("sub", json!("x".repeat(256))),
        ] {
            check(&[(name, wrong)], false);
        }
    }

    #[test]
    fn a_claim_says_what_somebody_may() {
        let mut settings = settings();
        let role = |settings: &OidcSettings, groups: Value| {
            let claims = json!({ "sub": "7", "preferred_username": "Ada", "groups": groups });
            settings
                .arrival(&claims)
                .map(|found| (found.name, found.role))
        };
        let ada = |role| ("ada".to_owned(), role);
        let (admin, member) = (ada(UserRole::Admin), ada(UserRole::Member));
        assert_eq!(role(&settings, json!(["x", "admins"])).unwrap(), admin);
        assert_eq!(role(&settings, json!("admins")).unwrap(), admin);
        assert_eq!(role(&settings, json!(["administrators"])).unwrap(), member);
        settings.members = Some("groups=users".into());
        assert!(matches!(
            role(&settings, json!(["x"])),
            Err(DoorError::NotLetIn)
        ));
        assert_eq!(role(&settings, json!(["users"])).unwrap(), member);
        // An address that nobody checked names nobody.
        let claims = json!({ "sub": "7", "email": "root@example.org", "groups": "users" });
        assert_eq!(settings.arrival(&claims).unwrap().name, "7");
    }

    #[test]
    fn passwords_and_codes_cross_no_network_readable() {
        for (address, fits) in [
            ("https://id.example.org/realms/x", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:3000", true),
            ("http://id.example.org", false),
            ("http://localhost.example.org", false),
            ("https://me@id.example.org", false),
            ("ftp://id.example.org", false),
            ("id.example.org", false),
            ("", false),
        ] {
            assert_eq!(check_address(address).is_ok(), fits, "{address}");
        }
    }
}
