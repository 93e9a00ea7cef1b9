//! What each command does to the people.

use std::sync::Arc;

use super::{
    Arrival, DoorSettings, NewDoor, NewUser, PasswordHash, User, UserAction, UserEvent,
    UserRefusal, UserRole, UserSource, Users,
};
use crate::limits::{
    DOOR_SETTINGS_BYTES_MAX, PASSWORD_HASH_BYTES_MAX, PLUGIN_PERSON_BYTES_MAX,
    USER_DISPLAY_BYTES_MAX, USER_NAME_BYTES_MAX, USER_SOURCE_BYTES_MAX, USERS_MAX,
};
use crate::state::text::is_plain;

impl Users {
    /// Does it, or leaves all as it was.
    pub(in crate::state) fn change(
        &mut self,
        at: u64,
        action: &UserAction,
    ) -> Result<Vec<UserEvent>, UserRefusal> {
        let event = match action {
            UserAction::Add(user) => self.add(at, user)?,
            UserAction::SetPassword { name, hash } => self.set_password(name, hash)?,
            UserAction::SetRole { name, role, others } => {
                if *role != UserRole::Admin {
                    self.check_not_last(name, *others)?;
                }
                let (name, user) = self.known(name)?;
                if user.source.door().is_some() {
                    return Err(UserRefusal::RoleElsewhere(name));
                }
                user.role = *role;
                UserEvent::RoleSet(name, *role)
            }
            UserAction::SetDisabled {
                name,
                disabled,
                others,
            } => self.set_disabled(name, *disabled, *others)?,
            UserAction::Remove { name, others } => {
                self.check_not_last(name, *others)?;
                let (name, _) = self.known(name)?;
                self.users.remove(&name);
                UserEvent::Removed(name)
            }
            UserAction::Arrive(arrival) => self.arrive(at, arrival)?,
            UserAction::SetDoor {
                door,
                settings: None,
            } => match self.doors.remove(door) {
                Some(_) => UserEvent::DoorRemoved(*door),
                None => return Err(UserRefusal::NoDoor(door.word())),
            },
            UserAction::SetDoor {
                door,
                settings: Some(new),
            } => {
                self.doors.insert(*door, Arc::new(settings(at, new)?));
                UserEvent::DoorSet(*door)
            }
        };
        Ok(vec![event])
    }

    fn add(&mut self, at: u64, new: &NewUser) -> Result<UserEvent, UserRefusal> {
        check_text("the person", &new.by, PLUGIN_PERSON_BYTES_MAX)?;
        check_text("the password's hash", &new.hash.0, PASSWORD_HASH_BYTES_MAX)?;
        let source = UserSource::Local(new.hash.0.clone());
        self.insert(at, &new.name, &new.display, new.role, source, Some(&new.by))?;
        Ok(UserEvent::Added(new.name.clone()))
    }

    fn insert(
        &mut self,
        at: u64,
        name: &str,
        display: &str,
        role: UserRole,
        source: UserSource,
        added_by: Option<&str>,
    ) -> Result<(), UserRefusal> {
        check_name(name)?;
        check_display(display)?;
        if self.users.contains_key(name) {
            return Err(UserRefusal::Exists(name.to_owned()));
        }
        if self.users.len() >= USERS_MAX {
            return Err(UserRefusal::TooMany);
        }
        let user = User {
            number: self.turn(),
            display: display.to_owned(),
            role,
            source,
            disabled: false,
            epoch: self.turn(),
            created_at: at,
            added_by: added_by.map(ToOwned::to_owned),
        };
        self.users.insert(name.to_owned(), Arc::new(user));
        Ok(())
    }

    fn set_password(&mut self, name: &str, hash: &PasswordHash) -> Result<UserEvent, UserRefusal> {
        check_text("the password's hash", &hash.0, PASSWORD_HASH_BYTES_MAX)?;
        let epoch = self.turn;
        let (name, user) = self.known(name)?;
        let UserSource::Local(kept) = &mut user.source else {
            return Err(UserRefusal::NotOurs(name));
        };
        kept.clone_from(&hash.0);
        user.epoch = epoch;
        self.turn();
        Ok(UserEvent::PasswordSet(name))
    }

    fn set_disabled(
        &mut self,
        name: &str,
        disabled: bool,
        others: bool,
    ) -> Result<UserEvent, UserRefusal> {
        if disabled {
            self.check_not_last(name, others)?;
        }
        let epoch = self.turn;
        let (name, user) = self.known(name)?;
        user.disabled = disabled;
        user.epoch = epoch;
        self.turn();
        Ok(if disabled {
            UserEvent::Disabled(name)
        } else {
            UserEvent::Enabled(name)
        })
    }

