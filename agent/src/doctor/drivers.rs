//! What stands between a card and a model: the kernel's module, the vendor's library, the devices' nodes and who may open them.
//!
//! Decides which of these is missing, since each alone makes models compute on the processor without a word.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::machine::cards;
use super::{Report, Severity};
use crate::config::Settings;
use crate::wire::Node;

/// Where the system shows all this.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) bus: PathBuf,
    pub(super) modules: PathBuf,
    pub(super) nvidia_version: PathBuf,
    pub(super) nodes: PathBuf,
    pub(super) libraries: Vec<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        let library = |name: &str| PathBuf::from(name);
        Self {
            bus: "/sys/bus/pci/devices".into(),
            modules: "/proc/modules".into(),
            nvidia_version: "/proc/driver/nvidia/version".into(),
            nodes: "/dev".into(),
            libraries: [
                "/usr/lib/x86_64-linux-gnu",
                "/usr/lib/aarch64-linux-gnu",
                "/usr/lib64",
                "/usr/lib",
                "/run/opengl-driver/lib",
            ]
            .map(library)
            .to_vec(),
        }
    }
}

pub(super) fn look(
    report: &mut Report,
    places: &Places,
    node: Option<&Node>,
    settings: Option<&Settings>,
) {
    let cards = cards(&places.bus);
    if cards.is_empty() {
        return;
    }
    let before = report.findings.len();
    let modules = fs::read_to_string(&places.modules).unwrap_or_default();
    let has = |name: &str| {
        modules
            .lines()
            .any(|line| line.split(' ').next() == Some(name))
    };
    if cards.iter().any(|card| card.starts_with("NVIDIA")) {
        nvidia(report, places, &has);
    }
    if cards.iter().any(|card| card.starts_with("AMD")) {
        amd(report, places, &has);
    }
    if report.findings.len() == before {
        report.well("the cards' drivers are loaded, and this user may use them");
    }
    fallback(report, &cards, node, settings);
}

fn nvidia(report: &mut Report, places: &Places, has: &impl Fn(&str) -> bool) {
    if !has("nvidia") {
        let title = "there is a card of NVIDIA's, and its kernel module is not loaded";
        let finding = report.find(Severity::Warning, "driver_not_loaded", title);
        if has("nouveau") {
            finding.seen("the module `nouveau` has the card; models cannot compute through it");
            finding.mend("install NVIDIA's driver (on Debian: `sudo apt-get install nvidia-driver`) and restart the machine");
        } else {
            finding.seen("`nvidia` is not in /proc/modules");
            finding.mend("sudo modprobe nvidia   (if there is no such module: install the driver)");
        }
        return;
    }
    let kernel = fs::read_to_string(&places.nvidia_version).ok();
    let kernel = kernel.as_deref().and_then(kernel_version);
    let library = library_version(&places.libraries);
    if let (Some(kernel), Some(library)) = (kernel, &library)
        && kernel != library
    {
        let title = "NVIDIA's kernel module and its library are of different versions; no program can use the card";
        let finding = report.find(Severity::Error, "driver_mismatch", title);
        finding.seen(format!("kernel module {kernel}, library {library}"));
        finding
            .mend("sudo reboot   (an update replaced the library while the old module was loaded)");
    }
    if library.is_none() {
        let title = "NVIDIA's library is not where libraries are, so models cannot use the card";
        let finding = report.find(Severity::Warning, "library_missing", title);
        finding.seen("there is no libcuda.so.1");
        finding.mend("install it (on Debian: `sudo apt-get install libcuda1`), or name it with `node.cuda_library`");
    }
    for name in ["nvidiactl", "nvidia-uvm"] {
        if !places.nodes.join(name).exists() {
            let title =
                format!("the device node `/dev/{name}` is missing; the card cannot be opened");
            let finding = report.find(Severity::Warning, "device_node_missing", title);
            finding.seen("the driver makes it when root asks for the first time");
            finding.mend("sudo nvidia-modprobe -u -c 0");
        }
    }
    forbidden(report, &nodes(&places.nodes, "nvidia"));
}

fn amd(report: &mut Report, places: &Places, has: &impl Fn(&str) -> bool) {
    if !has("amdgpu") {
        let title = "there is a card of AMD's, and its kernel module is not loaded";
        let finding = report.find(Severity::Warning, "driver_not_loaded", title);
        finding.seen("`amdgpu` is not in /proc/modules");
        finding.mend("sudo modprobe amdgpu");
        return;
    }
    let mut all = nodes(&places.nodes, "kfd");
    all.extend(nodes(&places.nodes.join("dri"), "renderD"));
    if all.is_empty() {
        let title = "the device nodes of AMD's card are missing";
        let finding = report.find(Severity::Warning, "device_node_missing", title);
        finding.seen("there is neither /dev/kfd nor /dev/dri/renderD*");
        finding.mend("sudo udevadm trigger   (in a container: pass /dev/kfd and /dev/dri through)");
    }
    forbidden(report, &all);
}

/// The nodes of this beginning.
fn nodes(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut nodes: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_node = fs::metadata(path)
                .is_ok_and(|about| about.file_type().is_char_device() || about.is_file());
            name.starts_with(beginning) && is_node
        })
        .take(NODES_MAX)
        .collect();
    nodes.sort();
    nodes
}

