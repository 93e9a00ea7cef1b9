//! QUIC that is not ours: callers and servers that show what papers they like and say what they like.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skep::identity::Identity;
use skep::keys::unix_now_s;
use skep::net::{Ask, Hello};
use skep::pki;
use skep::protocol::{Decoder, encode};
use skep_core::{ClusterId, NodeId};
use time::OffsetDateTime;

use crate::nodes::{Machine, Node, authority_key};

pub(crate) const MEMBERS: &[u8] = b"skep/1";
pub(crate) const JOINERS: &[u8] = b"skep-join/1";

/// What somebody shows: a chain and the key of its first certificate.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Shown {
    /// What a member shows.
    pub(crate) fn of(machine: &Machine) -> Self {
        let (certificate, authority) = machine.papers.clone().unwrap();
        Self {
            chain: vec![certificate, authority],
            key: machine.identity.private_key(),
        }
    }

    /// As TLS wants it; nobody looks whether the key fits.
    fn certified(self) -> rustls::sign::CertifiedKey {
        let PrivateKeyDer::Pkcs8(key) = self.key else {
            panic!("ours are PKCS #8");
        };
        let key = ring::sign::any_eddsa_type(&key).unwrap();
        rustls::sign::CertifiedKey::new(self.chain, key)
    }
}

/// A stolen authority: makes certificates that ours never would.
pub(crate) struct Forge {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) cluster: ClusterId,
}

/// What a forged certificate says; the rest is as it should be.
#[derive(Clone)]
pub(crate) struct Forged {
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) from_s: i64,
    pub(crate) until_s: i64,
    pub(crate) usages: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) more_names: Vec<String>,
}

impl Forge {
    pub(crate) fn of(founder: &Node) -> Self {
        let state = founder.state();
        let (_, active) = state.active_authority().unwrap();
        let authority = CertificateDer::from(active.der.clone());
        let key = KeyPair::from_pem(&authority_key(founder)).unwrap();
        Self {
            issuer: Issuer::from_ca_cert_der(&authority, key).unwrap(),
            authority,
            cluster: state.cluster().unwrap().id,
        }
    }

    /// What an honest certificate of this node says.
    pub(crate) fn honest(&self, node: NodeId) -> Forged {
        Forged {
            node,
            cluster: self.cluster,
            from_s: -60,
            until_s: 3_600,
            usages: vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            more_names: Vec::new(),
        }
    }

    /// A certificate for this key, with the authority behind it.
    pub(crate) fn shown(&self, identity: &Identity, says: &Forged) -> Shown {
        let key = KeyPair::try_from(&identity.private_key()).unwrap();
        let mut names = vec![pki::name(says.node, says.cluster)];
        names.extend(says.more_names.iter().cloned());
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = says.usages.clone();
        params.not_before = moment(says.from_s);
        params.not_after = moment(says.until_s);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Shown {
            chain: vec![certificate.der().clone(), self.authority.clone()],
            key: identity.private_key(),
        }
    }
}

fn moment(from_now_s: i64) -> OffsetDateTime {
    let now = i64::try_from(unix_now_s()).unwrap();
    OffsetDateTime::from_unix_timestamp(now + from_now_s).unwrap()
}

/// A caller's endpoint: any port.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

/// Calls somebody, believing whatever they show.
pub(crate) async fn call(
    from: &Endpoint,
    address: SocketAddr,
    protocol: &[u8],
    shown: Option<Shown>,
) -> Result<Connection, ConnectionError> {
    let provider = Arc::new(ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = match shown {
        Some(shown) => {
            config.with_client_cert_resolver(Arc::new(Shows(Arc::new(shown.certified()))))
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let config = QuicClientConfig::try_from(config).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(config));
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(10).try_into().unwrap()));
    config.transport_config(Arc::new(transport));
    from.connect_with(config, address, "skep").unwrap().await
}

/// A hello as this version says it.
pub(crate) fn hello() -> Hello {
    Hello::new("stranger", 1, (Ipv4Addr::LOCALHOST, 9).into())
}

