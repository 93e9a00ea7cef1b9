//! The certificate that callers are shown.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/certificate`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// Where it is from: `acme`, `file`, `own` (made here), or `none` (no TLS).
    pub source: String,
    /// The names that it is for, as far as they are known.
    pub names: Vec<String>,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from_unix_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until_unix_s: Option<u64>,
    /// The file that it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How it is had by ACME.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeStanding>,
}

/// How certificates are had by ACME.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcmeStanding {
    pub directory: String,
    /// Those that are asked for.
    pub names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where the authority's terms are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    pub terms_agreed: bool,
    /// Whether the authority is being asked now.
    pub under_way: bool,
    /// Attempts in a row that failed.
    pub failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried_unix_s: Option<u64>,
    /// When it is asked next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_unix_s: Option<u64>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// `POST /api/v1/certificate/renew`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewWish {
    /// Also where it is not due for long.
    #[serde(default)]
    pub force: bool,
}
