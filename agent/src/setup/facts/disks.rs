//! File systems that something can be kept on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Places;
use crate::host::installer::Disk;
use crate::limits::FACTS_ITEMS_MAX;

pub(super) fn look(places: &Places, until: Instant) -> Vec<Disk> {
    let mut disks: Vec<Disk> = Vec::new();
    for line in places.text("/proc/mounts", 1 << 20).lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(mount), Some(kind), Some(options)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let mount = unescaped(mount);
        let is_own = ["/proc", "/sys", "/dev", "/run", "/etc"].iter().any(|own| {
            let rest = mount.strip_prefix(own);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if is_own || NO_DISKS.contains(&kind) || disks.len() >= FACTS_ITEMS_MAX {
            continue;
        }
        // What was mounted over it later is what is seen there.
        disks.retain(|known| known.mount != mount);
        let device = unescaped(device);
        let Some((total_bytes, free_bytes)) = room(places, &mount, kind, until) else {
            continue;
        };
        disks.push(Disk {
            read_only: options.split(',').any(|option| option == "ro"),
            removable: is_removable(places, &device),
            file_system: kind.to_owned(),
            mount,
            device,
            total_bytes,
            free_bytes,
        });
    }
    disks.retain(|disk| disk.total_bytes > 0 || !places.here);
    disks
}

/// What there is, and what is free for whoever is not root. A server that is gone may keep us waiting for ever, so it is asked by a
/// thread of its own; few of those may wait.
fn room(places: &Places, mount: &str, kind: &str, until: Instant) -> Option<(u64, u64)> {
    static WAITING: AtomicUsize = AtomicUsize::new(0);
    if !places.here {
        return Some((0, 0));
    }
    let path = places.at(mount);
    let ask = move || {
        let about = rustix::fs::statvfs(&path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        Some((bytes(about.f_blocks), bytes(about.f_bavail)))
    };
    let is_far = FAR.contains(&kind) || kind.starts_with("fuse.");
    if !is_far {
        return ask();
    }
    if WAITING.load(Ordering::SeqCst) >= WAITING_MAX || Instant::now() >= until {
        return None;
    }
    WAITING.fetch_add(1, Ordering::SeqCst);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = tell.send(ask());
        WAITING.fetch_sub(1, Ordering::SeqCst);
    });
    told.recv_timeout(FAR_PATIENCE).ok().flatten()
}

fn is_removable(places: &Places, device: &str) -> bool {
    let Some(name) = device.strip_prefix("/dev/") else {
        return false;
    };
    if name.contains('/') {
        return false;
    }
    // Of a partition, the disk says it.
    let own = format!("/sys/class/block/{name}/removable");
    let disk = format!("/sys/class/block/{name}/../removable");
    places.line(&own) == "1" || places.line(&disk) == "1"
}

/// The kernel writes spaces, tabs, line ends and backslashes as three digits (proc(5)).
fn unescaped(text: &str) -> String {
    let codes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    codes.iter().fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

/// File systems that keep nothing, or are no place to keep anything.
const NO_DISKS: [&str; 24] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "fuse.portal",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "fuse.lxcfs",
];

/// Those whose disk is another machine's.
const FAR: [&str; 7] = ["9p", "ceph", "cifs", "glusterfs", "nfs", "nfs4", "smb3"];

const FAR_PATIENCE: Duration = Duration::from_millis(300);
const WAITING_MAX: usize = 8;
