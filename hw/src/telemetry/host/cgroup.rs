//! The limits that control groups set on this process, versions 1 and 2.
//!
//! Decides which files bound the process; refuses to know the machine's size. A limit holds for
//! every group below the one that sets it, so the walk goes from the process's own group up to the
//! mount and keeps the smallest. In a container the path that `/proc/self/cgroup` tells may name
//! the outer machine's tree; the walk up still ends at the mount, which is the container's own
//! group. Formats: Linux, `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`, `memory.max`) and
//! `cgroup-v1/memory.rst`; `sched-bwc.rst` for `cpu.cfs_quota_us`.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The files that may bound this process, found once.
#[derive(Debug)]
pub(super) struct Groups {
    cpu: Vec<CpuFiles>,
    memory: Vec<MemoryFiles>,
}

/// The tightest memory limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryLimit {
    pub(super) limit_bytes: u64,
    pub(super) used_bytes: Option<u64>,
    /// Page cache that goes first when memory is short, so it counts as free.
    reclaimable_bytes: u64,
}

impl MemoryLimit {
    /// What may still be taken before the limit bites.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let held = self.used_bytes?.saturating_sub(self.reclaimable_bytes);
        Some(self.limit_bytes.saturating_sub(held))
    }
}

impl Groups {
    /// Finds the groups of the calling process. `mount` is `/sys/fs/cgroup` on a real machine.
    pub(super) fn of_self(procfs: &Path, mount: &Path) -> Self {
        let text = fs::read(procfs.join("self/cgroup")).unwrap_or_default();
        Self::from_text(&String::from_utf8_lossy(&text), mount)
    }

    fn from_text(text: &str, mount: &Path) -> Self {
        let mut groups = Self {
            cpu: Vec::new(),
            memory: Vec::new(),
        };
        for line in text.lines().take(MAX_HIERARCHIES) {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if controllers.is_empty() {
                // Version 2, alone or beside version 1.
                for root in [mount.to_owned(), mount.join("unified")] {
                    for dir in walk_up(&root, path) {
                        groups.add_v2(&dir);
                    }
                }
            }
            let has = |name| controllers.split(',').any(|c| c == name);
            if has("cpu") || has("memory") {
                for dir in walk_up(&mount.join(controllers), path) {
                    groups.add_v1(&dir);
                }
            }
        }
        groups
    }

    /// Processor time granted, in cores; the smallest among the groups.
    pub(super) fn cpu(&self) -> Option<f32> {
        self.cpu
            .iter()
            .filter_map(CpuFiles::cores)
            .min_by(f32::total_cmp)
    }

    /// The smallest memory limit among the groups.
    pub(super) fn memory(&self) -> Option<MemoryLimit> {
        self.memory
            .iter()
            .filter_map(MemoryFiles::limit)
            .min_by_key(|limit| limit.limit_bytes)
    }

    fn add_v2(&mut self, dir: &Path) {
        if dir.join("cpu.max").exists() {
            self.cpu.push(CpuFiles::V2(dir.join("cpu.max")));
        }
        if dir.join("memory.max").exists() {
            self.memory.push(MemoryFiles {
                limit: dir.join("memory.max"),
                used: dir.join("memory.current"),
                stat: dir.join("memory.stat"),
                stat_key: "inactive_file ",
            });
        }
    }

    fn add_v1(&mut self, dir: &Path) {
        if dir.join("cpu.cfs_quota_us").exists() {
            self.cpu.push(CpuFiles::V1 {
                quota: dir.join("cpu.cfs_quota_us"),
                period: dir.join("cpu.cfs_period_us"),
            });
        }
        if dir.join("memory.limit_in_bytes").exists() {
            self.memory.push(MemoryFiles {
                limit: dir.join("memory.limit_in_bytes"),
                used: dir.join("memory.usage_in_bytes"),
                stat: dir.join("memory.stat"),
                stat_key: "total_inactive_file ",
            });
        }
    }
}

#[derive(Debug)]
enum CpuFiles {
    V1 { quota: PathBuf, period: PathBuf },
    V2(PathBuf),
}

