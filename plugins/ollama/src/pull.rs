//! A model that the server gets for itself, and how far it has come.

use serde::Deserialize;
use serde_json::json;
use skep_sdk::http::{BodyLines, quoted};
use skep_sdk::upstream::{Error, Progress};

use crate::config::Config;
use crate::limits::LINE_BYTES;
use crate::refusal::send;

/// One model on its way.
#[derive(Debug)]
pub(crate) struct Pulling {
    lines: BodyLines,
}

/// What a line tells.
#[derive(Debug)]
pub(crate) enum News {
    Progress(Progress),
    There,
}

#[derive(Deserialize)]
struct Line {
    error: Option<String>,
    status: Option<String>,
    total: Option<u64>,
    completed: Option<u64>,
}

impl Pulling {
    pub(crate) fn start(config: &Config, model: &str) -> Result<Self, Error> {
        // Older servers know the name by the second word alone.
        let body = json!({ "model": model, "name": model, "stream": true }).to_string();
        let response = send(config.post("api/pull", body.as_bytes()), config.key_name())?;
        Ok(Self {
            lines: response.lines(LINE_BYTES),
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Progress>, Error> {
        loop {
            let Some(line) = self.lines.read()? else {
                return Err(Error::Other(
                    "the server stopped before the model was there: ask again, and it goes on where it was"
                        .to_owned(),
                ));
            };
            match read(&line)? {
                Some(News::There) => return Ok(None),
                Some(News::Progress(progress)) => return Ok(Some(progress)),
                None => {}
            }
        }
    }
}

/// Reads one line.
pub(crate) fn read(line: &[u8]) -> Result<Option<News>, Error> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        Error::Malformed(format!(
            "the server sent what is no news of a model ({error}): {}",
            quoted(&String::from_utf8_lossy(line))
        ))
    })?;
    if let Some(error) = line.error {
        let said = quoted(&error);
        // The server says by words alone that its library has no such model.
        return Err(
            if said.contains("does not exist") || said.contains("not found") {
                Error::invalid("model", format!("the server says: {said}"))
            } else {
                Error::Other(format!("the server could not get the model: {said}"))
            },
        );
    }
    let status = line.status.unwrap_or_default();
    if status == "success" {
        return Ok(Some(News::There));
    }
    Ok(Some(News::Progress(Progress {
        what: quoted(&status),
        done_bytes: line.completed.unwrap_or(0),
        total_bytes: line.total,
    })))
}
