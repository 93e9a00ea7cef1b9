//! The host's own figures: processor, memory, disks, networks, sensors.
//!
//! Decides what is asked at each sample and what once; refuses to know about accelerators. What
//! `sysinfo` reads cheaply comes from it; limits that containers set come from [`cgroup`], and
//! space from one `statvfs` for each watched path, since `sysinfo` would visit every mount.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sysinfo::{Components, CpuRefreshKind, MemoryRefreshKind, Networks, RefreshKind, System};

use super::Places;
use super::snapshot::{Cpu, Disk, Host, HostMemory, Network, Temperature};
use crate::cpu::pool;

mod cgroup;

/// The host, ready to be asked.
#[derive(Debug)]
pub(super) struct HostSource {
    facts: Host,
    system: Option<System>,
    networks: Option<Networks>,
    components: Option<Components>,
    groups: cgroup::Groups,
    disks: Vec<PathBuf>,
    procfs: PathBuf,
    /// The first reading of processor time has nothing to be compared with.
    warm: bool,
    slow_read_at: Option<Instant>,
    /// Hardware threads allowed, and of how many cores.
    cores: (Option<u32>, Option<u32>),
}

impl HostSource {
    /// Reads what does not change and finds sensors and interfaces.
    pub(super) fn detect(places: &Places) -> Self {
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram().with_swap());
        let system = System::new_with_specifics(kinds).ok();
        let brand = system
            .as_ref()
            .and_then(|s| s.cpus().first())
            .map(|c| c.brand().to_owned());
        let logical = system.as_ref().map(|s| s.cpus().len()).filter(|&n| n > 0);
        let facts = Host {
            name: System::host_name().ok(),
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu: Cpu {
                brand: brand.filter(|b| !b.is_empty()),
                cores_physical: System::physical_core_count().ok().map(count),
                cores_logical: logical.map(count),
                ..Cpu::default()
            },
            ..Host::default()
        };
        Self {
            facts,
            system,
            networks: Networks::new_with_refreshed_list().ok(),
            components: Components::new_with_refreshed_list().ok(),
            groups: cgroup::Groups::of_self(&places.procfs, &places.sysfs.join("fs/cgroup")),
            disks: places.disks.clone(),
            procfs: places.procfs.clone(),
            warm: false,
            slow_read_at: None,
            cores: (None, None),
        }
    }

    /// Reads what changes.
    pub(super) fn sample(&mut self, now: Instant) -> Host {
        let due = |at: Instant| now.saturating_duration_since(at) >= SLOW_EVERY;
        if self.slow_read_at.is_none_or(due) {
            self.facts.uptime_s = System::uptime().ok();
            // The kernel itself looks every five seconds.
            self.facts.cpu.load_average = System::load_average()
                .ok()
                .map(|load| [load.one as f32, load.five as f32, load.fifteen as f32]);
            self.facts.memory.own_resident_bytes = resident_bytes_under(&self.procfs.join("self"));
            self.facts.disks = self.disks.iter().map(|path| disk(path)).collect();
            self.facts.networks = self.networks();
            self.facts.temperatures = self.temperatures();
            self.slow_read_at = Some(now);
        }
        let mut host = self.facts.clone();
        host.uptime_s = self.facts.uptime_s.map(|uptime| {
            let since = self.slow_read_at.map_or(Duration::ZERO, |at| now - at);
            uptime.saturating_add(since.as_secs())
        });
        self.cpu(&mut host.cpu);
        host.memory = self.memory();
        self.warm = true;
        host
    }

    fn cpu(&mut self, cpu: &mut Cpu) {
        let limits = self.groups.cpu();
        let allowed = cores_allowed();
        if self.cores.0 != allowed {
            let cores = count(pool::cores_allowed());
            self.cores = (allowed, Some(cores).filter(|cores| *cores > 0));
        }
        cpu.cores_allowed = allowed;
        cpu.quota_cores = limits;
        let cores = self.cores.1.or(allowed).or(cpu.cores_logical);
        cpu.cores_usable = cores_usable(cores, limits);
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            let busy = system.global_cpu_usage();
            cpu.utilisation_percent = (self.warm && busy.is_finite()).then_some(busy);
        }
    }

    fn memory(&mut self) -> HostMemory {
        let mut memory = HostMemory {
            own_resident_bytes: self.facts.memory.own_resident_bytes,
            ..HostMemory::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_memory();
            memory.total_bytes = Some(system.total_memory()).filter(|&b| b > 0);
            memory.available_bytes = memory.total_bytes.map(|_| system.available_memory());
            memory.swap_total_bytes = memory.total_bytes.map(|_| system.total_swap());
            memory.swap_used_bytes = memory.total_bytes.map(|_| system.used_swap());
        }
        if let Some(limit) = self.groups.memory() {
            // A limit above what is installed limits nothing.
            if memory
                .total_bytes
                .is_none_or(|total| limit.limit_bytes < total)
            {
                memory.limit_bytes = Some(limit.limit_bytes);
                memory.limit_used_bytes = limit.used_bytes;
            }
            memory.usable_bytes = limit.free_bytes();
        }
        memory.usable_bytes = match (memory.usable_bytes, memory.available_bytes) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        memory
    }

    fn networks(&mut self) -> Vec<Network> {
        let Some(networks) = &mut self.networks else {
            return Vec::new();
        };
        networks.refresh(true);
        let mut found: Vec<_> = networks
            .iter()
            .filter(|(name, _)| *name != "lo")
            .map(|(name, data)| Network {
                name: name.to_string_lossy().into_owned(),
                received_bytes: data.total_received(),
                sent_bytes: data.total_transmitted(),
                errors: data
                    .total_errors_on_received()
                    .saturating_add(data.total_errors_on_transmitted()),
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn temperatures(&mut self) -> Vec<Temperature> {
        let Some(components) = &mut self.components else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for component in components.iter_mut() {
            component.refresh();
            if let Some(celsius) = component.temperature().filter(|t| t.is_finite()) {
                found.push(Temperature {
                    label: component.label().to_owned(),
                    celsius,
                });
            }
        }
        found.sort_by(|a, b| a.label.cmp(&b.label));
        found
    }
}

/// Space, networks, sensors and what this process takes are most of a sample, and nobody decides anything
/// by them within seconds.
const SLOW_EVERY: Duration = Duration::from_secs(5);

/// Resident memory of a process in bytes, or `None` when there is no such process or it is not
/// ours to see.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    resident_bytes_under(&Path::new("/proc").join(pid.to_string()))
}

/// proc(5): the line `VmRSS: N kB`, where kB means 1024 bytes.
fn resident_bytes_under(process: &Path) -> Option<u64> {
    // In one read: for a file that says it is empty, the standard library takes eight.
    let mut status = [0; 4_096];
    let mut file = fs::File::open(process.join("status")).ok()?;
    let length = file.read(&mut status).ok()?;
    let line = status
        .get(..length)?
        .split(|&b| b == b'\n')
        .find_map(|line| line.strip_prefix(b"VmRSS:"))?;
    let kib = str::from_utf8(line)
        .ok()?
        .trim()
        .strip_suffix("kB")?
        .trim_end();
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

fn disk(path: &Path) -> Disk {
    let stat = rustix::fs::statvfs(path).ok();
    let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
    Disk {
        path: path.display().to_string(),
        total_bytes: stat.as_ref().map(|s| bytes(s.f_blocks, s.f_frsize)),
        available_bytes: stat.as_ref().map(|s| bytes(s.f_bavail, s.f_frsize)),
    }
}

fn cores_allowed() -> Option<u32> {
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    Some(set.count()).filter(|&n| n > 0)
}

/// A quota of one and a half cores is worth one thread: two would both stop in every period once it is spent, and
/// each waits for the other.
fn cores_usable(allowed: Option<u32>, quota: Option<f32>) -> Option<u32> {
    let quota = quota.map(|cores| cores.floor().max(1.0) as u32);
    match (allowed, quota) {
        (Some(a), Some(q)) => Some(a.min(q)),
        (a, q) => a.or(q),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_cores_obey_affinity_and_quota() {
        fn check(allowed: Option<u32>, quota: Option<f32>, expect: Option<u32>) {
            assert_eq!(
                cores_usable(allowed, quota),
                expect,
                "{allowed:?} {quota:?}"
            );
        }
        check(Some(8), None, Some(8));
        check(Some(8), Some(1.5), Some(1));
        check(Some(8), Some(2.0), Some(2));
        check(Some(8), Some(0.1), Some(1));
        check(Some(2), Some(64.0), Some(2));
        check(None, Some(3.0), Some(3));
        check(None, None, None);
        check(Some(4), Some(f32::INFINITY), Some(4));
    }

    #[test]
    fn resident_memory_is_that_of_the_process() {
        let own = resident_bytes(std::process::id()).unwrap();
        assert!(own > 500_000, "{own}");
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
