//! What the state promises: one log, one state; nothing removed comes back; every bound holds.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::limits::{
    NODES_MAX, REMOVED_MAX, TOKEN_KEPT_S, TOKEN_TTL_S_MAX, TOKENS_MAX, VOTERS_MAX,
};

const DAY: u64 = 86_400;

fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

fn certificate(number: u8, valid_until: u64) -> Certificate {
    Certificate {
        id: AuthorityId([number; 32]),
        der: vec![0x30, number],
        valid_from: 0,
        valid_until,
    }
}

fn founding() -> Founding {
    Founding {
        cluster: ClusterId([9; 16]),
        name: "home".into(),
        founder: node(0),
        founder_name: "hive".into(),
        public_key: vec![0],
        address: None,
        authority: certificate(0, 1_000 * DAY),
    }
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], number.max(1)))
}

fn issue(number: u8, role: Role, name: Option<&str>, expires_at: u64) -> Action {
    Action::IssueToken(Issue {
        token: TokenId([number; 8]),
        stored_key: [number; 32],
        role,
        name: name.map(str::to_owned),
        expires_at,
    })
}

fn joining(token: u8, number: u8, name: &str, role: Role) -> Joining {
    Joining {
        token: TokenId([token; 8]),
        node: node(number),
        name: name.into(),
        role,
        public_key: vec![number],
        address: address(7420),
    }
}

fn join(token: u8, number: u8, name: &str, role: Role) -> Action {
    Action::Join(joining(token, number, name, role))
}

pub(super) fn founded() -> State {
    let mut state = State::default();
    accept(&mut state, 1, Action::Found(founding()));
    state
}

fn accept(state: &mut State, at: u64, action: Action) -> Vec<Event> {
    state.accept(&Command { at, action }).unwrap()
}

