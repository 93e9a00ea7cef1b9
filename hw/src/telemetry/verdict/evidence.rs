//! What was seen that led to a verdict, in words for people.
//!
//! Decides which figures belong to which fault; refuses to judge them.

use super::{Fault, Verdict};
use crate::telemetry::{Reading, Xid};

impl Verdict {
    /// What speaks for the verdict beside the driver's own words; `None` when there is no more.
    #[must_use]
    pub fn evidence(&self, reading: &Reading) -> Option<String> {
        let all: Vec<String> = match self {
            Self::Healthy => Vec::new(),
            Self::Lost(_) => reading.xids.iter().map(xid).collect(),
            Self::Degraded(faults) => faults.iter().map(|f| f.evidence(reading)).collect(),
        };
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Fault {
    /// A name for programs, the same in every version.
    #[must_use]
    pub fn code(&self) -> String {
        let code = match self {
            Self::Heat => "heat",
            Self::PowerBrake => "power_brake",
            Self::HardwareSlowdown => "hardware_slowdown",
            Self::UncorrectedErrors { .. } => "uncorrected_errors",
            Self::RetirementPending => "retirement_pending",
            Self::RetirementFailed => "retirement_failed",
            Self::LinkDown { link } => return format!("link_{link}_down"),
            Self::LinkErrors { link } => return format!("link_{link}_errors"),
            Self::Xid { number } => return format!("xid_{number}"),
        };
        code.to_owned()
    }

    /// The figures that show it.
    #[must_use]
    pub fn evidence(&self, reading: &Reading) -> String {
        let thermal = &reading.thermal;
        let memory = &reading.faults;
        match self {
            Self::Heat => {
                let chip = known(thermal.chip_celsius, "°C");
                let limit = known(thermal.slowdown_celsius, "°C");
                let clock = known(reading.clocks.core_mhz, "MHz");
                format!("the chip is at {chip}, slows itself from {limit} on, and runs at {clock}")
            }
            Self::PowerBrake | Self::HardwareSlowdown => {
                let power = known(reading.power.power_watts, "W");
                let limit = known(reading.power.limit_watts, "W");
                let clock = known(reading.clocks.core_mhz, "MHz");
                format!("it draws {power} of {limit} and runs at {clock}")
            }
            Self::UncorrectedErrors { count } => {
                let life = known(memory.uncorrected_lifetime, "");
                format!("{count} now, {} over the board's life", life.trim_end())
            }
            Self::RetirementPending | Self::RetirementFailed => {
                let retired = known(memory.retired, "");
                format!("{} pages or rows replaced so far", retired.trim_end())
            }
            Self::LinkDown { link } | Self::LinkErrors { link } => link_errors(reading, *link),
            Self::Xid { number } => reading
                .xids
                .iter()
                .find(|known| known.number == *number)
                .map_or_else(|| format!("Xid {number}"), xid),
        }
    }
}

fn link_errors(reading: &Reading, number: u32) -> String {
    let mut links = reading.links.iter().flat_map(|links| &links.links);
    let Some(link) = links.find(|link| link.number == number) else {
        return format!("link {number}");
    };
    let rate = known(link.crc_errors_per_s, "in a second");
    let replays = known(link.replays, "packets");
    let recoveries = known(link.recoveries, "times");
    format!("wrong checksums: {rate}; {replays} sent again, trained anew {recoveries}")
}

fn xid(xid: &Xid) -> String {
    let second = xid.at_unix_s % 86_400;
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    let often = match xid.count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    format!(
        "Xid {} at {hours:02}:{minutes:02}:{seconds:02} UTC{often}",
        xid.number
    )
}

fn known<T: std::fmt::Display>(figure: Option<T>, unit: &str) -> String {
    figure.map_or_else(
        || "an unknown figure".to_owned(),
        |figure| format!("{figure} {unit}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Link, Links};

    #[test]
    fn evidence_has_the_figures_of_the_fault() {
        let mut reading = Reading::default();
        reading.thermal.chip_celsius = Some(93.0);
        reading.thermal.slowdown_celsius = Some(87.0);
        reading.clocks.core_mhz = Some(345);
        reading.xids = vec![Xid {
            number: 48,
            at_unix_s: 86_400 + 3_661,
            count: 2,
        }];
        let verdict = Verdict::Degraded(vec![Fault::Heat, Fault::Xid { number: 48 }]);
        assert_eq!(
            verdict.evidence(&reading).unwrap(),
            "the chip is at 93 °C, slows itself from 87 °C on, and runs at 345 MHz; \
             Xid 48 at 01:01:01 UTC, 2 times"
        );
        assert_eq!(Verdict::Healthy.evidence(&reading), None);
        assert_eq!(Fault::Xid { number: 48 }.code(), "xid_48");
        reading.links = Some(Links {
            links: vec![Link {
                number: 3,
                crc_errors_per_s: Some(250.0),
                replays: Some(7),
                ..Link::default()
            }],
            ..Links::default()
        });
        let fault = Fault::LinkErrors { link: 3 };
        assert_eq!(
            fault.evidence(&reading),
            "wrong checksums: 250 in a second; 7 packets sent again, \
             trained anew an unknown figure"
        );
        assert_eq!(fault.code(), "link_3_errors");
    }
}
