//! Diagnosing a card: in a process of its own, since a driver of a bad card may crash or hang whoever calls it.
//!
//! Decides how that process is started, watched and ended ([`run`]), what it does (`child`), and what is kept of the last
//! results ([`BurnIns`]), which telemetry holds against their cards. Refuses to know what the tests are; `skep_hw::diag`
//! does.

mod burn_ins;
mod child;
mod choose;
mod process;

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use skep_hw::diag::{Progress, Report};

pub use self::burn_ins::{BurnIns, Busy, Running};
pub use self::child::main;
pub use self::choose::{Choice, choose};
pub use self::process::{Cancel, DiagnosisError, run};

/// What a process that diagnoses is to do; also its command line.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Wish {
    /// Whose card: `cuda` or `hip`
    #[arg(long, default_value = "cuda", value_parser = ["cuda", "hip"])]
    pub kind: String,
    /// Which, from 0 as the driver counts in the order of the bus
    #[arg(long, default_value_t = 0)]
    pub device: u32,
    /// Its name that stays the same over restarts, which counts for more
    #[arg(long)]
    pub id: Option<String>,
    /// The driver's library
    #[arg(long)]
    pub library: Option<PathBuf>,
    /// How much of the free memory, in percent
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub memory: u8,
    /// For how long about
    #[arg(long, default_value_t = 30)]
    pub seconds: u32,
    /// Which tests; without, all
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Tests nothing, and says which card models would best compute on
    #[arg(long)]
    pub choose: bool,
}

/// What the process says, one a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress(Progress),
    Report(Box<Report>),
    Failed(Failed),
    Choice(Choice),
}

/// Why there is no report.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Failed {
    message: String,
    /// There is no driver, or no such card.
    absent: bool,
}
