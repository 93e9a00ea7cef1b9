//! Where a component comes from: a file, an address, a registry. Whoever types the command fetches it; the agent is given bytes.
//!
//! Decides how each is read and where its signature is looked for. Refuses to know what a component is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ureq::http::StatusCode;

mod oci;
mod reference;
mod web;

pub use self::reference::Reference;
pub use self::web::Progress;

use self::web::Ask;
use crate::limits::{COMPONENT_BYTES, DOCKER_CONFIG_BYTES, DOWNLOAD_TIMEOUT, SIGNATURE_BYTES};

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// An address in HTTPS, or on this machine.
    Web(String),
    Registry(Reference),
}

/// A component that was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub component: Vec<u8>,
    /// The text of its signature's file, where one lay beside it.
    pub signature: Option<Vec<u8>>,
    /// Where a newer one may be found; none for a file.
    pub source: Option<String>,
}

/// Why a component could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("could not read `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` has more than {most} bytes, which is the limit", path.display())]
    FileTooLarge { path: PathBuf, most: usize },
    #[error("`{0}` is no address that can be asked")]
    Address(String),
    #[error("`{0}` is in plain HTTP: anybody on the way could change what comes")]
    Plain(String),
    #[error("`{0}` names nothing in a registry: write oci://HOST/NAME:TAG")]
    Reference(String),
    #[error("it leads on to `{0}`, which is not followed")]
    Redirect(String),
    #[error("`{0}` leads from one place to the next without end")]
    Redirects(String),
    #[error("could not get `{url}`: {why}")]
    Broken { url: String, why: String },
    #[error("`{url}` has more than {most} bytes, which is the limit")]
    TooLarge { url: String, most: usize },
    #[error("there is no `{0}`")]
    NotFound(String),
    #[error("`{0}` is not for everybody")]
    Forbidden(String),
    #[error("`{url}` was answered with the status {status}")]
    Status { url: String, status: u16 },
    #[error("`{reference}` cannot be a plugin: {what}")]
    Artifact { reference: String, what: String },
    #[error("what came of `{what}` has the digest {found} and should have {expected}")]
    Digest {
        what: String,
        expected: String,
        found: String,
    },
}

impl Source {
    /// What somebody typed: an address, a name in a registry, or a path.
    ///
    /// # Errors
    /// When it is an address that cannot be asked.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text.starts_with("oci://") {
            return text.parse().map(Self::Registry);
        }
        if text.contains("://") {
            web::address(text)?;
            return Ok(Self::Web(text.to_owned()));
        }
        Ok(Self::File(text.into()))
    }

    /// Gets the component, and its signature where it lies beside it as `….minisig`.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn fetch(&self, progress: Progress<'_>) -> Result<Fetched, SourceError> {
        match self {
            Self::File(path) => {
                let component = file(path, COMPONENT_BYTES)?;
                let mut beside = path.clone().into_os_string();
                beside.push(".minisig");
                let signature = match file(Path::new(&beside), SIGNATURE_BYTES) {
                    Ok(text) => Some(text),
                    Err(SourceError::File { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound =>
                    {
                        None
                    }
                    Err(error) => return Err(error),
                };
                Ok(Fetched {
                    component,
                    signature,
                    source: None,
                })
            }
            Self::Web(address) => self::address(address, progress),
            Self::Registry(reference) => {
                let config = docker_config();
                let password =
                    config.and_then(|config| oci::password(reference.registry(), &config));
                oci::pull(reference, password.as_deref(), progress)
            }
        }
    }
}

impl SourceError {
    /// What to do next, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Plain(_) => {
                "use its https:// address, or get the file yourself and give its path"
            }
            Self::Address(_) => "write https://HOST/PATH, oci://HOST/NAME:TAG, or a path",
            Self::Forbidden(_) => {
                "`docker login HOST` keeps a password where it is found; credential helpers are not asked"
            }
            Self::Artifact { .. } => "`wkg oci push` makes what is understood here",
            Self::Digest { .. } => "do not use it: ask whoever offers it",
            _ => return None,
        })
    }
}

/// As many bytes of a file as it may have.
///
/// # Errors
/// When it cannot be read, or has more.
pub fn file(path: &Path, most: usize) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > most {
        let path = path.to_owned();
        return Err(SourceError::FileTooLarge { path, most });
    }
    Ok(bytes)
}

/// Writes what is at an address somewhere, as it comes; at most so many bytes.
///
/// # Errors
/// See [`SourceError`].
pub fn download(text: &str, most: u64, to: &mut dyn std::io::Write) -> Result<(), SourceError> {
    let url = web::address(text)?;
    let ask = Ask {
        url: &url,
        accept: None,
        authorization: None,
        most: usize::try_from(most).unwrap_or(usize::MAX),
    };
    let (status, _) = web::get_into(&ask, DOWNLOAD_TIMEOUT, to, &mut |_, _| {})?;
    answered(status, text)
}

fn address(text: &str, progress: Progress<'_>) -> Result<Fetched, SourceError> {
    let url = web::address(text)?;
    let ask = Ask {
        url: &url,
        accept: None,
        authorization: None,
        most: COMPONENT_BYTES,
    };
    let got = web::get(&ask, progress)?;
    answered(got.status, text)?;
    let (path, query) = text
        .split_once('?')
        .map_or((text, None), |(path, query)| (path, Some(query)));
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let beside = web::address(&format!("{path}.minisig{query}"))?;
    let ask = Ask {
        url: &beside,
        most: SIGNATURE_BYTES,
        ..ask
    };
    // What is no signature, such as a page that says that there is none, counts as none.
    let signature = match web::get(&ask, &mut |_, _| {}) {
        Ok(got) if got.status == StatusCode::OK && looks_signed(&got.body) => Some(got.body),
        Ok(_) | Err(SourceError::TooLarge { .. }) => None,
        Err(error) => return Err(error),
    };
    // The query may have a secret, and is of no use tomorrow.
    let source = query.is_empty().then(|| path.to_owned());
    Ok(Fetched {
        component: got.body,
        signature,
        source,
    })
}

/// Expects that it is there and for everybody.
fn answered(status: StatusCode, address: &str) -> Result<(), SourceError> {
    let url = web::shown(address);
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(SourceError::NotFound(url)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(SourceError::Forbidden(url)),
        status => {
            let status = status.as_u16();
            Err(SourceError::Status { url, status })
        }
    }
}

/// Whether it begins as signatures do.
fn looks_signed(text: &[u8]) -> bool {
    text.starts_with(b"untrusted comment:")
}

/// What `docker login` keeps.
fn docker_config() -> Option<Vec<u8>> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    file(&folder?.join("config.json"), DOCKER_CONFIG_BYTES).ok()
}
