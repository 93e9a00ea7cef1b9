//! What is kept of it on the disk: an account, the order under way, the certificate with its key, and how things stand.
//!
//! Decides that each is replaced as a whole and is for this user alone. What cannot be read counts as absent, but for the
//! account's key: a new account is asked for only where there is none.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::AcmeError;
use super::error::file;
use crate::limits::ACME_FILE_BYTES;
use crate::paths::{private_folder, rename_durably, replace_durably};
use crate::pki::{Validity, validity};

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

/// An account, with the authority that it is at and whom that may write to.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) directory: String,
    pub(super) contact: Option<String>,
    pub(super) credentials: AccountCredentials,
}

/// An order that was begun. Its key is the one that the certificate will be for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) directory: String,
    pub(super) names: Vec<String>,
    pub(super) url: String,
    pub(super) key_pem: String,
}

/// How things stand; what `skep doctor` reads where no agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// Attempts in a row that failed.
    pub failures: u32,
    pub tried_unix_s: Option<u64>,
    /// No attempt before this.
    pub not_before_unix_s: Option<u64>,
    /// Why the last attempt failed.
    pub why: Option<String>,
    pub remedy: Option<String>,
    /// Where the authority's terms are, once it was asked.
    pub terms: Option<String>,
}

/// A certificate of an authority.
#[derive(Clone, Debug)]
pub struct Given {
    pub names: Vec<String>,
    pub issuer: String,
    pub validity: Validity,
}

impl Kept {
    pub(super) fn open(folder: PathBuf) -> Result<Self, AcmeError> {
        private_folder(&folder).map_err(file("make", &folder))?;
        Ok(Self { folder })
    }

    /// None: there is none at this authority.
    pub(super) fn account(&self, directory: &str) -> Result<Option<Account>, AcmeError> {
        let path = self.folder.join(ACCOUNT);
        let Some(text) = read(&path).map_err(file("read", &path))? else {
            return Ok(None);
        };
        let account: Account = serde_json::from_slice(&text).map_err(|error| {
            let damaged = io::Error::new(io::ErrorKind::InvalidData, error);
            file("read", &path)(damaged)
        })?;
        Ok((account.directory == directory).then_some(account))
    }

    pub(super) fn set_account(&self, account: &Account) -> Result<(), AcmeError> {
        // One at another authority may be wanted again.
        self.set_aside_account()?;
        self.write(ACCOUNT, account)
    }

    /// The authority does not know it.
    pub(super) fn set_aside_account(&self) -> Result<(), AcmeError> {
        let (from, to) = (self.folder.join(ACCOUNT), self.folder.join(ACCOUNT_BEFORE));
        match rename_durably(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file("set aside", &from)(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn order(&self, directory: &str, names: &[String]) -> Option<Order> {
        let order: Order = self.parsed(ORDER)?;
        (order.directory == directory && order.names == names).then_some(order)
    }

    pub(super) fn set_order(&self, order: &Order) -> Result<(), AcmeError> {
        self.write(ORDER, order)
    }

    pub(super) fn forget_order(&self) -> Result<(), AcmeError> {
        let path = self.folder.join(ORDER);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.parsed(STANDING).unwrap_or_default()
    }

    pub(super) fn set_standing(&self, standing: &Standing) -> Result<(), AcmeError> {
        self.write(STANDING, standing)
    }

    /// The certificate that was given last, where it can be used.
    pub(super) fn given(&self) -> Option<(Given, CertifiedKey)> {
        let text = read(&self.folder.join(CERTIFICATE)).ok()??;
        usable(&text).ok()
    }

    /// Keeps key and chain, in one file so that they always fit.
    pub(super) fn set_given(&self, pem: &[u8]) -> Result<(), AcmeError> {
        let path = self.folder.join(CERTIFICATE);
        replace_durably(&path, pem).map_err(file("write", &path))
    }

    fn parsed<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let text = read(&self.folder.join(name)).ok()??;
        serde_json::from_slice(&text).ok()
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), AcmeError> {
        let path = self.folder.join(name);
        let text =
            serde_json::to_vec_pretty(value).map_err(|error| AcmeError::Own(error.to_string()))?;
        replace_durably(&path, &text).map_err(file("write", &path))
    }
}

/// How things stand and what was given, for those who only look.
#[must_use]
pub fn look(folder: &Path) -> (Standing, Option<Given>) {
    let kept = Kept {
        folder: folder.to_owned(),
    };
    (kept.standing(), kept.given().map(|(given, _)| given))
}

/// A key and the chain that is for it, from PEM.
pub(super) fn usable(pem: &[u8]) -> Result<(Given, CertifiedKey), String> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    let leaf = chain.first().ok_or("there is no certificate")?;
    let validity = validity(leaf).ok_or("it is no certificate")?;
    let (names, issuer) = names(leaf).ok_or("it is no certificate")?;
    let given = Given {
        names,
        issuer,
        validity,
    };
    // It also looks whether they belong together.
    let shown = CertifiedKey::from_der(chain, key, &default_provider());
    Ok((given, shown.map_err(|error| error.to_string())?))
}

/// The names that a certificate is for, and who signed it.
fn names(leaf: &CertificateDer<'_>) -> Option<(Vec<String>, String)> {
    use x509_parser::extensions::GeneralName;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let listed = parsed.subject_alternative_name().ok()??;
    let names = listed.value.general_names.iter();
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let common = parsed.issuer().iter_common_name().next();
    let issuer = common.and_then(|name| name.as_str().ok().map(str::to_owned));
    let issuer = issuer.unwrap_or_else(|| parsed.issuer().to_string());
    Some((names.collect(), issuer))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.take(ACME_FILE_BYTES).read_to_end(&mut text)?;
    Ok(Some(text))
}

const ACCOUNT: &str = "account.json";
const ACCOUNT_BEFORE: &str = "account-before.json";
const ORDER: &str = "order.json";
const STANDING: &str = "standing.json";
const CERTIFICATE: &str = "certificate.pem";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_counts_only_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path().join("acme")).unwrap();
        assert!(kept.given().is_none());
        let made = rcgen::generate_simple_self_signed(["Hive.example.org".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let key = made.signing_key.serialize_pem();
        let good = format!("{key}{}", made.cert.pem());
        kept.set_given(good.as_bytes()).unwrap();
        let (given, _) = kept.given().unwrap();
        assert_eq!(given.names, ["hive.example.org"]);
        let bad = [
            format!("{}{}", other.serialize_pem(), made.cert.pem()),
            made.cert.pem(),
            key,
            String::new(),
            good.replacen("MII", "MIJ", 2),
        ];
        for bad in bad {
            assert!(usable(bad.as_bytes()).is_err(), "{bad}");
        }
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(kept.folder.join(CERTIFICATE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_order_is_gone_on_with_where_it_is_for_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path().to_owned()).unwrap();
        let names = ["a.example.org".to_owned()];
        kept.set_order(&Order {
            directory: "https://a".into(),
            names: names.to_vec(),
            url: "https://a/order/1".into(),
            key_pem: "key".into(),
        })
        .unwrap();
        assert!(kept.order("https://a", &names).is_some());
        assert!(kept.order("https://b", &names).is_none());
        assert!(kept.order("https://a", &[]).is_none());
        fs::write(folder.path().join(ORDER), "{").unwrap();
        assert!(kept.order("https://a", &names).is_none());
        kept.forget_order().unwrap();
        kept.forget_order().unwrap();
        assert_eq!(kept.standing(), Standing::default());
        fs::write(folder.path().join(ACCOUNT), "{").unwrap();
        assert!(kept.account("https://a").is_err());
    }
}
