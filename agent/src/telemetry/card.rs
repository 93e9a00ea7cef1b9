//! The card that this node's models compute on, as one of the devices.
//!
//! Decides which of the watched devices it is: workers count cards by their place on the bus, as the
//! management library does. Where nothing watches it, it is a device of which only that is known.

use skep_hw::telemetry::{Device, DeviceId, Identity, Reading, Vendor, Verdict};

use crate::protocol::{CardDriver, CardId};

/// Whether a watched device is that card.
pub(super) fn is_card(device: &Device, card: CardId) -> bool {
    let vendor = match card.driver {
        CardDriver::Cuda => Vendor::Nvidia,
        CardDriver::Hip => Vendor::Amd,
        // It counts cards of all vendors, in an order of its own.
        CardDriver::Vulkan => return device.identity.id.0 == card.to_string(),
    };
    device.identity.vendor == vendor && device.identity.index == card.index
}

/// The card where nobody watches it: no library to ask, or one that does not answer.
pub(super) fn unwatched(card: CardId) -> Device {
    let vendor = match card.driver {
        CardDriver::Hip => Vendor::Amd,
        // Vulkan does not say so that others would know it.
        CardDriver::Cuda | CardDriver::Vulkan => Vendor::Nvidia,
    };
    Device {
        identity: Identity::unknown(DeviceId(card.to_string()), vendor, card.index),
        reading: Reading::default(),
        verdict: Verdict::Healthy,
    }
}
