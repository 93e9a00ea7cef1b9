//! Adopting a node: what two honest ones do, and what whoever stands between, changes his mind, repeats, floods,
//! says nothing or breaks off achieves.

use std::net::SocketAddr;
use std::time::Duration;

use skep::cluster::{Adoption, AdoptionRole, AdoptionState, ClusterError};
use skep::limits::{ADOPT_PAUSE, ADOPT_TRIES_PER_MINUTE};
use skep::net::{AdoptWord, Introduction};
use skep::pki::{ADOPTING, Badge, Pairing, commit};

use crate::foreign::{Answers, call, endpoint, frame, served};
use crate::nodes::{Machine, Node, WEEK, logging, until};

const ADOPTERS: &[u8] = b"skep-adopt/1";

const MINUTE: Duration = Duration::from_secs(60);

/// A node that waits to be adopted, and where.
async fn waiting(name: &str) -> (Node, SocketAddr) {
    let node = Node::start(name).await;
    let at = node.address().await;
    assert!(node.cluster.offer(MINUTE).await.unwrap().open);
    (node, at)
}

/// The one adoption that a node knows of.
fn only(node: &Node) -> Adoption {
    let mut all = node.cluster.adoptions();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn until_state(node: &Node, state: AdoptionState) -> Adoption {
    until(&format!("{state:?}"), || {
        let all = node.cluster.adoptions();
        all.first().is_some_and(|one| one.state == state)
    })
    .await;
    node.cluster.adoptions().remove(0)
}

fn members(node: &Node) -> usize {
    node.state().members().len()
}

#[tokio::test]
async fn two_nodes_show_the_same_digits_and_become_one_cluster_once_both_are_confirmed() {
    let hive = Node::start("hive").await;
    let (swarm, at) = waiting("swarm").await;
    let ours = hive.cluster.adopt(&at.to_string()).await.unwrap();
    until("the other side has digits", || {
        !swarm.cluster.adoptions().is_empty()
    })
    .await;
    let theirs = only(&swarm);
    assert_eq!(ours.code, theirs.code);
    assert_eq!(ours.code.len(), 7);
    let roles = (ours.role, theirs.role);
    assert_eq!(roles, (AdoptionRole::Adopter, AdoptionRole::Adopted));
    let names = (ours.name.as_str(), theirs.name.as_str());
    assert_eq!(names, ("swarm", "hive"));
    assert_eq!(ours.node, swarm.id().to_string());
    assert_eq!(theirs.node, hive.id().to_string());
    // One person alone lets nobody in, and no token is made.
    hive.cluster.confirm_adoption(&ours.id).unwrap();
    until("that is heard", || only(&swarm).confirmed_there).await;
    assert_eq!(only(&hive).state, AdoptionState::Confirmed);
    assert_eq!((members(&hive), members(&swarm)), (1, 1));
    assert!(
        hive.cluster
            .tokens()
            .iter()
            .all(|token| token.state != "open")
    );
    swarm.cluster.confirm_adoption(&theirs.id).unwrap();
    until_state(&hive, AdoptionState::Joined).await;
    until_state(&swarm, AdoptionState::Joined).await;
    until("both know both", || {
        (members(&hive), members(&swarm)) == (2, 2)
    })
    .await;
    assert!(!swarm.cluster.offered().open);
    let used = hive.cluster.tokens();
    let used: Vec<_> = used.iter().filter(|token| token.state == "used").collect();
    assert_eq!(used.len(), 1, "{used:?}");
    // What is over cannot be confirmed, and can be forgotten.
    let over = hive.cluster.confirm_adoption(&ours.id).unwrap_err();
    assert!(over.to_string().contains("over"), "{over}");
    hive.cluster.refuse_adoption(&ours.id).unwrap();
    assert!(hive.cluster.adoptions().is_empty());
    // It is not alone any more.
    let error = swarm.cluster.offer(MINUTE).await.unwrap_err().to_string();
    assert!(error.contains("alone"), "{error}");
}

#[tokio::test]
async fn either_side_can_say_no() {
    for hive_says_no in [true, false] {
        let hive = Node::start("hive").await;
        let (swarm, at) = waiting("swarm").await;
        let ours = hive.cluster.adopt(&at.to_string()).await.unwrap();
        until("digits", || !swarm.cluster.adoptions().is_empty()).await;
        let theirs = only(&swarm);
        let (says_no, no, says_yes, yes) = if hive_says_no {
            (&hive, &ours.id, &swarm, &theirs.id)
        } else {
            (&swarm, &theirs.id, &hive, &ours.id)
        };
        says_yes.cluster.confirm_adoption(yes).unwrap();
        says_no.cluster.refuse_adoption(no).unwrap();
        let here = until_state(says_no, AdoptionState::Refused).await;
        assert_eq!(here.why.as_deref(), Some("refused on this machine"));
        let there = until_state(says_yes, AdoptionState::Refused).await;
        assert!(there.why.unwrap().contains("on the other machine"));
        assert_eq!((members(&hive), members(&swarm)), (1, 1));
        assert!(
            hive.cluster
                .tokens()
                .iter()
                .all(|token| token.state != "open")
        );
        // It can be tried again.
        assert!(swarm.cluster.offered().open);
        tokio::time::sleep(ADOPT_PAUSE).await;
        hive.cluster.adopt(&at.to_string()).await.unwrap();
    }
}

#[tokio::test]
async fn only_a_node_that_waits_and_is_alone_is_adopted() {
    let hive = Node::start("hive").await;
    let shy = Node::start("shy").await;
    let at = shy.address().await;
    let refused = |error: ClusterError| error.to_string();
    let error = hive.cluster.adopt(&at.to_string()).await;
    assert!(refused(error.unwrap_err()).contains("does not wait"));
    assert!(shy.cluster.adoptions().is_empty());
    let worker = hive.with("worker", WEEK).await;
    assert!(refused(worker.cluster.offer(MINUTE).await.unwrap_err()).contains("alone"));
    assert!(refused(hive.cluster.offer(MINUTE).await.unwrap_err()).contains("alone"));
    // Nor does a worker let anybody in.
    until("it knows who leads", || members(&worker) == 2).await;
    let error = worker.cluster.adopt(&at.to_string()).await;
    assert!(refused(error.unwrap_err()).contains("hive"));
    // Nobody calls itself, or nowhere.
    let (swarm, at) = waiting("swarm").await;
    assert!(swarm.cluster.withdraw_offer().await.until_unix_s.is_none());
    tokio::time::sleep(ADOPT_PAUSE).await;
    let error = hive.cluster.adopt(&at.to_string()).await.unwrap_err();
    let text = refused(error);
    assert!(
        text.contains("does not wait") || text.contains("no answer"),
        "{text}"
    );
    let error = hive.cluster.adopt("nowhere.invalid:1").await.unwrap_err();
    assert!(refused(error).contains("no place to look"));
}

/// Whoever speaks the exchange by hand, from either end of it.
struct Hand {
    connection: quinn::Connection,
    send: quinn::SendStream,
    answers: Answers,
    badge: Badge,
    machine: Machine,
    _endpoint: Option<quinn::Endpoint>,
}

impl Hand {
    async fn calls(at: SocketAddr) -> Self {
        let endpoint = endpoint();
        let connection = call(&endpoint, at, ADOPTERS, None).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        Self::over(connection, send, receive, Some(endpoint))
    }

    /// Waits for a caller.
    async fn is_called(listening: &quinn::Endpoint) -> Self {
        let connection = listening.accept().await.unwrap().await.unwrap();
        let (send, receive) = connection.accept_bi().await.unwrap();
        Self::over(connection, send, receive, None)
    }

    fn over(
        connection: quinn::Connection,
        send: quinn::SendStream,
        receive: quinn::RecvStream,
        endpoint: Option<quinn::Endpoint>,
    ) -> Self {
        let mut badge = [0; 32];
        connection
            .export_keying_material(&mut badge, ADOPTING, b"")
            .unwrap();
        Self {
            connection,
            send,
            answers: Answers::new(receive),
            badge,
            machine: Machine::new(),
            _endpoint: endpoint,
        }
    }

    fn introduction(&self, side: &str) -> Introduction {
        let label = format!("skep adopt introduction of the {side}");
        let signed = [label.as_bytes(), &[0], &self.badge].concat();
        Introduction {
            public_key: self.machine.identity.public_key_der(),
            signature: self.machine.identity.sign(&signed).unwrap(),
            name: "mallory".to_owned(),
            software: "0.1.0".to_owned(),
        }
    }

    fn commit(&self, nonce: [u8; 32]) -> AdoptWord {
        let introduction = self.introduction("caller");
        AdoptWord::Commit {
            commitment: commit(&self.badge, &introduction.public_key, &nonce),
            introduction,
        }
    }

    async fn say(&mut self, word: &AdoptWord) {
        self.send.write_all(&frame(word)).await.unwrap();
    }

    async fn hear(&mut self) -> Option<AdoptWord> {
        self.answers.next().await
    }

    /// Up to the digits, as an honest caller does; what they are.
    async fn reach_digits(&mut self) -> String {
        self.say(&self.commit([7; 32])).await;
        let Some(AdoptWord::Reply {
            introduction,
            nonce,
        }) = self.hear().await
        else {
            panic!("no reply");
        };
        self.say(&AdoptWord::Reveal([7; 32])).await;
        let pairing = Pairing {
            badge: self.badge,
            caller: self.machine.identity.public_key_der(),
            called: introduction.public_key,
        };
        pairing.code(&[7; 32], &nonce).to_string()
    }

    async fn refusal(&mut self) -> String {
        match self.hear().await {
            Some(AdoptWord::Refuse(why)) => why,
            other => format!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn somebody_between_cannot_make_the_digits_agree() {
    let hive = Node::start("hive").await;
    let (swarm, swarm_at) = waiting("swarm").await;
    let listening = served(ADOPTERS);
    let trap = listening.local_addr().unwrap();
    // To each side he is the other, with keys of his own.
    let middle = tokio::spawn(async move {
        let mut to_hive = Hand::is_called(&listening).await;
        let mut to_swarm = Hand::calls(swarm_at).await;
        let heard = to_hive.hear().await;
        assert!(matches!(heard, Some(AdoptWord::Commit { .. })), "{heard:?}");
        // He knows his digits with the swarm before he has to settle on anything with the hive, and it does
        // not help him: what he says to the hive counts before the hive shows its number.
        let code = to_swarm.reach_digits().await;
        let reply = AdoptWord::Reply {
            introduction: to_hive.introduction("called"),
            nonce: [9; 32],
        };
        to_hive.say(&reply).await;
        let heard = to_hive.hear().await;
        assert!(matches!(heard, Some(AdoptWord::Reveal(_))), "{heard:?}");
        (to_hive, to_swarm, code, listening)
    });
    let ours = hive.cluster.adopt(&trap.to_string()).await.unwrap();
    let (_to_hive, _to_swarm, code, _listening) = middle.await.unwrap();
    until("digits", || !swarm.cluster.adoptions().is_empty()).await;
    let theirs = only(&swarm);
    assert_eq!(theirs.code, code, "the digits as the document says");
    assert_ne!(ours.code, theirs.code);
    assert_eq!(theirs.name, "mallory");
    assert_ne!(ours.node, swarm.id().to_string());
}

#[tokio::test]
async fn what_is_said_on_one_connection_is_worth_nothing_on_another() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let (swarm, swarm_at) = waiting("swarm").await;
    let listening = served(ADOPTERS);
    let trap = listening.local_addr().unwrap();
    // He passes on what he hears, word for word.
    let middle = tokio::spawn(async move {
        let mut to_hive = Hand::is_called(&listening).await;
        let mut to_swarm = Hand::calls(swarm_at).await;
        let word = to_hive.hear().await.unwrap();
        to_swarm.say(&word).await;
        let answer = to_swarm.hear().await;
        assert_eq!(answer, None, "somebody else's word was answered");
        drop(to_hive);
        drop(listening);
    });
    let error = hive.cluster.adopt(&trap.to_string()).await.unwrap_err();
    middle.await.unwrap();
    assert!(error.to_string().contains("lost"), "{error}");
    assert!(swarm.cluster.adoptions().is_empty());
    assert_eq!(members(&swarm), 1);
    logging.log.says("could not prove the key").await;
    // His own, from a connection before, is worth nothing either.
    let before = Hand::calls(swarm_at).await;
    let word = before.commit([7; 32]);
    let mut again = Hand::calls(swarm_at).await;
    again.say(&word).await;
    assert_eq!(again.hear().await, None);
    assert!(swarm.cluster.adoptions().is_empty());
}

#[tokio::test]
async fn who_changes_the_number_that_he_is_held_to_is_refused() {
    let logging = logging();
    let (swarm, at) = waiting("swarm").await;
    let mut hand = Hand::calls(at).await;
    hand.say(&hand.commit([7; 32])).await;
    let reply = hand.hear().await;
    assert!(matches!(reply, Some(AdoptWord::Reply { .. })), "{reply:?}");
    hand.say(&AdoptWord::Reveal([8; 32])).await;
    let why = hand.refusal().await;
    assert!(why.contains("had committed to"), "{why}");
    logging
        .log
        .says("another number than it had committed to")
        .await;
    assert!(swarm.cluster.adoptions().is_empty());
    // It cost him one of his tries.
    let left = swarm.cluster.offered().tries_left;
    assert_eq!(left, skep::limits::ADOPT_TRIES_EACH_OFFER - 1);
}

#[tokio::test]
async fn tries_are_bounded_also_those_that_are_broken_off() {
    let (swarm, at) = waiting("swarm").await;
    // He would go on until the digits suit him.
    for _ in 0..ADOPT_TRIES_PER_MINUTE {
        let mut hand = Hand::calls(at).await;
        hand.say(&hand.commit([7; 32])).await;
        let reply = hand.hear().await;
        assert!(matches!(reply, Some(AdoptWord::Reply { .. })), "{reply:?}");
        hand.connection.close(0_u32.into(), b"");
        drop(hand);
        tokio::time::sleep(ADOPT_PAUSE + Duration::from_millis(50)).await;
    }
    for _ in 0..10 {
        let mut hand = Hand::calls(at).await;
        hand.say(&hand.commit([7; 32])).await;
        let why = hand.refusal().await;
        assert!(why.contains("too often"), "{why}");
    }
    assert!(swarm.cluster.adoptions().is_empty());
}

#[tokio::test]
async fn the_silent_and_the_lost_hold_nobody_up() {
    let (swarm, at) = waiting("swarm").await;
    // Some say nothing at all, one stops midway.
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(Hand::calls(at).await);
    }
    let mut midway = Hand::calls(at).await;
    midway.say(&midway.commit([7; 32])).await;
    assert!(matches!(midway.hear().await, Some(AdoptWord::Reply { .. })));
    // While it is waited for nobody else gets digits; then somebody does, and breaks off.
    tokio::time::sleep(ADOPT_PAUSE).await;
    let mut hand = Hand::calls(at).await;
    hand.say(&hand.commit([7; 32])).await;
    let why = hand.refusal().await;
    assert!(why.contains("somebody else"), "{why}");
    assert_eq!(midway.hear().await, None);
    let mut hand = Hand::calls(at).await;
    let code = hand.reach_digits().await;
    until("digits", || !swarm.cluster.adoptions().is_empty()).await;
    assert_eq!(only(&swarm).code, code);
    hand.connection.close(0_u32.into(), b"");
    let ended = until_state(&swarm, AdoptionState::Failed).await;
    assert!(ended.why.unwrap().contains("lost"));
    drop(silent);
}

#[tokio::test]
async fn a_token_that_comes_before_the_person_has_confirmed_is_not_taken() {
    let hive = Node::start("hive").await;
    let (token, _) = hive.invite(skep_core::state::Role::Worker, None).await;
    let (swarm, at) = waiting("swarm").await;
    let mut hand = Hand::calls(at).await;
    hand.reach_digits().await;
    hand.say(&AdoptWord::Confirm).await;
    hand.say(&AdoptWord::Token(token.to_string())).await;
    let ended = until_state(&swarm, AdoptionState::Failed).await;
    assert!(ended.why.unwrap().contains("does not come next"));
    assert_eq!((members(&hive), members(&swarm)), (1, 1));
}

#[tokio::test]
async fn nonsense_is_no_word() {
    let (swarm, at) = waiting("swarm").await;
    let huge = frame(&AdoptWord::Refuse("x".repeat(1 << 20)));
    let words: [&[u8]; 4] = [b"", &[0xff; 64], &huge, &frame(&AdoptWord::Taken)];
    for word in words {
        let mut hand = Hand::calls(at).await;
        // It may be shown out before all of it is sent.
        let _ = hand.send.write_all(word).await;
        let _ = hand.send.finish();
        assert_eq!(hand.hear().await, None);
    }
    // What a stranger says of itself steers nothing.
    let mut hand = Hand::calls(at).await;
    let AdoptWord::Commit {
        mut introduction,
        commitment,
    } = hand.commit([7; 32])
    else {
        panic!("no commitment");
    };
    introduction.name = format!("\u{1b}[31m{}", "n".repeat(500));
    let word = AdoptWord::Commit {
        introduction,
        commitment,
    };
    hand.say(&word).await;
    assert!(matches!(hand.hear().await, Some(AdoptWord::Reply { .. })));
    hand.say(&AdoptWord::Reveal([7; 32])).await;
    until("digits", || !swarm.cluster.adoptions().is_empty()).await;
    let name = only(&swarm).name;
    assert!(name.len() == 64 && !name.contains('\u{1b}'), "{name:?}");
}
