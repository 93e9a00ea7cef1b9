//! What was agreed to is what holds; going back finds what ran; an older state is still read.

use super::*;
use crate::ids::{AuthorityId, ClusterId, NodeId};
use crate::limits::{
    COMMAND_BYTES_MAX, CONSENT_GRANTS_MAX, GRANTS_MAX, PLUGINS_MAX, SIGNERS_MAX, VERSIONS_KEPT,
};
use crate::state::{Action, Certificate, Command, Event, FormatError, Founding, Refusal};

fn founded() -> State {
    let founding = Founding {
        cluster: ClusterId([9; 16]),
        name: "home".into(),
        founder: NodeId([0; 16]),
        founder_name: "hive".into(),
        public_key: vec![0],
        address: None,
        authority: Certificate {
            id: AuthorityId([0; 32]),
            der: vec![0x30, 0],
            valid_from: 0,
            valid_until: 86_400_000,
        },
    };
    let mut state = State::default();
    let at = 1;
    let action = Action::Found(founding);
    state.accept(&Command { at, action }).unwrap();
    state
}

fn consent(plugin: &str, number: u8, grants: &[&str]) -> Consent {
    Consent {
        plugin: plugin.into(),
        version: format!("0.{number}.0"),
        digest: PluginDigest([number; 32]),
        world: "upstream".into(),
        bytes: 1_000,
        signer: None,
        unsigned: false,
        source: None,
        grants: grants
            .iter()
            .map(|grant| (grant.parse().unwrap(), "to ask it".to_owned()))
            .collect(),
        by: "user ada".into(),
    }
}