pub(crate) fn frame<M: Serialize>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

/// What somebody got who connected and asked for everything at once.
#[derive(Debug)]
pub(crate) struct Got {
    /// Every byte of every stream and datagram that came.
    pub(crate) bytes: Vec<u8>,
    /// How it ended, in the words that the other side sees.
    pub(crate) end: String,
}

/// Connects, says hello and asks for everything, and takes down what comes until the other side ends it.
pub(crate) async fn intrude(address: SocketAddr, protocol: &[u8], shown: Option<Shown>) -> Got {
    let endpoint = endpoint();
    let connection = match call(&endpoint, address, protocol, shown).await {
        Ok(connection) => connection,
        Err(end) => {
            return Got {
                bytes: Vec::new(),
                end: end.to_string(),
            };
        }
    };
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for ask in [Ask::Facts, Ask::Follow { after: None }, Ask::Readings] {
        let Ok((mut send, receive)) = connection.open_bi().await else {
            break;
        };
        let _ = send.write_all(&frame(&ask)).await;
        tasks.spawn(async move {
            let _open = send;
            let _ = std::future::pending::<()>().await;
        });
        tasks.spawn(drain(receive, bytes.clone()));
    }
    if let Ok(mut send) = connection.open_uni().await {
        let _ = send.write_all(&frame(&hello())).await;
        let _ = send.finish();
    }
    let _ = connection.send_datagram(vec![7; 64].into());
    {
        let (connection, bytes) = (connection.clone(), bytes.clone());
        tasks.spawn(async move {
            while let Ok(receive) = connection.accept_uni().await {
                drain(receive, bytes.clone()).await;
            }
        });
    }
    {
        let (connection, bytes) = (connection.clone(), bytes.clone());
        tasks.spawn(async move {
            while let Ok(datagram) = connection.read_datagram().await {
                bytes.lock().unwrap().extend_from_slice(&datagram);
            }
        });
    }
    let end = tokio::time::timeout(Duration::from_secs(8), connection.closed()).await;
    let end = end.map_or_else(|_| "it stayed open".to_owned(), |end| end.to_string());
    tasks.shutdown().await;
    let bytes = bytes.lock().unwrap().clone();
    Got { bytes, end }
}

async fn drain(mut receive: RecvStream, bytes: Arc<Mutex<Vec<u8>>>) {
    while let Ok(Some(chunk)) = receive.read_chunk(1 << 16, true).await {
        bytes.lock().unwrap().extend_from_slice(&chunk.bytes);
    }
}

/// A member's connection, made by hand.
pub(crate) struct Hand {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
    /// What the node said of itself.
    pub(crate) hello: Hello,
}

impl Hand {
    /// Connects as this member and says hello as it should.
    pub(crate) async fn of(machine: &Machine, address: SocketAddr) -> Self {
        Self::greet(machine, address, &hello()).await.unwrap()
    }

    /// The same with another hello; why it came to nothing.
    pub(crate) async fn greet(
        machine: &Machine,
        address: SocketAddr,
        hello: &impl Serialize,
    ) -> Result<Self, String> {
        let endpoint = endpoint();
        let connection = call(&endpoint, address, MEMBERS, Some(Shown::of(machine))).await;
        let connection = connection.map_err(|error| error.to_string())?;
        let mut send = connection.open_uni().await.map_err(|e| e.to_string())?;
        send.write_all(&frame(hello))
            .await
            .map_err(|e| e.to_string())?;
        let _ = send.finish();
        let heard = async {
            let receive = connection.accept_uni().await.map_err(|e| e.to_string())?;
            let hello = Answers::new(receive).next().await;
            hello.ok_or_else(|| "no hello".to_owned())
        };
        let hello = heard.await?;
        Ok(Self {
            endpoint,
            connection,
            hello,
        })
    }

    /// Asks, and leaves the asking half open.
    pub(crate) async fn ask(&self, ask: &Ask) -> (quinn::SendStream, Answers) {
        let (mut send, receive) = self.connection.open_bi().await.unwrap();
        send.write_all(&frame(ask)).await.unwrap();
        (send, Answers::new(receive))
    }