/// The refusal; the state must be untouched by it.
fn refuse(state: &mut State, at: u64, action: Action) -> Refusal {
    let before = state.clone();
    let events = state.apply(&Command { at, action });
    assert_eq!(*state, before);
    match events.as_slice() {
        [Event::Refused(refusal)] => refusal.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn nothing_comes_before_the_founding_and_no_second_one_after() {
    let mut state = State::default();
    assert_eq!(
        refuse(&mut state, 1, Action::Drain(node(0))),
        Refusal::NotFounded
    );
    let mut state = founded();
    assert_eq!(
        refuse(&mut state, 1, Action::Found(founding())),
        Refusal::AlreadyFounded
    );
    let founder = state.member(node(0)).unwrap();
    assert_eq!(founder.standing, Standing::Member);
    assert!(founder.votes());
    assert_eq!(state.active_authority().unwrap().0, AuthorityId([0; 32]));
}

#[test]
fn a_token_lets_one_in_as_what_it_says() {
    let mut state = founded();
    accept(&mut state, 10, issue(1, Role::Worker, Some("gpu"), 100));
    let mut refused = |action| refuse(&mut state, 20, action);
    assert_eq!(
        refused(join(7, 1, "gpu", Role::Worker)),
        Refusal::UnknownToken(TokenId([7; 8]))
    );
    assert!(matches!(
        refused(join(1, 1, "gpu", Role::Voter)),
        Refusal::WrongRole { .. }
    ));
    assert!(matches!(
        refused(join(1, 1, "cpu", Role::Worker)),
        Refusal::WrongName { .. }
    ));
    assert!(matches!(
        refuse(&mut state, 100, join(1, 1, "gpu", Role::Worker)),
        Refusal::TokenExpired { at: 100, .. }
    ));
    let events = accept(&mut state, 99, join(1, 1, "gpu", Role::Worker));
    assert_eq!(
        events,
        [Event::Joined {
            node: node(1),
            standing: Standing::Member,
            again: false
        }]
    );
    assert!(matches!(
        refuse(&mut state, 99, join(1, 2, "gpu", Role::Worker)),
        Refusal::TokenUsed { .. }
    ));
    // Who never heard the answer asks again.
    let events = accept(&mut state, 99, join(1, 1, "gpu", Role::Worker));
    assert!(matches!(
        events.as_slice(),
        [Event::Joined { again: true, .. }]
    ));
    let mut other_key = joining(1, 1, "gpu", Role::Worker);
    other_key.public_key = vec![77];
    assert_eq!(
        refuse(&mut state, 99, Action::Join(other_key)),
        Refusal::OtherKey(node(1))
    );
}

#[test]
fn voters_wait_for_approval_and_the_last_one_stays() {
    let mut state = founded();
    assert_eq!(
        refuse(&mut state, 5, Action::Remove(node(0))),
        Refusal::LastVoter(node(0))
    );
    accept(&mut state, 10, issue(1, Role::Voter, None, 100));
    accept(&mut state, 11, join(1, 1, "two", Role::Voter));
    assert_eq!(state.member(node(1)).unwrap().standing, Standing::Pending);
    assert_eq!(
        refuse(&mut state, 12, Action::Remove(node(0))),
        Refusal::LastVoter(node(0))
    );
    assert_eq!(
        refuse(&mut state, 12, Action::Drain(node(1))),
        Refusal::Pending(node(1))
    );
    accept(&mut state, 13, Action::Approve(node(1)));
    assert_eq!(
        refuse(&mut state, 13, Action::Approve(node(1))),
        Refusal::NotPending(node(1))
    );
    accept(&mut state, 14, Action::Drain(node(1)));
    assert_eq!(
        refuse(&mut state, 14, Action::Drain(node(1))),
        Refusal::AlreadyDraining(node(1))
    );
    accept(&mut state, 15, Action::Resume(node(1)));
    assert_eq!(
        refuse(&mut state, 15, Action::Resume(node(1))),
        Refusal::NotDraining(node(1))
    );
    accept(&mut state, 16, Action::Remove(node(0)));
    assert_eq!(
        refuse(&mut state, 17, Action::Remove(node(1))),
        Refusal::LastVoter(node(1))
    );
}

#[test]
fn a_removed_node_comes_back_by_a_later_token_alone() {
    let mut state = founded();
    accept(&mut state, 10, issue(1, Role::Worker, None, 100));
    accept(&mut state, 10, issue(2, Role::Worker, None, 100));
    accept(&mut state, 10, join(1, 1, "gpu", Role::Worker));
    // All within one second: order, not the clock, decides.
    accept(&mut state, 10, Action::Remove(node(1)));
    for old in [
        Action::Move {
            node: node(1),
            address: address(1),
        },
        Action::Resume(node(1)),
        Action::Approve(node(1)),
        Action::Rename {
            node: node(1),
            name: "back".into(),
        },
        join(2, 1, "gpu", Role::Worker),
    ] {
        assert_eq!(
            refuse(&mut state, 10, old),
            Refusal::RemovedNode {
                node: node(1),
                at: 10
            }
        );
    }
    assert!(matches!(
        refuse(&mut state, 10, join(1, 1, "gpu", Role::Worker)),
        Refusal::TokenUsed { .. }
    ));
    accept(&mut state, 10, issue(3, Role::Worker, None, 100));
    accept(&mut state, 10, join(3, 1, "gpu", Role::Worker));
    assert!(state.member(node(1)).is_some());
    assert_eq!(state.removed().len(), 0);
}

#[test]
fn a_member_that_slept_too_long_comes_back_with_a_new_token() {
    let mut state = founded();
    accept(&mut state, 10, issue(1, Role::Voter, None, 100));
    accept(&mut state, 10, join(1, 1, "two", Role::Voter));
    accept(&mut state, 10, Action::Approve(node(1)));
    accept(
        &mut state,
        90 * DAY,
        issue(2, Role::Worker, None, 90 * DAY + 5),
    );
    assert!(matches!(
        refuse(&mut state, 90 * DAY, join(2, 1, "two", Role::Worker)),
        Refusal::WrongRole { .. }
    ));
    accept(
        &mut state,
        90 * DAY,
        issue(3, Role::Voter, None, 90 * DAY + 5),
    );
    accept(&mut state, 90 * DAY, join(3, 1, "zwei", Role::Voter));
    let member = state.member(node(1)).unwrap();
    assert_eq!(member.standing, Standing::Member, "it was approved before");
    assert_eq!(member.name, "zwei");
    assert_eq!(member.joined_at, 10);
}

#[test]
fn names_labels_and_addresses_are_what_they_seem() {
    let mut state = founded();
    for bad in [
        "",
        " hive",
        "a\nb",
        "a\u{202e}b",
        &"x".repeat(64),
        "00112233445566778899aabbccddeeff",
    ] {
        let rename = Action::Rename {
            node: node(0),
            name: bad.into(),
        };
        assert!(
            matches!(refuse(&mut state, 2, rename), Refusal::Name { .. }),
            "{bad:?}"
        );
    }
    accept(&mut state, 2, issue(1, Role::Worker, None, 100));
    assert!(matches!(
        refuse(&mut state, 2, join(1, 1, "HIVE", Role::Worker)),
        Refusal::NameTaken { .. }
    ));
    accept(
        &mut state,
        2,
        Action::Rename {
            node: node(0),
            name: "Büro 2".into(),
        },
    );
    let label = |key: &str, value: Option<String>| Action::Label {
        node: node(0),
        labels: BTreeMap::from([(key.to_owned(), value)]),
    };
    assert_eq!(refuse(&mut state, 2, label("a b", None)), Refusal::Label);
    assert_eq!(
        refuse(&mut state, 2, label("a", Some("x".repeat(256)))),
        Refusal::Label
    );
    for number in 0..32 {
        accept(
            &mut state,
            2,
            label(&format!("k{number}"), Some("v".into())),
        );
    }
    assert_eq!(
        refuse(&mut state, 2, label("k32", Some("v".into()))),
        Refusal::TooManyLabels
    );
    accept(&mut state, 2, label("k0", None));
    assert_eq!(state.member(node(0)).unwrap().labels.len(), 31);
    let broadcast = Action::Move {
        node: node(0),
        address: "224.0.0.1:1".parse().unwrap(),
    };
    assert!(matches!(
        refuse(&mut state, 2, broadcast),
        Refusal::Address(_)
    ));
}

#[test]
fn authorities_change_with_overlap() {
    let mut state = founded();
    let id = |number| AuthorityId([number; 32]);
    assert_eq!(
        refuse(&mut state, 5, Action::RetireAuthority(id(0))),
        Refusal::AuthorityActive(id(0))
    );
    assert_eq!(
        refuse(&mut state, 5, Action::AddAuthority(certificate(1, 5))),
        Refusal::Validity
    );
    accept(
        &mut state,
        5,
        Action::AddAuthority(certificate(1, 2_000 * DAY)),
    );
    assert_eq!(state.active_authority().unwrap().0, id(0));
    accept(&mut state, 6, Action::ActivateAuthority(id(1)));
    assert_eq!(state.active_authority().unwrap().0, id(1));
    let standings: Vec<_> = state.authorities().map(|(_, one)| one.standing).collect();
    assert_eq!(
        standings,
        [
            AuthorityStanding::Retiring { since: 6 },
            AuthorityStanding::Active
        ]
    );
    // What has run out goes by itself, with the next command of whatever kind.
    let events = accept(&mut state, 1_000 * DAY, Action::Drain(node(0)));
    assert!(events.contains(&Event::AuthorityRetired(id(0))));
    for number in 2..=4 {
        let next = Action::AddAuthority(certificate(number, 3_000 * DAY));
        accept(&mut state, 1_000 * DAY, next);
    }
    let fifth = Action::AddAuthority(certificate(5, 3_000 * DAY));
    assert_eq!(
        refuse(&mut state, 1_000 * DAY, fifth),
        Refusal::TooManyAuthorities
    );
    accept(&mut state, 1_000 * DAY, Action::RetireAuthority(id(2)));
}

#[test]
fn tokens_are_bounded_and_forgotten() {
    let mut state = founded();
    assert_eq!(
        refuse(&mut state, 10, issue(1, Role::Worker, None, 10)),
        Refusal::Lifetime
    );
    assert_eq!(
        refuse(
            &mut state,
            10,
            issue(1, Role::Worker, None, 11 + TOKEN_TTL_S_MAX)
        ),
        Refusal::Lifetime
    );
    for number in 0..=255 {
        accept(&mut state, 10, issue(number, Role::Worker, None, 20));
    }
    assert_eq!(state.tokens().len(), TOKENS_MAX);
    let more = |at| Command {
        at,
        action: Action::IssueToken(Issue {
            token: TokenId([1, 2, 3, 4, 5, 6, 7, 8]),
            stored_key: [0; 32],
            role: Role::Worker,
            name: None,
            expires_at: at + 10,
        }),
    };
    assert_eq!(
        refuse(
            &mut state,
            19 + TOKEN_KEPT_S,
            more(19 + TOKEN_KEPT_S).action
        ),
        Refusal::TooManyTokens
    );
    let events = state.accept(&more(20 + TOKEN_KEPT_S)).unwrap();
    assert_eq!(events.len(), 1 + TOKENS_MAX);
    assert_eq!(state.tokens().len(), 1);
    let last = TokenId([1, 2, 3, 4, 5, 6, 7, 8]);
    accept(&mut state, 21 + TOKEN_KEPT_S, Action::RevokeToken(last));
    assert_eq!(
        refuse(&mut state, 22, Action::RevokeToken(last)),
        Refusal::UnknownToken(last)
    );
}

#[test]
fn a_full_cluster_with_everything_as_long_as_may_be_still_fits() {
    let mut state = founded();
    let mut member = Member::clone(state.member(node(0)).unwrap());
    member.public_key = vec![7; 600];
    member.labels = (0..32)
        .map(|number| (format!("{number:063}"), "v".repeat(255)))
        .collect();
    for number in 1..NODES_MAX {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        member.name = format!("{number:063}");
        state.members.insert(NodeId(id), Arc::new(member.clone()));
    }
    let bytes = state.encode().unwrap();
    assert_eq!(State::decode(&bytes).unwrap(), state);
    let all = member
        .labels
        .into_iter()
        .map(|(key, value)| (key, Some(value)));
    let command = Command {
        at: u64::MAX,
        action: Action::Label {
            node: node(0),
            labels: all.collect(),
        },
    };
    assert_eq!(
        Command::decode(&command.encode().unwrap()).unwrap(),
        command
    );
    accept(&mut state, 5, issue(1, Role::Worker, None, 100));
    assert_eq!(
        refuse(&mut state, 6, join(1, 200, "one more", Role::Worker)),
        Refusal::TooManyNodes
    );
}

#[test]
fn bytes_that_are_no_state_are_told_apart() {
    let bytes = founded().encode().unwrap();
    assert!(matches!(State::decode(&[]), Err(FormatError::Malformed(_))));
    let mut newer = bytes.clone();
    newer[0] = 9;
    assert!(matches!(
        State::decode(&newer),
        Err(FormatError::Version { found: 9, known: 3 })
    ));
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(State::decode(&longer).is_err());
    for length in 0..bytes.len() {
        assert!(State::decode(&bytes[..length]).is_err(), "{length}");
    }
    // Whatever the bytes are, the answer is a state within its bounds or an error.
    let mut random = SmallRng::seed_from_u64(5);
    for _ in 0..2_000 {
        let mut damaged = bytes.clone();
        let place = random.random_range(0..damaged.len());
        damaged[place] ^= 1 << random.random_range(0..8);
        if let Ok(state) = State::decode(&damaged) {
            state.check_bounds().unwrap();
        }
        let _ = Command::decode(&damaged);
    }
}

/// Commands at random, most of them about few things, so that they meet.
fn random_command(random: &mut SmallRng, at: u64) -> Command {
    let number: u8 = random.random_range(0..12);
    let token: u8 = random.random_range(0..40);
    let name = format!("n{}", random.random_range(0..14));
    let role = if random.random_bool(0.5) {
        Role::Voter
    } else {
        Role::Worker
    };
    let action = match random.random_range(0..16) {
        0 => Action::Found(founding()),
        1..=3 => issue(
            token,
            role,
            random.random_bool(0.2).then_some(name.as_str()),
            at + random.random_range(0..5_000),
        ),
        4 => Action::RevokeToken(TokenId([token; 8])),
        5..=7 => join(token, number, &name, role),
        8 => Action::Approve(node(number)),
        9 => Action::Drain(node(number)),
        10 => Action::Resume(node(number)),
        11 => Action::Remove(node(number)),
        12 => Action::Rename {
            node: node(number),
            name,
        },
        13 => Action::Label {
            node: node(number),
            labels: BTreeMap::from([(name, random.random_bool(0.7).then(|| "x".to_owned()))]),
        },
        14 => Action::Move {
            node: node(number),
            address: address(random.random_range(0..3)),
        },
        _ => match random.random_range(0..3) {
            0 => Action::AddAuthority(certificate(number, at + random.random_range(0..20_000))),
            1 => Action::ActivateAuthority(AuthorityId([number; 32])),
            _ => Action::RetireAuthority(AuthorityId([number; 32])),
        },
    };
    Command { at, action }
}

#[test]
fn any_log_gives_one_state_within_its_bounds() {
    for seed in 0..60 {
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut one, mut other) = (State::default(), State::default());
        let mut at = 1_000;
        let mut accepted = 0;
        for step in 0..600 {
            // Clocks also run backwards.
            at += random.random_range(0..60);
            at -= random.random_range(0..10);
            let command = random_command(&mut random, at);
            let before = one.clone();
            let events = one.apply(&command);
            // The other had the command and, at times, its own state as bytes.
            let copied = Command::decode(&command.encode().unwrap()).unwrap();
            assert_eq!(other.apply(&copied), events, "seed {seed}, step {step}");
            if step % 50 == 0 {
                other = State::decode(&other.encode().unwrap()).unwrap();
            }
            assert_eq!(one, other, "seed {seed}, step {step}");
            if matches!(events.as_slice(), [Event::Refused(_)]) {
                assert_eq!(one, before, "seed {seed}, step {step}");
            } else {
                accepted += 1;
                check_always(&before, &one, &command);
            }
        }
        assert_eq!(one.revision(), accepted);
        assert!(accepted > 60, "seed {seed}: only {accepted} were accepted");
    }
}

/// What holds after every accepted command.
fn check_always(before: &State, state: &State, command: &Command) {
    state.check_bounds().unwrap();
    assert!(state.removed().len() <= REMOVED_MAX);
    let voters = state.members().filter(|(_, one)| one.role == Role::Voter);
    assert!(voters.count() <= VOTERS_MAX);
    assert!(state.members().any(|(_, member)| member.votes()));
    assert!(state.active_authority().is_some());
    let mut names: Vec<_> = state.members().map(|(_, one)| one.name.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), state.members().len(), "names are unique");
    for (id, _) in state.removed() {
        assert!(state.member(id).is_none(), "removed and a member: {id}");
    }
    for (id, _) in before.removed() {
        if let Some(member) = state.member(id) {
            assert!(matches!(&command.action, Action::Join(joining) if joining.node == id));
            assert!(member.token.is_some());
        }
    }
}