fn accept(state: &mut State, action: PluginAction) -> Vec<PluginEvent> {
    let action = Action::Plugins(action);
    let events = state.accept(&Command { at: 10, action }).unwrap();
    let plugin = |event| match event {
        Event::Plugins(event) => event,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(plugin).collect()
}

fn refuse(state: &mut State, action: PluginAction) -> PluginRefusal {
    let before = state.clone();
    let action = Action::Plugins(action);
    let refused = state.accept(&Command { at: 10, action }).unwrap_err();
    assert_eq!(*state, before);
    match refused {
        Refusal::Plugins(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn running(state: &State, plugin: &str) -> u8 {
    state.plugins().plugin(plugin).unwrap().current.digest.0[0]
}

fn back(to: Option<u8>) -> PluginAction {
    PluginAction::RollBack {
        plugin: "one".into(),
        to: to.map(|number| PluginDigest([number; 32])),
        by: "user ada".into(),
    }
}

#[test]
fn a_consent_is_kept_with_who_gave_it() {
    let mut state = founded();
    let add = PluginAction::Add(consent("one", 1, &["http:example.org", "secret:key"]));
    let events = accept(&mut state, add.clone());
    assert_eq!(events.len(), 3);
    assert_eq!(events[0], PluginEvent::Added("one".into()));
    assert_eq!(refuse(&mut state, add), PluginRefusal::Exists("one".into()));
    let held: Vec<_> = state.plugins().grants("one").collect();
    assert_eq!(held.len(), 2);
    assert_eq!(held[0].0.to_string(), "http:example.org");
    assert_eq!(held[0].1.granted_by, "user ada");
    assert_eq!(
        (held[0].1.granted_at, held[0].1.reason.as_str()),
        (10, "to ask it")
    );
    let revoke = PluginAction::Revoke {
        plugin: "one".into(),
        grants: vec!["http:example.org".parse().unwrap()],
        by: "user eve".into(),
    };
    accept(&mut state, revoke.clone());
    let taken: Vec<_> = state.plugins().revoked("one").collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0.to_string(), "http:example.org");
    assert_eq!(
        (taken[0].1.revoked_by.as_str(), taken[0].1.revoked_at),
        ("user eve", 10)
    );
    assert!(matches!(
        refuse(&mut state, revoke),
        PluginRefusal::NotGranted { .. }
    ));
    assert_eq!(state.plugins().grants("one").count(), 1);
    accept(&mut state, PluginAction::Remove("one".into()));
    assert_eq!(state.plugins().grants("one").count(), 0);
    assert!(!state.plugins().refers_to(PluginDigest([1; 32])));
    let again = refuse(&mut state, PluginAction::Remove("one".into()));
    assert_eq!(again, PluginRefusal::Unknown("one".into()));
}

#[test]
fn going_back_leads_to_what_ran_and_not_to_what_failed() {
    let mut state = founded();
    accept(&mut state, PluginAction::Add(consent("one", 1, &[])));
    assert_eq!(
        refuse(&mut state, back(None)),
        PluginRefusal::NoEarlier("one".into())
    );
    accept(&mut state, PluginAction::Update(consent("one", 2, &[])));
    accept(&mut state, PluginAction::Update(consent("one", 3, &[])));
    let same = refuse(&mut state, PluginAction::Update(consent("one", 3, &[])));
    assert_eq!(same, PluginRefusal::Same("one".into()));
    let give_up = PluginAction::GiveUp {
        plugin: "one".into(),
        from: PluginDigest([3; 32]),
        why: "trapped 3 times".into(),
    };
    accept(&mut state, give_up.clone());
    assert_eq!(running(&state, "one"), 2);
    // Two nodes that saw the same say it twice.
    assert_eq!(
        refuse(&mut state, give_up),
        PluginRefusal::NotCurrent("one".into())
    );
    accept(&mut state, back(None));
    assert_eq!(running(&state, "one"), 1);
    assert_eq!(
        refuse(&mut state, back(None)),
        PluginRefusal::NoEarlier("one".into())
    );
    // Who names it can have it all the same.
    accept(&mut state, back(Some(3)));
    assert_eq!(running(&state, "one"), 3);
    assert!(matches!(
        refuse(&mut state, back(Some(9))),
        PluginRefusal::NotKept { .. }
    ));
    for number in 10..20 {
        accept(
            &mut state,
            PluginAction::Update(consent("one", number, &[])),
        );
    }
    let plugin = state.plugins().plugin("one").unwrap();
    assert_eq!(plugin.previous.len(), VERSIONS_KEPT);
    assert_eq!(plugin.earlier().unwrap().digest.0[0], 18);
}

#[test]
fn what_is_given_again_was_not_taken() {
    let mut state = founded();
    accept(
        &mut state,
        PluginAction::Add(consent("one", 1, &["http:example.org"])),
    );
    let grants: Vec<Capability> = vec!["http:example.org".parse().unwrap()];
    let revoke = PluginAction::Revoke {
        plugin: "one".into(),
        grants: grants.clone(),
        by: "user eve".into(),
    };
    accept(&mut state, revoke);
    assert_eq!(State::decode(&state.encode().unwrap()).unwrap(), state);
    let grant = PluginAction::Grant {
        plugin: "one".into(),
        grants: vec![(grants[0].clone(), "why".into())],
        by: "user ada".into(),
    };
    accept(&mut state, grant);
    assert_eq!(state.plugins().revoked("one").count(), 0);
    assert_eq!(state.plugins().grants("one").count(), 1);
}

#[test]
fn once_a_key_is_trusted_what_is_unsigned_needs_a_word_more() {
    let mut state = founded();
    accept(&mut state, PluginAction::Add(consent("one", 1, &[])));
    let (name, key, by) = ("ada".to_owned(), "RWQ".to_owned(), "user ada".to_owned());
    accept(&mut state, PluginAction::TrustSigner { name, key, by });
    let by = |name: Option<&str>| {
        let mut consent = consent("one", 2, &[]);
        consent.signer = Some(SignedBy {
            key: "0123".into(),
            name: name.map(str::to_owned),
        });
        consent
    };
    for consent in [consent("one", 2, &[]), by(None), by(Some("eve"))] {
        let refused = refuse(&mut state, PluginAction::Update(consent));
        assert_eq!(refused, PluginRefusal::Unsigned("one".into()));
    }
    accept(&mut state, PluginAction::Update(by(Some("ada"))));
    let mut unsigned = consent("one", 3, &[]);
    unsigned.unsigned = true;
    accept(&mut state, PluginAction::Update(unsigned));
    assert_eq!(running(&state, "one"), 3);
}

#[test]
fn every_bound_holds() {
    let mut state = founded();
    for number in 0..PLUGINS_MAX {
        accept(
            &mut state,
            PluginAction::Add(consent(&format!("p{number}"), 1, &[])),
        );
    }
    let one_more = PluginAction::Add(consent("one", 1, &[]));
    assert_eq!(refuse(&mut state, one_more), PluginRefusal::TooMany);
    let grants = |numbers: std::ops::Range<usize>| {
        let grant = |number| {
            (
                format!("secret:s{number}").parse().unwrap(),
                "why".to_owned(),
            )
        };
        PluginAction::Grant {
            plugin: "p1".into(),
            grants: numbers.map(grant).collect(),
            by: "user ada".into(),
        }
    };
    let too_many = PluginRefusal::TooManyGrants;
    assert_eq!(
        refuse(&mut state, grants(0..CONSENT_GRANTS_MAX + 1)),
        too_many
    );
    for from in (0..GRANTS_MAX).step_by(CONSENT_GRANTS_MAX) {
        accept(&mut state, grants(from..from + CONSENT_GRANTS_MAX));
    }
    assert_eq!(
        refuse(&mut state, grants(GRANTS_MAX..GRANTS_MAX + 1)),
        too_many
    );
    for number in 0..SIGNERS_MAX {
        let (name, key, by) = (format!("s{number}"), "RWQ".to_owned(), "ada".to_owned());
        accept(&mut state, PluginAction::TrustSigner { name, key, by });
    }
    let trust = |name: &str, key: &str| PluginAction::TrustSigner {
        name: name.into(),
        key: key.into(),
        by: "ada".into(),
    };
    assert_eq!(
        refuse(&mut state, trust("s99", "RWQ")),
        PluginRefusal::TooManySigners
    );
    assert!(matches!(
        refuse(&mut state, trust("s1", "RWX")),
        PluginRefusal::SignerExists(_)
    ));
    accept(&mut state, PluginAction::DistrustSigner("s1".into()));
    assert!(matches!(
        refuse(&mut state, PluginAction::DistrustSigner("s1".into())),
        PluginRefusal::UnknownSigner(_)
    ));
    for name in ["", "A", "1", "a b", "../x", &"a".repeat(65)] {
        let refused = refuse(&mut state, PluginAction::Update(consent(name, 2, &[])));
        assert!(matches!(refused, PluginRefusal::Unknown(_)), "{name}");
        let refused = refuse(&mut state, trust(name, "RWQ"));
        assert!(matches!(refused, PluginRefusal::Name(_)), "{name}");
    }
    let mut deceiving = consent("p1", 2, &[]);
    deceiving.by = "ada\u{202e}".into();
    deceiving.unsigned = true;
    let refused = refuse(&mut state, PluginAction::Update(deceiving));
    assert_eq!(refused, PluginRefusal::Text("the person"));
    assert_eq!(State::decode(&state.encode().unwrap()).unwrap(), state);
}

#[test]
fn the_largest_consent_fits_a_command() {
    let label = "a".repeat(60);
    let host = format!("{label}.{label}.{label}.{label}");
    let mut largest = consent("one", 1, &[]);
    largest.plugin = "a".repeat(64);
    largest.by = "b".repeat(128);
    largest.source = Some("s".repeat(512));
    for port in 0..CONSENT_GRANTS_MAX {
        let capability = format!("http-local:{host}:{}", 10_000 + port)
            .parse()
            .unwrap();
        largest.grants.push((capability, "r".repeat(256)));
    }
    let action = Action::Plugins(PluginAction::Add(largest));
    let command = Command {
        at: u64::MAX,
        action,
    };
    let bytes = command.encode().unwrap();
    assert!(bytes.len() <= COMMAND_BYTES_MAX);
    assert_eq!(Command::decode(&bytes).unwrap(), command);
    founded().accept(&command).unwrap();
}

/// A founded state as it was written before there were plugins.
const BEFORE: &str = "01010909090909090909090909090909090904686f6d650000000000000000000000000000000001010100000000000000000000000000000000000000000000000000000000000000000230000080b8992901010100000000000000000000000000000000046869766500010100000001000000";

#[test]
fn what_was_written_before_there_were_plugins_is_read() {
    let state = founded();
    let bytes = state.encode().unwrap();
    // Without plugins it is still written so, to the byte.
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, BEFORE);
    assert_eq!(State::decode(&bytes).unwrap(), state);
    let mut with = state.clone();
    accept(
        &mut with,
        PluginAction::Add(consent("one", 1, &["http:example.org"])),
    );
    let bytes = with.encode().unwrap();
    assert_eq!(bytes[0], 2);
    assert_eq!(State::decode(&bytes).unwrap(), with);
    let mut newer = bytes;
    newer[0] = 4;
    assert!(matches!(
        State::decode(&newer),
        Err(FormatError::Version { found: 4, known: 3 })
    ));
}
