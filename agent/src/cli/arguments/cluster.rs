//! What can be typed about the cluster.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Listed, Up};

#[derive(Debug, Args)]
pub(in crate::cli) struct Token {
    #[command(subcommand)]
    pub(in crate::cli) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Make a token that lets one machine in, and show it, this once
    New {
        /// What the machine becomes: a `worker` runs models; a `voter` also decides for the cluster, once
        /// somebody approves it
        #[arg(long, value_parser = ["worker", "voter"], default_value = "worker")]
        role: String,
        /// Let in only a machine that comes by this name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// How long it is good, as `15m`, `2h` or `1d`
        #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time)]
        ttl: Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens: who came with which, and which are still good
    Ls(Listed),
    /// Let nobody in by this token any more
    Revoke {
        /// Its id, as `skep token ls` shows it
        token: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Join {
    /// What `skep token new` printed on a node of the cluster; `-` reads it from standard input
    #[arg(required_unless_present = "wait")]
    pub(in crate::cli) token: Option<String>,
    /// Wait until a node of the cluster adopts this machine (`skep node adopt` there): both show the same six digits
    #[arg(long, conflicts_with_all = ["token", "at", "name", "leave"])]
    pub(in crate::cli) wait: bool,
    /// Wait for so long, as `5m`
    #[arg(long = "for", value_name = "TIME", value_parser = time, requires = "wait")]
    pub(in crate::cli) time: Option<Duration>,
    /// Look for the cluster here first, as `192.168.1.10:7420`; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub(in crate::cli) at: Vec<String>,
    /// What this machine is to be called [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// Leave a cluster with others for it
    #[arg(long)]
    pub(in crate::cli) leave: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Where no agent runs yet, one is started here, with these
    #[command(flatten)]
    pub(in crate::cli) up: Up,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Node {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<NodeCommand>,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NodeCommand {
    /// Show another machine of the cluster
    Show {
        /// Its name, or the beginning of its id
        node: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a machine in that waits for it (`skep join --wait` there): both show the same six digits
    Adopt {
        /// Its name, as `skep discover` shows it, or `HOST:PORT`
        node: String,
        /// Print one JSON object a line, and read `yes` from standard input
        #[arg(long)]
        json: bool,
    },
    /// Put skep on other machines over SSH, and have them join
    #[command(after_help = ADD_HELP)]
    Add(Add),
    /// Test a graphics card of this machine, and give it nothing more if it fails
    BurnIn(BurnIn),
    /// Let a node that awaits approval be a member
    Approve {
        /// Its name, or the beginning of its id
        node: String,
    },
    /// Give a node no new work; what runs there may finish
    Drain {
        /// Its name, or the beginning of its id
        node: String,
    },
    /// Give a drained node work again
    Resume {
        /// Its name, or the beginning of its id
        node: String,
    },
    /// Let a node be a member no more; it comes back only by a new token
    Remove {
        /// Its name, or the beginning of its id
        node: String,
    },
    /// Call a node something else
    Rename {
        /// Its name, or the beginning of its id
        node: String,
        /// What it is to be called
        name: String,
    },
    /// Set labels that models can require, or remove them
    Label {
        /// Its name, or the beginning of its id
        node: String,
        /// `KEY=VALUE` sets one, `KEY-` removes it
        #[arg(required = true, value_name = "KEY=VALUE")]
        labels: Vec<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Add {
    /// Each as `user@host` or `user@host:22`; without a user it is this one
    #[arg(required = true, value_name = "USER@HOST")]
    pub(in crate::cli) machines: Vec<String>,
    /// Sign in with the private key in this file [default: `node.ssh_identity`, or what `SSH_AUTH_SOCK` holds, then ~/.ssh/id_ed25519 and
    /// ~/.ssh/id_ecdsa, then a password]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) identity: Option<PathBuf>,
    /// Copy this skep, for machines whose processor is another [default: this one]
    #[arg(long, value_name = "FILE", conflicts_with = "undo")]
    pub(in crate::cli) binary: Option<PathBuf>,
    /// Believe a machine that nobody knows yet if its key has this fingerprint, as `SHA256:…`; may be repeated
    #[arg(long, value_name = "FINGERPRINT")]
    pub(in crate::cli) host_key: Vec<String>,
    /// Only show what would be done
    #[arg(long, conflicts_with = "undo")]
    pub(in crate::cli) dry_run: bool,
    /// Take back what this did on those machines
    #[arg(long)]
    pub(in crate::cli) undo: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BurnIn {
    /// This machine's name; a card is tested where it is
    pub(in crate::cli) node: Option<String>,
    /// Which card: its number, or the beginning of its id [default: the only one]
    #[arg(long, value_name = "DEVICE")]
    pub(in crate::cli) device: Option<String>,
    /// For about so long
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = minutes)]
    pub(in crate::cli) minutes: f32,
    /// So much of the memory that is free, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 90,
        value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(in crate::cli) memory: u8,
    /// Go on although models run on it; they leave it
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Test nothing, and hold nothing against it any more
    #[arg(long, conflicts_with_all = ["force", "minutes", "memory"])]
    pub(in crate::cli) forget: bool,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Ca {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<CaCommand>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CaCommand {
    /// Let a new authority sign; the one before stays trusted until its last certificate is over
    Rotate,
}

/// `90`, `90s`, `15m`, `2h`, `1d`
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = text.split_at(digits.len());
    let seconds = match unit {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("write it as `90s`, `15m`, `2h` or `1d`".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "write it as `90s`, `15m`, `2h` or `1d`".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Minutes, up to a day.
fn minutes(text: &str) -> Result<f32, String> {
    let minutes = text.parse::<f32>().ok();
    minutes
        .filter(|minutes| (0.0..=1_440.0).contains(minutes))
        .ok_or_else(|| "give minutes, at most 1440".to_owned())
}

pub(super) const TOKEN_HELP: &str = "\
Examples:
  skep token new                         for one machine, for a quarter of an hour
  skep token new --name attic --ttl 2h   only for a machine of that name
  skep token new --role voter            it also decides for the cluster, once approved
  ssh attic skep join \"$(skep token new)\"

Whoever has a token can join with it, once; treat it as a password.";

pub(super) const JOIN_HELP: &str = "\
Examples:
  skep join skep-join-AbCd...
  skep join skep-join-AbCd... --at 192.168.1.10:7420
  skep join - < token.txt
  skep join --wait                       until `skep node adopt` on a machine of the cluster

Where no agent runs on this machine, one is started in the foreground, as by `skep up`.
What this node kept of its own cluster before is set aside, not deleted.

A node that was away until its certificate ended comes back by itself, by its key, as long as
it was not removed; a removed one needs a new token and `--leave`.";

pub(super) const ADD_HELP: &str = "\
Examples:
  skep node add sam@attic
  skep node add sam@attic sam@cellar:2222 --identity ~/.ssh/cluster
  skep node add sam@attic --dry-run      only show what would be done
  skep node add sam@attic --undo         stop it there, and remove what was put there

It is put into ~/.local/bin there, without root. Run again after it was cut off, it goes on where it was.
A machine that nobody knows shows its key's fingerprint, which you compare with the one that
`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints there.";

pub(super) const NODE_HELP: &str = "\
Examples:
  skep node                              this machine
  skep node show attic
  skep node adopt attic                  which waits for it, by `skep join --wait`
  skep node drain attic                  before it is switched off
  skep node burn-in --minutes 30         before a card is relied on
  skep node label attic gpu=3090 noisy-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, seconds: u64| {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        };
        check("90", 90);
        check("15m", 900);
        check("2h", 7_200);
        check("1d", 86_400);
        for bad in [
            "",
            "m",
            "-1m",
            "1.5h",
            "1 week",
            "99999999999999999999d",
            "1µ",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
