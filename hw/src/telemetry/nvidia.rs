//! NVIDIA devices, through the management library of their driver.
//!
//! Decides how the library is found and which devices there are; refuses to know what a figure is
//! for. The library is loaded at run time and nothing is linked, so a machine without it is
//! answered with a reason. Calls go through `nvml-wrapper`, or through [`raw`] where that lacks them
//! or trusts too much.

use std::path::{Path, PathBuf};
use std::time::Instant;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use self::card::Card;
use super::Device;

mod ask;
mod card;
mod events;
mod figures;
mod gpm;
mod identity;
mod links;
mod modes;
mod processes;
mod raw;
mod slow;

/// The library and the devices it shows.
pub(super) struct NvidiaSource {
    /// Lives as long as the process: sets of events borrow it, and to unload a driver's library
    /// under its own threads wins nothing.
    nvml: &'static Nvml,
    cards: Vec<Card>,
    version: Option<String>,
}

impl NvidiaSource {
    /// Loads the library, the first of `names` that there is, and counts devices.
    ///
    /// # Errors
    /// A reason in words for a person: no library, no driver, versions that do not fit.
    pub(super) fn detect(names: &[PathBuf], sysfs: &Path) -> Result<Self, String> {
        let nvml = load(names)?;
        let version = raw::library_version(&nvml).ok();
        let count = nvml
            .device_count()
            .map_err(|e| e.to_string())?
            .min(MAX_DEVICES);
        let system = identity::SystemFacts {
            driver_version: raw::driver_version(&nvml).ok(),
            library_version: version.clone(),
            cuda_version: nvml.sys_cuda_driver_version().ok().and_then(cuda_version),
        };
        let cards = (0..count).map(|i| Card::new(i, &system, sysfs)).collect();
        Ok(Self {
            nvml: Box::leak(Box::new(nvml)),
            cards,
            version,
        })
    }

    /// The library's version.
    pub(super) fn version(&self) -> Option<String> {
        self.version.clone()
    }

    /// Whether the library shows no device.
    pub(super) fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// Reads every device.
    pub(super) fn sample(&mut self, now: Instant) -> Vec<Device> {
        let nvml = self.nvml;
        self.cards
            .iter_mut()
            .map(|card| card.sample(nvml, now))
            .collect()
    }
}

impl std::fmt::Debug for NvidiaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NvidiaSource")
            .field("cards", &self.cards)
            .finish_non_exhaustive()
    }
}

/// More than any one machine holds; the count comes from outside.
const MAX_DEVICES: u32 = 256;

/// A library that loads but does not start is the answer (its driver is missing or does not fit);
/// one that is not there makes room for the next name.
fn load(names: &[PathBuf]) -> Result<Nvml, String> {
    for name in names {
        match Nvml::builder().lib_path(name.as_os_str()).init() {
            Ok(nvml) => return Ok(nvml),
            Err(NvmlError::LibloadingError(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let first = names
        .first()
        .map(|name| name.display().to_string())
        .unwrap_or_default();
    Err(format!("no NVIDIA driver: `{first}` is not installed"))
}

/// NVML tells 13.1 as 13010.
fn cuda_version(number: i32) -> Option<String> {
    (number > 0).then(|| format!("{}.{}", number / 1000, number % 1000 / 10))
}

/// The names under which the library is looked for.
pub(super) fn library_names() -> Vec<PathBuf> {
    [
        "libnvidia-ml.so.1",
        // Windows' Linux subsystem and NixOS keep drivers out of the loader's path.
        "/usr/lib/wsl/lib/libnvidia-ml.so.1",
        "/run/opengl-driver/lib/libnvidia-ml.so.1",
    ]
    .into_iter()
    .map(PathBuf::from)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_versions_read_as_people_write_them() {
        assert_eq!(cuda_version(12080).as_deref(), Some("12.8"));
        assert_eq!(cuda_version(13010).as_deref(), Some("13.1"));
        assert_eq!(cuda_version(0), None);
        assert_eq!(cuda_version(-1), None);
    }

    #[test]
    fn a_missing_library_is_a_reason() {
        let names = [PathBuf::from("libnvidia-ml-that-nobody-has.so.1")];
        let reason = NvidiaSource::detect(&names, Path::new("/sys")).unwrap_err();
        assert_eq!(
            reason,
            "no NVIDIA driver: `libnvidia-ml-that-nobody-has.so.1` is not installed"
        );
    }
}
