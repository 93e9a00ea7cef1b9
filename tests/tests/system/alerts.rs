//! Alerts of real agents: each condition brought about, told to a receiver once, and once more when it is over.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use skep_tests::agent::Agent;

use super::devices::{FOUR, Rig};
use super::disk::Disk;
use super::services::{NO_MODEL, PATIENCE, parse, request, wait_until, well};

/// What was wrong counts as over soon.
const QUIET: (&str, &str) = ("SKEP_ALERTS_QUIET_S", "1");

/// Within so long more would have come, if any did.
const NOTHING_MORE: Duration = Duration::from_secs(3);

/// Somebody who is told.
struct Desk {
    address: SocketAddr,
    told: Receiver<Value>,
    /// It has no time.
    busy: Arc<AtomicBool>,
}

impl Desk {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let is_busy = busy.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (_, body) = request(&stream);
                let status = match is_busy.load(Ordering::SeqCst) {
                    true => "503 Service Unavailable",
                    false => "204 No Content",
                };
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes());
                if status.starts_with("204") && tell.send(parse(&body)).is_err() {
                    return;
                }
            }
        });
        Self {
            address,
            told,
            busy,
        }
    }

    fn add_to(&self, agent: &Agent, name: &str) {
        let url = format!("url=http://{}/alerts", self.address);
        let grant = format!("http-local:{}", self.address);
        let add = [
            "notifier", "add", name, "--plugin", "webhook", "--set", &url, "--grant", &grant,
        ];
        well(agent, &add, "");
    }

    /// The next alert, which must be of this kind.
    fn hears(&self, kind: &str, resolved: bool) -> Value {
        loop {
            let alert = self.told.recv_timeout(PATIENCE);
            let alert = alert.unwrap_or_else(|error| panic!("{kind}, {resolved}: {error}"));
            let found = (alert["kind"].as_str(), alert["resolved"].as_bool());
            if found == (Some(kind), Some(resolved)) {
                return alert;
            }
            assert!(is_of_this_machine(&alert), "{kind}: {alert:#}");
        }
    }

    fn hears_nothing_more(&self) {
        while let Ok(more) = self.told.recv_timeout(NOTHING_MORE) {
            assert!(is_of_this_machine(&more), "{more:#}");
        }
    }
}

/// The machine that runs this may have a full disk.
fn is_of_this_machine(alert: &Value) -> bool {
    alert["kind"] == "disk.full"
}

fn add_upstream(agent: &Agent, name: &str, at: &str) {
    let base = format!("base-url=http://{at}/v1");
    let grant = format!("http-local:{at}");
    let add = [
        "upstream", "add", name, "--plugin", "openai", "--prefix", "--set", &base, "--grant",
        &grant,
    ];
    well(agent, &add, "");
}

fn alerts(agent: &Agent) -> Value {
    parse(&well(agent, &["alerts", "--json"], ""))
}

#[test]
fn a_lost_card_and_an_upstream_that_dies_are_told_once_and_when_they_are_over() {
    let rig = Rig::start(FOUR, &[QUIET]);
    let mut far = Agent::start(&[NO_MODEL]).unwrap();
    let desk = Desk::open();
    desk.add_to(&rig.agent, "desk");

    rig.script("0 lost 1\n");
    let alert = desk.hears("device.lost", false);
    assert_eq!(alert["severity"], "critical", "{alert}");
    assert!(
        alert["facts"]["device"]
            .as_str()
            .unwrap()
            .starts_with("GPU-0")
    );
    rig.script("");
    desk.hears("device.lost", true);

    let at = far.address().to_string();
    add_upstream(&rig.agent, "lab", &at);
    wait_until("the upstream is up", || {
        let shown = well(&rig.agent, &["upstream", "show", "lab", "--json"], "");
        parse(&shown)["state"] == "up"
    });
    far.signal("KILL").unwrap();
    far.wait().unwrap();
    // Somebody who wants it finds out.
    let _ = rig.agent.skep(&["upstream", "models", "lab"], "").unwrap();
    let alert = desk.hears("upstream.unreachable", false);
    assert!(
        alert["text"]
            .as_str()
            .unwrap()
            .contains("`skep upstream models lab`")
    );
    let listed = well(&rig.agent, &["alerts"], "");
    assert!(
        listed.contains("`lab`") && listed.contains("GPU-0"),
        "{listed}"
    );
    far.restart(&[("SKEP_HTTP_LISTEN", &at), NO_MODEL]).unwrap();
    desk.hears("upstream.unreachable", true);
    desk.hears_nothing_more();
    let count = |list: &str| {
        let listed = alerts(&rig.agent)[list].as_array().unwrap().clone();
        let ours = listed.iter().filter(|alert| !is_of_this_machine(alert));
        ours.count()
    };
    assert_eq!((count("raised"), count("past")), (0, 2));
}

