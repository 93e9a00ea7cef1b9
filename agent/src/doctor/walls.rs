//! The walls around workers: which of them this system can have, found by raising them around a process.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{Report, Severity};
use crate::confine::Standing;
use crate::limits::CHILD_STDERR_BYTES;

pub(super) fn look(report: &mut Report) {
    match standing() {
        Ok(standing) => tell(report, &standing),
        Err(error) => {
            let title = "no walls can be raised around workers, so no model will load";
            let finding = report.find(Severity::Error, "walls_down", title);
            finding.seen(error.to_string());
        }
    }
}

fn tell(report: &mut Report, standing: &Standing) {
    if standing.missing.is_empty() {
        return report.well(format!("workers run behind {}", standing.walls.join(", ")));
    }
    let title = "workers run with fewer walls than they could have";
    let finding = report.find(Severity::Note, "walls_missing", title);
    finding.evidence.extend(standing.missing.iter().cloned());
    finding.seen(format!("behind {}", standing.walls.join(", ")));
    finding.mend(
        "in a container, let it make namespaces and use Landlock; otherwise a newer kernel (6.12 has all)",
    );
}

/// What a worker's process says, started as the agent starts one.
fn standing() -> io::Result<Standing> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["worker", "--walls"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take();
    let (send, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        if let Some(output) = output {
            // What cannot be read is no JSON either.
            let _ = output
                .take(CHILD_STDERR_BYTES as u64)
                .read_to_string(&mut said);
        }
        let _ = send.send(said);
    });
    let said = heard.recv_timeout(PATIENCE);
    if said.is_err() {
        // One that ended meanwhile cannot be killed, and is waited for all the same.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let said = said.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    if !status.success() {
        return Err(io::Error::other(format!(
            "a process that raises them ended with {status}"
        )));
    }
    serde_json::from_str(&said).map_err(io::Error::from)
}

/// It takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_mends_it() {
        let mut report = Report::default();
        let walls = vec!["limits".to_owned(), "seccomp".to_owned()];
        let all = Standing {
            walls,
            missing: Vec::new(),
        };
        tell(&mut report, &all);
        assert_eq!(report.well, ["workers run behind limits, seccomp"]);
        let some = Standing {
            missing: vec!["Landlock: it is switched off".to_owned()],
            ..all
        };
        tell(&mut report, &some);
        let finding = report.findings.first().unwrap();
        assert_eq!(finding.code, "walls_missing");
        assert_eq!(finding.evidence.first(), some.missing.first());
        assert!(finding.mend.is_some());
    }
}
