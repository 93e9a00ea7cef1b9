//! What the keeper promises: done means durable, refused means not logged, followers end up the same.

use std::path::PathBuf;

use skep_core::state::{
    Action, Certificate, Command, Event, Founding, Issue, Joining, Refusal, Role,
};
use skep_core::{AuthorityId, ClusterId, NodeId, TokenId};

use super::*;
use crate::limits::KEEPER_SNAPSHOT_ENTRIES;

const FOUNDER: NodeId = NodeId([1; 16]);
const OTHER: NodeId = NodeId([2; 16]);

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn open(&self, name: &str, node: NodeId) -> Keeper {
        let (keeper, recovered) = Keeper::open(&self.log(name), EngineKind::Redb, node)
            .await
            .unwrap();
        assert!(recovered.damage.is_none(), "{recovered:?}");
        keeper
    }
}

fn found(cluster: u8) -> Command {
    Command {
        at: 1,
        action: Action::Found(Founding {
            cluster: ClusterId([cluster; 16]),
            name: "home".into(),
            founder: FOUNDER,
            founder_name: "hive".into(),
            public_key: vec![1],
            address: None,
            authority: Certificate {
                id: AuthorityId([0; 32]),
                der: vec![1],
                valid_from: 0,
                valid_until: 1 << 40,
            },
        }),
    }
}

fn rename(name: &str) -> Command {
    Command {
        at: 2,
        action: Action::Rename {
            node: FOUNDER,
            name: name.into(),
        },
    }
}

