//! Join tokens, used as they should not be.

use std::time::Duration;

use skep::net::{JoinAnswer, JoinAsk};
use skep::pki::{Badge, Token};
use skep_core::TokenId;
use skep_core::state::{Action, Role};

use crate::nodes::{Machine, Node, join, logging, until};

/// What everybody hears who proves nothing.
async fn bland(token: &Token, machine: &Machine, ask: impl Fn(&Badge) -> JoinAsk) -> String {
    match machine.knock(token, ask).await.unwrap().0 {
        JoinAnswer::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

/// An ask with this token's id and a proof of something else.
fn guess(machine: &Machine, token: TokenId) -> JoinAsk {
    JoinAsk::Join {
        token,
        proof: [7; 32],
        request: machine.identity.request().unwrap(),
        name: "guesser".to_owned(),
        software: "0.1.0".to_owned(),
    }
}

/// Nothing that names the cluster, its nodes or its release.
fn tells_nothing(node: &Node, text: &str) {
    let state = node.state();
    let cluster = state.cluster().unwrap();
    let mut secrets = vec![
        cluster.id.to_string(),
        cluster.name.clone(),
        env!("CARGO_PKG_VERSION").to_owned(),
    ];
    for (id, member) in state.members() {
        secrets.push(id.to_string());
        secrets.push(member.name.clone());
    }
    for secret in secrets {
        assert!(!text.contains(&secret), "`{text}` tells of `{secret}`");
    }
}

#[tokio::test]
async fn a_token_lets_one_machine_in_once() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let (token, _) = hive.invite(Role::Worker, None).await;
    let first = Node::start("first").await;
    join(&first, &token).await.unwrap();
    assert_eq!(hive.state().members().len(), 2);

    let second = Node::start("second").await;
    let error = join(&second, &token).await.unwrap_err().to_string();
    assert!(error.contains("was used"), "{error}");
    tells_nothing(&hive, &error);
    logging.log.says("was used by the node").await;
    assert_eq!(hive.state().members().len(), 2);
    // It goes on as what it was: a cluster of its own.
    assert!(second.cluster.leads());
    assert_ne!(
        second.state().cluster().unwrap().id,
        hive.state().cluster().unwrap().id
    );

    // The one machine may ask again: it may never have heard the answer.
    let (token, _) = hive.invite(Role::Worker, None).await;
    let mut third = Machine::new();
    third.join(&token, "third").await.unwrap();
    third.join(&token, "third").await.unwrap();
    assert_eq!(hive.state().members().len(), 3);
}

#[tokio::test]
async fn an_expired_token_and_a_revoked_one_are_worth_nothing() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let late = Node::start("late").await;
    let made = hive
        .cluster
        .invite(Role::Worker, None, Duration::from_secs(1))
        .await
        .unwrap();
    let expired: Token = made.token.parse().unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let error = join(&late, &expired).await.unwrap_err().to_string();
    assert!(error.contains("has expired"), "{error}");
    tells_nothing(&hive, &error);
    logging.log.says("has expired").await;

    let (revoked, _) = hive.invite(Role::Worker, None).await;
    let action = Action::RevokeToken(revoked.id);
    hive.cluster.decide(action).await.unwrap();
    logging.log.clear();
    let error = join(&late, &revoked).await.unwrap_err().to_string();
    assert!(error.contains("the token is not valid"), "{error}");
    tells_nothing(&hive, &error);
    logging.log.says("its token was not proved").await;
    assert_eq!(hive.state().members().len(), 1);
}

#[tokio::test]
async fn a_token_for_one_name_is_for_no_other() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let (token, _) = hive.invite(Role::Worker, Some("box")).await;
    let mut machine = Machine::new();
    let why = machine.join(&token, "bax").await.unwrap_err();
    assert!(why.contains("another name"), "{why}");
    assert!(!why.contains("box"), "{why}");
    tells_nothing(&hive, &why);
    logging.log.says("another name").await;
    assert_eq!(hive.state().members().len(), 1);
    // It was not used up by that.
    machine.join(&token, "box").await.unwrap();
}

#[tokio::test]
async fn a_token_for_one_role_makes_no_other() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let worker = hive.with("worker", crate::nodes::WEEK).await;
    until("the worker follows", || worker.state().members().len() == 2).await;
    let id = worker.id();
    assert_eq!(hive.state().member(id).unwrap().role, Role::Worker);

    // A worker decides nothing for the cluster, not even its own role.
    for action in [
        Action::Approve(id),
        Action::Drain(hive.id()),
        Action::Remove(hive.id()),
        Action::Move {
            node: hive.id(),
            address: "127.0.0.1:9".parse().unwrap(),
        },
    ] {
        let error = worker.cluster.decide(action).await.unwrap_err().to_string();
        assert!(error.contains("a worker does not decide"), "{error}");
    }
    let invited = worker.cluster.invite(Role::Voter, None, crate::nodes::WEEK);
    let error = invited.await.unwrap_err().to_string();
    assert!(error.contains("a worker does not decide"), "{error}");

    // Nor does a voter's token make a voter of a worker.
    let mut machine = Machine::new();
    let (token, _) = hive.invite(Role::Worker, None).await;
    machine.join(&token, "small").await.unwrap();
    let (token, _) = hive.invite(Role::Voter, None).await;
    let why = machine.join(&token, "small").await.unwrap_err();
    assert!(why.contains("is for a"), "{why}");
    logging.log.says("refused a joiner").await;
    let role = hive.state().member(machine.id()).unwrap().role;
    assert_eq!(role, Role::Worker);

    // Who comes with it waits for an operator, without a certificate.
    let mut voter = Machine::new();
    voter.join(&token, "voter").await.unwrap();
    assert!(voter.papers.unwrap().0.is_empty());
    let state = hive.state();
    let standing = state.member(voter.identity.node()).unwrap().standing;
    assert_eq!(standing, skep_core::state::Standing::Pending);
}

