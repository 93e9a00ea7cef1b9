//! Certificates by ACME, from a real authority (Pebble) that proves the names and signs: had, shown, renewed, and failing.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use skep_tests::agent::Agent;

const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "hive.example.org";

/// What the authority logs when it takes an order.
const ORDER: &str = "POST /order-plz";

/// What it logs when it is asked to look for the proof.
const PROVE: &str = "POST /chalZ";

/// Pebble and its DNS, on loopback, for an agent at `port`.
struct Authority {
    folder: tempfile::TempDir,
    directory: u16,
    management: u16,
    names: Child,
    pebble: Child,
    settings: Vec<(&'static str, &'static str)>,
}

impl Authority {
    /// None, with a word, where there is no Pebble.
    fn start(agent: u16, life_s: u32, settings: &[(&'static str, &'static str)]) -> Option<Self> {
        if Command::new("pebble").arg("-h").output().is_err() {
            eprintln!("not tried: there is no `pebble`; install the package `pebble`");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.path().join("tls.pem"), made.cert.pem()).unwrap();
        fs::write(
            folder.path().join("tls.key"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        let [directory, management, names, control] = [(); 4].map(|()| free());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{directory}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("tls.pem"),
            "privateKey": path("tls.key"),
            "httpPort": 1,
            "tlsPort": agent,
            "certificateValidityPeriod": life_s,
        }});
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        fs::write(folder.path().join("dns"), names.to_string()).unwrap();
        let dns = Command::new("pebble-challtestsrv")
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &format!("127.0.0.1:{names}")])
            .args(["-management", &format!("127.0.0.1:{control}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pebble = launch(folder.path(), settings);
        let authority = Self {
            folder,
            directory,
            management,
            names: dns,
            pebble,
            settings: settings.to_vec(),
        };
        authority.wait();
        Some(authority)
    }

    fn stop(&mut self) {
        self.pebble.kill().unwrap();
        self.pebble.wait().unwrap();
    }

    /// It remembers nothing, and signs with another key.
    fn start_again(&mut self) {
        self.pebble = launch(self.folder.path(), &self.settings);
        self.wait();
    }

    fn wait(&self) {
        for port in [self.directory, self.management] {
            until("the authority listens", || {
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
        }
    }

    fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.directory)
    }

    fn tls(&self) -> PathBuf {
        self.folder.path().join("tls.pem")
    }

    /// Who signs now.
    fn root(&self) -> CertificateDer<'static> {
        let roots = believing(&[CertificateDer::from_pem_file(self.tls()).unwrap()]);
        let at = SocketAddr::from(([127, 0, 0, 1], self.management));
        let (text, _) = get(at, "127.0.0.1", "/roots/0", roots).unwrap();
        let pem = text.split_once("\r\n\r\n").unwrap().1;
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// Lines of its log that have this.
    fn said(&self, what: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains(what)).count()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for child in [&mut self.pebble, &mut self.names] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn launch(folder: &Path, settings: &[(&str, &str)]) -> Child {
    let dns = fs::read_to_string(folder.join("dns")).unwrap();
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    Command::new("pebble")
        .arg("-config")
        .arg(folder.join("config.json"))
        .args(["-dnsserver", &format!("127.0.0.1:{dns}")])
        .envs(settings.iter().copied())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A port that nothing listens on.
fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not so in time: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn believing(roots: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    store
}

/// A connection under TLS, where the chain leads to one of the roots.
fn connect(
    to: SocketAddr,
    name: &str,
    roots: RootCertStore,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(to).map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    stream
        .conn
        .complete_io(&mut stream.sock)
        .map_err(|error| error.to_string())?;
    Ok(stream)
}

/// The answer to a `GET`, and the certificate under which it came.
fn get(
    to: SocketAddr,
    name: &str,
    path: &str,
    roots: RootCertStore,
) -> Result<(String, Vec<u8>), String> {
    let mut stream = connect(to, name, roots)?;
    let leaf = stream.conn.peer_certificates().unwrap()[0].to_vec();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {name}:{}\r\nconnection: close\r\n\r\n",
        to.port()
    )
    .unwrap();
    let mut answer = Vec::new();
    // Some end without saying so.
    let _ = stream.read_to_end(&mut answer);
    Ok((String::from_utf8_lossy(&answer).into_owned(), leaf))
}

/// The certificate that a caller sees who believes the authority.
fn shown(agent: &Agent, root: &CertificateDer<'static>) -> Result<Vec<u8>, String> {
    let (answer, leaf) = get(
        agent.address(),
        NAME,
        "/healthz",
        believing(std::slice::from_ref(root)),
    )?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(leaf)
}

fn certificate(agent: &Agent) -> Value {
    let (good, out, err) = agent.skep(&["certificate", "show", "--json"], "").unwrap();
    assert!(good, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn settings<'a>(listen: &'a str, directory: &'a str, root: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("SKEP_HTTP_LISTEN", listen),
        ("SKEP_CLUSTER_LISTEN", "127.0.0.1:0"),
        ("SKEP_MODELS_DEFAULT", ""),
        // So that a connection may be idle for as long as a certificate lives here.
        ("SKEP_HTTP_HEADER_TIMEOUT_S", "60"),
        ("SKEP_HTTP_ACME_NAMES", "[\"hive.example.org\"]"),
        ("SKEP_HTTP_ACME_DIRECTORY", directory),
        ("SKEP_HTTP_ACME_ROOT", root),
        ("SKEP_HTTP_ACME_TERMS_AGREED", "true"),
    ]
}

/// An agent that asks an authority, and the settings to start it again with.
macro_rules! agent_at {
    ($authority:expr, $port:expr) => {{
        let listen = format!("127.0.0.1:{}", $port);
        let (directory, root) = ($authority.directory(), $authority.tls());
        Agent::start(&settings(&listen, &directory, root.to_str().unwrap())).unwrap()
    }};
}

/// Every fifth nonce is refused, and certificates last for 20 s.
#[test]
fn a_certificate_is_had_shown_and_renewed() {
    let port = free();
    let quick = [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "20")];
    let Some(authority) = Authority::start(port, 20, &quick) else {
        return;
    };
    let agent = agent_at!(authority, port);
    let root = authority.root();
    let mut first = Vec::new();
    until("the certificate is shown", || match shown(&agent, &root) {
        Ok(leaf) => {
            first = leaf;
            true
        }
        Err(_) => false,
    });
    let told = certificate(&agent);
    assert_eq!(told["source"], "acme", "{told}");
    assert_eq!(told["names"], json!([NAME]));
    assert_eq!(told["acme"]["failures"], 0);
    assert!(told["acme"]["terms"].is_string(), "{told}");
    let life =
        told["valid_until_unix_s"].as_u64().unwrap() - told["valid_from_unix_s"].as_u64().unwrap();
    assert!(life <= 21, "{told}");
    // By its address it has the one that the agent made, which no authority vouches for.
    let by_address = get(
        agent.address(),
        "127.0.0.1",
        "/healthz",
        believing(std::slice::from_ref(&root)),
    );
    assert!(by_address.is_err());
    // Everything of it is for this user alone.
    for entry in fs::read_dir(agent.home().join("state/acme")).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    // Who is connected stays so while it is renewed.
    let mut open = connect(
        agent.address(),
        NAME,
        believing(std::slice::from_ref(&root)),
    )
    .unwrap();
    let pid = agent.pid();
    until("another certificate is shown", || {
        shown(&agent, &root).is_ok_and(|leaf| leaf != first)
    });
    assert_eq!(agent.pid(), pid);
    write!(
        open,
        "GET /healthz HTTP/1.1\r\nhost: {NAME}:{port}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    let _ = open.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// What the operator does not agree to is not asked for.
#[test]
fn nothing_is_asked_for_before_the_terms_are_agreed_to() {
    let port = free();
    let Some(authority) = Authority::start(port, 3_600, &[("PEBBLE_VA_NOSLEEP", "1")]) else {
        return;
    };
    let listen = format!("127.0.0.1:{port}");
    let (directory, tls) = (authority.directory(), authority.tls());
    let mut settings = settings(&listen, &directory, tls.to_str().unwrap());
    settings.pop();
    let agent = Agent::start(&settings).unwrap();
    until("the terms are shown", || {
        certificate(&agent)["acme"]["terms"].is_string()
    });
    let (good, _, err) = agent.skep(&["certificate", "renew"], "").unwrap();
    assert!(
        !good && err.contains("terms") && err.contains("acme_terms_agreed"),
        "{err}"
    );
    assert_eq!(authority.said("POST"), 0);
    assert!(!agent.home().join("state/acme/account.json").exists());
}

/// A name that leads elsewhere, then an authority that is gone and comes back without a memory.
#[test]
fn failures_are_told_and_end_by_themselves() {
    let (port, elsewhere) = (free(), free());
    let quick = [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")];
    let Some(mut authority) = Authority::start(elsewhere, 3_600, &quick) else {
        return;
    };
    let agent = agent_at!(authority, port);
    let mut told = Value::Null;
    until("the failure is told", || {
        told = certificate(&agent);
        told["acme"]["why"].is_string()
    });
    let acme = &told["acme"];
    assert!(acme["why"].as_str().unwrap().contains(NAME), "{acme}");
    assert!(acme["remedy"].as_str().unwrap().contains("443"), "{acme}");
    // Not at once again: authorities count failures.
    let pause = acme["next_unix_s"].as_u64().unwrap() - acme["tried_unix_s"].as_u64().unwrap();
    assert!((300..=330).contains(&pause), "{acme}");
    until("an alert is raised", || {
        let (_, out, _) = agent.skep(&["alerts", "--json"], "").unwrap();
        out.contains("certificate.renewal")
    });
    authority.stop();
    let (good, _, err) = agent.skep(&["certificate", "renew"], "").unwrap();
    assert!(!good && err.contains("not reached"), "{err}");
    // The name leads here now.
    let config = authority.folder.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace(
            &format!("\"tlsPort\":{elsewhere}"),
            &format!("\"tlsPort\":{port}"),
        ),
    )
    .unwrap();
    authority.start_again();
    let (good, _, err) = agent.skep(&["certificate", "renew"], "").unwrap();
    assert!(good, "{err}");
    let first = shown(&agent, &authority.root()).unwrap();
    // It forgets our account, and we make another.
    authority.stop();
    let (good, _, err) = agent.skep(&["certificate", "renew"], "").unwrap();
    assert!(!good && err.contains("--force"), "{err}");
    let (good, _, err) = agent
        .skep(&["certificate", "renew", "--force"], "")
        .unwrap();
    assert!(!good && err.contains("not reached"), "{err}");
    authority.start_again();
    let (good, _, err) = agent
        .skep(&["certificate", "renew", "--force"], "")
        .unwrap();
    assert!(good, "{err}");
    assert_ne!(shown(&agent, &authority.root()).unwrap(), first);
    let told = certificate(&agent);
    assert!(
        told["acme"]["why"].is_null() && told["acme"]["failures"] == 0,
        "{told}"
    );
}

/// The agent is killed once its order is taken, and goes on with the same order.
#[test]
fn an_order_that_was_cut_off_is_gone_on_with() {
    let port = free();
    let quick = [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")];
    let Some(authority) = Authority::start(port, 3_600, &quick) else {
        return;
    };
    let open = Arc::new(AtomicBool::new(false));
    let directory = format!("https://{}/dir", gate(&authority, Arc::clone(&open)));
    let listen = format!("127.0.0.1:{port}");
    let tls = authority.tls();
    let settings = settings(&listen, &directory, tls.to_str().unwrap());
    let mut agent = Agent::start(&settings).unwrap();
    let order = agent.home().join("state/acme/order.json");
    until("an order is begun", || order.is_file());
    let before: Value = serde_json::from_slice(&fs::read(&order).unwrap()).unwrap();
    assert_eq!(authority.said(PROVE), 0);
    agent.signal("KILL").unwrap();
    agent.wait().unwrap();
    open.store(true, Ordering::Relaxed);
    agent.restart(&settings).unwrap();
    let root = authority.root();
    until("the certificate is shown", || shown(&agent, &root).is_ok());
    assert_eq!(authority.said(PROVE), 1);
    assert_eq!(authority.said(ORDER), 1, "{before}");
    assert_eq!(authority.said("POST /sign-me-up"), 1);
    assert!(!order.exists());
    // Nothing is asked for once more after another start.
    let first = shown(&agent, &root).unwrap();
    agent.restart(&settings).unwrap();
    assert_eq!(shown(&agent, &root).unwrap(), first);
    assert_eq!(authority.said(ORDER), 1);
}

/// A way to the authority that lets nothing more of it through once an order is taken, until it is opened.
fn gate(authority: &Authority, open: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (to, log) = (authority.directory, authority.folder.path().join("log"));
    std::thread::spawn(move || {
        for from in listener.incoming().map_while(Result::ok) {
            let Ok(to) = TcpStream::connect(("127.0.0.1", to)) else {
                return;
            };
            let (mut back, mut answers) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            let (open, log) = (Arc::clone(&open), log.clone());
            std::thread::spawn(move || pass(from, to, &open, &log));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, open: &AtomicBool, log: &Path) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        while !open.load(Ordering::Relaxed) && fs::read_to_string(log).unwrap().contains(ORDER) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        if to.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}
