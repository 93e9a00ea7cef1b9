//! A service process over a socket, and the guests to run in it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skep::compiler::Compiled;
use skep::host::World;
use skep::protocol::{
    Decoder, Error, Event, FromService, Generation, Line, OpenService, Prompt, Rights, Sampling,
    SecretText, ServiceTimeouts, ServiceUse, ToService, VERSION, Work, encode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longer than anything here takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One service process, and what it has said.
pub(crate) struct Service {
    pub(crate) child: Child,
    socket: UnixStream,
    decoder: Decoder,
    next_id: u64,
    /// What came for other calls than the one that was waited for.
    aside: HashMap<u64, VecDeque<FromService>>,
    pub(crate) lines: Vec<Line>,
    pub(crate) faults: Vec<String>,
    pub(crate) used: ServiceUse,
    pub(crate) ending: Option<String>,
}

/// What a service is opened with.
pub(crate) struct Wish {
    pub(crate) guest: &'static str,
    pub(crate) world: World,
    pub(crate) granted: Vec<String>,
    pub(crate) secrets: Vec<(&'static str, String)>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) own: Vec<SocketAddr>,
    pub(crate) resolver: Option<SocketAddr>,
    pub(crate) authorities: Vec<Vec<u8>>,
    pub(crate) call: Duration,
    pub(crate) computing: Duration,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            guest: "reach",
            world: World::Upstream,
            granted: Vec::new(),
            secrets: Vec::new(),
            settings: Vec::new(),
            own: Vec::new(),
            resolver: None,
            authorities: Vec::new(),
            call: PATIENCE,
            computing: Duration::from_secs(20),
        }
    }
}

pub(crate) fn rights(granted: &[String], secrets: &[(&str, String)]) -> Rights {
    let texts: BTreeMap<_, _> = secrets
        .iter()
        .map(|(name, text)| (name.parse().unwrap(), SecretText::new(text.clone())))
        .collect();
    Rights {
        granted: granted.iter().map(|grant| grant.parse().unwrap()).collect(),
        secrets: texts,
    }
}

impl Service {
    /// One that reaches these.
    pub(crate) async fn with(granted: &[String]) -> Self {
        Self::open(Wish {
            granted: granted.to_vec(),
            ..Wish::default()
        })
        .await
    }

    pub(crate) async fn open(wish: Wish) -> Self {
        let mut service = Self::begun(wish).await;
        match service.message().await {
            FromService::Opened => service,
            other => panic!("{other:?}"),
        }
    }

    /// A process that was told what to open.
    pub(crate) async fn begun(wish: Wish) -> Self {
        let compiled = compiled(wish.world, wish.guest).await;
        let open = OpenService {
            plugin: wish.guest.to_owned(),
            world: wish.world.name().to_owned(),
            compiled,
            settings: wish.settings,
            rights: rights(&wish.granted, &wish.secrets),
            own_addresses: wish.own,
            resolver: wish.resolver,
            authorities: wish.authorities,
            timeouts: ServiceTimeouts {
                call: wish.call,
                computing: wish.computing,
                connect: Duration::from_secs(5),
            },
        };
        let mut service = Self::spawn();
        assert_eq!(
            service.message().await,
            FromService::Hello { version: VERSION }
        );
        service.send(&ToService::Hello { version: VERSION }).await;
        service.send(&ToService::Open(Box::new(open))).await;
        service
    }