    /// Somebody who came before is the same, also under another name; a name that is somebody else's is never taken over.
    fn arrive(&mut self, at: u64, arrival: &Arrival) -> Result<UserEvent, UserRefusal> {
        check_display(&arrival.display)?;
        match &arrival.source {
            UserSource::Local(_) => return Err(UserRefusal::Text("the directory")),
            UserSource::Ldap(name) => {
                check_text("the directory's name", name, USER_SOURCE_BYTES_MAX)?
            }
            UserSource::Oidc { issuer, subject } => {
                check_text("the issuer", issuer, USER_SOURCE_BYTES_MAX)?;
                check_text("the subject", subject, USER_SOURCE_BYTES_MAX)?;
            }
        }
        let known = self.known_as(&arrival.source);
        if let Some(name) = known.map(|(name, _)| name.to_owned()) {
            let (name, user) = self.known(&name)?;
            user.role = arrival.role;
            user.display.clone_from(&arrival.display);
            return Ok(UserEvent::Arrived(name));
        }
        let (name, display) = (&arrival.name, &arrival.display);
        self.insert(
            at,
            name,
            display,
            arrival.role,
            arrival.source.clone(),
            None,
        )?;
        Ok(UserEvent::Arrived(name.clone()))
    }

    /// Whether somebody can administer when this user can no more. Those whom others know do not count: the others may change
    /// their minds, or be down.
    fn check_not_last(&self, name: &str, others: bool) -> Result<(), UserRefusal> {
        let can = |user: &User| {
            user.role == UserRole::Admin && !user.disabled && user.source.door().is_none()
        };
        let Some((name, user)) = self.named(name) else {
            return Ok(());
        };
        let else_one = self.all().any(|(other, user)| other != name && can(user));
        if can(user) && !others && !else_one {
            return Err(UserRefusal::Last(name.to_owned()));
        }
        Ok(())
    }

    fn known(&mut self, name: &str) -> Result<(String, &mut User), UserRefusal> {
        let key = name.to_ascii_lowercase();
        match self.users.get_mut(&key) {
            Some(user) => Ok((key, Arc::make_mut(user))),
            None => Err(UserRefusal::Unknown(shown(name))),
        }
    }

    fn turn(&mut self) -> u64 {
        self.turn = self.turn.saturating_add(1);
        self.turn - 1
    }

    /// Whether this could have come about by commands.
    pub(in crate::state) fn is_within_bounds(&self) -> bool {
        let source = |source: &UserSource| match source {
            UserSource::Local(hash) => check_text("", hash, PASSWORD_HASH_BYTES_MAX).is_ok(),
            UserSource::Ldap(name) => check_text("", name, USER_SOURCE_BYTES_MAX).is_ok(),
            UserSource::Oidc { issuer, subject } => [issuer, subject]
                .iter()
                .all(|text| check_text("", text, USER_SOURCE_BYTES_MAX).is_ok()),
        };
        let user = |user: &User| {
            check_display(&user.display).is_ok()
                && source(&user.source)
                && user.number < self.turn
                && user.epoch < self.turn
        };
        self.users.len() <= USERS_MAX
            && self.users.keys().all(|name| check_name(name).is_ok())
            && self.users.values().all(|one| user(one))
            && self
                .doors
                .values()
                .all(|door| door.text.len() <= DOOR_SETTINGS_BYTES_MAX)
    }
}

fn settings(at: u64, new: &NewDoor) -> Result<DoorSettings, UserRefusal> {
    check_text("the person", &new.by, PLUGIN_PERSON_BYTES_MAX)?;
    if new.text.is_empty() || new.text.len() > DOOR_SETTINGS_BYTES_MAX {
        return Err(UserRefusal::Text("what was set"));
    }
    Ok(DoorSettings {
        text: new.text.clone(),
        tested: new.tested,
        set_by: new.by.clone(),
        set_at: at,
    })
}

/// Whether somebody may be called that.
///
/// # Errors
/// When not.
pub fn check_name(name: &str) -> Result<(), UserRefusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| plain(byte) || b"._@+-".contains(&byte);
    let first = name.as_bytes().first().copied().unwrap_or_default();
    if name.len() <= USER_NAME_BYTES_MAX && plain(first) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(UserRefusal::Name(shown(name)))
}

/// Empty where nobody said.
fn check_display(display: &str) -> Result<(), UserRefusal> {
    if display.len() > USER_DISPLAY_BYTES_MAX || !is_plain(display) {
        return Err(UserRefusal::Text("the display name"));
    }
    Ok(())
}

fn check_text(what: &'static str, text: &str, bytes_max: usize) -> Result<(), UserRefusal> {
    if text.is_empty() || text.len() > bytes_max || !is_plain(text) {
        return Err(UserRefusal::Text(what));
    }
    Ok(())
}

fn shown(name: &str) -> String {
    let shown: String = name.chars().take(USER_NAME_BYTES_MAX).collect();
    shown.escape_debug().to_string()
}
