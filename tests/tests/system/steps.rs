//! Every step of a setup on a Debian machine with its own systemd: done, done again, undone; killed here and there, gone on with, undone.
//!
//! `cargo xtask steps` makes the machine's root and runs this; without that root it is not tried. What came of it is
//! `tests/steps/RESULTS.md`.
#![allow(
    clippy::disallowed_methods,
    reason = "what other processes do has to be looked at again and again"
)]

mod machine;
mod probes;
mod state;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use self::machine::{Agent, Machine, pause};
use self::state::{State, differences};

/// A step with answers, on a machine that was made ready for it.
struct Trial {
    name: &'static str,
    part: &'static str,
    /// Typed there before.
    ready: &'static str,
    answers: Value,
    /// What has to be among the actions, in words.
    does: &'static [&'static str],
    /// Contents that are new each time, by the beginning of their paths.
    varies: &'static [&'static str],
    /// Looks whether it works, and (`false`) whether it no longer does.
    probe: fn(&Machine, bool) -> Result<(), String>,
}

/// Stands for the key of somebody elsewhere, which is made on the machine.
const OTHERS_KEY: &str = "@KEY@";

fn trials() -> Vec<Trial> {
    let nothing: fn(&Machine, bool) -> Result<(), String> = |_, _| Ok(());
    let quiet = "systemctl disable --now firewalld >/dev/null 2>&1; nft flush ruleset";
    vec![
        Trial {
            name: "step-system",
            part: "step-system",
            ready: probes::CLOCK,
            answers: json!({"keep-clock": true}),
            does: &["systemd-timesyncd"],
            varies: &[],
            probe: nothing,
        },
        Trial {
            name: "step-network",
            part: "step-network",
            ready: "true",
            answers: json!({"port": 7555, "announce": false, "advertise": "192.0.2.7:7555"}),
            does: &["cluster.listen", "cluster.advertise", "cluster.announce"],
            varies: &[],
            probe: nothing,
        },
        Trial {
            name: "step-firewall: nftables with a file of the machine's own",
            part: "step-firewall",
            ready: probes::NFTABLES,
            answers: json!({"firewall": "nftables", "people": true, "from": "anywhere"}),
            does: &["port 7999/udp", "port 7999/tcp", "port 5353/udp"],
            varies: &[],
            probe: probes::reached,
        },
        Trial {
            name: "step-firewall: nftables without any file",
            part: "step-firewall",
            ready: "systemctl disable --now firewalld >/dev/null 2>&1; nft flush ruleset; rm /etc/nftables.conf",
            answers: json!({"firewall": "nftables", "people": true, "from": "other", "from-network": "10.77.0.0/16"}),
            does: &["port 7999/tcp"],
            varies: &[],
            probe: nothing,
        },
        Trial {
            name: "step-firewall: ufw",
            part: "step-firewall",
            ready: probes::UFW,
            answers: json!({"firewall": "ufw", "people": true, "from": "other", "from-network": "10.77.0.0/16"}),
            does: &["port 7999/udp", "port 7999/tcp"],
            varies: &[],
            probe: probes::reached,
        },
        Trial {
            name: "step-firewall: firewalld",
            part: "step-firewall",
            ready: probes::FIREWALLD,
            answers: json!({"firewall": "firewalld", "people": true, "from": "other", "from-network": "10.77.0.0/16"}),
            does: &["port 7999/udp", "port 7999/tcp"],
            varies: &[],
            probe: probes::reached,
        },
        Trial {
            name: "step-security",
            part: "step-security",
            ready: probes::SSH,
            answers: json!({
                "reach": "network", "port": 7999, "certificate": "self", "names": "trial.example\n10.77.0.1",
                "ssh-key": "make", "ssh-authorized": OTHERS_KEY, "ssh-users": "somebody",
            }),
            does: &[
                "http.listen",
                "/root/.ssh/id_ed25519",
                "/home/somebody/.ssh/authorized_keys",
            ],
            varies: &["/root/.ssh/id_ed25519", "/agent"],
            probe: probes::signs_in,
        },
        Trial {
            name: "step-backends",
            part: "step-backends",
            ready: "true",
            answers: json!({"provider": "other", "url": "http://127.0.0.1:9/v1", "name": "elsewhere"}),
            does: &["elsewhere"],
            varies: &[],
            probe: nothing,
        },
        Trial {
            name: "step-resources",
            part: "step-resources",
            ready: "true",
            answers: json!({"threads": 1, "context": 4096, "loaded": 2, "idle": 5}),
            does: &[
                "node.threads",
                "models.context_tokens",
                "models.idle_unload_s",
            ],
            varies: &[],
            probe: nothing,
        },
        Trial {
            name: "step-drivers: a package of the distribution",
            part: "step-drivers",
            ready: "systemctl disable --now firewalld >/dev/null 2>&1; apt-get -qq update && touch -d '5 days ago' /var/lib/apt/lists",
            answers: json!({"amd": true}),
            does: &["firmware-amd-graphics"],
            varies: &[],
            probe: probes::firmware,
        },
        Trial {
            name: "step-service",
            part: "step-service",
            ready: quiet,
            answers: json!({"scope": "system", "start": true}),
            does: &["skep.service", "user `skep`", "/usr/local/bin/skep"],
            varies: &[],
            probe: probes::serves,
        },
        Trial {
            name: "step-backup",
            part: "step-backup",
            ready: "true",
            answers: json!({"backups": true, "every": "3600", "keep": 3}),
            does: &["/srv/skep-backups", "backup.folder", "backup.every_s"],
            varies: &[],
            probe: nothing,
        },
        Trial {
            name: "step-containers: the files",
            part: "step-containers",
            ready: "true",
            answers: json!({"container": true}),
            does: &["/srv/skep-container/compose.yaml"],
            varies: &[],
            probe: nothing,
        },
    ]
}