#[test]
fn a_disk_that_fills_is_told_and_its_room_too() {
    let Some(disk) = Disk::of(64) else { return };
    let home = tempfile::tempdir_in(disk.folder.path()).unwrap();
    let agent = Agent::start_in(home, &[QUIET, NO_MODEL]).unwrap();
    let desk = Desk::open();
    desk.add_to(&agent, "desk");
    // The notifier is compiled before there is no room for it.
    well(&agent, &["notifier", "test", "desk"], "");
    desk.hears("test", false);
    let fill = disk.folder.path().join("fill");
    let stat = rustix::fs::statvfs(disk.folder.path()).unwrap();
    let free = usize::try_from(stat.f_bavail * stat.f_frsize).unwrap();
    std::fs::write(&fill, vec![0; free - (1 << 20)]).unwrap();
    let alert = desk.hears("disk.full", false);
    assert!(
        alert["text"].as_str().unwrap().contains("`skep models`"),
        "{alert}"
    );
    std::fs::remove_file(&fill).unwrap();
    desk.hears("disk.full", true);
}

#[test]
fn a_node_that_goes_is_told_by_those_that_stay() {
    let network = [("SKEP_CLUSTER_LISTEN", "127.0.0.1:0"), QUIET, NO_MODEL];
    let hive = Agent::start(&network).unwrap();
    let mut other = Agent::start(&network).unwrap();
    let token = parse(&well(&hive, &["token", "new", "--json"], ""));
    well(&other, &["join", token["token"].as_str().unwrap()], "");
    let desk = Desk::open();
    desk.add_to(&hive, "desk");
    other.signal("KILL").unwrap();
    other.wait().unwrap();
    let alert = desk.hears("node.down", false);
    assert_eq!(alert["severity"], "critical", "{alert}");
    assert!(
        alert["text"].as_str().unwrap().contains("`skep node rm"),
        "{alert}"
    );
    other.restart(&network).unwrap();
    desk.hears("node.down", true);
    desk.hears_nothing_more();
}

/// A desk that has no time is tried until it has, also over the agent's death; meanwhile others hear of it, and it hears of
/// everything in order and once.
#[test]
fn what_cannot_be_delivered_waits_and_is_tried_again() {
    let mut agent = Agent::start(&[QUIET, NO_MODEL]).unwrap();
    let (day, night) = (Desk::open(), Desk::open());
    day.busy.store(true, Ordering::SeqCst);
    day.add_to(&agent, "day");
    night.add_to(&agent, "night");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closed.local_addr().unwrap().to_string();
    add_upstream(&agent, "lab", &closed);
    night.hears("upstream.unreachable", false);
    let alert = night.hears("notifier.failing", false);
    assert_eq!(alert["facts"]["notifier"], "day", "{alert}");

    // A model that cannot be opened.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hollow.gguf");
    std::fs::write(&file, b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    well(
        &agent,
        &["pull", file.to_str().unwrap(), "--name", "hollow"],
        "",
    );
    let (done, _, _) = agent.skep(&["load", "hollow"], "").unwrap();
    assert!(!done);
    let alert = night.hears("model.failed", false);
    assert_eq!(alert["facts"]["model"], "hollow", "{alert}");

    let waiting = |agent: &Agent| alerts(agent)["waiting"]["day"]["count"].as_u64().unwrap();
    let before = waiting(&agent);
    assert!(before >= 2, "{before}");
    let listed = well(&agent, &["alerts"], "");
    assert!(listed.contains("wait for `day`"), "{listed}");
    // What a restart heals, as the model, is not told as over at once.
    agent.restart(&[NO_MODEL]).unwrap();
    assert!(waiting(&agent) >= before);
    day.busy.store(false, Ordering::SeqCst);
    day.hears("upstream.unreachable", false);
    day.hears("model.failed", false);
    wait_until("nothing waits", || waiting(&agent) == 0);
    day.hears_nothing_more();
}
