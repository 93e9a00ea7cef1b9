//! What models best compute on here: `node.device = "auto"`.
//!
//! Decides the order: a card by its vendor's driver (CUDA, then HIP), then by Vulkan, then the processor; the first that opens. A
//! driver of Vulkan that computes on the processor is passed over, since our own kernels there are faster. It is found out in
//! a process of its own, since a bad driver may crash or hang whoever calls it, and the agent lives without.

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use skep_hw::{Device, DeviceError};

use super::child::{chain, is_absent};
use super::{Wish, process};

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// As `node.device` names it: `cuda:0`, `cpu`.
    pub device: String,
    /// For people.
    pub name: String,
    /// What was tried before, and why it is not that; a sentence each.
    pub passed_over: Vec<String>,
}

/// Finds out what models best compute on, blocking for some seconds at most.
#[must_use]
pub fn choose(executable: &Path, library: Option<&Path>) -> Choice {
    let wish = Wish {
        kind: "cuda".to_owned(),
        device: 0,
        id: None,
        library: library.map(Path::to_owned),
        memory: 1,
        seconds: 0,
        only: Vec::new(),
        choose: true,
    };
    process::ask(executable, &wish).unwrap_or_else(|why| Choice {
        passed_over: vec![why],
        ..processor()
    })
}

/// How a driver opens a card.
type Way<'a> = dyn Fn(u32) -> Result<Device, DeviceError> + 'a;

/// The same, in this process.
pub(super) fn look(library: Option<&Path>) -> Choice {
    let mut passed_over = Vec::new();
    let cuda = |index| Device::cuda(index, library.map(AsRef::<OsStr>::as_ref));
    let hip = |index| Device::hip(index, None);
    let vulkan = |index| Device::vulkan(index, None);
    let ways: [(&str, &Way<'_>); 3] = [("cuda", &cuda), ("hip", &hip), ("vulkan", &vulkan)];
    for (driver, open) in ways {
        for index in 0..CARDS_MAX {
            let device = format!("{driver}:{index}");
            match open(index) {
                Ok(card) if card.is_processor() => {
                    passed_over.push(format!("{device}: {} is the processor", card.name()));
                }
                Ok(card) => {
                    return Choice {
                        device,
                        name: card.name().to_owned(),
                        passed_over,
                    };
                }
                Err(error) => {
                    let over = is_absent(&error);
                    if index == 0 || !over {
                        passed_over.push(format!("{device}: {}", chain(&error)));
                    }
                    if over {
                        break;
                    }
                }
            }
        }
    }
    Choice {
        passed_over,
        ..processor()
    }
}

fn processor() -> Choice {
    Choice {
        device: "cpu".to_owned(),
        name: "the processor".to_owned(),
        passed_over: Vec::new(),
    }
}

/// As many as are looked at for each driver. The first that opens is taken; more than these hardly all fail.
const CARDS_MAX: u32 = 16;
