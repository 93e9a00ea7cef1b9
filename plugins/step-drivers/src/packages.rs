//! Which packages of which distribution drive a card.

use alloc::string::String;

use skep_sdk::installer::Facts;

/// Everything that may be installed, the newest branches of a driver first.
pub(crate) const ALL: [&str; 14] = [
    "nvidia-driver",
    "nvidia-driver-590",
    "nvidia-driver-580",
    "nvidia-driver-575",
    "nvidia-driver-570",
    "nvidia-driver-550",
    "nvidia-driver-535",
    "akmod-nvidia",
    "nvidia-open",
    "nvidia",
    "firmware-amd-graphics",
    "linux-firmware",
    "amd-gpu-firmware",
    "linux-firmware-amdgpu",
];

/// NVIDIA's driver, where what this machine knows of has one. One that is installed stays the one.
pub(crate) fn nvidia(facts: &Facts) -> Option<String> {
    let names: &[&str] = match facts.system.package_manager.as_str() {
        "apt" => &[
            "nvidia-driver",
            "nvidia-driver-590",
            "nvidia-driver-580",
            "nvidia-driver-575",
            "nvidia-driver-570",
            "nvidia-driver-550",
            "nvidia-driver-535",
        ],
        "dnf" => &["akmod-nvidia"],
        "pacman" => &["nvidia-open", "nvidia"],
        _ => &[],
    };
    best(facts, names)
}

/// The firmware that AMD's cards cannot do without.
pub(crate) fn amd(facts: &Facts) -> Option<String> {
    let names: &[&str] = match facts.system.package_manager.as_str() {
        "apt" => &["firmware-amd-graphics", "linux-firmware"],
        "dnf" => &["amd-gpu-firmware"],
        "pacman" => &["linux-firmware-amdgpu", "linux-firmware"],
        _ => &[],
    };
    best(facts, names)
}

/// What a person has to do where the distribution has no driver of NVIDIA.
pub(crate) fn note(facts: &Facts) -> Option<&'static str> {
    if nvidia(facts).is_some() {
        return None;
    }
    Some(match facts.system.os.as_str() {
        "debian" => {
            "Debian has NVIDIA's driver in `non-free` and its firmware in `non-free-firmware`: add both to the sources of apt, then come back."
        }
        "ubuntu" => {
            "Ubuntu has NVIDIA's driver in `restricted`: add it to the sources of apt, then come back."
        }
        "fedora" => {
            "Fedora has no driver of NVIDIA itself; RPM Fusion has (`akmod-nvidia`): add its repositories, then come back."
        }
        _ => {
            "This distribution has no driver of NVIDIA that is known here: take the one that its documentation names."
        }
    })
}

/// Of these the one that is installed, else the first that could be.
fn best(facts: &Facts, names: &[&str]) -> Option<String> {
    let installed = names.iter().find(|name| facts.has_package(name));
    let known = || names.iter().find(|name| facts.package(name).is_some());
    installed.or_else(known).map(|name| String::from(*name))
}
