//! What a user sees: help, tables and findings, compared with files under `snapshots`.
//!
//! `SKEP_ACCEPT=1 cargo test -p skep` writes the files anew; read the difference before you keep
//! it.

use std::path::Path;

use clap::CommandFactory as _;
use skep_hw::telemetry::{Cpu, Disk, Host, HostMemory, Snapshot};

mod plugins;
mod scheduling;

use super::arguments::Arguments;
use super::terminal::Paint;
use super::*;
use crate::doctor::{Finding, Report, Severity};
use crate::wire;

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/cli/snapshots/{name}.txt"));
    let text = format!("{}\n", text.trim_end());
    if std::env::var_os("SKEP_ACCEPT").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let expect = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expect, "{} differs", path.display());
}

#[test]
fn arguments_agree_with_each_other() {
    Arguments::command().debug_assert();
}

#[test]
fn help_reads_well() {
    let mut command = Arguments::command().term_width(100);
    check("help", &command.render_long_help().to_string());
    for name in [
        "up",
        "run",
        "pull",
        "keys",
        "logs",
        "doctor",
        "scheduler",
        "explain",
        "token",
        "join",
        "node",
    ] {
        let mut command = Arguments::command().term_width(100);
        command.build();
        let help = command.find_subcommand_mut(name).unwrap().render_help();
        check(&format!("help-{name}"), &help.to_string());
    }
}

