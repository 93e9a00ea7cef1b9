//! What streams between nodes carry, beside QUIC without us and UDP without QUIC, on loopback; one line of JSON.
//!
//! `streams [MEGABYTES]`: the same bytes over each in turn, thrice. Also the time of a handshake, hello included, and of a
//! question that is answered at once.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_bytes::ByteBuf;
use serde_json::json;
use skep::identity::Identity;
use skep::net::{
    Ask, Call, Closed, Credentials, Entrance, Gate, Hello, Links, NetThread, Priority, Roster,
    Socket, Swim, Visitor,
};
use skep::paths::Paths;
use skep::pki::Authority;
use skep_core::ClusterId;
use skep_core::membership::Peer;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let megabytes = std::env::args().nth(1);
    let megabytes: usize = megabytes.map_or(Ok(512), |text| text.parse())?;
    let pieces = megabytes * 1_000_000 / PIECE;
    let folder = tempfile::tempdir()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let authority = Authority::create(CLUSTER, now.as_secs())?;
    // As in an agent, each node's network has a thread of its own.
    let threads = (NetThread::start()?, NetThread::start()?);
    let node = |name: &str, thread: &NetThread| {
        let folder = folder.path().join(name);
        Node::new(&folder, &authority, now.as_secs(), thread.handle())
    };
    let (one, two) = (node("one", &threads.0)?, node("two", &threads.1)?);
    let members = [one.peer.node, two.peer.node].into();
    let roster = Roster {
        cluster: Some(CLUSTER),
        authorities: vec![authority.certificate().clone()],
        members,
    };
    one.gate.set(roster.clone());
    two.gate.set(roster);
    let peer = two.peer.clone();
    let mut visitors = two.serve();
    tokio::spawn(async move {
        while let Some(visitor) = visitors.recv().await {
            if let Visitor::Member(call) = visitor {
                tokio::spawn(answer(*call, pieces));
            }
        }
    });
    let links = one.links.clone();
    drop(one.serve());

    let (mut handshakes, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..HANDSHAKES {
        let started = Instant::now();
        let link = links.to(&peer).await?;
        handshakes.push(micros(started));
        link.close(Closed::Gone);
        link.closed().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let link = links.to(&peer).await?;
    for _ in 0..CALLS {
        let started = Instant::now();
        let _: Vec<u8> = link.call(&Ask::Readings).await?;
        calls.push(micros(started));
    }
    let (mut ours, mut quinns, mut udps) = (Vec::new(), Vec::new(), Vec::new());
    let raw = raw_quinn(pieces).await?;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let (mut asked, _answers) = link
            .ask(&Ask::Follow { after: None }, Priority::Tokens)
            .await?;
        let mut bytes = 0;
        while let Some(piece) = asked.next::<ByteBuf>().await? {
            bytes += piece.len();
        }
        ours.push(rate(bytes, started));
        let started = Instant::now();
        let (mut send, mut receive) = raw.open_bi().await?;
        send.write_all(b"go").await?;
        send.finish()?;
        let mut bytes = 0;
        while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
            bytes += chunk.bytes.len();
        }
        quinns.push(rate(bytes, started));
        udps.push(tokio::task::spawn_blocking(raw_udp).await??);
    }
    println!(
        "{}",
        json!({
            "handshake_us": handshakes, "call_us": calls,
            "skep_mb_s": ours, "quinn_mb_s": quinns, "udp_mb_s": udps,
        })
    );
    Ok(())
}

async fn answer(call: Call, pieces: usize) {
    let Call {
        ask, mut answers, ..
    } = call;
    let sent = match ask {
        Ask::Readings => answers.send(&Vec::<u8>::new()).await,
        _ => {
            let piece = ByteBuf::from(vec![7_u8; PIECE]);
            let mut sent = Ok(());
            for _ in 0..pieces {
                sent = answers.send(&piece).await;
                if sent.is_err() {
                    break;
                }
            }
            sent
        }
    };
    if sent.is_ok() {
        answers.end();
    }
}

