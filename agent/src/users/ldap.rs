//! Signing in by a directory, over LDAP.
//!
//! Decides how somebody is found there, that their password is proved by a bind as them, and which role their groups give. Names go into
//! filters escaped (RFC 4515), and a bind without a password, which servers let pass (RFC 4513, section 5.1.2), is never made.

use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry, SearchOptions, ldap_escape};
use skep_core::state::{Arrival, UserRole, UserSource};
use tokio::time::timeout;

use super::door::{DoorError, DoorSecret, Tried, tls};
use crate::limits::{DIRECTORY_ENTRIES_MAX, DOOR_STEP_TIMEOUT, DOOR_TIMEOUT, PASSWORD_BYTES_MAX};

mod settings;

pub use self::settings::LdapSettings;

/// Somebody in the directory.
struct Entry {
    dn: String,
    name: String,
    display: String,
}

/// A connection, bound as whoever looks.
struct Connection<'a> {
    ldap: ldap3::Ldap,
    settings: &'a LdapSettings,
}

/// What went wrong, and what mends it.
struct Trouble {
    what: &'static str,
    evidence: String,
    remedy: String,
}

impl LdapSettings {
    /// Lets somebody in.
    ///
    /// # Errors
    /// See [`DoorError`]; a name that nobody has and a password that is wrong are one.
    pub async fn enter(
        &self,
        secret: DoorSecret,
        name: &str,
        password: &str,
    ) -> Result<Arrival, DoorError> {
        // A server takes an empty password for nobody's, and says yes.
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX || name.is_empty() {
            return Err(DoorError::Wrong);
        }
        let away = |trouble: Trouble| {
            DoorError::Away(format!(
                "the directory cannot be asked: {}",
                trouble.evidence
            ))
        };
        let entered = timeout(DOOR_TIMEOUT, async {
            self.check().map_err(DoorError::NotSet)?;
            let mut connection = self.connect(secret).await.map_err(away)?;
            let found = connection.find(name).await.map_err(away)?;
            let entry = found.ok_or(DoorError::Wrong)?;
            let role = connection.role(&entry).await.map_err(away)?;
            let right = connection.prove(&entry, password).await.map_err(away)?;
            if !right {
                return Err(DoorError::Wrong);
            }
            entry.arrival(role.ok_or(DoorError::NotLetIn)?)
        });
        entered.await.unwrap_or_else(|_| {
            let seconds = DOOR_TIMEOUT.as_secs();
            Err(DoorError::Away(format!(
                "the directory did not answer within {seconds} s"
            )))
        })
    }

