//! Why the fleet refused. Decides nothing.

use std::path::PathBuf;

use super::ReplicaId;
use crate::protocol::Error;

/// Why a fleet could not start. Fatal: nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Compiled(#[from] crate::compiler::CompileError),
    #[error("could not start the thread that starts workers")]
    Thread(#[source] std::io::Error),
    #[error("there is no executable at `{}` to start workers from", .0.display())]
    Executable(PathBuf),
}

/// Why a model is not loaded. Nothing of it stays.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("a model named `{0}` is loaded already")]
    Duplicate(String),
    #[error(
        "there is no engine plugin named `{0}`; `skep plugin ls` lists what there is, `skep plugin add` brings others"
    )]
    UnknownPlugin(String),
    /// The component could not be compiled; the text names the cause.
    #[error("the plugin `{plugin}` could not be compiled: {why}")]
    Compile { plugin: String, why: String },
    /// The plugin looked at the files and refused.
    #[error("could not open the model `{model}`: {error}")]
    Refused { model: String, error: Error },
    /// The worker ended before the model was open.
    #[error("could not open the model `{model}`: {why}")]
    Died { model: String, why: String },
    #[error("the agent is stopping")]
    Stopping,
}

/// Why a model could not be unloaded.
#[derive(Debug, thiserror::Error)]
pub enum UnloadError {
    #[error("no model named `{0}` is loaded")]
    Unknown(String),
}

/// Why a request was not handed over. It never reached the model.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("there is no replica {0}")]
    Unknown(ReplicaId),
    /// Starting, restarting, draining or failed; the text says which and why.
    #[error("{0}")]
    NotReady(String),
    #[error("the model holds {0} requests already; try again later")]
    Full(usize),
    /// The worker reads nothing.
    #[error("the model's worker is overloaded; try again later")]
    Busy,
    #[error("the request takes {0} bytes, which is over the limit of {max}", max = crate::limits::FRAME_BYTES_MAX)]
    TooLong(usize),
    /// The plugin refused a call that was not a request (`tokenize`, `detokenize`).
    #[error("{0}")]
    Refused(Error),
}
