//! Components in OCI registries, as `wkg` puts them there: <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>.
//!
//! Decides that whatever comes is what its digest says, and that an artifact which is no WebAssembly is refused by its name. Only reads. The
//! client library for registries would bring over a hundred crates for the three requests that are made here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use ureq::http::{StatusCode, Uri};

use super::reference::Reference;
use super::web::{self, Ask, Got, Progress, shown};
use super::{Fetched, SourceError};
use crate::limits::{COMPONENT_BYTES, OCI_MANIFEST_BYTES, OCI_TOKEN_BYTES};

/// What a manifest's configuration must be.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// What its only layer must be.
const WASM: &str = "application/wasm";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// <https://github.com/opencontainers/image-spec/blob/main/manifest.md>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    config: Part,
    layers: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    media_type: String,
    digest: String,
    size: u64,
}

/// <https://distribution.github.io/distribution/spec/auth/token/>
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What a registry wants to see.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

/// Pulls the component.
///
/// # Errors
/// See [`SourceError`].
pub(super) fn pull(
    reference: &Reference,
    password: Option<&str>,
    progress: Progress<'_>,
) -> Result<Fetched, SourceError> {
    let mut registry = Registry {
        reference,
        password,
        authorization: None,
    };
    let path = format!("manifests/{}", reference.wanted());
    let answer = registry.get(&path, Some(MANIFEST), OCI_MANIFEST_BYTES, &mut |_, _| {})?;
    let manifest = registry.manifest(&answer)?;
    let wrong = |what: String| SourceError::Artifact {
        reference: reference.to_string(),
        what,
    };
    if manifest.config.media_type != WASM_CONFIG {
        let found = shown(&manifest.config.media_type);
        return Err(wrong(format!("it is a `{found}` and no WebAssembly")));
    }
    let [layer] = manifest.layers.as_slice() else {
        let count = manifest.layers.len();
        return Err(wrong(format!("it has {count} layers instead of one")));
    };
    if layer.media_type != WASM {
        let found = shown(&layer.media_type);
        return Err(wrong(format!("its layer is a `{found}` and no `{WASM}`")));
    }
    let url = reference.to_string();
    if layer.size > COMPONENT_BYTES as u64 {
        let most = COMPONENT_BYTES;
        return Err(SourceError::TooLarge { url, most });
    }
    let digits = layer.digest.strip_prefix("sha256:");
    let digits = digits.filter(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    let Some(digits) = digits else {
        let found = shown(&layer.digest);
        return Err(wrong(format!(
            "the digest of its layer, `{found}`, is no SHA-256"
        )));
    };
    let path = format!("blobs/sha256:{digits}");
    let component = registry.get(&path, None, COMPONENT_BYTES, progress)?.body;
    let found = hex(&component);
    if found != digits || component.len() as u64 != layer.size {
        return Err(SourceError::Digest {
            what: reference.to_string(),
            expected: digits.to_owned(),
            found,
        });
    }
    Ok(Fetched {
        component,
        signature: None,
        source: Some(reference.to_string()),
    })
}

/// A registry that was asked, perhaps with what it wanted to see.
struct Registry<'a> {
    reference: &'a Reference,
    /// A user and a password in Base64.
    password: Option<&'a str>,
    authorization: Option<String>,
}

