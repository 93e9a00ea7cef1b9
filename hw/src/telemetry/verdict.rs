//! What a reading means for work on the device.
//!
//! Decides which figures are faults; refuses to know what scheduling does about them. Three things
//! that look like faults are none: the power limit (every busy data-centre card stands at it),
//! corrected errors (that is what ECC is for) and a link that never worked (it leads nowhere).

use serde::{Deserialize, Serialize};

use super::{Reading, Throttle};

pub use self::notes::Note;

mod evidence;
mod notes;
mod xid;

/// What scheduling should make of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing that was told speaks against it.
    Healthy,
    /// It works, but worse or less safely than it should; never an empty list.
    Degraded(Vec<Fault>),
    /// It no longer answers; the text is the driver's reason.
    Lost(String),
}

/// Something wrong with a device that still answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Heat slows it.
    Heat,
    /// The power supply's brake signal slows it.
    PowerBrake,
    /// The hardware slows it without telling the reason.
    HardwareSlowdown,
    /// Memory errors past mending since the driver was loaded: results may have been wrong.
    UncorrectedErrors {
        /// How many.
        count: u64,
    },
    /// Bad memory waits to be taken out of use: the device needs a reset.
    RetirementPending,
    /// Bad memory could not be replaced: the board should be.
    RetirementFailed,
    /// A link to another device worked and does so no more.
    LinkDown {
        /// Its number on the device.
        link: u32,
    },
    /// So much goes wrong on a link to another device that it slows down.
    LinkErrors {
        /// Its number on the device.
        link: u32,
    },
    /// The driver reported an error after which NVIDIA asks for a reset.
    Xid {
        /// NVIDIA's number for it.
        number: u32,
    },
}

impl Verdict {
    /// Judges one reading, on its own: no memory of readings before, so the same reading always
    /// gives the same verdict. Whoever wants calm (a verdict that holds for some seconds) adds it.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        if let Some(reason) = &reading.lost {
            return Self::Lost(reason.clone());
        }
        let mut faults = throttle_faults(reading.clocks.throttles.as_deref().unwrap_or_default());
        let memory = &reading.faults;
        if let Some(count) = memory.uncorrected.filter(|&count| count > 0) {
            faults.push(Fault::UncorrectedErrors { count });
        }
        if memory.retirement_pending == Some(true) {
            faults.push(Fault::RetirementPending);
        }
        if memory.retirement_failed == Some(true) {
            faults.push(Fault::RetirementFailed);
        }
        faults.extend(link_faults(reading));
        for xid in &reading.xids {
            match xid::meaning(xid.number) {
                xid::Meaning::Gone(what) => {
                    return Self::Lost(format!("{what} (Xid {})", xid.number));
                }
                xid::Meaning::NeedsReset(_) => faults.push(Fault::Xid { number: xid.number }),
                xid::Meaning::Application | xid::Meaning::Unknown => {}
            }
        }
        if faults.is_empty() {
            Self::Healthy
        } else {
            Self::Degraded(faults)
        }
    }

    /// Whether new work may be sent to the device without a second thought.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Lost(reason) => write!(f, "lost: {reason}"),
            Self::Degraded(faults) => {
                f.write_str("degraded: ")?;
                for (i, fault) in faults.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{fault}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Heat => f.write_str("slowed by heat"),
            Self::PowerBrake => f.write_str("slowed by the power supply's brake signal"),
            Self::HardwareSlowdown => f.write_str("slowed by its hardware"),
            Self::UncorrectedErrors { count } => {
                write!(
                    f,
                    "{count} uncorrected memory errors since the driver was loaded"
                )
            }
            Self::RetirementPending => f.write_str("bad memory waits for a reset of the device"),
            Self::RetirementFailed => f.write_str("bad memory could not be replaced"),
            Self::LinkDown { link } => write!(f, "link {link} to another device went down"),
            Self::LinkErrors { link } => {
                write!(f, "link {link} to another device errs all the time")
            }
            Self::Xid { number } => match xid::meaning(*number) {
                xid::Meaning::NeedsReset(what) => write!(f, "{what} (Xid {number}); needs a reset"),
                _ => write!(f, "the driver reported Xid {number}"),
            },
        }
    }
}

/// Each fault once. NVIDIA raises its general slowdown flag together with the particular one, so
/// the general one is told only where it stands alone.
fn throttle_faults(throttles: &[Throttle]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if throttles
        .iter()
        .any(|t| matches!(t, Throttle::Heat | Throttle::HardwareHeat))
    {
        faults.push(Fault::Heat);
    }
    if throttles.contains(&Throttle::PowerBrake) {
        faults.push(Fault::PowerBrake);
    }
    if faults.is_empty() && throttles.contains(&Throttle::Hardware) {
        faults.push(Fault::HardwareSlowdown);
    }
    faults
}

