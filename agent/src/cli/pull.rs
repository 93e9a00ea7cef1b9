//! `skep pull`: a model arrives, and one sees it come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ureq::http::Method;

use super::arguments::Pull as Wish;
use super::events::{Happening, Interrupts};
use super::terminal::{Paint, printable, say};
use super::{Exit, Failure, figures};
use crate::client::Client;
use crate::models::{Digest, ModelName};
use crate::wire::{PullEvent, PullRequest};

pub(super) fn pull(client: Client, wish: &Wish) -> Result<(), Failure> {
    let request = request(wish, client.endpoint().is_loopback())?;
    let interrupts = Interrupts::watch();
    let client = Arc::new(client);
    let mut view = View::new(wish.json);
    let happenings = interrupts.ask(&client, Method::POST, "/api/v1/models/pull", Some(request));
    for happening in happenings {
        let line = match happening {
            Happening::Line(line) if line.trim().is_empty() => continue,
            Happening::Line(line) => line,
            Happening::End | Happening::Broken(_) => break,
            Happening::Failed(error) => return Err(error.into()),
            Happening::Interrupted => {
                view.end();
                return Err(Failure::silent(Exit::Interrupted)
                    .with_hint(Some("the same `skep pull` goes on where it was")));
            }
        };
        let event = serde_json::from_str(&line)
            .map_err(|_| Failure::new("the agent sent a line that is not understood"))?;
        if view.show(event, &line)? {
            return Ok(());
        }
    }
    view.end();
    Err(Failure::new("the connection to the agent broke off")
        .with_hint(Some("the same `skep pull` goes on where it was")))
}

fn request(wish: &Wish, local: bool) -> Result<PullRequest, Failure> {
    let usage = |error: &dyn std::error::Error| Failure::usage(error.to_string());
    if let Some(name) = &wish.name {
        name.parse::<ModelName>().map_err(|e| usage(&e))?;
    }
    if let Some(digest) = &wish.sha256 {
        digest.parse::<Digest>().map_err(|e| usage(&e))?;
    }
    let hub = |prefix| wish.source.starts_with(prefix);
    let address = wish.source.contains("://") || hub("hf:") || hub("hf.co/");
    if !address && !local {
        return Err(
            Failure::usage("a path can only be pulled by an agent on this machine")
                .with_hint(Some("give an http(s) address that the agent can reach")),
        );
    }
    let source = if address {
        wish.source.clone()
    } else {
        std::path::absolute(Path::new(&wish.source))
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
            .ok_or_else(|| Failure::usage("the path is empty or not UTF-8"))?
    };
    Ok(PullRequest {
        source,
        name: wish.name.clone(),
        sha256: wish.sha256.clone(),
    })
}

/// What is shown of a pull.
struct View {
    json: bool,
    bar: ProgressBar,
    name: String,
}

impl View {
    fn new(json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self {
            json,
            bar,
            name: String::new(),
        }
    }

    /// True when it was the last one, and the model is here.
    fn show(&mut self, event: PullEvent, line: &str) -> Result<bool, Failure> {
        if self.json {
            say(line)?;
        }
        match event {
            PullEvent::Started { name } => self.name = printable(&name).into_owned(),
            PullEvent::Progress {
                done_bytes,
                total_bytes,
                resumed_bytes,
            } => {
                self.progress(done_bytes, total_bytes, resumed_bytes, "pulling");
            }
            PullEvent::Checking {
                done_bytes,
                total_bytes,
            } => {
                self.progress(done_bytes, Some(total_bytes), 0, "checking what is here of");
            }
            PullEvent::Retrying {
                attempt,
                pause_ms,
                reason,
            } => {
                let pause = figures::duration(Duration::from_millis(pause_ms));
                let text = format!("{reason}; attempt {attempt} in {pause}");
                self.bar.suspend(|| {
                    if !self.json {
                        super::terminal::complain(&printable(&text));
                    }
                });
            }
            PullEvent::Done { model } => {
                self.end();
                if !self.json {
                    let paint = Paint::for_stdout();
                    say(format!(
                        "{} `{}`: {}, {}",
                        paint.green("pulled"),
                        printable(&model.name),
                        figures::size(model.bytes),
                        paint.dim(printable(&model.digest))
                    ))?;
                }
                return Ok(true);
            }
            PullEvent::Failed { error } => {
                self.end();
                return Err(Failure::new(error.message).with_hint(error.hint));
            }
        }
        Ok(false)
    }

    fn progress(&self, done: u64, total: Option<u64>, resumed: u64, what: &str) {
        // The first figure sets the scale: bytes of an earlier pull say nothing of the rate.
        if self.bar.length() != total || self.bar.position() == 0 {
            let template = match total {
                Some(_) => {
                    "{msg} {wide_bar:.cyan/dim} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left"
                }
                None => "{msg} {spinner} {decimal_bytes}  {decimal_bytes_per_sec}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("━━─"));
            }
            self.bar.set_position(resumed);
            self.bar.reset_eta();
            if let Some(total) = total {
                self.bar.set_length(total);
            }
        }
        self.bar.set_message(format!("{what} {}", self.name));
        self.bar.set_position(done);
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
