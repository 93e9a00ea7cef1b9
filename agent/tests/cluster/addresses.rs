//! A machine that changes its address in mid-stream.

use std::net::{Ipv4Addr, UdpSocket};

use skep::cluster::Facts;
use skep::net::Ask;

use crate::foreign::Hand;
use crate::nodes::{Node, READINGS};

#[tokio::test]
async fn a_stream_goes_on_when_its_caller_moves() {
    let hive = Node::start("hive").await;
    let member = hive.impostor("member").await;
    let address = hive.address().await;
    let hand = Hand::of(&member, address).await;
    let (_asking, mut facts) = hand.ask(&Ask::Facts).await;
    facts.next::<Facts>().await.unwrap();
    for round in 1..=3_u64 {
        let before = hand.endpoint.local_addr().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        hand.endpoint.rebind(socket).unwrap();
        assert_ne!(before, hand.endpoint.local_addr().unwrap());
        // What is new there comes on the stream that was open before.
        let memory = round << 20;
        hive.router()
            .update_node(|node| node.devices[0].memory_free_bytes = memory);
        loop {
            let told = facts.next::<Facts>().await.unwrap();
            if told.node.devices[0].memory_free_bytes == memory {
                break;
            }
        }
        // And new ones are answered.
        let readings: Vec<u8> = hand.call(&Ask::Readings).await.unwrap();
        assert_eq!(readings, READINGS);
    }
    assert!(hand.connection.close_reason().is_none());
}