/// One node with everything that its network needs.
struct Node {
    peer: Peer,
    gate: Gate,
    links: Links,
    socket: Socket,
    runtime: Handle,
    swim: Swim,
    visits: mpsc::Sender<Visitor>,
    visitors: mpsc::Receiver<Visitor>,
}

impl Node {
    fn new(
        home: &std::path::Path,
        authority: &Authority,
        now: u64,
        runtime: Handle,
    ) -> Result<Self> {
        let paths = Paths::under(home)?;
        paths.create()?;
        let identity = Identity::load_or_create(&paths)?;
        let socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity, &runtime)?;
        let request = identity.request()?;
        let certificate = authority.issue(&request, CLUSTER, now, Duration::from_secs(86_400))?;
        let peer = Peer {
            node: identity.node(),
            generation: 1,
            address: socket.address(),
        };
        let (swim, handle, _) = Swim::new(peer.clone(), 1);
        let (visits, visitors) = mpsc::channel(64);
        let gate = Gate::default();
        let credentials = Credentials {
            certificate,
            authority: authority.certificate().clone(),
            key: identity.private_key(),
            others: Vec::new(),
        };
        let links = Links::new(
            peer.node,
            socket.clone(),
            gate.clone(),
            &credentials,
            Hello::new("measured", 1, peer.address),
            visits.clone(),
            handle,
        )?;
        Ok(Self {
            peer,
            gate,
            links,
            socket,
            runtime,
            swim,
            visits,
            visitors,
        })
    }

    /// Takes in connections from now on.
    fn serve(self) -> mpsc::Receiver<Visitor> {
        let entrance = Entrance::new(self.socket, self.links.clone(), self.visits);
        self.runtime.spawn(entrance.run());
        self.runtime.spawn(self.swim.run(self.links));
        self.visitors
    }
}

/// A connection by quinn alone, with its defaults, whose other end sends so many pieces on every stream.
async fn raw_quinn(pieces: usize) -> Result<quinn::Connection> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain = vec![made.cert.der().clone()];
    let server = quinn::ServerConfig::with_single_cert(chain, key)?;
    let server = quinn::Endpoint::server(server, (Ipv4Addr::LOCALHOST, 0).into())?;
    let address = server.local_addr()?;
    tokio::spawn(async move {
        let connection = server.accept().await.ok_or("closed")?.await?;
        while let Ok((mut send, _)) = connection.accept_bi().await {
            let piece = vec![7_u8; PIECE];
            for _ in 0..pieces {
                send.write_all(&piece).await?;
            }
            send.finish()?;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let client = quinn::ClientConfig::with_root_certificates(Arc::new(roots))?;
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    endpoint.set_default_client_config(client);
    Ok(endpoint.connect(address, "localhost")?.await?)
}

/// Datagrams as large as Ethernet takes, for a second; megabytes a second that arrive.
fn raw_udp() -> Result<f64> {
    let (from, to) = (udp()?, udp()?);
    let address: SocketAddr = to.local_addr()?;
    to.set_read_timeout(Some(Duration::from_millis(100)))?;
    let receiver = std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (0, [0; 2_048]);
        while let Ok(length) = to.recv(&mut buffer) {
            bytes += length;
        }
        bytes
    });
    let started = Instant::now();
    let datagram = [7; DATAGRAM];
    while started.elapsed() < Duration::from_secs(1) {
        // A full buffer is no failure; what does not arrive is not counted.
        let _ = from.send_to(&datagram, address);
    }
    let took = started.elapsed();
    let bytes = receiver.join().map_err(|_| "the receiver failed")?;
    Ok(megabytes(bytes) / took.as_secs_f64())
}

fn udp() -> std::io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

fn rate(bytes: usize, started: Instant) -> f64 {
    megabytes(bytes) / started.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn micros(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e6
}

const CLUSTER: ClusterId = ClusterId([9; 16]);

/// As much as goes in one message.
const PIECE: usize = 64 << 10;

/// What fits into a packet of Ethernet with IPv4 and UDP around it.
const DATAGRAM: usize = 1_472;

const HANDSHAKES: u32 = 30;

const CALLS: u32 = 2_000;

const ROUNDS: u32 = 3;
