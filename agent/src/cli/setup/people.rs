//! Who signs in, as a file of answers says it or somebody types it: a first administrator, a directory, a provider.
//!
//! Decides that each is tried before anything of the setup is done, and that who is there already stays as they are.

use std::path::Path;

use serde::Serialize;
use skep_core::state::check_user_name;
use toml_edit::{Item, Key, Table};
use zeroize::Zeroizing;

use super::answers::{self, Wrong};
use super::walk::{Walk, yes};
use crate::cli::Failure;
use crate::cli::plugin::person::person;
use crate::cli::terminal::{complain, printable};
use crate::cli::waiting::Waiting;
use crate::cli::{sign_in, user};
use crate::users::check_password;
use crate::wire::{NewUser, SetupValue, SignInDoors, SignInTried, SignInWish, User, Users};

/// What a file says of people.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) administrator: Option<Administrator>,
    pub(super) doors: Vec<DoorAnswer>,
}

/// `[administrator]`
#[derive(Debug)]
pub(super) struct Administrator {
    name: String,
    password: Zeroizing<String>,
    line: usize,
}

/// `[ldap]` or `[oidc]`: what `skep sign-in set --from` reads, and `secret`.
#[derive(Debug)]
pub(super) struct DoorAnswer {
    pub(super) door: &'static str,
    pub(super) line: usize,
    pub(super) settings: toml::Table,
    pub(super) secret: Option<String>,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
pub(super) struct PeopleSummary {
    /// `administrator`, `ldap`, `oidc`
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `applied`, `unchanged`, `planned`
    outcome: &'static str,
}

impl People {
    /// The line of the first that is there.
    pub(super) fn first_line(&self) -> Option<usize> {
        let administrator = self.administrator.iter().map(|one| one.line);
        let doors = self.doors.iter().map(|one| one.line);
        administrator.chain(doors).min()
    }
}

/// Reads `[administrator]`.
pub(super) fn administrator(
    table: &Table,
    here: usize,
    line: impl Fn(&Key) -> usize,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Administrator, Wrong> {
    let (mut name, mut password) = (None, None);
    for (key, item) in table {
        let at = table.key(key).map_or(here, &line);
        let text = text(key, item, variable).map_err(|what| (at, what))?;
        match key {
            "name" => {
                let lower = text.to_ascii_lowercase();
                check_user_name(&lower).map_err(|error| (at, error.to_string()))?;
                name = Some(lower);
            }
            "password" => password = Some((Zeroizing::new(text), at)),
            other => {
                let what =
                    format!("`administrator` has no `{other}`; it has `name` and `password`");
                return Err((at, what));
            }
        }
    }
    let missing = |what| (here, format!("`administrator` needs a `{what}`"));
    let name = name.ok_or_else(|| missing("name"))?;
    let (password, at) = password.ok_or_else(|| missing("password"))?;
    check_password(&name, &password).map_err(|error| (at, format!("`password`: {error}")))?;
    Ok(Administrator {
        name,
        password,
        line: here,
    })
}

/// Takes `secret` out of `[ldap]` or `[oidc]`.
pub(super) fn secret(
    table: &Table,
    line: impl Fn(&Key) -> usize,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, Wrong> {
    let Some((key, item)) = table.get_key_value("secret") else {
        return Ok(None);
    };
    let text = text("secret", item, variable).map_err(|what| (line(key), what))?;
    Ok(Some(text))
}

fn text(
    key: &str,
    item: &Item,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let value = item.as_value().ok_or("has to be a text".to_owned());
    let value = value.and_then(|value| answers::answer(value, variable));
    match value.map_err(|what| format!("`{key}` {what}"))? {
        SetupValue::Text(text) => Ok(text),
        _ => Err(format!("`{key}` has to be a text")),
    }
}

impl Walk<'_> {
    /// Whether all of it would work; if not, the line is told.
    pub(super) fn check_people(&self, people: &People, file: &Path) -> Result<(), Failure> {
        if let Some(one) = &people.administrator {
            self.is_administrator(&one.name)
                .map_err(|failure| answers::at(file, one.line, failure.message()))?;
        }
        for one in &people.doors {
            let wish = wish(one, file)?;
            let waiting = Waiting::begin(format!("trying `{}`", one.door));
            let path = format!("/api/v1/sign-in/{}/test", one.door);
            let tried: Result<SignInTried, _> = self.client.post(&path, &wish);
            drop(waiting);
            let tried = tried.map_err(|error| answers::at(file, one.line, &error.to_string()))?;
            if !tried.ok {
                complain(&sign_in::render(&tried, self.paint));
                let told = format!("`{}` does not work as it is set", one.door);
                let failure = answers::at(file, one.line, &told);
                return Err(Failure::new(failure.message()));
            }
        }
        Ok(())
    }

    /// Lets them in.
    pub(super) fn people(&mut self, people: &People, file: &Path) -> Result<(), Failure> {
        if people.first_line().is_some() {
            let title = self.paint.bold("Who signs in");
            self.say(format!("\n{title}"));
        }
        if let Some(one) = &people.administrator {
            self.administrator(&one.name, &one.password)?;
        }
        for one in &people.doors {
            self.door(one, file)?;
        }
        Ok(())
    }

    /// Asks for a first administrator where there is none.
    pub(super) fn ask_for_administrator(&mut self) -> Result<(), Failure> {
        let users: Users = self.client.get("/api/v1/users")?;
        let mut users = users.users.iter();
        if users.any(|user| user.role == "admin" && !user.disabled)
            || !yes("Is somebody to sign in on the page by a name and a password?")?
        {
            return Ok(());
        }
        complain("Their name:");
        let mut name = String::new();
        std::io::stdin().read_line(&mut name)?;
        let name = name.trim().to_ascii_lowercase();
        check_user_name(&name).map_err(|error| Failure::usage(error.to_string()))?;
        let password = user::password(&name, false)?;
        self.administrator(&name, &password)
    }

    /// Whether they are one already.
    fn is_administrator(&self, name: &str) -> Result<bool, Failure> {
        let users: Users = self.client.get("/api/v1/users")?;
        match users.users.iter().find(|user| user.name == name) {
            None => Ok(false),
            Some(user) if user.role == "admin" && !user.disabled => Ok(true),
            Some(user) => {
                let is = if user.disabled {
                    "disabled"
                } else {
                    "a member"
                };
                let told = format!("`{name}` is there already, and {is}");
                Err(Failure::new(told).with_hint(Some(format!(
                    "`skep user enable {name}` and `skep user role {name} admin` change that"
                ))))
            }
        }
    }

    fn administrator(&mut self, name: &str, password: &Zeroizing<String>) -> Result<(), Failure> {
        let shown = printable(name);
        let outcome = if self.is_administrator(name)? {
            self.say(format!(
                "  `{shown}` is an administrator already, with the password as it was"
            ));
            "unchanged"
        } else if self.wish.dry_run {
            self.say(format!("  `{shown}` would sign in as an administrator"));
            "planned"
        } else {
            if !self.wish.yes && !yes(&format!("Let `{shown}` sign in as an administrator?"))? {
                return Ok(());
            }
            let new = NewUser {
                name: name.to_owned(),
                display: String::new(),
                role: "admin".to_owned(),
                password: password.to_string(),
                by: Some(person()),
            };
            let _: User = self.client.post("/api/v1/users", &new)?;
            self.say(format!("  `{shown}` may sign in, as an administrator"));
            "applied"
        };
        self.summary.people.push(PeopleSummary {
            what: "administrator",
            name: Some(name.to_owned()),
            outcome,
        });
        Ok(())
    }

    fn door(&mut self, one: &DoorAnswer, file: &Path) -> Result<(), Failure> {
        let door = one.door;
        let outcome = if self.wish.dry_run {
            self.say(format!("  people would sign in by `{door}`"));
            "planned"
        } else {
            if !self.wish.yes && !yes(&format!("Let people sign in by `{door}`?"))? {
                return Ok(());
            }
            let before = self.set_at(door)?;
            let waiting = Waiting::begin(format!("trying `{door}`"));
            let path = format!("/api/v1/sign-in/{door}");
            let tried: Result<SignInTried, _> = self.client.put(&path, &wish(one, file)?);
            drop(waiting);
            let tried = tried?;
            if !tried.saved {
                complain(&sign_in::render(&tried, self.paint));
                let told = format!("`{door}` does not work as it is set: nothing of it was kept");
                return Err(Failure::new(told));
            }
            self.say(format!("  people may sign in by `{door}`"));
            if before.is_some() && before == self.set_at(door)? {
                "unchanged"
            } else {
                "applied"
            }
        };
        self.summary.people.push(PeopleSummary {
            what: door,
            name: None,
            outcome,
        });
        Ok(())
    }

    fn set_at(&self, door: &str) -> Result<Option<u64>, Failure> {
        let doors: SignInDoors = self.client.get("/api/v1/sign-in")?;
        let set = if door == "ldap" {
            doors.ldap
        } else {
            doors.oidc
        };
        Ok(set.map(|set| set.set_unix_s))
    }

    fn say(&self, text: String) {
        if !self.wish.json {
            complain(&text);
        }
    }
}

fn wish(one: &DoorAnswer, file: &Path) -> Result<SignInWish, Failure> {
    let settings = sign_in::with_certificates(one.settings.clone(), file);
    Ok(SignInWish {
        settings: settings.map_err(|why| answers::at(file, one.line, &why))?,
        secret: one.secret.clone(),
        name: None,
        password: None,
        untested: false,
        by: Some(person()),
    })
}