    /// Asks something that has one answer; none when the node closed instead.
    pub(crate) async fn call<M: DeserializeOwned>(&self, ask: &Ask) -> Option<M> {
        let (mut send, mut answers) = self.ask(ask).await;
        let _ = send.finish();
        answers.next().await
    }
}

/// The answers on one stream.
pub(crate) struct Answers {
    receive: RecvStream,
    decoder: Decoder,
}

impl Answers {
    pub(crate) fn new(receive: RecvStream) -> Self {
        Self {
            receive,
            decoder: Decoder::default(),
        }
    }

    pub(crate) async fn next<M: DeserializeOwned>(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.decoder.decode().ok()? {
                return Some(message);
            }
            let chunk = self.receive.read_chunk(1 << 16, true).await.ok()??;
            self.decoder.space().extend_from_slice(&chunk.bytes);
        }
    }
}

/// Somebody who answers on any port, with papers that nobody gave them.
pub(crate) fn served(protocol: &[u8]) -> Endpoint {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(vec!["adopt.skep".to_owned()]).unwrap();
    let shown = Shown {
        chain: vec![certificate.self_signed(&key).unwrap().der().clone()],
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    };
    let provider = Arc::new(ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(shown.certified()))));
    config.alpn_protocols = vec![protocol.to_vec()];
    let config = QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(config));
    Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

/// Somebody who answers on a port with papers of their own, and takes down who came how far.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
    endpoint: Endpoint,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    /// Handshakes that were finished.
    pub(crate) let_in: usize,
    /// Bytes of streams and datagrams.
    pub(crate) bytes: usize,
    /// Why handshakes were not finished.
    pub(crate) refused: Vec<String>,
}

impl Fake {
    pub(crate) async fn start(address: SocketAddr, shown: Shown) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shows(Arc::new(shown.certified()))));
        config.alpn_protocols = vec![MEMBERS.to_vec(), JOINERS.to_vec()];
        // A caller that would send anything early could.
        config.max_early_data_size = u32::MAX;
        let config = QuicServerConfig::try_from(config).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(config));
        let endpoint = loop {
            match Endpoint::server(config.clone(), address) {
                Ok(endpoint) => break endpoint,
                // Whoever had the port a moment ago has not let go of it yet.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let task = tokio::spawn(look(endpoint.clone(), seen.clone()));
        Self {
            address: endpoint.local_addr().unwrap(),
            seen,
            endpoint,
            task,
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
        self.endpoint.close(0_u32.into(), b"");
    }
}

async fn look(endpoint: Endpoint, seen: Arc<Mutex<Seen>>) {
    while let Some(incoming) = endpoint.accept().await {
        seen.lock().unwrap().calls += 1;
        let seen = seen.clone();
        tokio::spawn(async move {
            let connection = match incoming.await {
                Ok(connection) => connection,
                Err(error) => {
                    seen.lock().unwrap().refused.push(error.to_string());
                    return;
                }
            };
            seen.lock().unwrap().let_in += 1;
            loop {
                let bytes = tokio::select! {
                    stream = connection.accept_uni() => match stream {
                        Ok(mut receive) => receive.read_to_end(1 << 20).await.map_or(1, |all| all.len() + 1),
                        Err(_) => return,
                    },
                    stream = connection.accept_bi() => match stream {
                        Ok((_, mut receive)) => receive.read_to_end(1 << 20).await.map_or(1, |all| all.len() + 1),
                        Err(_) => return,
                    },
                    datagram = connection.read_datagram() => match datagram {
                        Ok(datagram) => datagram.len() + 1,
                        Err(_) => return,
                    },
                };
                seen.lock().unwrap().bytes += bytes;
            }
        });
    }
}

/// A chain and a key that need not fit each other.
#[derive(Debug)]
struct Shows(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Shows {
    fn resolve(
        &self,
        _hello: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl rustls::client::ResolvesClientCert for Shows {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Believes anybody.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