async fn rename_often(keeper: &Keeper, from: u64, count: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in from..from + count {
        let keeper = keeper.clone();
        tasks.spawn(async move { keeper.propose(rename(&format!("n{number}"))).await.unwrap() });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Follows until both have the same; says how many answers it took, and how many were snapshots.
async fn catch_up(follower: &Keeper, leader: &Keeper) -> (u32, u32) {
    let (mut answers, mut snapshots) = (0, 0);
    while follower.index() < leader.index() {
        let feed = leader.entries_after(follower.index(), 2_000).await.unwrap();
        snapshots += u32::from(matches!(feed, Feed::Snapshot(_)));
        answers += 1;
        follower.follow(feed).await.unwrap();
    }
    assert_eq!(follower.view(), leader.view());
    (answers, snapshots)
}

#[tokio::test]
async fn what_is_done_lasts_and_what_is_refused_is_not_logged() {
    let home = Home::new();
    let keeper = home.open("a", FOUNDER).await;
    assert_eq!(
        keeper.propose(rename("x")).await,
        Err(ProposeError::NotLeader { leader: None })
    );
    let events = keeper.propose(found(7)).await.unwrap();
    assert_eq!(events, [Event::Founded(ClusterId([7; 16]))]);
    assert!(keeper.leads());
    assert_eq!(
        keeper.propose(found(8)).await,
        Err(ProposeError::Refused(Refusal::AlreadyFounded))
    );
    let remove = Command {
        at: 3,
        action: Action::Remove(FOUNDER),
    };
    assert_eq!(keeper.propose(remove).await, Err(ProposeError::LeaderStays));
    let mut changes = keeper.changes();
    assert_eq!(*changes.borrow_and_update(), 1);
    keeper.propose(rename("x")).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(*changes.borrow(), 2);
    let view = keeper.view();
    assert_eq!(view.member(FOUNDER).unwrap().name, "x");
    let clone = keeper.clone();
    keeper.close().await;
    assert_eq!(clone.propose(rename("y")).await, Err(ProposeError::Stopped));
    let keeper = home.open("a", FOUNDER).await;
    assert_eq!(keeper.view(), view);
    assert_eq!(keeper.index(), 2);
    keeper.close().await;
}

#[tokio::test]
async fn a_token_lets_in_one_of_many_who_come_at_once() {
    let home = Home::new();
    let keeper = home.open("a", FOUNDER).await;
    keeper.propose(found(7)).await.unwrap();
    let token = TokenId([5; 8]);
    let issue = Command {
        at: 10,
        action: Action::IssueToken(Issue {
            token,
            stored_key: [0; 32],
            role: Role::Worker,
            name: None,
            expires_at: 100,
        }),
    };
    keeper.propose(issue).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 10..30 {
        let keeper = keeper.clone();
        tasks.spawn(async move {
            let action = Action::Join(Joining {
                token,
                node: NodeId([number; 16]),
                name: format!("n{number}"),
                role: Role::Worker,
                public_key: vec![number],
                address: "10.0.0.1:7420".parse().unwrap(),
            });
            keeper.propose(Command { at: 11, action }).await
        });
    }
    let mut joined = 0;
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(_) => joined += 1,
            Err(ProposeError::Refused(Refusal::TokenUsed { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(joined, 1);
    assert_eq!(keeper.index(), 3, "refusals are not logged");
    keeper.close().await;
}

#[tokio::test]
async fn a_follower_gets_entries_and_where_they_are_gone_a_snapshot() {
    let home = Home::new();
    let leader = home.open("leader", FOUNDER).await;
    let follower = home.open("follower", OTHER).await;
    assert!(matches!(
        leader.entries_after(0, 1).await,
        Err(FollowError::Empty)
    ));
    leader.propose(found(7)).await.unwrap();
    rename_often(&leader, 0, 200).await;
    let (answers, snapshots) = catch_up(&follower, &leader).await;
    assert!(answers > 1 && snapshots == 0);
    assert_eq!(
        follower.propose(rename("z")).await,
        Err(ProposeError::NotLeader {
            leader: Some(FOUNDER)
        })
    );
    // What it has already is skipped, in part or as a whole; nothing new is fine too.
    for index in [0, 100, 150, 201] {
        let feed = leader.entries_after(index, 500).await.unwrap();
        assert_eq!(follower.follow(feed).await.unwrap(), 201);
    }
    assert!(matches!(
        leader.entries_after(202, 1).await,
        Err(FollowError::Ahead { last: 201, .. })
    ));
    follower.close().await;
    rename_often(&leader, 1_000, 3 * KEEPER_SNAPSHOT_ENTRIES).await;
    let follower = home.open("follower", OTHER).await;
    assert_eq!(follower.index(), 201);
    let (_, snapshots) = catch_up(&follower, &leader).await;
    assert_eq!(snapshots, 1, "the entries are gone from the leader");
    rename_often(&leader, 1, 10).await;
    catch_up(&follower, &leader).await;
    let view = leader.view();
    leader.close().await;
    follower.close().await;
    for (name, node) in [("leader", FOUNDER), ("follower", OTHER)] {
        let keeper = home.open(name, node).await;
        assert_eq!(keeper.view(), view);
        keeper.close().await;
    }
}

#[tokio::test]
async fn what_does_not_fit_changes_nothing() {
    let home = Home::new();
    let leader = home.open("leader", FOUNDER).await;
    let stranger = home.open("stranger", FOUNDER).await;
    let follower = home.open("follower", OTHER).await;
    leader.propose(found(7)).await.unwrap();
    stranger.propose(found(8)).await.unwrap();
    leader.propose(rename("one")).await.unwrap();
    stranger.propose(rename("one")).await.unwrap();
    let gap = leader.entries_after(1, 1_000).await.unwrap();
    assert!(matches!(
        follower.follow(gap.clone()).await,
        Err(FollowError::Gap { have: 0, found: 2 })
    ));
    assert!(matches!(leader.follow(gap).await, Err(FollowError::Leads)));
    // Somebody says that it is of one cluster and sends another's.
    let Feed::Entries(mut forged) = stranger.entries_after(0, 1_000).await.unwrap() else {
        panic!("a snapshot")
    };
    let strange = Feed::Entries(forged.clone());
    forged.cluster = ClusterId([7; 16]);
    assert!(matches!(
        follower.follow(Feed::Entries(forged)).await,
        Err(FollowError::OtherCluster { .. })
    ));
    assert_eq!(follower.index(), 0);
    catch_up(&follower, &leader).await;
    assert!(matches!(
        follower.follow(strange).await,
        Err(FollowError::OtherCluster { .. })
    ));
    // The same numbers with another content.
    let Feed::Entries(mut changed) = leader.entries_after(1, 1_000).await.unwrap() else {
        panic!("a snapshot")
    };
    changed.records.payloads = vec![rename("two").encode().unwrap()];
    assert!(matches!(
        follower.follow(Feed::Entries(changed.clone())).await,
        Err(FollowError::Diverged { index: 2 })
    ));
    changed.records.first = 3;
    changed.records.previous = leader.snapshot().await.unwrap().base.digest;
    changed.records.payloads = vec![b"nonsense".to_vec()];
    assert!(matches!(
        follower.follow(Feed::Entries(changed.clone())).await,
        Err(FollowError::Format(_))
    ));
    changed.records.payloads = vec![found(7).encode().unwrap()];
    assert!(matches!(
        follower.follow(Feed::Entries(changed)).await,
        Err(FollowError::Refused { index: 3, .. })
    ));
    assert_eq!(follower.view(), leader.view());
    for keeper in [leader, stranger, follower] {
        keeper.close().await;
    }
}

#[tokio::test]
async fn a_leader_that_lost_its_log_gets_it_back_from_a_follower() {
    let home = Home::new();
    let leader = home.open("leader", FOUNDER).await;
    let follower = home.open("follower", OTHER).await;
    leader.propose(found(7)).await.unwrap();
    rename_often(&leader, 0, 20).await;
    catch_up(&follower, &leader).await;
    leader.close().await;
    std::fs::write(home.log("leader").join("redb"), b"gone").unwrap();
    let (leader, recovered) = Keeper::open(&home.log("leader"), EngineKind::Redb, FOUNDER)
        .await
        .unwrap();
    let damage = recovered.damage.unwrap();
    assert_eq!((damage.carried, damage.acknowledged), (0, Some(21)));
    catch_up(&leader, &follower).await;
    leader.propose(rename("again")).await.unwrap();
    let feed = follower.entries_after(21, 100).await.unwrap();
    assert!(matches!(leader.follow(feed).await, Err(FollowError::Leads)));
    catch_up(&follower, &leader).await;
    // A follower that went its own way takes the leader's state when it is told to.
    follower.close().await;
    let other = home.open("other", OTHER).await;
    let Feed::Entries(mut changed) = leader.entries_after(0, 1 << 20).await.unwrap() else {
        panic!("a snapshot")
    };
    changed
        .records
        .payloads
        .push(rename("own way").encode().unwrap());
    other.follow(Feed::Entries(changed)).await.unwrap();
    leader.propose(rename("the way")).await.unwrap();
    let feed = leader.entries_after(22, 100).await.unwrap();
    assert!(matches!(
        other.follow(feed).await,
        Err(FollowError::Diverged { index: 23 })
    ));
    other
        .replace(leader.snapshot().await.unwrap())
        .await
        .unwrap();
    assert_eq!(other.view(), leader.view());
    leader.propose(rename("on")).await.unwrap();
    catch_up(&other, &leader).await;
    other.close().await;
    leader.close().await;
}