#[test]
fn what_is_typed_is_understood() {
    let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
    for good in [
        "skep up --listen 127.0.0.1:1 --set models.default=x --set http.drain_s=1",
        "skep run tiny The borrow checker --temperature 0.5 -n 5 --seed 1",
        "skep run tiny",
        "skep ls --json",
        "skep pull http://x/y.gguf --name y --sha256 00",
        "skep rm tiny -f",
        "skep keys new laptop --json",
        "skep logs -f -n 5",
        "skep plugin ls --json",
        "skep plugin show lab --json",
        "skep plugin add lab.wasm --yes --grant http:a.example --grant secret:b --accept unsigned",
        "skep plugin add oci://ghcr.io/a/b:1 --sha256 00 --signature b.minisig",
        "skep plugin update lab",
        "skep plugin update lab https://a.example/lab.wasm",
        "skep plugin rollback lab --to 1.0.0",
        "skep plugin remove lab --force",
        "skep plugin trust RWQ --name ada",
        "skep plugin trust ls --json",
        "skep plugin trust remove ada",
        "skep plugin keygen ada --no-password",
        "skep plugin sign lab.wasm --key ada.key",
        "skep scheduler ls --json",
        "skep scheduler use ./my.wasm",
        "skep scheduler shadow off",
        "skep scheduler diff --json",
        "skep explain last --json",
        "skep top --once",
        "skep nodes --json",
        "skep node",
        "skep node --json",
        "skep node show attic --json",
        "skep node approve attic",
        "skep node rename attic loft",
        "skep node label attic gpu=3090 noisy-",
        "skep token new --role voter --name attic --ttl 2h --json",
        "skep token ls --json",
        "skep token revoke 0011223344556677",
        "skep join skep-join-x --at 10.0.0.1:7420 --at h:1 --name attic --leave",
        "skep join --wait --for 5m --json",
        "skep node adopt attic --json",
        "skep node add sam@attic cellar:2222 -i key --binary skep --host-key SHA256:x --dry-run --json",
        "skep node add --undo sam@attic",
        "skep join - --listen 127.0.0.1:0 --set log.format=json",
        "skep discover --json",
        "skep ca --json",
        "skep ca rotate --json",
        "skep top --json",
        "skep completions zsh",
        "skep --home /x ps",
        "skep ps --home /x",
        "skep worker",
        "skep compile --any -thing goes",
    ] {
        parse(good).unwrap();
    }
    for bad in [
        "skep",
        "skep fly",
        "skep run",
        "skep keys",
        "skep run tiny -t warm",
        "skep top --once --json",
        "skep up x",
        "skep scheduler",
        "skep scheduler use",
        "skep explain",
        "skep token",
        "skep token new --role king",
        "skep token new --ttl soon",
        "skep plugin add",
        "skep plugin trust",
        "skep plugin sign lab.wasm",
        "skep plugin revoke lab",
        "skep join",
        "skep node drain",
        "skep node label attic",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn listings_are_tables() {
    let ago = |_: u64| "5 min ago".to_owned();
    let models = wire::Models {
        models: vec![
            model("tiny", "embedded", Some("ready")),
            model("big", "https://x/y", None),
        ],
        damaged: Vec::new(),
        offered: Vec::new(),
    };
    check("models", &models::render(&models, Paint::none(), ago));
    let replicas = wire::Replicas {
        replicas: vec![replica("tiny", "ready"), unwell()],
    };
    check("ps", &ps::render(&replicas, Paint::none()));
    let key = |id, name: &str, used| wire::Key {
        owner: None,
        id,
        name: name.to_owned(),
        prefix: "sk-skep-abcd".to_owned(),
        created_unix_s: 0,
        last_used_unix_s: used,
    };
    let keys = wire::Keys {
        keys: vec![key(1, "first", None), key(2, "laptop", Some(1))],
    };
    check("keys", &keys::render(&keys, Paint::none(), ago));
}

#[test]
fn empty_listings_say_what_to_do() {
    let models = wire::Models {
        models: Vec::new(),
        damaged: Vec::new(),
        offered: Vec::new(),
    };
    let text = models::render(&models, Paint::none(), |_| String::new());
    assert!(text.contains("skep pull"), "{text}");
    let text = ps::render(
        &wire::Replicas {
            replicas: Vec::new(),
        },
        Paint::none(),
    );
    assert!(text.contains("no model is loaded"), "{text}");
}

#[test]
fn a_node_is_a_sheet() {
    let host = Host {
        os: Some("Debian GNU/Linux 12".to_owned()),
        architecture: "x86_64".to_owned(),
        cpu: Cpu {
            brand: Some("Some Processor".to_owned()),
            cores_logical: Some(8),
            cores_usable: Some(4),
            utilisation_percent: Some(12.4),
            quota_cores: Some(4.0),
            ..Cpu::default()
        },
        memory: HostMemory {
            total_bytes: Some(32 << 30),
            available_bytes: Some(20 << 30),
            limit_bytes: Some(8 << 30),
            limit_used_bytes: Some(1 << 30),
            ..HostMemory::default()
        },
        disks: vec![Disk {
            path: "/home/bee".to_owned(),
            total_bytes: Some(500_000_000_000),
            available_bytes: Some(120_000_000_000),
        }],
        ..Host::default()
    };
    let node = wire::Node {
        id: "00".repeat(16),
        health: "healthy".to_owned(),
        why: None,
        devices: Vec::new(),
        name: "work\x1bbench".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 7,
        started_unix_s: 1_000,
        url: "http://127.0.0.1:7420".to_owned(),
        key_required: false,
        computes_on: "cpu".to_owned(),
        resident_bytes: Some(19 << 20),
        hardware: Some(Snapshot {
            host,
            devices: Vec::new(),
            sources: Vec::new(),
        }),
        clock_ahead_ms: None,
    };
    check("node", &node::render(&node, Paint::none(), 1_000 + 7_500));
}

#[test]
fn findings_show_evidence_and_what_mends_them() {
    let report = Report {
        findings: vec![Finding {
            severity: Severity::Error,
            code: "agent_down",
            title: "the agent is not running".to_owned(),
            evidence: vec!["no skep agent answers at http://127.0.0.1:7420".to_owned()],
            mend: Some("skep up".to_owned()),
            because: None,
        }],
        well: vec!["the clock is plausible".to_owned()],
    };
    assert_eq!(report.exit_code(), 2);
    check("doctor", &doctor::render(&report, Paint::none()));
}

#[test]
fn names_become_segments_of_paths() {
    assert_eq!(segment("qwen3:0.6b"), "qwen3%3A0.6b");
    assert_eq!(segment("../é"), "..%2F%C3%A9");
}

fn model(name: &str, source: &str, state: Option<&str>) -> wire::Model {
    wire::Model {
        name: name.to_owned(),
        digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        bytes: 4_516_288,
        format: "gguf".to_owned(),
        source: source.to_owned(),
        added_unix_s: 0,
        state: state.map(str::to_owned),
        is_default: false,
    }
}

fn replica(model: &str, state: &str) -> wire::Replica {
    wire::Replica {
        id: 1,
        model: model.to_owned(),
        plugin: "llama".to_owned(),
        state: state.to_owned(),
        why: None,
        since_unix_s: 0,
        requests: 3,
        running: 1,
        waiting: 2,
        cache_pages: 64,
        cache_pages_used: 16,
        guessed: 40,
        guesses_kept: 30,
        tokens_per_s: Some(1_234.5),
        pid: Some(4321),
        resident_bytes: Some(41 << 20),
        restarts: 0,
        opened_in_ms: Some(80),
        card_bytes: None,
        device: "cpu".to_owned(),
        node: "workbench".to_owned(),
        devices: vec!["cpu".to_owned()],
        health: "healthy".to_owned(),
        causes: Vec::new(),
        info: Some(wire::ModelInfo {
            architecture: "llama".to_owned(),
            name: String::new(),
            parameters: 4_200_000,
            quantisation: "Q8_0".to_owned(),
            context_tokens: 256,
            trained_context_tokens: 256,
            embedding_width: 0,
            sequences: 16,
            cache_bytes: 18 << 20,
            abilities: vec!["chat".to_owned()],
        }),
    }
}

fn unwell() -> wire::Replica {
    wire::Replica {
        requests: 0,
        waiting: 0,
        tokens_per_s: None,
        pid: None,
        resident_bytes: None,
        restarts: 3,
        device: String::new(),
        info: None,
        cache_pages: 0,
        why: Some("its worker was killed".to_owned()),
        ..replica("big", "restarting")
    }
}
