//! Somebody between a joiner and the cluster: whatever they show, they get not one byte.

use skep::pki::Token;
use skep_core::state::Role;

use crate::foreign::{Fake, Forge, Shown};
use crate::nodes::{Machine, Node, join, logging};

/// The same token, but it leads to this address.
fn towards(token: &Token, address: std::net::SocketAddr) -> Token {
    let mut token = token.clone();
    token.addresses = vec![address];
    token
}

#[tokio::test]
async fn a_joiner_tells_nothing_to_whoever_is_not_of_the_tokens_cluster() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let elsewhere = Node::start("elsewhere").await;
    let (token, _) = hive.invite(Role::Worker, None).await;
    let (ours, theirs) = (Forge::of(&hive), Forge::of(&elsewhere));
    let member = hive.impostor("member").await;
    let liar = Machine::new();
    let id = liar.id();
    let other_cluster = crate::foreign::Forged {
        cluster: theirs.cluster,
        ..ours.honest(id)
    };
    let expired = crate::foreign::Forged {
        from_s: -7_200,
        until_s: -3_600,
        ..ours.honest(id)
    };
    let client = crate::foreign::Forged {
        usages: vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth],
        ..ours.honest(id)
    };
    // Their own authority, that says our name.
    let claims = crate::foreign::Forged {
        cluster: ours.cluster,
        ..theirs.honest(id)
    };
    let own_ca = theirs.shown(&liar.identity, &claims);
    let borrowed_ca = Shown {
        chain: vec![own_ca.chain[0].clone(), ours.authority.clone()],
        key: liar.identity.private_key(),
    };
    // A real member's certificate, without its key.
    let borrowed = Shown {
        chain: Shown::of(&member).chain,
        key: liar.identity.private_key(),
    };
    let no_ca = Shown {
        chain: vec![ours.shown(&liar.identity, &ours.honest(id)).chain[0].clone()],
        key: liar.identity.private_key(),
    };
    let long = Shown {
        chain: [
            ours.shown(&liar.identity, &ours.honest(id)).chain,
            vec![ours.authority.clone(); 10],
        ]
        .concat(),
        key: liar.identity.private_key(),
    };
    let liars = [
        ("their own authority", own_ca),
        ("a chain to our authority that it did not sign", borrowed_ca),
        ("a certificate of another key", borrowed),
        ("no authority", no_ca),
        ("a long chain", long),
        (
            "a certificate for another cluster",
            ours.shown(&liar.identity, &other_cluster),
        ),
        ("an expired one", ours.shown(&liar.identity, &expired)),
        ("a client's", ours.shown(&liar.identity, &client)),
    ];
    for (what, shown) in liars {
        logging.log.clear();
        let fake = Fake::start("127.0.0.1:0".parse().unwrap(), shown).await;
        let joiner = Node::start("joiner").await;
        let error = join(&joiner, &towards(&token, fake.address)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("nothing was sent to it"), "{what}: {error}");
        let text = logging.log.text();
        assert!(
            text.contains("is not believed") || what == "a certificate of another key",
            "{what}: {text}"
        );
        let seen = fake.seen();
        assert!(seen.calls > 0, "{what}: nobody called");
        assert_eq!((seen.let_in, seen.bytes), (0, 0), "{what}: {seen:?}");
        let told = seen.refused.join(" ");
        assert!(!told.contains("joiner"), "{what}: {told}");
        assert!(!told.contains(&joiner.id().to_string()), "{what}: {told}");
        joiner.cluster.stop().await;
    }
    // The token was not spent on any of them.
    let joiner = Node::start("joiner").await;
    join(&joiner, &token).await.unwrap();
}

#[tokio::test]
async fn a_liar_among_the_tokens_addresses_does_not_keep_a_joiner_out() {
    let hive = Node::start("hive").await;
    let elsewhere = Node::start("elsewhere").await;
    let (mut token, made) = hive.invite(Role::Worker, None).await;
    let liar = Machine::new();
    let theirs = Forge::of(&elsewhere);
    let shown = theirs.shown(&liar.identity, &theirs.honest(liar.id()));
    let fake = Fake::start("127.0.0.1:0".parse().unwrap(), shown).await;
    token.addresses = vec![fake.address, made.addresses[0]];
    let joiner = Node::start("joiner").await;
    join(&joiner, &token).await.unwrap();
    let seen = fake.seen();
    assert_eq!((seen.let_in, seen.bytes), (0, 0), "{seen:?}");
    assert!(seen.calls > 0);
}
