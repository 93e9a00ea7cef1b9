//! A disk without room: nothing is lost, nothing half done is shown, and what served goes on.

use std::path::Path;
use std::process::{Command, Output};

use skep_tests::agent::{Agent, binary};

/// A small disk of memory, gone with its handle.
pub(super) struct Disk {
    pub(super) folder: tempfile::TempDir,
}

impl Disk {
    /// None where this may not be done, which it says.
    #[expect(clippy::print_stderr, reason = "what is not tried must show")]
    pub(super) fn of(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        eprintln!("not tried: a small disk can only be mounted as root");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.folder.path())
            .status();
    }
}

fn skep(home: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(binary())
        .args(arguments)
        .env("SKEP_HOME", home)
        .output()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_pull_without_room_leaves_nothing_and_harms_nothing() {
    let Some(disk) = Disk::of(32) else { return };
    let home = tempfile::tempdir_in(disk.folder.path()).unwrap();
    let agent = Agent::start_in(home, &[]).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let model = elsewhere.path().join("large.gguf");
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.resize(40 << 20, 0);
    std::fs::write(&model, bytes).unwrap();
    let pulled = skep(
        agent.home(),
        &["pull", model.to_str().unwrap(), "--name", "large"],
    )
    .unwrap();
    assert!(!pulled.status.success());
    let why = said(&pulled);
    assert!(why.contains("free some space"), "{why}");
    let listed = skep(agent.home(), &["models", "--json"]).unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(!listed.contains("large"), "{listed}");
    let answered = skep(
        agent.home(),
        &["run", "tiny", "fn main", "--max-tokens", "4"],
    )
    .unwrap();
    assert!(answered.status.success(), "{}", said(&answered));
}

#[test]
fn an_agent_on_a_full_disk_says_so_and_one_that_ran_goes_on() {
    let Some(disk) = Disk::of(32) else { return };
    let home = tempfile::tempdir_in(disk.folder.path()).unwrap();
    let agent = Agent::start_in(home, &[]).unwrap();
    let before = skep(agent.home(), &["run", "tiny", "fn", "--max-tokens", "1"]).unwrap();
    assert!(before.status.success(), "{}", said(&before));
    let full = std::fs::write(disk.folder.path().join("fill"), vec![0; 32 << 20]);
    assert!(full.is_err(), "the disk is full now");
    let answered = skep(
        agent.home(),
        &["run", "tiny", "fn main", "--max-tokens", "4"],
    )
    .unwrap();
    assert!(answered.status.success(), "{}", said(&answered));
    let second = disk.folder.path().join("second");
    let started = skep(&second, &["up"]).unwrap();
    assert_eq!(started.status.code(), Some(73), "{}", said(&started));
    assert!(
        said(&started).contains("No space left"),
        "{}",
        said(&started)
    );
}

#[test]
fn a_token_is_not_spent_by_a_machine_without_room() {
    let Some(disk) = Disk::of(32) else { return };
    let network = [("SKEP_CLUSTER_LISTEN", "127.0.0.1:0")];
    let hive = Agent::start_in(tempfile::tempdir().unwrap(), &network).unwrap();
    let home = tempfile::tempdir_in(disk.folder.path()).unwrap();
    let joiner = Agent::start_in(home, &network).unwrap();
    let token = skep(hive.home(), &["token", "new", "--json"]).unwrap();
    assert!(token.status.success(), "{}", said(&token));
    let token: serde_json::Value = serde_json::from_slice(&token.stdout).unwrap();
    let token = token["token"].as_str().unwrap();
    let fill = disk.folder.path().join("fill");
    assert!(std::fs::write(&fill, vec![0; 32 << 20]).is_err());
    let refused = skep(joiner.home(), &["join", token]).unwrap();
    assert!(!refused.status.success());
    let why = said(&refused);
    assert!(why.contains("No space left"), "{why}");
    // It is what it was, and the token lets it in once there is room.
    let nodes = |agent: &Agent| {
        let listed = skep(agent.home(), &["nodes", "--json"]).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        listed["nodes"].as_array().unwrap().len()
    };
    assert_eq!(nodes(&joiner), 1);
    std::fs::remove_file(&fill).unwrap();
    let joined = skep(joiner.home(), &["join", token]).unwrap();
    assert!(joined.status.success(), "{}", said(&joined));
    assert_eq!(nodes(&hive), 2);
}
