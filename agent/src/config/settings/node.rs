//! What this machine is called and what it computes on.
//!
//! Decides what the names of cards are; refuses to know whether there are such cards.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::{ranged, seconds};
use crate::config::{ConfigError, NodeConfig};
use crate::limits::DEVICE_TIMEOUT;
use crate::protocol::{CardDriver, CardId, ComputesOn};

#[derive(Clone, Debug)]
pub struct NodeSettings {
    pub name: Option<String>,
    pub threads: Option<NonZeroU32>,
    pub computes_on: ComputesOn,
    /// Where the NVIDIA driver's library is, if it is not found by its name.
    pub cuda_library: Option<PathBuf>,
    /// How long a card may give no sign.
    pub device_timeout: Duration,
    /// The private key to sign in to other machines with.
    pub ssh_identity: Option<PathBuf>,
}

pub(super) fn settings(config: NodeConfig) -> Result<NodeSettings, ConfigError> {
    let name = config.name;
    if let Some(name) = &name
        && (name.is_empty() || name.len() > 63 || name.chars().any(char::is_control))
    {
        return Err(ConfigError::Value {
            key: "node.name",
            found: format!("`{}`", name.escape_debug()),
            expect: "give 1 to 63 printable characters".into(),
        });
    }
    let threads = match config.threads {
        None => None,
        threads => NonZeroU32::new(ranged("node.threads", threads, 1, 1, 1_024)?),
    };
    let computes_on = match config.device.as_deref() {
        None | Some("cpu") => ComputesOn::Processor,
        Some(device) => card(device, config.cuda_library.clone())?,
    };
    if let Some(path) = config
        .ssh_identity
        .as_ref()
        .filter(|path| !path.is_absolute())
    {
        return Err(ConfigError::Value {
            key: "node.ssh_identity",
            found: format!("`{}`", path.display()),
            expect: "give an absolute path, as `/home/sam/.ssh/id_cluster`".into(),
        });
    }
    Ok(NodeSettings {
        ssh_identity: config.ssh_identity,
        name,
        threads,
        computes_on,
        cuda_library: config.cuda_library,
        device_timeout: match config.device_timeout_s {
            None => DEVICE_TIMEOUT,
            some => seconds("node.device_timeout_s", some, 1, 1, 3_600)?,
        },
    })
}

/// `cuda`, `hip` or `vulkan`, with or without a card's number.
fn card(device: &str, cuda_library: Option<PathBuf>) -> Result<ComputesOn, ConfigError> {
    let (driver, index) = device.split_once(':').unwrap_or((device, "0"));
    let (driver, library) = match driver {
        "cuda" => (Some(CardDriver::Cuda), cuda_library),
        "hip" => (Some(CardDriver::Hip), None),
        "vulkan" => (Some(CardDriver::Vulkan), None),
        _ => (None, None),
    };
    let (Some(driver), Ok(index)) = (driver, index.parse()) else {
        return Err(ConfigError::Value {
            key: "node.device",
            found: format!("`{}`", device.escape_debug()),
            expect: "give `auto`, `cpu`, or `cuda:N`, `hip:N` or `vulkan:N`, N from 0 as the driver counts cards"
                .into(),
        });
    };
    Ok(ComputesOn::Card {
        card: CardId { driver, index },
        library,
    })
}