fn link_faults(reading: &Reading) -> impl Iterator<Item = Fault> {
    let links = reading.links.iter().flat_map(|links| &links.links);
    links.filter_map(|link| {
        let number = link.number;
        if link.went_down {
            return Some(Fault::LinkDown { link: number });
        }
        let errs = link.crc_errors_per_s? >= LINK_ERRORS_PER_S;
        errs.then_some(Fault::LinkErrors { link: number })
    })
}

/// NVIDIA's driver developers say that wrong checksums matter from a hundred in a second on
/// (DCGM, `dcgm_gpu_hardware_limits.h`); fewer are sent again, and nobody notices.
const LINK_ERRORS_PER_S: f32 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Link, Links, Xid};

    #[test]
    fn faults_become_verdicts() {
        fn check(change: impl FnOnce(&mut Reading), expect: &Verdict) {
            let mut reading = Reading::default();
            change(&mut reading);
            assert_eq!(Verdict::of(&reading), *expect);
        }
        let throttled = |throttles: &[Throttle]| {
            let throttles = throttles.to_vec();
            move |r: &mut Reading| r.clocks.throttles = Some(throttles)
        };
        let degraded = |fault| Verdict::Degraded(vec![fault]);

        check(|_| (), &Verdict::Healthy);
        check(
            throttled(&[Throttle::Idle, Throttle::PowerLimit]),
            &Verdict::Healthy,
        );
        check(
            throttled(&[Throttle::Heat, Throttle::HardwareHeat]),
            &degraded(Fault::Heat),
        );
        check(
            throttled(&[Throttle::Hardware, Throttle::HardwareHeat]),
            &degraded(Fault::Heat),
        );
        check(
            throttled(&[Throttle::Hardware]),
            &degraded(Fault::HardwareSlowdown),
        );
        check(
            throttled(&[Throttle::PowerBrake]),
            &degraded(Fault::PowerBrake),
        );
        check(|r| r.faults.corrected = Some(9), &Verdict::Healthy);
        check(
            |r| r.faults.uncorrected_lifetime = Some(9),
            &Verdict::Healthy,
        );
        check(|r| r.faults.uncorrected = Some(0), &Verdict::Healthy);
        check(
            |r| r.faults.uncorrected = Some(2),
            &degraded(Fault::UncorrectedErrors { count: 2 }),
        );
        check(
            |r| r.faults.retirement_pending = Some(true),
            &degraded(Fault::RetirementPending),
        );
        check(
            |r| r.faults.retirement_failed = Some(true),
            &degraded(Fault::RetirementFailed),
        );
        let link = |link: Link| {
            move |r: &mut Reading| {
                r.links = Some(Links {
                    links: vec![link],
                    ..Links::default()
                });
            }
        };
        let third = || Link {
            number: 3,
            active: Some(false),
            crc_flit_errors: Some(1 << 40),
            crc_errors_per_s: Some(99.0),
            ..Link::default()
        };
        check(link(third()), &Verdict::Healthy);
        check(
            link(Link {
                went_down: true,
                ..third()
            }),
            &degraded(Fault::LinkDown { link: 3 }),
        );
        check(
            link(Link {
                crc_errors_per_s: Some(100.0),
                ..third()
            }),
            &degraded(Fault::LinkErrors { link: 3 }),
        );
        let xid = |number| Xid {
            number,
            at_unix_s: 0,
            count: 1,
        };
        // An application's own error, and one that this version does not know.
        check(|r| r.xids = vec![xid(31), xid(4711)], &Verdict::Healthy);
        check(
            |r| r.xids = vec![xid(31), xid(119)],
            &degraded(Fault::Xid { number: 119 }),
        );
        check(
            |r| r.xids = vec![xid(119), xid(79)],
            &Verdict::Lost("it has fallen off the bus (Xid 79)".into()),
        );
        check(
            |r| {
                r.lost = Some("gone".into());
                r.faults.uncorrected = Some(2);
            },
            &Verdict::Lost("gone".into()),
        );
    }

    #[test]
    fn a_verdict_reads_as_a_sentence() {
        let verdict = Verdict::Degraded(vec![Fault::Heat, Fault::UncorrectedErrors { count: 3 }]);
        let text =
            "degraded: slowed by heat, 3 uncorrected memory errors since the driver was loaded";
        assert_eq!(verdict.to_string(), text);
        assert_eq!(Verdict::Healthy.to_string(), "healthy");
    }
}
