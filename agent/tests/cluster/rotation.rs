//! One authority takes over from another: everybody who was there, and who was not, ends with the new one.

use std::time::{Duration, Instant};

use skep_core::state::{Action, Role};

use crate::foreign::{Forge, MEMBERS, Shown, intrude};
use crate::nodes::{
    Machine, Node, PATIENCE, join, logging, papers_of, reaches, until, until_reaches,
};

const SHORT: Duration = Duration::from_secs(5);

/// Whether this authority's word lets a member in.
async fn lets_in(hive: &Node, forge: &Forge, member: &Machine) -> bool {
    let shown = forge.shown(&member.identity, &forge.honest(member.id()));
    let (mut token, made) = hive.invite(Role::Worker, None).await;
    token.addresses.clear();
    let got = intrude_for_a_moment(made.addresses[0], shown).await;
    hive.cluster
        .decide(Action::RevokeToken(token.id))
        .await
        .unwrap();
    got
}

async fn intrude_for_a_moment(address: std::net::SocketAddr, shown: Shown) -> bool {
    let got = intrude(address, MEMBERS, Some(shown));
    match tokio::time::timeout(Duration::from_millis(700), got).await {
        // Who is let in stays.
        Err(_) => true,
        Ok(got) => !got.bytes.is_empty(),
    }
}

#[tokio::test]
async fn every_node_ends_with_the_new_authority() {
    let logging = logging();
    let hive = Node::start_with("hive", SHORT).await;
    let worker = hive.with("worker", SHORT).await;
    let sleeper = hive.with("sleeper", SHORT).await;
    let member = hive.impostor("member").await;
    until_reaches(&worker, &hive).await;
    until_reaches(&sleeper, &hive).await;
    until("the sleeper follows", || {
        sleeper.state().members().len() == 4
    })
    .await;
    let (before, _) = hive.invite(Role::Worker, None).await;
    let bed = sleeper.folder.clone();
    sleeper.cluster.stop().await;
    drop(sleeper);

    let old = Forge::of(&hive);
    hive.cluster.rotate_authority().await.unwrap();
    let new = Forge::of(&hive);
    assert_ne!(old.authority, new.authority);
    assert_eq!(hive.state().authorities().len(), 2);
    // Both are believed, for a while.
    assert!(lets_in(&hive, &old, &member).await);
    assert!(lets_in(&hive, &new, &member).await);
    assert!(reaches(&worker, &hive).await && reaches(&hive, &worker).await);
    until("the worker has the new authority's papers", || {
        papers_of(&worker).1 == new.authority.to_vec()
    })
    .await;
    // Tokens from before and from now lead in.
    let mut one = Machine::new();
    one.join(&before, "one").await.unwrap();
    let (after, _) = hive.invite(Role::Worker, None).await;
    assert_ne!(before.pin, after.pin);
    let late = Node::start_with("late", SHORT).await;
    join(&late, &after).await.unwrap();
    until_reaches(&late, &hive).await;

    // Who slept through it, and past its certificate, knows only the old one.
    let sleeper = Node::start_in(bed, "sleeper", SHORT).await;
    until_reaches(&sleeper, &hive).await;
    until("the sleeper has the new authority's papers", || {
        papers_of(&sleeper).1 == new.authority.to_vec()
    })
    .await;

    // At last the old one is let go of, and nobody drops a request over it.
    let began = Instant::now();
    while hive.state().authorities().len() > 1 || papers_of(&hive).1 != new.authority.to_vec() {
        assert!(reaches(&worker, &hive).await && reaches(&hive, &worker).await);
        assert!(began.elapsed() < 2 * PATIENCE, "{}", logging.log.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("all know", || {
        [&worker, &sleeper, &late]
            .iter()
            .all(|node| node.state().authorities().len() == 1)
    })
    .await;
    assert!(!lets_in(&hive, &old, &member).await);
    assert!(lets_in(&hive, &new, &member).await);
    for node in [&worker, &sleeper, &late] {
        assert!(reaches(node, &hive).await && reaches(&hive, node).await);
    }
}