/// What came of a trial.
#[derive(Default)]
struct Found {
    actions: usize,
    kills: u32,
    problems: Vec<String>,
}

#[test]
fn steps_on_a_debian_machine() {
    let Some(root) = std::env::var_os("SKEP_STEPS_ROOT").map(PathBuf::from) else {
        eprintln!("not tried: `cargo xtask steps` makes the machine that this needs");
        return;
    };
    let number =
        |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let every = number("SKEP_STEPS_EVERY", 1);
    let only = std::env::var("SKEP_STEPS_ONLY").unwrap_or_default();
    let mut failed = false;
    for trial in trials() {
        if !trial.name.contains(&only) {
            continue;
        }
        let begun = Instant::now();
        let found = run(&root, &trial, every);
        failed |= !found.problems.is_empty();
        let line = json!({
            "trial": trial.name, "actions": found.actions, "kills": found.kills,
            "seconds": begun.elapsed().as_secs(), "problems": found.problems,
        });
        println!("{line}");
    }
    if "two runs".contains(&only) {
        let begun = Instant::now();
        let found = two_runs(&root);
        failed |= !found.problems.is_empty();
        let line = json!({
            "trial": "step-firewall: two runs, the first undone first", "actions": found.actions, "kills": 0,
            "seconds": begun.elapsed().as_secs(), "problems": found.problems,
        });
        println!("{line}");
    }
    assert!(!failed, "see above");
}

/// Two ports by two runs share a line and a folder: each run is undone without the other, in the order that is the harder one.
fn two_runs(root: &Path) -> Found {
    let mut found = Found::default();
    let machine = Machine::boot(&root.join("root"), &root.join("trial"), false);
    machine.shell(probes::NFTABLES);
    let mut agent = machine.agent(None);
    let part = "step-firewall";
    let mut before = None;
    let mut runs = Vec::new();
    for cluster in [false, true] {
        let answers = json!({ "answers": {
            "firewall": "nftables", "people": true, "discovery": false, "cluster": cluster, "from": "anywhere",
        }});
        let (status, said) = agent
            .ask("PUT", &format!("/parts/{part}/answers"), &answers)
            .unwrap();
        assert_eq!(status, 200, "{said}");
        before.get_or_insert_with(|| state::of(&machine, &[]));
        let plan = agent.plan(part);
        found.actions += plan["actions"].as_array().unwrap().len();
        let run = agent.apply(part, &plan, &mut found).unwrap();
        found.ended("carried out", agent.wait(&run), "done");
        runs.push(run);
    }
    let before = before.unwrap();
    agent.undo(&runs[0]);
    found.ended("the first undone", agent.wait(&runs[0]), "undone");
    // As with the next start of the machine.
    let rules = machine.shell("systemctl restart nftables && nft list ruleset");
    if !rules.contains("skep 7999/udp") || rules.contains("skep 7999/tcp") {
        found
            .problems
            .push(format!("after the first was undone: {rules}"));
    }
    agent.undo(&runs[1]);
    found.ended("both undone", agent.wait(&runs[1]), "undone");
    let differ = differences(&before, &state::of(&machine, &[]));
    found.problems.extend(differ);
    found
}

