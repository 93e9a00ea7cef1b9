//! Which certificate a caller is shown, from one moment to the next.
//!
//! Decides by the name that the caller asks for: the authority's names have the authority's certificate, everybody else the one
//! that the agent made, which the commands of this machine know. A proof (RFC 8737) is shown to who asks for proofs only.
//! Connections that are open keep what they have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The protocol (ALPN) of proofs.
pub const PROOF_PROTOCOL: &[u8] = b"acme-tls/1";

/// What is shown now.
pub struct Shown {
    own: Arc<CertifiedKey>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    given: Option<Given>,
    proofs: BTreeMap<String, Arc<CertifiedKey>>,
}

struct Given {
    names: Vec<String>,
    certificate: Arc<CertifiedKey>,
}

impl Shown {
    /// Everybody is shown this one.
    #[must_use]
    pub fn new(own: CertifiedKey) -> Self {
        Self {
            own: Arc::new(own),
            state: RwLock::default(),
        }
    }

    /// Who asks for one of these names is shown this from now on.
    pub(super) fn give(&self, names: Vec<String>, certificate: CertifiedKey) {
        let certificate = Arc::new(certificate);
        self.change(|state| state.given = Some(Given { names, certificate }));
    }

    /// Shows a proof for a name, for as long as what is returned lives.
    pub(super) fn prove(self: &Arc<Self>, name: &str, proof: CertifiedKey) -> Proving {
        self.change(|state| state.proofs.insert(name.to_owned(), Arc::new(proof)));
        Proving {
            shown: self.clone(),
            name: name.to_owned(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut state)
    }

    fn choose(&self, name: Option<&str>, proving: bool) -> Option<Arc<CertifiedKey>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let name = name.map(str::to_ascii_lowercase);
        if proving {
            return state.proofs.get(&name?).cloned();
        }
        match (&state.given, name) {
            (Some(given), Some(name)) if given.names.contains(&name) => {
                Some(given.certificate.clone())
            }
            _ => Some(self.own.clone()),
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let proving = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|one| one == PROOF_PROTOCOL));
        self.choose(hello.server_name(), proving)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// A proof that is shown. Dropping it takes it away.
#[derive(Debug)]
pub(super) struct Proving {
    shown: Arc<Shown>,
    name: String,
}

impl Drop for Proving {
    fn drop(&mut self) {
        self.shown.change(|state| state.proofs.remove(&self.name));
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::*;

    fn certificate(name: &str) -> CertifiedKey {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let chain = vec![made.cert.der().clone()];
        CertifiedKey::from_der(chain, key.into(), &default_provider()).unwrap()
    }

    #[test]
    fn who_asks_for_a_name_is_shown_what_is_for_it() {
        let shown = Arc::new(Shown::new(certificate("own")));
        let same = |one: Option<Arc<CertifiedKey>>, other: &CertifiedKey| {
            one.map(|one| one.cert == other.cert)
        };
        let own = shown.own.clone();
        for name in [None, Some("hive.example.org")] {
            assert_eq!(same(shown.choose(name, false), &own), Some(true));
            assert_eq!(same(shown.choose(name, true), &own), None);
        }
        let given = certificate("hive.example.org");
        shown.give(vec!["hive.example.org".to_owned()], given.clone());
        assert_eq!(
            same(shown.choose(Some("Hive.example.org"), false), &given),
            Some(true)
        );
        assert_eq!(
            same(shown.choose(Some("other.example.org"), false), &own),
            Some(true)
        );
        assert_eq!(same(shown.choose(None, false), &own), Some(true));
        let proof = certificate("proof");
        let proving = shown.prove("hive.example.org", proof.clone());
        assert_eq!(
            same(shown.choose(Some("hive.example.org"), true), &proof),
            Some(true)
        );
        assert_eq!(
            same(shown.choose(Some("hive.example.org"), false), &given),
            Some(true)
        );
        assert_eq!(
            same(shown.choose(Some("other.example.org"), true), &own),
            None
        );
        drop(proving);
        assert_eq!(
            same(shown.choose(Some("hive.example.org"), true), &own),
            None
        );
    }
}
