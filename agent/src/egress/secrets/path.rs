//! Secrets in the path of an address, for services that take them there and nowhere else. Decides which texts may stand there.
//!
//! What stands for a secret in a path is another text than in a header, so that neither means anything in the other's place.

use hyper::http::Uri;
use skep_core::capability::SecretName;

use super::{SecretError, find};
use crate::egress::rights::{Scope, held};
use crate::egress::{Egress, EgressError};

impl Egress {
    /// What a call may put into a path in place of a secret's text.
    ///
    /// # Errors
    /// When the text would be more, or other, than a part of a path.
    pub fn path_stand_in(&self, scope: &Scope, name: &SecretName) -> Result<String, SecretError> {
        if !fits(self.secret(name)?.reveal()) {
            return Err(SecretError::Path(name.as_str().to_owned()));
        }
        Ok(in_path(&self.stand_in(scope, name, "")?))
    }

    /// The path and query of an address, with secrets' texts where the path has what stands for them.
    pub(in crate::egress) fn fill_in_path(
        &self,
        scope: &Scope,
        address: &Uri,
        clear: bool,
    ) -> Result<Uri, EgressError> {
        let whole = address.path_and_query().map_or("/", |whole| whole.as_str());
        let (path, query) = match whole.find('?') {
            Some(at) => whole.split_at(at),
            None => (whole, ""),
        };
        let mut path = path.to_owned();
        for (name, stand_in) in &held(&scope.stand_ins).0 {
            let stand_in = in_path(stand_in);
            if find(path.as_bytes(), stand_in.as_bytes()).is_none() {
                continue;
            }
            if clear {
                return Err(EgressError::SecretInClear);
            }
            let gone = || EgressError::SecretGone(name.as_str().to_owned());
            let text = self.secret(name).map_err(|_| gone())?;
            // It may be another than when the stand-in was given.
            if !fits(text.reveal()) {
                return Err(gone());
            }
            path = path.replacen(&stand_in, text.reveal(), 1);
        }
        format!("{path}{query}")
            .parse()
            .map_err(|_| EgressError::Malformed("its path is none"))
    }
}

fn in_path(stand_in: &str) -> String {
    stand_in.replacen("skep-secret-", "skep-path-", 1)
}

/// Nothing that would end a path, begin a query, or lead out of where it stands.
fn fits(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    text.bytes().all(plain) && !text.split('/').any(|part| matches!(part, "." | ".."))
}