/// Nodes that this user may not open.
fn forbidden(report: &mut Report, nodes: &[PathBuf]) {
    let closed = nodes
        .iter()
        .filter(|node| access(*node, Access::READ_OK | Access::WRITE_OK).is_err());
    let closed: Vec<&PathBuf> = closed.collect();
    let Some(first) = closed.first() else { return };
    let title = "this user may not open the card's device nodes";
    let finding = report.find(Severity::Warning, "device_forbidden", title);
    let mut group = None;
    for node in &closed {
        if let Ok(about) = fs::metadata(node) {
            let mode = about.permissions().mode() & 0o777;
            finding.seen(format!(
                "{} has mode {mode:04o}, group {}",
                node.display(),
                about.gid()
            ));
            group.get_or_insert_with(|| about.gid());
        }
    }
    let group = group.unwrap_or_default();
    finding.mend(format!(
        "sudo usermod -aG \"$(getent group {group} | cut -d: -f1)\" \"$(id -un)\"   (then sign in again; a service: `sudo usermod -aG ... skep`; `ls -l {}`)",
        first.display()
    ));
}

/// A card was wanted, and models compute on the processor all the same.
fn fallback(
    report: &mut Report,
    cards: &[String],
    node: Option<&Node>,
    settings: Option<&Settings>,
) {
    let wanted = settings.is_some_and(|settings| settings.node.computes_on.card().is_some())
        || std::env::var("SKEP_NODE_DEVICE").is_ok_and(|device| device != "cpu");
    let Some(node) = node.filter(|node| node.computes_on == "cpu" && wanted) else {
        return;
    };
    let title = "a card was asked for, and models compute on the processor";
    let finding = report.find(Severity::Warning, "silent_fallback", title);
    finding.seen(format!(
        "the running agent computes on `{}`",
        node.computes_on
    ));
    finding.evidence.extend(cards.iter().cloned());
    finding.mend("skep doctor --gpu   (says why the card cannot be used; then restart the agent)");
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu ...`
fn kernel_version(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_whitespace().find(|word| is_version(word))
}

/// As the file that `libcuda.so.1` leads to is called: `libcuda.so.550.54.14`.
fn library_version(folders: &[PathBuf]) -> Option<String> {
    folders.iter().find_map(|folder| {
        let leads_to = fs::canonicalize(folder.join("libcuda.so.1")).ok()?;
        let name = leads_to.file_name()?.to_str()?;
        let version = name.strip_prefix("libcuda.so.")?;
        Some(version.to_owned())
    })
}

fn is_version(word: &str) -> bool {
    word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok())
}

/// More cards and their parts than any machine has.
const NODES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a card, a module and a library.
    fn machine(folder: &Path, vendor: &str, modules: &str) -> Places {
        let places = Places {
            bus: folder.join("bus"),
            modules: folder.join("modules"),
            nvidia_version: folder.join("version"),
            nodes: folder.join("dev"),
            libraries: vec![folder.join("lib")],
        };
        let card = places.bus.join("0000:01:00.0");
        fs::create_dir_all(&card).unwrap();
        fs::write(card.join("vendor"), vendor).unwrap();
        fs::write(card.join("class"), "0x030000").unwrap();
        fs::write(&places.modules, modules).unwrap();
        fs::create_dir_all(places.nodes.join("dri")).unwrap();
        fs::create_dir_all(folder.join("lib")).unwrap();
        places
    }

    fn codes(places: &Places) -> Vec<&'static str> {
        let mut report = Report::default();
        look(&mut report, places, None, None);
        assert!(
            report
                .findings
                .iter()
                .all(|one| one.mend.is_some() && !one.evidence.is_empty())
        );
        report.findings.iter().map(|one| one.code).collect()
    }

    #[test]
    fn each_missing_part_of_nvidias_driver_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let places = machine(folder.path(), "0x10de", "nouveau 1 0 - Live 0x0\n");
        assert_eq!(codes(&places), ["driver_not_loaded"]);
        fs::write(&places.modules, "nvidia_uvm 1 0\nnvidia 1 0\n").unwrap();
        assert_eq!(
            codes(&places),
            [
                "library_missing",
                "device_node_missing",
                "device_node_missing"
            ]
        );
        for node in ["nvidiactl", "nvidia0", "nvidia-uvm"] {
            fs::write(places.nodes.join(node), "").unwrap();
        }
        let library = folder.path().join("lib");
        fs::write(library.join("libcuda.so.550.54.14"), "").unwrap();
        std::os::unix::fs::symlink("libcuda.so.550.54.14", library.join("libcuda.so.1")).unwrap();
        let version = |version: &str| {
            let text =
                format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Thu Feb 22\n");
            fs::write(&places.nvidia_version, text).unwrap();
        };
        version("545.23.06");
        assert_eq!(codes(&places), ["driver_mismatch"]);
        version("550.54.14");
        assert_eq!(codes(&places), [""; 0]);
    }

    #[test]
    fn amds_nodes_and_module_are_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let places = machine(folder.path(), "0x1002", "");
        assert_eq!(codes(&places), ["driver_not_loaded"]);
        fs::write(&places.modules, "amdgpu 1 0\n").unwrap();
        assert_eq!(codes(&places), ["device_node_missing"]);
        let node = places.nodes.join("dri/renderD128");
        fs::write(&node, "").unwrap();
        assert_eq!(codes(&places), [""; 0]);
        if !rustix::process::geteuid().is_root() {
            fs::set_permissions(&node, fs::Permissions::from_mode(0o000)).unwrap();
            assert_eq!(codes(&places), ["device_forbidden"]);
        }
    }
}