impl CpuFiles {
    /// `None` when the group sets no limit or the file makes no sense.
    fn cores(&self) -> Option<f32> {
        let (quota_us, period_us) = match self {
            Self::V1 { quota, period } => (number(quota)?, number(period)?),
            Self::V2(path) => {
                let text = fs::read_to_string(path).ok()?;
                let mut words = text.split_whitespace();
                // `max 100000` does not parse, which is what "no limit" should give.
                (
                    words.next()?.parse::<u64>().ok()?,
                    words.next()?.parse::<u64>().ok()?,
                )
            }
        };
        (period_us > 0 && quota_us > 0).then(|| (quota_us as f64 / period_us as f64) as f32)
    }
}

#[derive(Debug)]
struct MemoryFiles {
    limit: PathBuf,
    used: PathBuf,
    stat: PathBuf,
    stat_key: &'static str,
}

impl MemoryFiles {
    fn limit(&self) -> Option<MemoryLimit> {
        let limit_bytes = number(&self.limit).filter(|&bytes| bytes < UNLIMITED_BYTES)?;
        let stat = fs::read_to_string(&self.stat).unwrap_or_default();
        let reclaimable = stat
            .lines()
            .find_map(|line| line.strip_prefix(self.stat_key));
        Some(MemoryLimit {
            limit_bytes,
            used_bytes: number(&self.used),
            reclaimable_bytes: reclaimable.and_then(|n| n.trim().parse().ok()).unwrap_or(0),
        })
    }
}

/// Version 1 says "no limit" with the largest page-aligned number, near 2^63.
const UNLIMITED_BYTES: u64 = 1 << 60;

/// More lines than Linux has controllers; the file is not trusted to end.
const MAX_HIERARCHIES: usize = 64;

/// Deeper nesting than any real tree.
const MAX_DEPTH: usize = 32;

/// The group's directory and those above it, down to the mount itself.
fn walk_up(mount: &Path, group: &str) -> Vec<PathBuf> {
    let mut dir = mount.to_owned();
    let mut found = vec![dir.clone()];
    for part in Path::new(group).components().take(MAX_DEPTH) {
        match part {
            Component::Normal(name) => {
                dir.push(name);
                found.push(dir.clone());
            }
            // `/../other` names a group outside the container's view: nothing below is ours.
            Component::ParentDir => return vec![mount.to_owned()],
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    found
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files in a folder of its own, gone when dropped.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn check(text: &str, files: &[(&str, &str)], cores: Option<f32>, free: Option<u64>) {
        let root = tree(files);
        let groups = Groups::from_text(text, root.path());
        assert_eq!(groups.cpu(), cores, "{text}");
        assert_eq!(groups.memory().and_then(|m| m.free_bytes()), free, "{text}");
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        check(
            "0::/outer/inner\n",
            &[
                ("cpu.max", "max 100000\n"),
                ("outer/cpu.max", "150000 100000\n"),
                ("outer/inner/cpu.max", "400000 100000\n"),
                ("outer/memory.max", "1000\n"),
                ("outer/memory.current", "700\n"),
                ("outer/memory.stat", "anon 500\ninactive_file 200\n"),
                ("outer/inner/memory.max", "max\n"),
            ],
            Some(1.5),
            Some(500),
        );
    }

    #[test]
    fn a_container_that_sees_the_outer_path_uses_its_own_mount() {
        let own = [
            ("memory.max", "1000"),
            ("memory.current", "100"),
            ("other/memory.max", "1"),
        ];
        check("0::/system.slice/docker-abc.scope", &own, None, Some(900));
        check("0::/../other", &own, None, Some(900));
    }

    #[test]
    fn version_one_is_read_too() {
        check(
            "12:cpu,cpuacct:/a\n7:memory:/a\n0::/a\n",
            &[
                ("cpu,cpuacct/a/cpu.cfs_quota_us", "50000"),
                ("cpu,cpuacct/a/cpu.cfs_period_us", "100000"),
                ("cpu,cpuacct/cpu.cfs_quota_us", "-1"),
                ("memory/memory.limit_in_bytes", "9223372036854771712"),
                ("memory/a/memory.limit_in_bytes", "4096"),
                ("memory/a/memory.usage_in_bytes", "5000"),
            ],
            Some(0.5),
            Some(0),
        );
    }

    #[test]
    fn nonsense_sets_no_limit() {
        for bad in [
            "",
            "0",
            "0 0",
            "5 0",
            "-3 100000",
            "x y",
            "99999999999999999999999 1",
        ] {
            check(
                "0::/\n:::\n3:cpu\n",
                &[("cpu.max", bad), ("memory.max", "-1")],
                None,
                None,
            );
        }
    }
}
