//! Certificates that are none of a member of this cluster now: at its door, and where it calls.

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use skep_core::state::Action;

use crate::foreign::{Fake, Forge, Forged, JOINERS, MEMBERS, Shown, intrude};
use crate::nodes::{Machine, Node, READINGS, logging, until};

#[tokio::test]
async fn only_members_are_let_in() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let elsewhere = Node::start("elsewhere").await;
    let member = hive.impostor("member").await;
    let address = hive.address().await;
    let (ours, theirs) = (Forge::of(&hive), Forge::of(&elsewhere));
    let (id, key) = (member.id(), &member.identity);
    let honest = ours.honest(id);
    let stranger = Machine::new();
    let forged = |says: Forged| Some(ours.shown(key, &says));
    let cases = [
        ("it showed no certificate", None),
        (
            "no authority of this cluster signed it",
            Some(theirs.shown(
                key,
                &Forged {
                    cluster: ours.cluster,
                    ..theirs.honest(id)
                },
            )),
        ),
        (
            "no authority of this cluster signed it",
            Some(theirs.shown(key, &theirs.honest(id))),
        ),
        (
            "it is not for a node of this cluster",
            forged(Forged {
                cluster: theirs.cluster,
                ..honest.clone()
            }),
        ),
        (
            "it has expired",
            forged(Forged {
                from_s: -7_200,
                until_s: -1,
                ..honest.clone()
            }),
        ),
        (
            "it is not valid yet",
            forged(Forged {
                from_s: 3_600,
                until_s: 7_200,
                ..honest.clone()
            }),
        ),
        (
            "it may not be used for this",
            forged(Forged {
                usages: vec![ServerAuth],
                ..honest.clone()
            }),
        ),
        (
            "it is not for a node of this cluster",
            forged(Forged {
                more_names: vec!["skep.example".to_owned()],
                ..honest.clone()
            }),
        ),
        (
            "its key is not the key of the node",
            Some(ours.shown(&stranger.identity, &honest)),
        ),
        (
            "the cluster has no such node",
            Some(ours.shown(&stranger.identity, &ours.honest(stranger.id()))),
        ),
        (
            "it is not a certificate that can be read",
            Some(Shown {
                chain: [Shown::of(&member).chain, vec![ours.authority.clone(); 9]].concat(),
                key: key.private_key(),
            }),
        ),
        (
            "it is not a certificate that can be read",
            Some(Shown {
                chain: vec![
                    Shown::of(&member).chain[0].clone(),
                    vec![0x30; 60_000].into(),
                ],
                key: key.private_key(),
            }),
        ),
        (
            // The authority itself is no node.
            "is not believed",
            Some(Shown {
                chain: vec![ours.authority.clone()],
                key: key.private_key(),
            }),
        ),
    ];
    let before = hive.state();
    for (reason, shown) in cases {
        logging.log.clear();
        let got = intrude(address, MEMBERS, shown).await;
        assert_eq!(got.bytes, b"", "{reason}: {got:?}");
        assert_ne!(got.end, "it stayed open", "{reason}");
        logging.log.says(reason).await;
        for secret in ["hive", "member", env!("CARGO_PKG_VERSION")] {
            assert!(!got.end.contains(secret), "{reason}: {got:?}");
        }
    }
    // At the joiners' door nobody speaks as a member, with a member's papers or without.
    for shown in [None, Some(Shown::of(&member))] {
        logging.log.clear();
        let got = intrude(address, JOINERS, shown).await;
        assert_eq!(got.bytes, b"", "{got:?}");
        assert_ne!(got.end, "it stayed open");
        logging.log.says("said nothing that makes sense").await;
    }
    // Nor does anybody in another language.
    let got = intrude(address, b"h3", Some(Shown::of(&member))).await;
    assert_eq!(got.bytes, b"", "{got:?}");
    assert_eq!(before, hive.state());
    // The right one is let in, so what was refused was refused for what it said.
    let got = intrude(address, MEMBERS, Some(Shown::of(&member))).await;
    let heard = String::from_utf8_lossy(&got.bytes).into_owned();
    assert!(heard.contains(std::str::from_utf8(READINGS).unwrap()));
    let got = intrude(address, MEMBERS, forged(honest)).await;
    assert!(!got.bytes.is_empty());
}

#[tokio::test]
async fn only_the_node_that_was_called_is_believed() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let ours = Forge::of(&hive);
    let other = hive.impostor("other").await;
    let cases = ["client", "expired", "early", "other", "stranger"];
    for what in cases {
        // Whoever the cluster has as a member it calls where it joined from.
        let member = hive.impostor(what).await;
        let (id, key) = (member.id(), &member.identity);
        let honest = ours.honest(id);
        let (reason, shown) = match what {
            "client" => (
                "it may not be used for this",
                ours.shown(
                    key,
                    &Forged {
                        usages: vec![ClientAuth],
                        ..honest
                    },
                ),
            ),
            "expired" => (
                "it has expired",
                ours.shown(
                    key,
                    &Forged {
                        from_s: -7_200,
                        until_s: -1,
                        ..honest
                    },
                ),
            ),
            "early" => (
                "it is not valid yet",
                ours.shown(
                    key,
                    &Forged {
                        from_s: 3_600,
                        until_s: 7_200,
                        ..honest
                    },
                ),
            ),
            // Another member answers in its place.
            "other" => (
                "it belongs to another node than the one that was called",
                Shown::of(&other),
            ),
            _ => {
                let stranger = Machine::new();
                let shown = ours.shown(&stranger.identity, &ours.honest(stranger.id()));
                ("the cluster has no such node", shown)
            }
        };
        logging.log.clear();
        let fake = Fake::start(member.address.unwrap(), shown).await;
        until("the node calls", || fake.seen().calls > 0).await;
        logging.log.says(reason).await;
        let seen = fake.seen();
        assert_eq!((seen.let_in, seen.bytes), (0, 0), "{what}: {seen:?}");
        hive.cluster.decide(Action::Remove(id)).await.unwrap();
    }
}