    pub(crate) fn spawn() -> Self {
        let (ours, theirs) = Blocking::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_skep"))
            .arg("service")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            socket: UnixStream::from_std(ours).unwrap(),
            decoder: Decoder::default(),
            next_id: 0,
            aside: HashMap::new(),
            lines: Vec::new(),
            faults: Vec::new(),
            used: ServiceUse::default(),
            ending: None,
        }
    }

    pub(crate) async fn send(&mut self, message: &ToService) {
        let mut frame = Vec::new();
        encode(message, &mut frame).unwrap();
        self.socket.write_all(&frame).await.unwrap();
    }

    /// The next message of any kind; none when the process is gone.
    async fn read(&mut self) -> Option<FromService> {
        let wait = async {
            loop {
                if let Some(message) = self.decoder.decode().unwrap() {
                    return Some(message);
                }
                match self.socket.read_buf(self.decoder.space()).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("it says nothing")
    }

    /// The next message that is not about lines, faults and use, which are kept.
    async fn next(&mut self) -> Option<FromService> {
        loop {
            match self.read().await? {
                FromService::Log(line) => self.lines.push(line),
                FromService::Fault(fault) => self.faults.push(fault),
                FromService::Used(used) => self.add(used),
                FromService::Ending(why) => self.ending = Some(why),
                other => return Some(other),
            }
        }
    }

    pub(crate) async fn message(&mut self) -> FromService {
        match self.next().await {
            Some(message) => message,
            None => panic!("it is gone: {:?}, {:?}", self.child.wait(), self.ending),
        }
    }

    fn add(&mut self, used: ServiceUse) {
        self.used.calls += used.calls;
        self.used.faults += used.faults;
        self.used.requests_out += used.requests_out;
        self.used.refused_out += used.refused_out;
        self.used.bytes_in += used.bytes_in;
        self.used.bytes_out += used.bytes_out;
        self.used.computing_us += used.computing_us;
        self.used.memory_peak_bytes = self.used.memory_peak_bytes.max(used.memory_peak_bytes);
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Submits a script.
    pub(crate) async fn begin(&mut self, script: &str) -> u64 {
        let request = self.id();
        let work = Arc::new(work(script));
        let model = "model".to_owned();
        self.send(&ToService::Submit {
            request,
            model,
            work,
        })
        .await;
        request
    }

    /// The next message of a call.
    pub(crate) async fn of(&mut self, id: u64) -> FromService {
        loop {
            if let Some(message) = self.aside.get_mut(&id).and_then(VecDeque::pop_front) {
                return message;
            }
            match self.message().await {
                FromService::Events(events) => {
                    for tagged in events {
                        let request = tagged.request;
                        let one = FromService::Events(vec![tagged]);
                        self.aside.entry(request).or_default().push_back(one);
                    }
                }
                message => {
                    let of = match &message {
                        FromService::Models { call, .. }
                        | FromService::Progress { call, .. }
                        | FromService::Done { call, .. } => *call,
                        other => panic!("{other:?}"),
                    };
                    self.aside.entry(of).or_default().push_back(message);
                }
            }
        }
    }

    /// The next event of a request.
    pub(crate) async fn event(&mut self, id: u64) -> Event {
        match self.of(id).await {
            FromService::Events(mut events) => events.remove(0).event,
            other => panic!("{other:?}"),
        }
    }

    /// All that a request says, and its last event.
    pub(crate) async fn rest(&mut self, id: u64) -> (Vec<String>, Event) {
        let mut texts = Vec::new();
        loop {
            match self.event(id).await {
                Event::Gained(gain) => texts.push(gain.text),
                last => return (texts, last),
            }
        }
    }

    pub(crate) async fn run(&mut self, script: &str) -> (Vec<String>, Event) {
        let id = self.begin(script).await;
        self.rest(id).await
    }

    /// What one command says that works.
    pub(crate) async fn says(&mut self, command: &str) -> String {
        let (mut texts, last) = self.run(command).await;
        assert!(matches!(last, Event::Done(_)), "{command}: {last:?}");
        assert_eq!(texts.len(), 1, "{command}: {texts:?}");
        texts.remove(0)
    }

    /// Why one command ends its call.
    pub(crate) async fn fails(&mut self, command: &str) -> Error {
        match self.run(command).await {
            (_, Event::Failed(error)) => error,
            (texts, last) => panic!("{command}: {texts:?} {last:?}"),
        }
    }

    /// Until it has left; how it did.
    pub(crate) async fn left(mut self) -> (Option<String>, bool) {
        while let Some(message) = self.next().await {
            assert!(!matches!(message, FromService::Opened), "{message:?}");
        }
        let status = self.child.wait().unwrap();
        (self.ending.take(), status.success())
    }

    /// What it used in all its life, which ends with this.
    pub(crate) async fn drained(mut self) -> ServiceUse {
        self.send(&ToService::Drain).await;
        while self.next().await.is_some() {}
        self.used
    }

    /// All lines so far, as one text.
    pub(crate) fn said(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join("\n")
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// How much memory it takes, in bytes, without what is in files.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn work(prompt: &str) -> Work {
    Work::Generate(Generation {
        prompt: Prompt::Text(prompt.to_owned()),
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

async fn compiled(world: World, name: &str) -> PathBuf {
    // A file of the repository, or a crate in `tests/guests`.
    let path = match name.strip_suffix(".wasm") {
        Some(_) => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests")
            .join(name),
        None => guest(name),
    };
    let component = std::fs::read(path).unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let compiled = Compiled::open(cache, env!("CARGO_BIN_EXE_skep").into()).unwrap();
    compiled.obtain(world, &component).await.unwrap()
}

/// The component of a crate in `tests/guests`, built now unless it is fresh.
pub(crate) fn guest(name: &str) -> PathBuf {
    // One at a time: cargo's own lock would do, and would say so on the terminal.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "plugin"])
        .args(["--target", "wasm32-wasip2", "--lib", "--package", name])
        .arg("--target-dir")
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .unwrap();
    assert!(built.success(), "the guest `{name}` could not be built");
    target
        .join("wasm32-wasip2/plugin")
        .join(format!("{name}.wasm"))
}
