//! Certificates that end: renewed while requests run, and come back for after a sleep.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use skep::cluster::NodeState;
use skep::net::Ask;
use skep_core::state::{Action, Role, Standing};

use crate::foreign::Hand;
use crate::nodes::{Node, READINGS, WEEK, join, logging, papers_of, reaches, until, until_reaches};

const SHORT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_a_stream_of_requests() {
    let hive = Node::start_with("hive", SHORT).await;
    let worker = hive.with("worker", SHORT).await;
    until_reaches(&worker, &hive).await;
    until_reaches(&hive, &worker).await;
    let member = hive.impostor("member").await;
    let address = hive.address().await;
    // One connection that outlives every certificate, and new ones all the time.
    let old = Hand::of(&member, address).await;
    let mut held = [BTreeSet::new(), BTreeSet::new()];
    let (mut requests, mut connections) = (0, 0);
    let began = Instant::now();
    while began.elapsed() < 2 * SHORT {
        for (from, to) in [(&worker, &hive), (&hive, &worker)] {
            assert!(reaches(from, to).await, "after {requests} requests");
            requests += 1;
        }
        let said: Vec<u8> = old.call(&Ask::Readings).await.unwrap();
        assert_eq!(said, READINGS);
        if began.elapsed() < SHORT / 2 {
            // Later its certificate, which nobody renews, is over.
            let new = Hand::of(&member, address).await;
            new.connection.close(0_u32.into(), b"");
            connections += 1;
        }
        held[0].insert(papers_of(&hive));
        held[1].insert(papers_of(&worker));
    }
    assert!(requests > 100, "{requests}");
    assert!(connections > 2, "{connections}");
    for held in held {
        assert!(held.len() >= 4, "renewed {} times", held.len() - 1);
    }
    // Whoever does not renew is out for new connections.
    let error = Hand::greet(&member, address, &crate::foreign::hello()).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn a_node_that_slept_past_its_certificate_comes_back() {
    let logging = logging();
    let hive = Node::start_with("hive", WEEK).await;
    // The one who signs decides how long certificates hold.
    let short = Node::start_with("short", SHORT).await;
    let worker = short.with("worker", SHORT).await;
    until_reaches(&worker, &short).await;
    let folder = worker.folder.clone();
    worker.cluster.stop().await;
    drop(worker);
    tokio::time::sleep(SHORT + SHORT / 2).await;
    logging.log.clear();
    let worker = Node::start_in(folder, "worker", SHORT).await;
    until_reaches(&worker, &short).await;
    until_reaches(&short, &worker).await;
    logging
        .log
        .says("a node came back without a valid certificate")
        .await;
    logging.log.says("this node is in the cluster again").await;
    drop(hive);
}

#[tokio::test]
async fn a_voter_is_let_in_once_it_is_approved() {
    let hive = Node::start("hive").await;
    let (token, _) = hive.invite(Role::Voter, None).await;
    let voter = Node::start("voter").await;
    join(&voter, &token).await.unwrap();
    let standing = |node: &Node| node.state().member(voter.id()).map(|m| m.standing);
    assert_eq!(standing(&hive), Some(Standing::Pending));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!reaches(&voter, &hive).await);
    let shown = hive.cluster.nodes();
    let shown = shown.iter().find(|node| node.name == "voter").unwrap();
    assert_eq!(shown.state, NodeState::Pending);
    hive.cluster
        .decide(Action::Approve(voter.id()))
        .await
        .unwrap();
    until_reaches(&voter, &hive).await;
    until("the voter follows", || {
        standing(&voter) == Some(Standing::Member)
    })
    .await;
}

#[tokio::test]
async fn a_member_may_join_its_own_cluster_again_and_no_other() {
    let hive = Node::start("hive").await;
    let other = Node::start("other").await;
    let worker = hive.with("worker", WEEK).await;
    until("the worker follows", || worker.state().members().len() == 2).await;
    let (elsewhere, _) = other.invite(Role::Worker, None).await;
    let error = join(&worker, &elsewhere).await.unwrap_err().to_string();
    assert!(error.contains("with others already"), "{error}");
    let (own, _) = hive.invite(Role::Worker, None).await;
    let again = worker.cluster.join(own, &[], None, true);
    again.await.unwrap();
    until_reaches(&worker, &hive).await;
    assert_eq!(hive.state().members().len(), 2);
    let (own, _) = other.invite(Role::Worker, None).await;
    let error = join(&other, &own).await.unwrap_err().to_string();
    assert!(error.contains("this very node"), "{error}");
    let error = join(&hive, &own).await.unwrap_err().to_string();
    assert!(error.contains("leads a cluster with others"), "{error}");
}