#[tokio::test]
async fn who_proves_no_token_learns_nothing_of_any() {
    let hive = Node::start("hive").await;
    let machine = Machine::new();
    let (open, _) = hive.invite(Role::Worker, None).await;
    let (used, _) = hive.invite(Role::Worker, None).await;
    let mut member = Machine::new();
    member.join(&used, "member").await.unwrap();
    let mut heard = Vec::new();
    for token in [open.id, used.id, TokenId([9; 8])] {
        heard.push(bland(&open, &machine, |_| guess(&machine, token)).await);
    }
    // Nor does who says to be a member, and is none.
    let back = |badge: &Badge| JoinAsk::Return {
        request: machine.identity.request().unwrap(),
        signature: machine.identity.sign(badge).unwrap(),
    };
    heard.push(bland(&open, &machine, back).await);
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
    tells_nothing(&hive, &heard[0]);
    assert_eq!(hive.state().members().len(), 2);
}

#[tokio::test]
async fn a_proof_is_worth_nothing_on_another_connection() {
    let hive = Node::start("hive").await;
    let (token, _) = hive.invite(Role::Worker, None).await;
    let machine = Machine::new();
    // As if overheard: the whole message, from a connection that it was made for.
    let heard = std::cell::RefCell::new(None);
    let thief = Machine::new();
    let other = Node::start("other").await;
    let (elsewhere, _) = other.invite(Role::Worker, None).await;
    let _ = machine
        .knock(&elsewhere, |badge| {
            let ask = machine.ask(&token, "machine", badge);
            *heard.borrow_mut() = Some(ask.clone());
            ask
        })
        .await;
    let heard = heard.into_inner().unwrap();
    let why = bland(&token, &thief, |_| heard.clone()).await;
    assert!(why.contains("the token is not valid"), "{why}");
    assert_eq!(hive.state().members().len(), 1);
}

#[tokio::test]
async fn a_member_comes_back_by_its_key_alone() {
    let hive = Node::start("hive").await;
    let member = hive.impostor("member").await;
    let (token, _) = hive.invite(Role::Worker, None).await;
    let thief = Machine::new();
    // Its request is no secret; its key is.
    let stolen = |badge: &Badge| JoinAsk::Return {
        request: member.identity.request().unwrap(),
        signature: thief.identity.sign(badge).unwrap(),
    };
    let why = bland(&token, &thief, stolen).await;
    assert!(why.contains("the token is not valid"), "{why}");
    // Nor does a signature from another connection help.
    let replayed = |_: &Badge| JoinAsk::Return {
        request: member.identity.request().unwrap(),
        signature: member.identity.sign(&[5; 32]).unwrap(),
    };
    let why = bland(&token, &thief, replayed).await;
    assert!(why.contains("the token is not valid"), "{why}");
    let own = |badge: &Badge| JoinAsk::Return {
        request: member.identity.request().unwrap(),
        signature: member.identity.sign(badge).unwrap(),
    };
    let (answer, _) = member.knock(&token, own).await.unwrap();
    assert!(matches!(answer, JoinAnswer::Welcome(_)), "{answer:?}");
}

#[tokio::test]
async fn guesses_are_few() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let (token, _) = hive.invite(Role::Worker, None).await;
    let machine = Machine::new();
    // All at once, so that none waits for another to be counted.
    let guesses = (0..20).map(|_| machine.knock(&token, |_| guess(&machine, token.id)));
    let mut tasks = Vec::new();
    for guess in guesses {
        tasks.push(guess);
    }
    let answered = all(tasks).await;
    let heard = answered.iter().filter(|answer| answer.is_ok()).count();
    assert!(heard <= 5, "{heard} guesses were heard");
    assert!(heard >= 1, "none was");
    logging.log.says("too many failed attempts").await;
    // Now not even the right one is.
    let honest = machine.knock(&token, |badge| machine.ask(&token, "box", badge));
    let error = honest.await.unwrap_err().to_string();
    tells_nothing(&hive, &error);
    assert_eq!(hive.state().members().len(), 1);
}

#[tokio::test]
async fn machines_that_say_nonsense_at_the_door_are_shown_out() {
    use crate::foreign::{JOINERS, call, endpoint, frame, hello};
    let logging = logging();
    let hive = Node::start("hive").await;
    let (token, made) = hive.invite(Role::Worker, None).await;
    let endpoint = endpoint();
    let nonsense: [Vec<u8>; 4] = [
        vec![0xff; 100],
        u32::MAX.to_le_bytes().to_vec(),
        vec![0, 0, 0],
        // What a member would say.
        [frame(&hello()), frame(&skep::net::Ask::Facts)].concat(),
    ];
    for bytes in nonsense {
        let connection = call(&endpoint, made.addresses[0], JOINERS, None).await;
        let connection = connection.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        let _ = send.finish();
        let heard = receive.read_to_end(1 << 20).await;
        assert!(heard.is_err(), "{heard:?}");
        logging.log.says("said nothing that makes sense").await;
        logging.log.clear();
    }
    // An honest machine is still heard: these were fewer than five.
    let mut machine = Machine::new();
    machine.join(&token, "box").await.unwrap();
}

async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pinned.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