impl Registry<'_> {
    fn get(
        &mut self,
        path: &str,
        accept: Option<&str>,
        most: usize,
        progress: Progress<'_>,
    ) -> Result<Got, SourceError> {
        let url = self.reference.url(path)?;
        let mut got = self.ask(&url, accept, most, progress)?;
        if got.status == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorization = Some(self.authorize(&got)?);
            got = self.ask(&url, accept, most, progress)?;
        }
        match got.status {
            StatusCode::OK => Ok(got),
            StatusCode::NOT_FOUND => Err(SourceError::NotFound(self.reference.to_string())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(SourceError::Forbidden(self.reference.to_string()))
            }
            status => Err(SourceError::Status {
                url: self.reference.to_string(),
                status: status.as_u16(),
            }),
        }
    }

    fn ask(
        &self,
        url: &Uri,
        accept: Option<&str>,
        most: usize,
        progress: Progress<'_>,
    ) -> Result<Got, SourceError> {
        let authorization = self.authorization.as_deref();
        let ask = Ask {
            url,
            accept,
            authorization,
            most,
        };
        web::get(&ask, progress)
    }

    /// What to show, by what the registry asked for.
    fn authorize(&self, refused: &Got) -> Result<String, SourceError> {
        let forbidden = || SourceError::Forbidden(self.reference.to_string());
        let basic = self.password.map(|password| format!("Basic {password}"));
        let mut challenges = refused.headers.get_all("www-authenticate").into_iter();
        let bearer = challenges.find_map(|challenge| Challenge::parse(challenge.to_str().ok()?));
        let Some(challenge) = bearer else {
            return basic.ok_or_else(forbidden);
        };
        let scope = challenge
            .scope
            .unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
        let mut query = vec![("scope", scope)];
        query.extend(challenge.service.map(|service| ("service", service)));
        let query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encoded(&value)))
            .collect();
        let mark = if challenge.realm.contains('?') {
            '&'
        } else {
            '?'
        };
        let url = format!("{}{mark}{}", challenge.realm, query.join("&"));
        let url = web::address(&url)?;
        // A registry out there must not have this machine ask itself.
        if web::is_here(&url) && !self.reference.is_here() {
            return Err(SourceError::Redirect(shown(&challenge.realm)));
        }
        let ask = Ask {
            url: &url,
            accept: Some("application/json"),
            authorization: basic.as_deref(),
            most: OCI_TOKEN_BYTES,
        };
        let got = web::get(&ask, &mut |_, _| {})?;
        if got.status != StatusCode::OK {
            return Err(forbidden());
        }
        let token: Token = serde_json::from_slice(&got.body).map_err(|_| forbidden())?;
        let token = token.token.or(token.access_token).ok_or_else(forbidden)?;
        Ok(format!("Bearer {token}"))
    }

    /// Reads a manifest that is what it was said to be.
    fn manifest(&self, answer: &Got) -> Result<Manifest, SourceError> {
        let found = hex(&answer.body);
        let said = answer.headers.get("docker-content-digest");
        let said = said.and_then(|said| said.to_str().ok()?.strip_prefix("sha256:"));
        for expected in said.into_iter().chain(self.reference.digest()) {
            if expected != found {
                return Err(SourceError::Digest {
                    what: self.reference.to_string(),
                    expected: shown(expected),
                    found,
                });
            }
        }
        serde_json::from_slice(&answer.body).map_err(|error| SourceError::Artifact {
            reference: self.reference.to_string(),
            what: format!("its manifest cannot be read: {}", shown(&error.to_string())),
        })
    }
}

impl Challenge {
    /// `Bearer realm="https://…",service="…",scope="…"`
    fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Self::default();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            let value = value.to_owned();
            match name.trim().trim_start_matches(',').trim() {
                "realm" => challenge.realm = value,
                "service" => challenge.service = Some(value),
                "scope" => challenge.scope = Some(value),
                _ => {}
            }
            rest = next;
        }
        (!challenge.realm.is_empty()).then_some(challenge)
    }
}

/// The user and password that `docker login` kept for a registry, in Base64.
pub(super) fn password(registry: &str, config: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        auths: std::collections::BTreeMap<String, Login>,
    }
    #[derive(Deserialize)]
    struct Login {
        auth: Option<String>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    let auth = config.auths.get(registry)?.auth.clone()?;
    // It goes into a header.
    STANDARD.decode(&auth).ok().map(|_| auth)
}

fn hex(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    skep_core::state::PluginDigest(digest).to_string()
}

/// As a query has it (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_whatever_its_order() {
        let check = |text: &str, expected: Option<(&str, Option<&str>, Option<&str>)>| {
            let expected = expected.map(|(realm, service, scope)| Challenge {
                realm: realm.into(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            });
            assert_eq!(Challenge::parse(text), expected, "{text}");
        };
        check(
            r#"Bearer realm="https://a/token",service="a",scope="repository:x/y:pull,push""#,
            Some((
                "https://a/token",
                Some("a"),
                Some("repository:x/y:pull,push"),
            )),
        );
        check(
            r#"bearer scope="s", error="x", realm=https://a/t"#,
            Some(("https://a/t", None, Some("s"))),
        );
        check(r#"Basic realm="a""#, None);
        check(r#"Bearer realm="cut"#, None);
        check("Bearer", None);
        check(r#"Bearer service="a""#, None);
    }

    #[test]
    fn a_login_is_found() {
        let config = br#"{"auths":{"ghcr.io":{"auth":"YTpi"},"x":{},"bad":{"auth":"\r\n"}}}"#;
        assert_eq!(password("ghcr.io", config).as_deref(), Some("YTpi"));
        assert_eq!(password("x", config), None);
        assert_eq!(password("bad", config), None);
        assert_eq!(password("ghcr.io", b"{"), None);
    }
}