fn run(root: &Path, trial: &Trial, every: u32) -> Found {
    let mut found = Found::default();
    let machine = Machine::boot(
        &root.join("root"),
        &root.join("trial"),
        trial.part == "step-drivers",
    );
    machine.shell(trial.ready);
    let mut agent = machine.agent(None);
    let mut answers = trial.answers.clone();
    if let Some(keys) = answers.get_mut("ssh-authorized") {
        *keys = json!(machine.shell("cat /run/trial/other.pub").trim());
    }
    let answers = json!({ "answers": answers });
    let path = |rest: &str| format!("/parts/{}{rest}", trial.part);
    let (status, said) = agent.ask("PUT", &path("/answers"), &answers).unwrap();
    assert_eq!(status, 200, "{}: {said}", trial.name);
    let before = state::of(&machine, trial.varies);

    let plan = agent.plan(trial.part);
    let words = plan["actions"].to_string();
    found.actions = plan["actions"].as_array().unwrap().len();
    for does in trial.does {
        if !words.contains(does) {
            found
                .problems
                .push(format!("`{does}` is not in the plan: {words}"));
        }
    }
    found.expect("a preview", &before, &machine, trial);
    if let Err(why) = (trial.probe)(&machine, false) {
        found.problems.push(format!("before: {why}"));
    }
    let Some(run) = agent.apply(trial.part, &plan, &mut found) else {
        // Nothing was to be done: nothing can be undone.
        if !trial.does.is_empty() {
            found.problems.push(format!("nothing was done: {plan}"));
        }
        return found;
    };
    found.ended("carried out", agent.wait(&run), "done");
    let done = state::of(&machine, trial.varies);
    if let Err(why) = (trial.probe)(&machine, true) {
        found.problems.push(format!("done: {why}"));
    }
    let again = agent.plan(trial.part);
    if again["actions"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["state"] != "already")
    {
        found
            .problems
            .push(format!("a second time there is something to do: {again}"));
    } else if let Some(run) = agent.apply(trial.part, &again, &mut found) {
        found.problems.push(format!("a second run: {run}"));
    }
    found.expect("a second time", &done, &machine, trial);
    let (_, drift) = agent.ask("GET", "/drift", &Value::Null).unwrap();
    if drift["drift"]
        .as_array()
        .is_none_or(|drift| !drift.is_empty())
    {
        found.problems.push(format!("drift: {drift}"));
    }
    agent.undo(&run);
    found.ended("undone", agent.wait(&run), "undone");
    found.expect("undone", &before, &machine, trial);
    if let Err(why) = (trial.probe)(&machine, false) {
        found.problems.push(format!("undone: {why}"));
    }
    agent.kill();
    killed(&machine, trial, every, (&before, &done), &mut found);
    found
}

