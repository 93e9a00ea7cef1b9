//! Taking back what was done on a machine, the last first; what somebody changed since is left, and said.

use super::command::Input;
use super::error::SshError;
use super::record::{Record, Records, Step};
use super::scripts::{AWAY, FOLDER_AWAY, HOME_AWAY, STOP, UNIT_AWAY};
use super::session::Session;
use super::survey::{FOLDERS, HOMES};
use crate::limits::SSH_COMMAND_TIMEOUT;

/// Takes it back. `dismiss` has the cluster let that node be a member no more.
///
/// # Errors
/// See [`SshError`]; what is still there is still written down.
pub async fn undo(
    session: &Session,
    records: &Records,
    dismiss: &(dyn Fn(&str, &str) -> Result<(), String> + Send + Sync),
    tell: &mut (dyn FnMut(&'static str) + Send),
) -> Result<Vec<String>, SshError> {
    let target = session.target();
    let mut record: Record = records.read(target)?;
    let mut said = Vec::new();
    for written in record.steps.clone().into_iter().rev() {
        match &written.step {
            Step::Joined { token, node } => {
                tell("leaving the cluster");
                dismiss(token, node).map_err(SshError::Unfit)?;
                said.push("is no member any more".to_owned());
            }
            Step::Started { pid } => {
                tell("stopping the agent");
                let pid = pid.to_string();
                run(session, "stopping the agent", STOP, &[&pid]).await?;
                said.push("stopped the agent".to_owned());
            }
            Step::Unit => {
                tell("stopping the agent");
                run(session, "stopping the agent", UNIT_AWAY, &[]).await?;
                said.push("stopped the agent and removed its unit".to_owned());
            }
            Step::Placed { digest } => {
                tell("removing the program");
                let left = run(session, "removing the program", AWAY, &[digest]).await?;
                said.push(match left.contains("left=") {
                    true => "left ~/.local/bin/skep, which is another one by now".to_owned(),
                    false => "removed ~/.local/bin/skep".to_owned(),
                });
            }
            Step::Folders(made) => {
                tell("removing folders");
                let ours = FOLDERS.iter().rev();
                for folder in ours.filter(|folder| made.iter().any(|made| made == *folder)) {
                    let script = match HOMES.contains(folder) {
                        true => HOME_AWAY,
                        false => FOLDER_AWAY,
                    };
                    let left = run(session, "removing folders", script, &[folder]).await?;
                    if left.contains("left=models") {
                        said.push(format!("left ~/{folder}, with the models that are in it"));
                    } else if left.contains("left=") {
                        said.push(format!("left ~/{folder}, which is not empty"));
                    } else if left.contains("gone=") {
                        said.push(format!("removed ~/{folder}"));
                    }
                }
            }
        }
        record.strike(&written.step);
        records.write(target, &record)?;
    }
    Ok(said)
}

async fn run(
    session: &Session,
    what: &'static str,
    script: &'static str,
    words: &[&str],
) -> Result<String, SshError> {
    let time = SSH_COMMAND_TIMEOUT;
    let ran = session.done(what, script, words, Input::Nothing, time);
    Ok(ran.await?.output)
}