    /// Tries all of it; also somebody's name and password where they are given.
    pub async fn test(
        &self,
        secret: DoorSecret,
        name: Option<&str>,
        password: Option<&str>,
    ) -> Tried {
        let mut tried = Tried::default();
        let done = timeout(
            DOOR_TIMEOUT,
            self.try_all(&mut tried, secret, name, password),
        )
        .await;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(trouble)) => tried.bad(trouble.what, trouble.evidence, trouble.remedy),
            Err(_) => tried.bad(
                "time",
                format!("not done within {} s", DOOR_TIMEOUT.as_secs()),
                "look whether the server is overloaded or something drops packets on the way",
            ),
        }
        tried
    }

    async fn try_all(
        &self,
        tried: &mut Tried,
        secret: DoorSecret,
        name: Option<&str>,
        password: Option<&str>,
    ) -> Result<(), Trouble> {
        self.check().map_err(|why| Trouble {
            what: "settings",
            evidence: why,
            remedy: "correct it and test again".to_owned(),
        })?;
        tried.good("settings", "they make sense");
        let mut connection = self.connect(secret).await?;
        let how = match (self.url.starts_with("ldaps"), self.starttls) {
            (true, _) => "over TLS",
            (_, true) => "over TLS, by StartTLS",
            _ => "without TLS",
        };
        tried.good("connection", format!("{} answers, {how}", self.url));
        let whom = self.bind_dn.as_deref().unwrap_or("nobody");
        tried.good("bind", format!("as {whom}"));
        connection.exists("base", &self.base).await?;
        tried.good("base", format!("`{}` is there", self.base));
        for group in [&self.admins, &self.members].into_iter().flatten() {
            connection.exists("group", group).await?;
            tried.good("group", format!("`{group}` is there"));
        }
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            tried.good("user", "none was named, so none was looked for");
            return Ok(());
        };
        let found = connection.find(name).await?;
        let entry = found.ok_or_else(|| Trouble {
            what: "user",
            evidence: format!("`{name}` is not found below `{}`", self.base),
            remedy: format!("check `base` and `filter`, which is now `{}`", self.filter),
        })?;
        tried.good("user", format!("`{name}` is `{}`", entry.dn));
        let role = connection.role(&entry).await?;
        let role = role.ok_or_else(|| Trouble {
            what: "role",
            evidence: format!("`{}` is in neither group, so it may not sign in", entry.dn),
            remedy: "put the user into a group, or leave `members` out".to_owned(),
        })?;
        if let Some(password) = password {
            let right = !password.is_empty() && connection.prove(&entry, password).await?;
            if !right {
                return Err(Trouble {
                    what: "password",
                    evidence: "the server refuses it".to_owned(),
                    remedy: "type it again; the account may be locked, too".to_owned(),
                });
            }
            tried.good("password", "the server takes it");
        }
        match entry.arrival(role) {
            Ok(arrival) => {
                let said = format!(
                    "`{}` would be `{}` here, {}",
                    name,
                    arrival.name,
                    role.word()
                );
                tried.good("role", said);
                tried.found = Some(arrival);
                Ok(())
            }
            Err(error) => Err(Trouble {
                what: "name",
                evidence: error.to_string(),
                remedy: "name another attribute by `name_attribute`".to_owned(),
            }),
        }
    }

    async fn connect(&self, secret: DoorSecret) -> Result<Connection<'_>, Trouble> {
        let trouble = |what, evidence: String, remedy: &str| Trouble {
            what,
            evidence,
            remedy: remedy.to_owned(),
        };
        let config = tls(self.certificates.as_deref());
        let config = config.map_err(|why| {
            trouble(
                "settings",
                why,
                "give the certificate of whoever signed the server's",
            )
        })?;
        let settings = LdapConnSettings::new()
            .set_conn_timeout(DOOR_STEP_TIMEOUT)
            .set_starttls(self.starttls)
            .set_config(config);
        let connected = LdapConnAsync::with_settings(settings, &self.url).await;
        let (connection, mut ldap) = connected.map_err(|error| {
            let text = said(&error);
            let remedy = if text.contains("certificate") || text.contains("UnknownIssuer") {
                "put the certificate of whoever signed the server's into `certificates` (`certificates_file` in a file), and call the server by a name that its certificate has"
            } else {
                "check the address, that the server runs, and what is between"
            };
            trouble("connection", text, remedy)
        })?;
        ldap3::drive!(connection);
        if let Some(dn) = &self.bind_dn {
            let password = secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
                trouble(
                    "bind",
                    format!("there is no password for `{dn}` on this node"),
                    "give it along, or `skep secret set sign-in-ldap` on this node",
                )
            })?;
            let bound = ldap
                .with_timeout(DOOR_STEP_TIMEOUT)
                .simple_bind(dn, &password);
            let bound = bound.await.and_then(ldap3::LdapResult::success);
            bound.map_err(|error| {
                let remedy = match error {
                    ldap3::LdapError::LdapResult { .. } => "check `bind_dn` and its password",
                    _ => "check that it is a directory that listens there, that the address says `ldaps` where it speaks TLS, and that it is not overloaded",
                };
                trouble("bind", said(&error), remedy)
            })?;
        }
        Ok(Connection {
            ldap,
            settings: self,
        })
    }
}

