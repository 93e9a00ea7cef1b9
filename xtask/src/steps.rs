//! Every step of a setup on a Debian machine: its root, made once; the trials; a page with what became of them.
//!
//! Decides what the machine has. What is tried on it is the test's (`tests/tests/system/steps.rs`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::step::{cargo, commit, execute, output, root, step, target};
use crate::{plugins, setup, test};

/// What the machine has beside the smallest Debian.
const PACKAGES: &str = "nftables,iproute2,openssh-server,ufw,firewalld,logrotate,systemd-sysv,libpam-systemd,dbus,polkitd,kmod,\
                        ca-certificates,passwd";

/// What `step-drivers` and `step-system` install there.
const INSTALLED: &str = "firmware-amd-graphics systemd-timesyncd";

/// Runs the trials and writes `tests/steps/RESULTS.md`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut every, mut only) = ("1".to_owned(), String::new());
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let value = rest
            .next()
            .with_context(|| format!("`{flag}` needs a value"))?;
        match flag.as_str() {
            "--every" => every = value.parse::<u32>()?.max(1).to_string(),
            "--only" => only = value.clone(),
            _ => bail!("give `--every N`, `--only TEXT`, or nothing"),
        }
    }
    let place = target().join("steps");
    step("a Debian machine", || machine(&place))?;
    step("skep for it", || program(&place.join("trial")))?;
    let said = step("every step", || {
        let done = cargo(["test", "--workspace", "--test", "system", "--"])
            .args(["steps_on_a_debian_machine", "--nocapture"])
            .env("SKEP_PLUGINS_DIR", plugins::folder())
            .env("SKEP_STEPS_ROOT", &place)
            .env("SKEP_STEPS_EVERY", &every)
            .env("SKEP_STEPS_ONLY", &only)
            .output()?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        if !done.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&done.stderr));
            bail!("{said}");
        }
        Ok(said)
    })?;
    let found: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line.trim()).ok())
        .collect();
    if !only.is_empty() {
        println!("{said}");
        return Ok(());
    }
    let path = root().join("tests/steps/RESULTS.md");
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, page(&every, &found)?)?;
    println!("{}", path.display());
    Ok(())
}

/// The root of the machine, and a repository with what its package tool is to install.
fn machine(place: &Path) -> Result<()> {
    let root = place.join("root");
    let repository = place.join("trial/packages");
    if root.is_dir() && repository.join("Packages").is_file() {
        return Ok(());
    }
    setup::debian("debootstrap", "debootstrap", "a Debian machine")?;
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(&repository)?;
    let fresh = place.join("root.new");
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = |key: &str| {
        let mut lines = release.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"').to_owned()))
    };
    let suite = name("VERSION_CODENAME=").filter(|_| name("ID=").as_deref() == Some("debian"));
    output(
        Command::new("debootstrap")
            .arg("--variant=minbase")
            .arg(format!("--include={PACKAGES}"))
            .arg(suite.unwrap_or_else(|| "stable".to_owned()))
            .arg(&fresh),
    )
    .context("debootstrap failed: is a mirror of Debian reachable?")?;
    // The machine itself has no network: what it installs lies beside it.
    let script = format!(
        "set -e
sed -i 's/ main$/ main non-free-firmware/' /etc/apt/sources.list
apt-get clean
apt-get -qq update
apt-get -qq -y --no-install-recommends --download-only install {INSTALLED}
mkdir /packages && mv /var/cache/apt/archives/*.deb /packages
cd /packages
for deb in *.deb; do
    dpkg-deb --field $deb
    echo Filename: ./$deb
    echo Size: $(stat -c %s $deb)
    echo SHA256: $(sha256sum $deb | cut -d' ' -f1)
    echo
done > Packages
apt-get clean
rm -rf /var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/trial/packages ./' > /etc/apt/sources.list
rm -f /etc/ssh/ssh_host_*_key*
ssh-keygen -A"
    );
    output(
        Command::new("chroot")
            .arg(&fresh)
            .args(["sh", "-c", &script]),
    )?;
    for entry in fs::read_dir(fresh.join("packages"))? {
        let path = entry?.path();
        fs::copy(&path, repository.join(path.file_name().context("a name")?))?;
    }
    fs::remove_dir_all(fresh.join("packages"))?;
    // A card on the bus, as the kernel would tell of it.
    let card = place.join("trial/sys/bus/pci/devices/0000:03:00.0");
    for folder in [
        &card,
        &place.join("trial/sys/fs/cgroup"),
        &place.join("trial/sys/module/amdgpu"),
    ] {
        fs::create_dir_all(folder)?;
    }
    for (file, text) in [
        ("class", "0x030000"),
        ("vendor", "0x1002"),
        ("device", "0x744c"),
    ] {
        fs::write(card.join(file), format!("{text}\n"))?;
    }
    fs::rename(&fresh, &root)?;
    Ok(())
}

/// The agent, with the points at which it can be killed.
fn program(trial: &Path) -> Result<()> {
    let built = test::everything()?;
    let fresh = trial.join("skep.new");
    execute(
        Command::new("strip")
            .args(["--strip-all", "-o"])
            .arg(&fresh)
            .arg(built),
    )?;
    fs::rename(&fresh, trial.join("skep"))?;
    Ok(())
}

fn page(every: &str, found: &[Value]) -> Result<String> {
    let commit = commit().unwrap_or_else(|| "unknown".to_owned());
    let mut page = format!(
        "# Steps of a setup on a Debian machine\n\n\
         `cargo xtask steps` at {commit}: each step through the interface of an agent that runs as root on a Debian with its own \
         systemd, network and processes, and with nftables, ufw, firewalld, sshd and apt as Debian has them. Answered, planned, \
         carried out; a second time without a change; undone; then killed (`kill -9`) at every {every}. point before, in and after \
         each record and each change, there and back, started again, gone on with, compared with what came of it uncut, undone.\n\n\
         After each, every file (content, mode, owner), the packages, the rules of the firewalls and the units have to be as they \
         were; `tests/tests/system/steps/state.rs` names what is left out, and why. nftables, ufw and firewalld: another machine \
         connects, and cannot once it is undone. SSH: the key that was made signs in. The service: its unit is verified, runs, and \
         listens. With a problem there is no page.\n\n\
         Not tried: modules (the kernel under this has none to load), power limits (no card), containers that run (no Docker or \
         Podman), and whatever only a start of the machine shows.\n\n\
         | step | actions | kills | s |\n|---|---:|---:|---:|\n"
    );
    for row in found {
        let name = row["trial"].as_str().context("a name")?;
        writeln!(
            page,
            "| {name} | {} | {} | {} |",
            row["actions"], row["kills"], row["seconds"]
        )?;
    }
    Ok(page)
}