/// The agent is killed at one point after another, there and back; the next one goes on.
fn killed(
    machine: &Machine,
    trial: &Trial,
    every: u32,
    (before, done): (&State, &State),
    found: &mut Found,
) {
    let mut point = 1;
    while found.problems.is_empty() {
        let mut agent = machine.agent(Some(point));
        let plan = agent.plan(trial.part);
        let run = agent.apply(trial.part, &plan, found);
        let there = run.as_ref().and_then(|run| agent.wait(run));
        if let (Some(run), Some(_)) = (&run, &there) {
            found.expect(&format!("before point {point}"), done, machine, trial);
            agent.undo(run);
            if let Some(back) = agent.wait(run) {
                found.ended("undone at last", Some(back), "undone");
                found.expect("undone at last", before, machine, trial);
                return;
            }
        }
        found.kills += 1;
        agent.kill();
        let what = format!("killed at point {point}");
        agent = machine.agent(None);
        let (_, runs) = agent.ask("GET", "/runs", &Value::Null).unwrap();
        let left = runs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|run| run["part"] == trial.part && run["state"] == "interrupted");
        if let Some(id) = left.and_then(|run| run["id"].as_str()) {
            agent.ask("POST", &format!("/runs/{id}/resume"), &json!({}));
            let ended = agent.wait(id);
            if there.is_none() {
                found.ended(&what, ended, "done");
                found.expect(&format!("{what} and gone on with"), done, machine, trial);
                agent.undo(id);
                found.ended(&what, agent.wait(id), "undone");
            } else {
                found.ended(&what, ended, "undone");
            }
        } else if let Some(id) = run.as_ref().filter(|_| there.is_some()) {
            // It was killed before the first word of undoing.
            agent.undo(id);
            agent.wait(id);
        }
        found.expect(&format!("{what} and undone"), before, machine, trial);
        point += every;
    }
}

impl Found {
    fn expect(&mut self, when: &str, expected: &State, machine: &Machine, trial: &Trial) {
        let now = state::of(machine, trial.varies);
        let differ = differences(expected, &now);
        self.problems
            .extend(differ.into_iter().map(|one| format!("{when}: {one}")));
    }

    fn ended(&mut self, when: &str, run: Option<Value>, state: &str) {
        let Some(run) = run else {
            return self.problems.push(format!("{when}: the agent is gone"));
        };
        let actions = run["actions"].as_array().cloned().unwrap_or_default();
        let errors: Vec<&Value> = actions
            .iter()
            .filter(|one| !one["error"].is_null())
            .collect();
        if run["state"] != state || !errors.is_empty() {
            self.problems.push(format!(
                "{when}: {} instead of {state}: {errors:?}",
                run["state"]
            ));
        }
    }
}

impl Agent<'_> {
    fn plan(&self, part: &str) -> Value {
        let (status, plan) = self
            .ask("POST", &format!("/parts/{part}/plan"), &Value::Null)
            .unwrap();
        assert_eq!(status, 200, "{part}: {plan}");
        plan
    }

    /// The run; none where nothing was to be done, or the agent is gone.
    fn apply(&self, part: &str, plan: &Value, found: &mut Found) -> Option<String> {
        let agreed = json!({ "digest": plan["digest"] });
        let (status, said) = self.ask("POST", &format!("/parts/{part}/apply"), &agreed)?;
        if status != 200 && status != 202 {
            found.problems.push(format!("apply: {status} {said}"));
        }
        said["run"].as_str().map(str::to_owned)
    }

    /// Until it is under way: nothing is written of it when the answer comes.
    fn undo(&mut self, run: &str) {
        self.ask("POST", &format!("/runs/{run}/undo"), &json!({}));
        let begun = Instant::now();
        while self.is_alive() && begun.elapsed() < std::time::Duration::from_secs(60) {
            let view = self.ask("GET", &format!("/runs/{run}"), &Value::Null);
            if view.is_some_and(|(status, view)| status == 200 && view["state"] != "done") {
                return;
            }
            pause();
        }
    }

    /// How a run ended; none when the agent did before.
    fn wait(&mut self, run: &str) -> Option<Value> {
        loop {
            let answer = self.ask("GET", &format!("/runs/{run}"), &Value::Null);
            match answer {
                Some((200, view)) if view["state"] == "running" || view["state"] == "undoing" => {}
                Some((200, view)) if view["state"] == "interrupted" => {}
                Some((200, view)) => return Some(view),
                _ => {}
            }
            if !self.is_alive() {
                return None;
            }
            pause();
        }
    }
}
