//! A member that means harm: ten thousand messages that are malformed or extreme. The node that gets them
//! lives, answers others meanwhile, keeps its memory bounded and its state as it was.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use skep::cluster::Facts;
use skep::net::Ask;
use skep::protocol::{Continued, Generation, Message, Prompt, Sampling, Work};
use skep::router::ModelFacts;
use skep_core::membership::{Doing, Membership, Peer};
use skep_core::state::{self, Action, Role};
use skep_core::{Device, Health, NodeId, Replica, ReplicaId, ReplicaState, Time};

use crate::foreign::{Hand, frame};
use crate::nodes::{Machine, Node, PATIENCE, reaches, until_reaches};

/// As many as are sent in all, at least.
const MESSAGES: u64 = 10_000;

/// How much more memory both sides of the attack may take together at their worst: the window of a
/// connection (8 MiB), the room for its large messages (12 MiB), what is small on each of its streams
/// (32 MiB), and the attacker's own buffers.
const MEMORY_AT_WORST: u64 = 128 << 20;

/// The same once it is over.
const MEMORY_AFTER: u64 = 96 << 20;

#[test]
fn ten_thousand_poisoned_messages_harm_nobody() {
    // In a process of its own: memory is counted.
    let seed = std::env::var("SKEP_SEED").unwrap_or_else(|_| {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        since.as_nanos().to_string()
    });
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "poison::under_attack",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("SKEP_SEED", &seed)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    assert!(
        output.status.success(),
        "with SKEP_SEED={seed}: {said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above, in a process of its own"]
async fn under_attack() {
    let seed: u64 = std::env::var("SKEP_SEED").unwrap().parse().unwrap();
    let mut dice = Dice(seed);
    let hive = Arc::new(Node::start("hive").await);
    let worker = hive.with("worker", crate::nodes::WEEK).await;
    let member = hive.impostor("evil").await;
    let address = hive.address().await;
    until_reaches(&worker, &hive).await;
    until_reaches(&hive, &worker).await;
    let state = hive.state();
    let before = memory("VmRSS");

    let over = Arc::new(AtomicBool::new(false));
    let honest = tokio::spawn(ask_all_along(worker, hive.clone(), over.clone()));
    let sent = Arc::new(AtomicU64::new(0));

    // On as many connections as a member may have.
    let each = (MESSAGES - 1_000) / 4;
    let attack = |lane: u64| barrage(&member, address, Dice(seed.wrapping_add(lane)), each);
    let began = Instant::now();
    let lanes = tokio::join!(attack(1), attack(2), attack(3), attack(4));
    let mut kinds = [0_u64; KINDS as usize];
    for lane in [lanes.0, lanes.1, lanes.2, lanes.3] {
        for (all, one) in kinds.iter_mut().zip(lane) {
            *all += one;
        }
    }
    sent.fetch_add(kinds.iter().sum(), Ordering::Relaxed);
    eprintln!("after {:?}: {kinds:?}", began.elapsed());

    // Millions of empty messages in one ask each, several asks at once.
    let hand = Hand::of(&member, address).await;
    let empty = empty_messages(2_000_000);
    let mut asks = Vec::new();
    for _ in 0..4 {
        sent.fetch_add(1, Ordering::Relaxed);
        let (mut send, mut receive) = hand.connection.open_bi().await.unwrap();
        let empty = empty.clone();
        asks.push(tokio::spawn(async move {
            let _ = send.write_all(&empty).await;
            let _ = send.finish();
            receive.read_to_end(1 << 10).await
        }));
    }
    for ask in asks {
        assert!(ask.await.unwrap().is_err());
    }
    drop(hand);

    // Large messages that never end, on as many streams as there may be.
    let hand = Hand::of(&member, address).await;
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        sent.fetch_add(1, Ordering::Relaxed);
        let opened = tokio::time::timeout(Duration::from_millis(200), hand.connection.open_bi());
        let Ok(Ok((mut send, receive))) = opened.await else {
            break;
        };
        streams.push(tokio::spawn(async move {
            let _open = receive;
            let _ = send.write_all(&(8_u32 << 20).to_le_bytes()).await;
            for _ in 0..127 {
                if send.write_all(&[1; 64 << 10]).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        }));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for stream in streams {
        stream.abort();
    }
    drop(hand);

    let told = tell_poisoned_facts(&hive, &member, address, &mut dice).await;
    sent.fetch_add(told, Ordering::Relaxed);
    let worst = memory("VmHWM");

    over.store(true, Ordering::Relaxed);
    let (answered, slowest) = honest.await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = memory("VmRSS");
    let sent = sent.load(Ordering::Relaxed);
    eprintln!(
        "seed {seed}: {sent} messages ({kinds:?}, {told} of facts); {answered} honest requests answered, the \
         slowest in {slowest:?}; memory {} MiB before, {} at worst, {} after",
        before >> 20,
        worst >> 20,
        after >> 20
    );
    assert!(sent >= MESSAGES);
    assert!(answered > 20, "{answered}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(worst < before + MEMORY_AT_WORST);
    assert!(after < before + MEMORY_AFTER);
    assert_eq!(*state, *hive.state());
    // Nothing that the member said of itself is about others, or without bound.
    let shown = hive.cluster.nodes();
    assert_eq!(shown.len(), 3);
    for node in shown {
        assert!(node.name.len() < 64 && node.devices.len() <= 64, "{node:?}");
        for device in node.devices {
            assert!(device.id.len() <= 512 && device.kind.len() <= 512);
            assert!(device.why.is_none_or(|why| why.len() <= 512));
        }
    }
}

/// Has one node asked by another until it is over; how often it answered, and how late at worst.
async fn ask_all_along(worker: Node, hive: Arc<Node>, over: Arc<AtomicBool>) -> (u64, Duration) {
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        assert!(reaches(&worker, &hive).await, "after {answered} answers");
        slowest = slowest.max(began.elapsed());
        answered += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (answered, slowest)
}

/// Sends so many messages that should not be, over one connection after the other; how many of each kind.
async fn barrage(
    member: &Machine,
    address: std::net::SocketAddr,
    mut dice: Dice,
    messages: u64,
) -> [u64; KINDS as usize] {
    let mut kinds = [0; KINDS as usize];
    let mut hand = again(member, address).await;
    let mut held = Vec::new();
    for _ in 0..messages {
        if hand.connection.close_reason().is_some() {
            held.clear();
            hand = again(member, address).await;
        }
        let kind = dice.below(KINDS);
        kinds[kind as usize] += 1;
        let poison = poison(&mut dice, kind, &hand, member, &mut held);
        // A node that is slow to read what is too much for it does right.
        let _ = tokio::time::timeout(Duration::from_millis(500), poison).await;
    }
    kinds
}

/// Connects until it is let in: one connection too many is shown out.
async fn again(member: &Machine, address: std::net::SocketAddr) -> Hand {
    loop {
        if let Ok(hand) = Hand::greet(member, address, &crate::foreign::hello()).await {
            return hand;
        }
    }
}

const KINDS: u64 = 16;

/// One message that should not be.
async fn poison(
    dice: &mut Dice,
    kind: u64,
    hand: &Hand,
    member: &Machine,
    held: &mut Vec<(quinn::SendStream, quinn::RecvStream)>,
) {
    let bytes = match kind {
        0 => dice.bytes(4_096),
        1 => [u32::MAX.to_le_bytes().to_vec(), dice.bytes(4_096)].concat(),
        2 => ((8_u32 << 20) + 1).to_le_bytes().to_vec(),
        3 => {
            let mut whole = frame(&extreme_work(dice));
            let cut = dice.below(whole.len() as u64);
            whole.truncate(cut as usize);
            whole
        }
        // A frame of the right length with nonsense in it.
        4 => {
            let body = dice.bytes(2_000);
            [(body.len() as u32).to_le_bytes().to_vec(), body].concat()
        }
        // An enumeration's variant, and lengths of lists, beyond all bounds.
        5 => {
            let body = [vec![dice.below(8) as u8], vec![0xff; 9], vec![1]].concat();
            [(body.len() as u32).to_le_bytes().to_vec(), body].concat()
        }
        6 => frame(&extreme_work(dice)),
        // Five thousand messages of nothing.
        7 => frame(&Ask::Submit {
            replica: dice.next(),
            work: Arc::new(generate(Prompt::Chat(vec![
                Message {
                    role: String::new(),
                    content: String::new(),
                    name: None
                };
                5_000
            ]))),
        }),
        8 => frame(&Ask::Propose(dice.bytes(8_192))),
        9 => frame(&Ask::Propose(extreme_command(dice, member.id()))),
        10 => frame(&Ask::Renew(dice.bytes(4_096))),
        11 => frame(&Ask::Load("m".repeat(dice.below(10_000) as usize))),
        12 => frame(&Ask::Follow {
            after: Some(u64::MAX - dice.below(3)),
        }),
        13 => {
            // A good message in which bits fell over.
            let mut whole = frame(&extreme_work(dice));
            for _ in 0..4 {
                let at = dice.below(whole.len() as u64) as usize;
                whole[at] ^= 1 << dice.below(8);
            }
            whole
        }
        14 => {
            for _ in 0..4 {
                let length = dice.below(1_150);
                let _ = hand.connection.send_datagram(dice.bytes(length).into());
            }
            return;
        }
        // Asked, and never read.
        _ => frame(if dice.below(2) == 0 {
            &Ask::Facts
        } else {
            &Ask::Follow { after: None }
        }),
    };
    let Ok((mut send, mut receive)) = hand.connection.open_bi().await else {
        return;
    };
    let _ = send.write_all(&bytes).await;
    match dice.below(4) {
        0 => {
            let _ = send.finish();
            let _ = receive.read_to_end(1 << 20).await;
        }
        1 => {
            let _ = send.reset(7_u32.into());
        }
        2 => {
            let _ = receive.stop(7_u32.into());
        }
        _ => {
            held.push((send, receive));
            if held.len() > 600 {
                held.drain(..300);
            }
        }
    }
}

/// An ask that is nothing but so many messages of nothing; made by hand, since made as one it would take
/// more memory here than it may take there.
fn empty_messages(count: usize) -> bytes::Bytes {
    let one = Message {
        role: String::new(),
        content: String::new(),
        name: None,
    };
    let ask = |count: usize| {
        let work = generate(Prompt::Chat(vec![one.clone(); count]));
        postcard::to_stdvec(&Ask::Submit {
            replica: 1,
            work: Arc::new(work),
        })
        .unwrap()
    };
    // What goes before and after them is the same whatever their count is.
    let (none, three) = (ask(0), ask(3));
    let same = none.iter().zip(&three).take_while(|(a, b)| a == b).count();
    let mut body = none[..same].to_vec();
    body.extend(postcard::to_stdvec(&count).unwrap());
    body.resize(body.len() + 3 * count, 0);
    body.extend(&none[same + 1..]);
    let mut whole = (body.len() as u32).to_le_bytes().to_vec();
    whole.append(&mut body);
    whole.into()
}

fn generate(prompt: Prompt) -> Work {
    Work::Generate(Generation {
        prompt,
        sampling: Sampling::default(),
        max_tokens: None,
        stop: Vec::new(),
        ignore_end: false,
        choices: 1,
        logprobs: None,
        echo: false,
        continued: Vec::new(),
    })
}

fn extreme_work(dice: &mut Dice) -> Ask {
    let numbers = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN, -0.0];
    let mut number = || numbers[dice.below(5) as usize];
    let sampling = Sampling {
        logit_bias: vec![(u32::MAX, number()); 50],
        repetition_penalty: number(),
        presence_penalty: number(),
        frequency_penalty: number(),
        temperature: number(),
        top_k: u32::MAX,
        top_p: number(),
        min_p: number(),
        seed: Some(u64::MAX),
        entropy: u64::MAX,
    };
    let work = if dice.below(2) == 0 {
        Work::Embed(vec![Prompt::Tokens(vec![u32::MAX; 300]); 20])
    } else {
        Work::Generate(Generation {
            prompt: Prompt::Text("\u{0}\u{202e}{{ self }}".repeat(50)),
            sampling,
            max_tokens: Some(u32::MAX),
            stop: vec![String::new(); 100],
            ignore_end: true,
            choices: u32::MAX,
            logprobs: Some(u32::MAX),
            echo: true,
            continued: vec![
                Continued {
                    tokens: vec![u32::MAX; 10],
                    text_bytes: u64::MAX,
                    logprobs: u32::MAX,
                    finish: None,
                };
                10
            ],
        })
    };
    let replicas = [0, 1, u64::MAX, 1 << 32, (1 << 32) + 1];
    Ask::Submit {
        replica: replicas[dice.below(5) as usize],
        work: Arc::new(work),
    }
}

/// Commands that a worker may not give, or that say what cannot be.
fn extreme_command(dice: &mut Dice, me: NodeId) -> Vec<u8> {
    let node = [me, NodeId([0; 16]), NodeId([0xff; 16])][dice.below(3) as usize];
    let action = match dice.below(7) {
        0 => Action::Move {
            node,
            address: "0.0.0.0:0".parse().unwrap(),
        },
        1 => Action::Move {
            node: me,
            address: "255.255.255.255:65535".parse().unwrap(),
        },
        2 => Action::Remove(node),
        3 => Action::Approve(node),
        4 => Action::Rename {
            node,
            name: "\u{202e}".repeat(500),
        },
        5 => Action::IssueToken(state::Issue {
            token: skep_core::TokenId([1; 8]),
            stored_key: [0; 32],
            role: Role::Voter,
            name: None,
            expires_at: u64::MAX,
        }),
        _ => Action::AddAuthority(state::Certificate {
            id: skep_core::AuthorityId([0; 32]),
            der: vec![0; 4_000],
            valid_from: 0,
            valid_until: u64::MAX,
        }),
    };
    let command = state::Command {
        at: [0, u64::MAX][dice.below(2) as usize],
        action,
    };
    command.encode().unwrap()
}

/// Takes part in membership as a member does, and answers what is asked of it with poison. How many
/// answers were given.
async fn tell_poisoned_facts(
    hive: &Node,
    member: &Machine,
    address: std::net::SocketAddr,
    dice: &mut Dice,
) -> u64 {
    let me = Peer {
        node: member.id(),
        generation: crate::foreign::hello().generation,
        address: crate::foreign::hello().address,
    };
    let mut told = 0;
    let began = Instant::now();
    while told < 90 && began.elapsed() < 3 * PATIENCE {
        // Once it counts as gone, its connections are closed.
        let hand = again(member, address).await;
        let connection = hand.connection.clone();
        let speaking = tokio::spawn(swim(connection, me.clone(), hive.id(), address));
        loop {
            let asked = tokio::time::timeout(PATIENCE / 4, hand.connection.accept_bi());
            let Ok(Ok((mut send, _receive))) = asked.await else {
                break;
            };
            // A few that can be read, and one that cannot and ends it.
            for _ in 0..30 {
                if send.write_all(&frame(&extreme_facts(dice))).await.is_err() {
                    break;
                }
                told += 1;
            }
            told += 1;
            let end = match dice.below(3) {
                0 => dice.bytes(4_000),
                1 => u32::MAX.to_le_bytes().to_vec(),
                _ => frame(&vec![0xff_u8; 1 << 20]),
            };
            let _ = send.write_all(&end).await;
            let _ = send.finish();
            if told >= 90 {
                break;
            }
        }
        speaking.abort();
    }
    assert!(told >= 90, "only {told} were heard");
    told
}

/// What a member says of itself at its worst, as it still can be read.
fn extreme_facts(dice: &mut Dice) -> Facts {
    let long = "\u{1b}[2J\u{0}".repeat(1 + dice.below(300) as usize);
    let numbers = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63];
    let number = numbers[dice.below(5) as usize];
    let small = [0, 1, u32::MAX, u32::MAX - 1][dice.below(4) as usize];
    let device = Device {
        id: long.clone(),
        kind: long.clone(),
        health: Health::Degraded(long.clone()),
        memory_bytes: number,
        memory_free_bytes: u64::MAX,
        bandwidth: number,
    };
    let replica = |id: u64| Replica {
        id: ReplicaId(id),
        model: if id.is_multiple_of(2) {
            "shared".into()
        } else {
            long.as_str().into()
        },
        node: NodeId([0xff; 16]),
        devices: vec!["cpu".into(); 200],
        state: match id % 3 {
            0 => ReplicaState::Ready,
            1 => ReplicaState::Failed(long.clone()),
            _ => ReplicaState::Starting,
        },
        running: small,
        waiting: small,
        capacity: small,
        cache_pages: small,
        cache_pages_used: u32::MAX,
        first_token_us: number,
        token_us: number,
    };
    let many = dice.below(40);
    Facts {
        node: skep_core::Node {
            id: NodeId([0; 16]),
            name: long.clone(),
            health: Health::Lost(long.clone()),
            draining: dice.below(2) == 0,
            labels: (0..50).map(|n| (n.to_string(), long.clone())).collect(),
            devices: vec![device; 1 + dice.below(80) as usize],
        },
        replicas: (0..many).map(|n| replica(number.wrapping_sub(n))).collect(),
        models: (0..200)
            .map(|n| format!("model-{n}-{number}").into())
            .collect(),
        loaded: vec![
            (
                "shared".into(),
                ModelFacts {
                    fingerprint: long,
                    info: None
                }
            );
            20
        ],
        software: "\u{0}".repeat(5_000),
    }
}

/// Keeps a member up in the eyes of one node.
async fn swim(connection: quinn::Connection, me: Peer, to: NodeId, address: std::net::SocketAddr) {
    let started = Instant::now();
    let now = || Time(started.elapsed());
    let mut core = Membership::new(me, 1);
    core.admit(
        now(),
        Peer {
            node: to,
            generation: 0,
            address,
        },
    );
    loop {
        while let Some(doing) = core.poll_doing() {
            if let Doing::Send { to: peer, bytes } = doing
                && peer.node == to
            {
                let _ = connection.send_datagram(bytes.into());
            }
        }
        let wait = core
            .poll_timeout()
            .map_or(Duration::from_millis(100), |Time(at)| {
                at.saturating_sub(started.elapsed())
            });
        match tokio::time::timeout(wait, connection.read_datagram()).await {
            Ok(Ok(bytes)) => {
                let _ = core.handle_datagram(now(), to, &bytes);
            }
            Ok(Err(_)) => return,
            Err(_) => core.handle_timeout(now()),
        }
    }
}

/// A figure of this process's memory, in bytes.
fn memory(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed, the same poison.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most + 1))
            .map(|_| self.next() as u8)
            .collect()
    }
}
