//! A node that was removed is out at once, whatever it holds.

use std::time::Duration;

use skep::cluster::Facts;
use skep::net::Ask;
use skep_core::state::{Action, Role};

use crate::foreign::{Hand, MEMBERS, Shown, intrude};
use crate::nodes::{Machine, Node, PATIENCE, logging};

#[tokio::test]
async fn a_removed_node_is_out_at_once_and_stays_out() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let mut member = hive.impostor("member").await;
    let address = hive.address().await;
    // Several connections, each with a stream that would tell of everything to come.
    let mut hands = Vec::new();
    for _ in 0..3 {
        let hand = Hand::of(&member, address).await;
        let (send, mut follows) = hand.ask(&Ask::Follow { after: None }).await;
        let (asked, mut facts) = hand.ask(&Ask::Facts).await;
        facts.next::<Facts>().await.unwrap();
        // A piece of the log is an enumeration that is not ours to read: any frame will do.
        follows.next::<Anything>().await.unwrap();
        hands.push((hand, send, asked, follows, facts));
    }
    hive.cluster
        .decide(Action::Remove(member.id()))
        .await
        .unwrap();
    for (hand, ..) in &hands {
        let closed = tokio::time::timeout(Duration::from_secs(1), hand.connection.closed()).await;
        assert!(closed.is_ok(), "a removed node is still connected");
    }
    // Its certificate holds for a week yet.
    logging.log.clear();
    let got = intrude(address, MEMBERS, Some(Shown::of(&member))).await;
    assert_eq!(got.bytes, b"", "{got:?}");
    logging.log.says("the cluster has no such node").await;
    // Nor does its key bring it back, or the token that it came with; a new one does.
    let (token, _) = hive.invite(Role::Worker, None).await;
    let back = |badge: &skep::pki::Badge| skep::net::JoinAsk::Return {
        request: member.identity.request().unwrap(),
        signature: member.identity.sign(badge).unwrap(),
    };
    let (answer, _) = member.knock(&token, back).await.unwrap();
    let skep::net::JoinAnswer::Refused(why) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("the token is not valid"), "{why}");
    member.join(&token, "member").await.unwrap();
    Hand::of(&member, address).await;
}

#[tokio::test]
async fn a_token_from_before_does_not_bring_a_removed_node_back() {
    let hive = Node::start("hive").await;
    let (first, _) = hive.invite(Role::Worker, None).await;
    let (second, _) = hive.invite(Role::Worker, None).await;
    let mut member = Machine::new();
    member.join(&first, "member").await.unwrap();
    let removed = Action::Remove(member.id());
    hive.cluster.decide(removed).await.unwrap();
    for token in [first, second] {
        let why = member.join(&token, "member").await.unwrap_err();
        assert!(
            why.contains("was removed") || why.contains("was used"),
            "{why}"
        );
    }
    assert_eq!(hive.state().members().len(), 1);
}

#[tokio::test]
async fn one_member_has_few_connections() {
    let hive = Node::start("hive").await;
    let member = hive.impostor("member").await;
    let address = hive.address().await;
    let mut hands = Vec::new();
    for _ in 0..12 {
        let hand = Hand::of(&member, address).await;
        // Something is under way on each of them.
        let (send, mut facts) = hand.ask(&Ask::Facts).await;
        facts.next::<Facts>().await.unwrap();
        hands.push((hand, send, facts));
    }
    let began = std::time::Instant::now();
    loop {
        let open = hands
            .iter()
            .filter(|(hand, ..)| hand.connection.close_reason().is_none())
            .count();
        if open <= 4 {
            assert!(open > 0);
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{open} are open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Any message.
#[derive(serde::Deserialize)]
struct Anything;
