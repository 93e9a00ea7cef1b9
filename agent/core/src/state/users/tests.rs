//! Names belong to whom they were given; somebody is left who can administer; what was written before is read.

use super::*;
use crate::limits::{COMMAND_BYTES_MAX, DOOR_SETTINGS_BYTES_MAX, USERS_MAX};
use crate::state::tests::founded;
use crate::state::{Action, Command, Event, Refusal};

fn new(name: &str, role: UserRole) -> UserAction {
    UserAction::Add(NewUser {
        name: name.into(),
        display: String::new(),
        role,
        hash: PasswordHash("$argon2id$x".into()),
        by: "user ada".into(),
    })
}

fn accept(state: &mut State, action: UserAction) -> UserEvent {
    let action = Action::Users(action);
    match state.accept(&Command { at: 10, action }).unwrap().remove(0) {
        Event::Users(event) => event,
        other => panic!("{other:?}"),
    }
}

fn refuse(state: &mut State, action: UserAction) -> UserRefusal {
    let before = state.clone();
    let action = Action::Users(action);
    let refused = state.accept(&Command { at: 10, action }).unwrap_err();
    assert_eq!(*state, before);
    match refused {
        Refusal::Users(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn epoch(state: &State, name: &str) -> u64 {
    state.users().named(name).unwrap().1.epoch
}

#[test]
fn a_user_comes_changes_and_goes() {
    let mut state = founded();
    accept(&mut state, new("ada", UserRole::Admin));
    assert!(matches!(
        refuse(&mut state, new("ada", UserRole::Member)),
        UserRefusal::Exists(_)
    ));
    for name in [
        "",
        "Ada",
        "-a",
        ".a",
        "a b",
        "a/b",
        "a\n",
        "é",
        &"a".repeat(65),
    ] {
        assert!(matches!(
            refuse(&mut state, new(name, UserRole::Member)),
            UserRefusal::Name(_)
        ));
    }
    let first = epoch(&state, "ADA");
    let (name, hash) = ("ADA".to_owned(), PasswordHash("$argon2id$y".into()));
    accept(&mut state, UserAction::SetPassword { name, hash });
    let second = epoch(&state, "ada");
    assert!(second > first);
    let disable = |disabled| UserAction::SetDisabled {
        name: "ada".into(),
        disabled,
        others: true,
    };
    accept(&mut state, disable(true));
    let (_, ada) = state.users().named("ada").unwrap();
    assert!(!state.users().admits(ada) && ada.epoch > second);
    accept(&mut state, disable(false));
    let number = state.users().named("ada").unwrap().1.number;
    let (name, others) = ("ada".to_owned(), true);
    accept(&mut state, UserAction::Remove { name, others });
    accept(&mut state, new("ada", UserRole::Member));
    assert_ne!(state.users().named("ada").unwrap().1.number, number);
    assert!(!format!("{state:?}").contains("argon2"));
}

#[test]
fn the_last_who_can_administer_stays() {
    let mut state = founded();
    accept(&mut state, new("ada", UserRole::Admin));
    accept(&mut state, new("bob", UserRole::Member));
    let away = |name: &str, others| {
        let name = name.to_owned();
        [
            UserAction::Remove {
                name: name.clone(),
                others,
            },
            UserAction::SetRole {
                name: name.clone(),
                role: UserRole::Member,
                others,
            },
            UserAction::SetDisabled {
                name,
                disabled: true,
                others,
            },
        ]
    };
    for action in away("ADA", false) {
        assert_eq!(refuse(&mut state, action), UserRefusal::Last("ada".into()));
    }
    // Who comes from elsewhere may be gone tomorrow.
    accept(&mut state, arrival("eve", "cn=eve", UserRole::Admin));
    for action in away("ada", false) {
        refuse(&mut state, action);
    }
    let [_, _, disable] = away("bob", false);
    accept(&mut state, disable);
    let [remove, _, _] = away("ada", true);
    accept(&mut state, remove);
}

fn arrival(name: &str, known_as: &str, role: UserRole) -> UserAction {
    UserAction::Arrive(Arrival {
        name: name.into(),
        display: "E.".into(),
        role,
        source: UserSource::Ldap(known_as.into()),
    })
}

#[test]
fn who_is_known_elsewhere_takes_over_nobody() {
    let mut state = founded();
    accept(&mut state, new("ada", UserRole::Admin));
    let taken = refuse(&mut state, arrival("ada", "cn=ada", UserRole::Admin));
    assert_eq!(taken, UserRefusal::Exists("ada".into()));
    accept(&mut state, arrival("eve", "cn=eve", UserRole::Member));
    let eve = state.users().named("eve").unwrap().1.clone();
    // No door is open by which she could come.
    assert!(!state.users().admits(&eve));
    let settings = NewDoor {
        text: "{}".into(),
        tested: true,
        by: "user ada".into(),
    };
    let set = |settings| UserAction::SetDoor {
        door: Door::Ldap,
        settings,
    };
    accept(&mut state, set(Some(settings)));
    assert!(state.users().admits(&eve));
    accept(&mut state, arrival("other", "cn=eve", UserRole::Admin));
    let again = state.users().named("eve").unwrap().1.clone();
    assert_eq!((again.role, again.number), (UserRole::Admin, eve.number));
    assert!(state.users().named("other").is_none());
    let (name, hash) = ("eve".to_owned(), PasswordHash("x".into()));
    assert!(matches!(
        refuse(&mut state, UserAction::SetPassword { name, hash }),
        UserRefusal::NotOurs(_)
    ));
    accept(&mut state, set(None));
    assert_eq!(refuse(&mut state, set(None)), UserRefusal::NoDoor("ldap"));
    assert_eq!(State::decode(&state.encode().unwrap()).unwrap(), state);
}

#[test]
fn bounds_hold_and_an_older_node_reads_a_state_without_people() {
    let mut state = founded();
    assert_eq!(state.encode().unwrap()[0], 1);
    for number in 0..USERS_MAX {
        accept(&mut state, new(&format!("u{number}"), UserRole::Member));
    }
    assert_eq!(
        refuse(&mut state, new("more", UserRole::Member)),
        UserRefusal::TooMany
    );
    let bytes = state.encode().unwrap();
    assert_eq!(bytes[0], 3);
    assert_eq!(State::decode(&bytes).unwrap(), state);
    let door = |bytes| UserAction::SetDoor {
        door: Door::Oidc,
        settings: Some(NewDoor {
            text: "x".repeat(bytes),
            tested: false,
            by: "b".repeat(128),
        }),
    };
    refuse(&mut state, door(DOOR_SETTINGS_BYTES_MAX + 1));
    let action = Action::Users(door(DOOR_SETTINGS_BYTES_MAX));
    let command = Command {
        at: u64::MAX,
        action,
    };
    let bytes = command.encode().unwrap();
    assert!(bytes.len() <= COMMAND_BYTES_MAX);
    assert_eq!(Command::decode(&bytes).unwrap(), command);
    state.accept(&command).unwrap();
    assert_eq!(State::decode(&state.encode().unwrap()).unwrap(), state);
}
