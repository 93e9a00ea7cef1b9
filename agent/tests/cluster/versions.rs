//! Hellos of other versions, and what is no hello.

use serde::Serialize;
use skep::net::{Ask, Hello, PROTOCOL, PROTOCOL_OLDEST};

use crate::foreign::{Hand, MEMBERS, Shown, call, endpoint, hello};
use crate::nodes::{Node, READINGS, logging};

fn speaks(oldest: u16, protocol: u16) -> Hello {
    Hello {
        protocol,
        oldest,
        ..hello()
    }
}

/// A hello of a later version may say more than ours.
#[derive(Serialize)]
struct Later {
    hello: Hello,
    more: Vec<String>,
}

#[tokio::test]
async fn nodes_one_version_apart_work_together_and_others_say_why_not() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let member = hive.impostor("member").await;
    let address = hive.address().await;

    for newer in [
        speaks(PROTOCOL_OLDEST, PROTOCOL),
        speaks(PROTOCOL, PROTOCOL + 1),
    ] {
        let hand = Hand::greet(&member, address, &newer).await.unwrap();
        assert_eq!(hand.hello.protocol, PROTOCOL);
        let readings: Vec<u8> = hand.call(&Ask::Readings).await.unwrap();
        assert_eq!(readings, READINGS);
    }
    let later = Later {
        hello: speaks(PROTOCOL, PROTOCOL + 1),
        more: vec!["tomorrow".to_owned()],
    };
    let hand = Hand::greet(&member, address, &later).await.unwrap();
    let readings: Vec<u8> = hand.call(&Ask::Readings).await.unwrap();
    assert_eq!(readings, READINGS);

    for (apart, oldest) in [
        (speaks(PROTOCOL + 1, PROTOCOL + 2), PROTOCOL + 1),
        (
            speaks(PROTOCOL_OLDEST - 1, PROTOCOL_OLDEST - 1),
            PROTOCOL_OLDEST - 1,
        ),
        (speaks(u16::MAX, u16::MAX), u16::MAX),
    ] {
        logging.log.clear();
        let newest = apart.protocol;
        // Both sides have heard each other; nothing that is asked afterwards is answered.
        if let Ok(hand) = Hand::greet(&member, address, &apart).await {
            let Ok((mut send, mut receive)) = hand.connection.open_bi().await else {
                continue;
            };
            let _ = send.write_all(&crate::foreign::frame(&Ask::Readings)).await;
            assert!(receive.read_to_end(1 << 20).await.is_err());
        }
        logging
            .log
            .says(&format!(
                "speaks versions {oldest} to {newest} of the protocol"
            ))
            .await;
        logging.log.says("skep update").await;
    }
}

#[tokio::test]
async fn what_is_no_hello_ends_the_connection() {
    let logging = logging();
    let hive = Node::start("hive").await;
    let member = hive.impostor("member").await;
    let address = hive.address().await;
    let long = Hello {
        name: "n".repeat(5_000),
        ..hello()
    };
    let cases = [
        Vec::new(),
        vec![0xff; 200],
        u32::MAX.to_le_bytes().to_vec(),
        vec![0; 3],
        crate::foreign::frame(&long),
    ];
    for bytes in cases {
        logging.log.clear();
        let shown = Some(Shown::of(&member));
        let endpoint = endpoint();
        let connection = call(&endpoint, address, MEMBERS, shown).await.unwrap();
        let mut send = connection.open_uni().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        let _ = send.finish();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        let _ = send.write_all(&crate::foreign::frame(&Ask::Readings)).await;
        assert!(receive.read_to_end(1 << 20).await.is_err());
        logging.log.says("refused a connection").await;
    }
    // Nor may one wait forever to say it.
    let endpoint = endpoint();
    let shown = Some(Shown::of(&member));
    let connection = call(&endpoint, address, MEMBERS, shown).await.unwrap();
    let closed = connection.closed();
    tokio::time::timeout(std::time::Duration::from_secs(8), closed)
        .await
        .unwrap();
}
