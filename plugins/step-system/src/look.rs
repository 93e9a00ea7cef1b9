//! What is found of a machine, each with what it rests on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_sdk::installer::{Facts, Finding, Protocol};

pub(crate) fn at(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.push(system(facts));
    found.extend(kernel(facts));
    found.extend(architecture(facts));
    found.extend(memory(facts));
    found.extend(disk(facts));
    found.push(clock(facts));
    found.extend(container(facts));
    found.extend(port(facts));
    found
}

fn system(facts: &Facts) -> Finding {
    let system = &facts.system;
    let evidence = match (system.os_name.is_empty(), system.systemd) {
        (true, _) => String::from("there is no os-release"),
        (false, Some(0)) => format!("{}, with systemd", system.os_name),
        (false, Some(version)) => format!("{}, with systemd {version}", system.os_name),
        (false, None) => format!("{}, without systemd", system.os_name),
    };
    if system.os_name.is_empty() {
        let what =
            "It cannot be told which distribution this is; packages cannot be installed from here.";
        return Finding::warning(what, evidence);
    }
    if system.systemd.is_none() && system.container.is_none() {
        let what = "There is no systemd: the agent cannot be made a service from here.";
        return Finding::warning(what, evidence)
            .remedy("start `skep up` by what starts services on this system");
    }
    Finding::fine("The system is known.", evidence)
}

fn kernel(facts: &Facts) -> Option<Finding> {
    let kernel = &facts.system.kernel;
    let mut parts = kernel.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next()?.parse::<u32>().ok();
    let version = (next()?, next()?);
    let evidence = format!("Linux {kernel}");
    if version < KERNEL {
        let what = format!(
            "The kernel is older than {}.{}: plugins and workers are confined less.",
            KERNEL.0, KERNEL.1
        );
        return Some(
            Finding::warning(what, evidence).remedy("take a newer release of the distribution"),
        );
    }
    Some(Finding::fine("The kernel is new enough.", evidence))
}

fn architecture(facts: &Facts) -> Option<Finding> {
    let architecture = &facts.system.architecture;
    if architecture.is_empty() || ["x86_64", "aarch64"].contains(&architecture.as_str()) {
        return None;
    }
    let what = "Models run with portable code on this kind of processor, which is slow.";
    Some(Finding::notice(what, architecture.clone()))
}

fn memory(facts: &Facts) -> Option<Finding> {
    let system = &facts.system;
    if system.memory_bytes == 0 {
        return None;
    }
    let evidence = format!(
        "{} GiB, {} GiB of it free, {} GiB swap",
        gib(system.memory_bytes),
        gib(system.memory_free_bytes),
        gib(system.swap_bytes)
    );
    if system.memory_bytes < MEMORY_BYTES {
        let what = "There is little memory: only the smallest models fit.";
        let remedy = "add memory, or use this node for its cards and model servers elsewhere";
        return Some(Finding::warning(what, evidence).remedy(remedy));
    }
    Some(Finding::fine("There is memory for models.", evidence))
}

fn disk(facts: &Facts) -> Option<Finding> {
    let disk = facts.disk_of(&facts.agent.data_folder)?;
    let evidence = format!(
        "{} GB free of {} GB on {} ({})",
        disk.free_bytes / GB,
        disk.total_bytes / GB,
        disk.mount,
        disk.file_system
    );
    if disk.read_only {
        let what = "The folder for models cannot be written to.";
        let remedy = format!("mount {} for writing", disk.mount);
        return Some(Finding::failure(what, evidence).remedy(remedy));
    }
    if disk.total_bytes == 0 {
        return None;
    }
    if disk.free_bytes < DISK_BYTES {
        let what = "There is little room for models, which take 1 to 100 GB each.";
        return Some(
            Finding::warning(what, evidence)
                .remedy("free some, or start the agent with `--home` on another disk"),
        );
    }
    if disk.removable {
        let what = "Models would be kept on a disk that can be taken out.";
        return Some(Finding::notice(what, evidence));
    }
    Some(Finding::fine("There is room for models.", evidence))
}

fn clock(facts: &Facts) -> Finding {
    let now = facts.system.now_unix_s;
    let evidence = format!("it shows {now} seconds since 1970");
    if !(CLOCK_MIN_UNIX_S..CLOCK_MAX_UNIX_S).contains(&now) {
        let what = "The clock is wrong; certificates and the times of keys depend on it.";
        return Finding::failure(what, evidence).remedy("sudo timedatectl set-ntp true");
    }
    match facts.system.clock_kept {
        Some(true) => Finding::fine("Something keeps the clock right.", evidence),
        Some(false) => Finding::warning("Nothing keeps the clock right.", evidence)
            .remedy("sudo timedatectl set-ntp true"),
        None => Finding::notice(
            "It is not known whether anything keeps the clock right.",
            evidence,
        ),
    }
}

fn container(facts: &Facts) -> Option<Finding> {
    let kind = facts.system.container.as_ref()?;
    let what = "This is a container: services, drivers, firewall and clock are its host's.";
    Some(Finding::notice(what, format!("it is inside of `{kind}`")))
}

fn port(facts: &Facts) -> Option<Finding> {
    let (_, port) = facts.agent.listen.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let taken = facts.taken(Protocol::Tcp, port)?;
    // Of other users' programs the name is not told; one without a name may well be the agent.
    let program = taken.program.as_ref()?;
    let what = format!("Another program listens on the agent's port {port}.");
    let evidence = format!("`{program}` listens on {}:{port}", taken.address);
    Some(
        Finding::failure(what, evidence)
            .remedy("end it, or choose another port in the step for security"),
    )
}

/// Since then Landlock confines files (5.13), and its network rules are not needed.
const KERNEL: (u32, u32) = (5, 13);

/// A model of a billion parameters and its agent.
const MEMORY_BYTES: u64 = 4_000_000_000;

/// Some models of eight billion parameters.
const DISK_BYTES: u64 = 20 * GB;

const GB: u64 = 1_000_000_000;

/// 2025 and 2100.
const CLOCK_MIN_UNIX_S: u64 = 1_735_689_600;
const CLOCK_MAX_UNIX_S: u64 = 4_102_444_800;

fn gib(bytes: u64) -> u64 {
    bytes >> 30
}