impl Connection<'_> {
    /// The one whom a name means.
    async fn find(&mut self, name: &str) -> Result<Option<Entry>, Trouble> {
        let filter = self.settings.filter.replace("{name}", &ldap_escape(name));
        let settings = self.settings;
        let attributes = [&settings.name_attribute, &settings.display_attribute];
        let found = self
            .search(&settings.base, Scope::Subtree, &filter, &attributes)
            .await
            .map_err(|(_, text)| Trouble {
                what: "user",
                evidence: text,
                remedy: "check `filter`, and what `bind_dn` may read".to_owned(),
            })?;
        let mut found = found.into_iter();
        let (Some(first), None) = (found.next(), found.next()) else {
            // Nobody, or several: which of them is meant nobody knows.
            return Ok(None);
        };
        let value = |attribute: &str| {
            let values = first
                .attrs
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(attribute));
            values.and_then(|(_, values)| values.first().cloned())
        };
        if first.dn.is_empty() {
            return Ok(None);
        }
        Ok(Some(Entry {
            name: value(&settings.name_attribute).unwrap_or_else(|| name.to_owned()),
            display: value(&settings.display_attribute).unwrap_or_default(),
            dn: first.dn,
        }))
    }

    /// What somebody's groups let them be; none: nothing.
    async fn role(&mut self, entry: &Entry) -> Result<Option<UserRole>, Trouble> {
        let (admins, members) = (&self.settings.admins, &self.settings.members);
        if let Some(group) = admins
            && self.is_in(group, entry).await?
        {
            return Ok(Some(UserRole::Admin));
        }
        match members {
            None => Ok(Some(UserRole::Member)),
            Some(group) => {
                let is_in = self.is_in(group, entry).await?;
                Ok(is_in.then_some(UserRole::Member))
            }
        }
    }

    async fn is_in(&mut self, group: &str, entry: &Entry) -> Result<bool, Trouble> {
        let (dn, name) = (ldap_escape(&*entry.dn), ldap_escape(&*entry.name));
        let filter = format!("(|(member={dn})(uniqueMember={dn})(memberUid={name}))");
        let found = self.search(group, Scope::Base, &filter, &["1.1"]).await;
        found
            .map(|found| !found.is_empty())
            .map_err(|(_, text)| Trouble {
                what: "group",
                evidence: format!("`{group}`: {text}"),
                remedy: "check the group's distinguished name, and what `bind_dn` may read"
                    .to_owned(),
            })
    }

    async fn exists(&mut self, what: &'static str, dn: &str) -> Result<(), Trouble> {
        let found = self
            .search(dn, Scope::Base, "(objectClass=*)", &["1.1"])
            .await;
        let why = match found {
            Ok(found) if !found.is_empty() => return Ok(()),
            Ok(_) => "nothing there that may be read".to_owned(),
            Err((_, text)) => text,
        };
        Err(Trouble {
            what,
            evidence: format!("`{dn}`: {why}"),
            remedy: "check the distinguished name, and what `bind_dn` may read".to_owned(),
        })
    }

    /// Whether the server takes the password for theirs. The connection is theirs afterwards.
    async fn prove(&mut self, entry: &Entry, password: &str) -> Result<bool, Trouble> {
        if password.is_empty() {
            return Ok(false);
        }
        let bound = self.ldap.with_timeout(DOOR_STEP_TIMEOUT);
        let bound = bound.simple_bind(&entry.dn, password).await;
        match bound {
            Ok(result) if result.rc == 0 => Ok(true),
            // 49: invalidCredentials; what else refuses somebody (an account that is locked or over) does the same here.
            Ok(result) if matches!(result.rc, 19 | 48 | 49 | 50 | 53) => Ok(false),
            Ok(result) => Err(Trouble {
                what: "password",
                evidence: format!("the server answers {}: {}", result.rc, cut(&result.text)),
                remedy: "look into the server's log".to_owned(),
            }),
            Err(error) => Err(Trouble {
                what: "password",
                evidence: said(&error),
                remedy: "look into the server's log".to_owned(),
            }),
        }
    }

    async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[impl AsRef<str> + Send + Sync],
    ) -> Result<Vec<SearchEntry>, (u32, String)> {
        let seconds = i32::try_from(DOOR_STEP_TIMEOUT.as_secs()).unwrap_or(i32::MAX);
        let options = SearchOptions::new()
            .sizelimit(DIRECTORY_ENTRIES_MAX)
            .timelimit(seconds);
        let attributes: Vec<String> = attributes
            .iter()
            .map(|one| one.as_ref().to_owned())
            .collect();
        let ldap = self.ldap.with_timeout(DOOR_STEP_TIMEOUT);
        let ldap = ldap.with_search_options(options);
        let found = ldap.search(base, scope, filter, attributes).await;
        let found = found.and_then(ldap3::SearchResult::success);
        let (entries, _) = found.map_err(|error| (0, said(&error)))?;
        let entries = entries
            .into_iter()
            .filter(|one| !one.is_ref() && !one.is_intermediate());
        Ok(entries.map(SearchEntry::construct).collect())
    }
}

impl Entry {
    fn arrival(&self, role: UserRole) -> Result<Arrival, DoorError> {
        Ok(Arrival {
            name: self.name.to_ascii_lowercase(),
            display: self.display.chars().take(32).collect(),
            role,
            source: UserSource::Ldap(self.dn.to_ascii_lowercase()),
        })
    }
}

fn said(error: &ldap3::LdapError) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    cut(&text)
}

/// Of what a server says, so much is told on.
fn cut(text: &str) -> String {
    let plain = text.chars().filter(|letter| !letter.is_control());
    plain.take(300).collect()
}
