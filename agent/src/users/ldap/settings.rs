//! What is set about a directory.
//!
//! Decides which settings make sense, and that no password crosses a network readable unless somebody said so.

use serde::{Deserialize, Serialize};
use ureq::http::Uri;

use crate::users::door::{is_loopback, tls};

/// What has to be known of a directory. The password of `bind_dn` is a secret and not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// `ldaps://HOST[:PORT]`, or `ldap://`, which has to become TLS by `starttls`.
    pub url: String,
    #[serde(default)]
    pub starttls: bool,
    /// Passwords may cross a network readable by everybody on it. To this machine itself they may anyway.
    #[serde(default)]
    pub plain: bool,
    /// As whom to look for people; none: as nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_dn: Option<String>,
    /// Below which people are.
    pub base: String,
    /// What finds one of them, `{name}` being what they typed.
    #[serde(default = "usual_filter")]
    pub filter: String,
    /// What they are called here.
    #[serde(default = "usual_name")]
    pub name_attribute: String,
    /// What they are called in full.
    #[serde(default = "usual_display")]
    pub display_attribute: String,
    /// The group whose members administer, by its distinguished name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admins: Option<String>,
    /// The group whose members may sign in; none: whoever is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<String>,
    /// PEM of whoever signed the server's certificate; none: somebody whom browsers believe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
}

impl LdapSettings {
    /// Whether it can be tried at all; if not, why.
    ///
    /// # Errors
    /// What is wrong, for whoever set it.
    pub fn check(&self) -> Result<(), String> {
        let uri: Uri = self
            .url
            .parse()
            .map_err(|_| format!("`{}` is no address", self.url))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or("the address names no host: give `ldaps://HOST`")?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let userless = uri
            .authority()
            .is_some_and(|all| !all.as_str().contains('@'));
        if !bare || !userless {
            return Err("the address has more than a host and a port".to_owned());
        }
        match (uri.scheme_str(), self.starttls) {
            (Some("ldaps"), false) | (Some("ldap"), true) => {}
            (Some("ldaps"), true) => {
                return Err("`ldaps` is TLS already: leave `starttls` out".to_owned());
            }
            (Some("ldap"), false) if self.plain || is_loopback(host) => {}
            (Some("ldap"), false) => {
                return Err(
                    "passwords would cross the network readable: use `ldaps://`, or `starttls = true`, or say `plain = true`"
                        .to_owned(),
                );
            }
            _ => return Err("the address begins with `ldaps://` or `ldap://`".to_owned()),
        }
        if !self.filter.contains("{name}") {
            return Err("the filter has no `{name}`, so it would find anybody".to_owned());
        }
        if self.base.trim().is_empty() {
            return Err("`base` says below what people are; it is empty".to_owned());
        }
        for attribute in [&self.name_attribute, &self.display_attribute] {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            if attribute.is_empty() || !attribute.chars().all(plain) {
                return Err(format!("`{attribute}` is no attribute"));
            }
        }
        tls(self.certificates.as_deref()).map(drop)
    }
}

fn usual_filter() -> String {
    "(uid={name})".to_owned()
}

fn usual_name() -> String {
    "uid".to_owned()
}

fn usual_display() -> String {
    "cn".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_make_sense_are_tried() {
        let check = |change: &str, fits: bool| {
            let mut all = serde_json::json!({ "url": "ldaps://ldap.example.org", "base": "dc=x" });
            let change: serde_json::Value = serde_json::from_str(change).unwrap();
            for (name, value) in change.as_object().unwrap() {
                all[name] = value.clone();
            }
            let settings: LdapSettings = serde_json::from_value(all).unwrap();
            assert_eq!(settings.check().is_ok(), fits, "{change}");
        };
        for good in [
            "{}",
            r#"{"url":"ldap://ldap.example.org","starttls":true}"#,
            r#"{"url":"ldap://ldap.example.org","plain":true}"#,
            r#"{"url":"ldap://127.0.0.1:389"}"#,
            r#"{"url":"ldap://[::1]:389"}"#,
        ] {
            check(good, true);
        }
        for wrong in [
            r#"{"url":"ldap://ldap.example.org"}"#,
            r#"{"url":"ldap://localhost.example.org"}"#,
            r#"{"url":"ldaps://ldap.example.org","starttls":true}"#,
            r#"{"url":"http://ldap.example.org"}"#,
            r#"{"url":"ldap://"}"#,
            r#"{"url":"ldaps://me@ldap.example.org"}"#,
            r#"{"url":"ldaps://ldap.example.org/dc=x"}"#,
            r#"{"filter":"(uid=ada)"}"#,
            r#"{"base":" "}"#,
            r#"{"name_attribute":"uid)(x"}"#,
            r#"{"certificates":"no PEM"}"#,
        ] {
            check(wrong, false);
        }
    }
}
