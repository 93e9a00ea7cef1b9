//! Signed tokens (RFC 7515), as providers make them.
//!
//! Decides which signatures count: those by an algorithm with a public key, which the key is for. `none` and what is signed with a
//! shared secret are no choice here, so no token can ask for them. Refuses to know what a token says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// A provider's keys (RFC 7517).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// Why a token is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("it is no signed token")]
    Malformed,
    #[error("its algorithm `{0}` is none that is believed")]
    Algorithm(String),
    #[error("none of the provider's keys is the one that it names")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
}

impl Keys {
    /// How many could have signed something that is believed.
    pub(super) fn usable(&self) -> usize {
        let usable = |key: &&Key| {
            let algorithms = ALGORITHMS.iter();
            key.signs() && algorithms.clone().any(|algorithm| key.is_for(algorithm))
        };
        self.keys.iter().filter(usable).count()
    }
}

/// What the token says, when one of the keys has signed it.
pub(super) fn verify(token: &str, keys: &Keys) -> Result<Value, TokenError> {
    let malformed = |_| TokenError::Malformed;
    let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
    let header = URL_SAFE_NO_PAD.decode(header).map_err(malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    // An extension that has to be understood is not.
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let algorithm = ALGORITHMS.iter().find(|known| known.name == header.alg);
    let algorithm = algorithm.ok_or_else(|| {
        let shown: String = header.alg.chars().take(20).collect();
        TokenError::Algorithm(shown.escape_debug().to_string())
    })?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(malformed)?;
    let mut fitting = keys.keys.iter().filter(|key| {
        let named = header.kid.is_none() || header.kid == key.kid;
        named && key.signs() && key.is_for(algorithm)
    });
    let key = fitting.next().ok_or(TokenError::UnknownKey)?;
    if fitting.next().is_some() {
        // Which of them is meant nobody knows.
        return Err(TokenError::UnknownKey);
    }
    if !key.has_signed(algorithm, message.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(malformed)?;
    serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)
}

struct Algorithm {
    name: &'static str,
    kty: &'static str,
    crv: Option<&'static str>,
    way: Way,
}

enum Way {
    Rsa(&'static signature::RsaParameters),
    Other(&'static dyn signature::VerificationAlgorithm),
}

/// Of RFC 7518 and RFC 8037.
static ALGORITHMS: [Algorithm; 9] = [
    rsa("RS256", &signature::RSA_PKCS1_2048_8192_SHA256),
    rsa("RS384", &signature::RSA_PKCS1_2048_8192_SHA384),
    rsa("RS512", &signature::RSA_PKCS1_2048_8192_SHA512),
    rsa("PS256", &signature::RSA_PSS_2048_8192_SHA256),
    rsa("PS384", &signature::RSA_PSS_2048_8192_SHA384),
    rsa("PS512", &signature::RSA_PSS_2048_8192_SHA512),
    curve("ES256", "EC", "P-256", &signature::ECDSA_P256_SHA256_FIXED),
    curve("ES384", "EC", "P-384", &signature::ECDSA_P384_SHA384_FIXED),
    curve("EdDSA", "OKP", "Ed25519", &signature::ED25519),
];

const fn rsa(name: &'static str, parameters: &'static signature::RsaParameters) -> Algorithm {
    Algorithm {
        name,
        kty: "RSA",
        crv: None,
        way: Way::Rsa(parameters),
    }
}

const fn curve(
    name: &'static str,
    kty: &'static str,
    crv: &'static str,
    way: &'static dyn signature::VerificationAlgorithm,
) -> Algorithm {
    Algorithm {
        name,
        kty,
        crv: Some(crv),
        way: Way::Other(way),
    }
}

impl Key {
    fn signs(&self) -> bool {
        self.purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig")
    }

    fn is_for(&self, algorithm: &Algorithm) -> bool {
        let same = |alg: &str| alg == algorithm.name;
        self.kty == algorithm.kty
            && algorithm
                .crv
                .is_none_or(|crv| self.crv.as_deref() == Some(crv))
            && self.alg.as_deref().is_none_or(same)
    }

    fn has_signed(&self, algorithm: &Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let part = |text: &Option<String>| {
            let bytes = URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()?;
            (!bytes.is_empty() && bytes.len() <= 1_024).then_some(bytes)
        };
        match &algorithm.way {
            Way::Rsa(parameters) => {
                let (Some(n), Some(e)) = (part(&self.n), part(&self.e)) else {
                    return false;
                };
                let key = RsaPublicKeyComponents { n, e };
                key.verify(parameters, message, signature).is_ok()
            }
            Way::Other(way) => {
                let Some(x) = part(&self.x) else {
                    return false;
                };
                let point = match (self.kty.as_str(), part(&self.y)) {
                    // An uncompressed point (SEC 1, section 2.3.3).
                    ("EC", Some(y)) => [&[4], x.as_slice(), y.as_slice()].concat(),
                    ("OKP", _) => x,
                    _ => return false,
                };
                let key = UnparsedPublicKey::new(*way, point);
                key.verify(message, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    use serde_json::json;

    struct Signer(Ed25519KeyPair);

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
        }

        fn key(&self, kid: &str) -> Value {
            let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
        }

        fn sign(&self, header: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(header), part(&json!({ "sub": "7" })));
            let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()));
            format!("{message}.{signature}")
        }
    }

    fn keys(keys: &[Value]) -> Keys {
        serde_json::from_value(json!({ "keys": keys })).unwrap()
    }

    #[test]
    fn only_what_a_named_key_signed_is_believed() {
        let (ours, other) = (Signer::new(), Signer::new());
        let known = keys(&[ours.key("a"), other.key("b")]);
        let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
        let good = ours.sign(&header("EdDSA", "a"));
        assert_eq!(verify(&good, &known).unwrap()["sub"], "7");
        let check = |token: &str, expect: &TokenError| {
            assert_eq!(
                verify(token, &known).as_ref().unwrap_err(),
                expect,
                "{token}"
            );
        };
        check(&ours.sign(&header("EdDSA", "b")), &TokenError::Signature);
        check(&ours.sign(&header("EdDSA", "c")), &TokenError::UnknownKey);
        // Rotated: the new key is named, and known at once.
        let rotated = keys(&[ours.key("c")]);
        assert!(verify(&ours.sign(&header("EdDSA", "c")), &rotated).is_ok());
        for alg in ["none", "None", "HS256", "RS256\n", ""] {
            let said = TokenError::Algorithm(alg.escape_debug().to_string());
            check(&ours.sign(&header(alg, "a")), &said);
        }
        check(&ours.sign(&header("RS256", "a")), &TokenError::UnknownKey);
        check(
            &ours.sign(&json!({ "alg": "EdDSA" })),
            &TokenError::UnknownKey,
        );
        check(
            &ours.sign(&json!({ "alg": "EdDSA", "kid": "a", "crit": ["x"] })),
            &TokenError::Malformed,
        );
        let bare = good.rsplit_once('.').unwrap().0;
        check(&format!("{bare}."), &TokenError::Signature);
        check(&good.replacen('.', "", 1), &TokenError::Malformed);
        for wrong in ["", ".", "..", "a.b.c", "\u{e9}.x.y"] {
            check(wrong, &TokenError::Malformed);
        }
        let mut encrypts = ours.key("a");
        encrypts["use"] = json!("enc");
        let encrypts = keys(&[encrypts]);
        assert_eq!(encrypts.usable(), 0);
        assert_eq!(verify(&good, &encrypts), Err(TokenError::UnknownKey));
    }

    #[test]
    fn curves_are_told_apart() {
        let random = SystemRandom::new();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
                .unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (&point[1..33], &point[33..]);
        let key = json!({
            "kty": "EC", "crv": "P-256", "kid": "e",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "kid": "e" }).to_string()),
            URL_SAFE_NO_PAD.encode("{}")
        );
        let signed = pair.sign(&random, message.as_bytes()).unwrap();
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed.as_ref()));
        let known = keys(std::slice::from_ref(&key));
        assert!(verify(&token, &known).is_ok());
        let mut other = key;
        other["crv"] = json!("P-384");
        assert_eq!(verify(&token, &keys(&[other])), Err(TokenError::UnknownKey));
    }
}
