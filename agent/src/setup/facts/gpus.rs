//! Accelerators: those that a driver tells of, and those on the PCI bus that none does.

use skep_hw::telemetry::{Device, Vendor as Maker};

use super::Places;
use crate::host::installer::{Gpu, Vendor};
use crate::limits::{FACTS_ITEMS_MAX, FACTS_SYSTEM_FILE_BYTES};

/// Those of each vendor in the order in which its tools count them, then those without a driver by their place on the bus.
pub(super) fn look(places: &Places, told: &[Device]) -> Vec<Gpu> {
    let on_bus = on_bus(places);
    let mut told: Vec<&Device> = told.iter().collect();
    told.sort_by_key(|device| {
        let is_amd = device.identity.vendor == Maker::Amd;
        (is_amd, device.identity.index)
    });
    let mut gpus: Vec<Gpu> = told
        .iter()
        .map(|device| {
            let place = device.identity.pci_bus_id.as_deref().map(short);
            let found =
                place.and_then(|place| on_bus.iter().find(|card| short(&card.place) == place));
            driven(device, found)
        })
        .collect();
    let known: Vec<String> = told
        .iter()
        .filter_map(|device| Some(short(device.identity.pci_bus_id.as_deref()?)))
        .collect();
    let silent = on_bus
        .iter()
        .filter(|card| !known.contains(&short(&card.place)));
    gpus.extend(silent.map(|card| undriven(places, card)));
    gpus.truncate(FACTS_ITEMS_MAX);
    gpus
}

/// What the kernel tells of a card.
struct Card {
    place: String,
    vendor: String,
    device: String,
    module: Option<String>,
}

/// Classes 03: displays and what computes like one (PCI code and ID assignment).
fn on_bus(places: &Places) -> Vec<Card> {
    let names = places.names("/sys/bus/pci/devices").into_iter();
    let cards = names.filter_map(|place| {
        let at = |file: &str| format!("/sys/bus/pci/devices/{place}/{file}");
        let class = places.line(&at("class"));
        if !class.starts_with("0x03") {
            return None;
        }
        let hex = |file: &str| places.line(&at(file)).trim_start_matches("0x").to_owned();
        Some(Card {
            vendor: hex("vendor"),
            device: hex("device"),
            module: places.link(&at("driver")),
            place,
        })
    });
    cards.take(FACTS_ITEMS_MAX).collect()
}

fn driven(device: &Device, card: Option<&Card>) -> Gpu {
    let identity = &device.identity;
    let power = &device.reading.power;
    let watts = |limit: Option<f32>| limit.filter(|watts| watts.is_finite()).map(whole);
    Gpu {
        id: identity.id.to_string(),
        name: identity.name.clone().unwrap_or_default(),
        vendor: match identity.vendor {
            Maker::Nvidia => Vendor::Nvidia,
            Maker::Amd => Vendor::Amd,
        },
        pci_id: card.map(pci_id).unwrap_or_default(),
        memory_bytes: device.reading.memory.memory_total_bytes.unwrap_or(0),
        module: card.and_then(|card| card.module.clone()),
        driver: identity.driver_version.clone(),
        power_limit_w: watts(power.limit_watts),
        power_limit_min_w: watts(power.limit_min_watts),
        power_limit_max_w: watts(power.limit_max_watts),
    }
}

fn undriven(places: &Places, card: &Card) -> Gpu {
    let vendor = match card.vendor.as_str() {
        "10de" => Vendor::Nvidia,
        "1002" => Vendor::Amd,
        "8086" => Vendor::Intel,
        _ => Vendor::Other,
    };
    let version = |module: &String| match module.as_str() {
        "nvidia" => {
            let version = places.line("/sys/module/nvidia/version");
            (!version.is_empty()).then_some(version)
        }
        _ => None,
    };
    Gpu {
        id: card.place.clone(),
        name: name(places, card),
        vendor,
        pci_id: pci_id(card),
        memory_bytes: places
            .line(&format!(
                "/sys/bus/pci/devices/{}/mem_info_vram_total",
                card.place
            ))
            .parse()
            .unwrap_or(0),
        module: card.module.clone(),
        driver: card.module.as_ref().and_then(version),
        power_limit_w: None,
        power_limit_min_w: None,
        power_limit_max_w: None,
    }
}

/// As the system's list of PCI identifiers has it, where there is one.
fn name(places: &Places, card: &Card) -> String {
    let paths = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];
    let path = paths.into_iter().find(|path| places.has(path));
    let text = path.map(|path| places.text(path, FACTS_SYSTEM_FILE_BYTES));
    let found = text.as_ref().and_then(|text| {
        let mut lines = text.lines();
        let vendor = format!("{}  ", card.vendor);
        lines.find(|line| line.starts_with(&vendor))?;
        let device = format!("\t{}  ", card.device);
        let mut devices = lines.take_while(|line| line.starts_with(['\t', '#']));
        devices.find_map(|line| line.strip_prefix(&device))
    });
    match found {
        Some(found) => found.trim().to_owned(),
        None => format!("PCI device {}", pci_id(card)),
    }
}

fn pci_id(card: &Card) -> String {
    format!("{}:{}", card.vendor, card.device)
}

/// Without the leading zeros of the domain, which NVIDIA writes with eight digits and the kernel with four.
fn short(place: &str) -> String {
    place.trim_start_matches('0').to_lowercase()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats are cut to what fits"
)]
fn whole(watts: f32) -> u32 {
    watts.round() as u32
}
