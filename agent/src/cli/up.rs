//! `skep up`: the agent, in the foreground.
//!
//! Decides what is told on a terminal while it starts and once it serves; the start itself is
//! `boot`'s.

use std::io::IsTerminal as _;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::arguments::Up;
use super::terminal::{Paint, complain, printable};
use super::{Failure, figures};
use crate::agent::Agent;
use crate::boot::{self, Start};
use crate::config::Override;
use crate::keys::Secret;

pub(super) fn up(home: Option<&Path>, wish: &Up) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let start = Start {
        home: home.map(Path::to_owned),
        config: wish.config.clone(),
        overrides: overrides(wish)?,
    };
    let runtime = boot::runtime()
        .map_err(|error| Failure::new(format!("the system gives no threads: {error}")))?;
    runtime.block_on(async {
        let mut told = Told::begin();
        let running = match boot::start(start).await {
            Ok(running) => running,
            Err(error) => {
                told.end();
                Failure::chain(&error).report(Paint::for_stderr());
                return Ok(ExitCode::from(error.exit_code()));
            }
        };
        let (agent, first_key) = (Arc::clone(&running.agent), running.first_key.clone());
        // Asked to stop while its model loads, it stops.
        let mut stopping = pin!(running.until_stopped());
        let stop = tokio::select! {
            stop = &mut stopping => stop,
            () = told.serving(&agent, first_key.as_ref(), started) => stopping.await,
        };
        told.end();
        Ok(ExitCode::from(stop.exit_code()))
    })
}

/// Flags are settings like any other.
fn overrides(wish: &Up) -> Result<Vec<Override>, Failure> {
    let given = [
        ("http.listen", &wish.listen, "--listen"),
        ("log.filter", &wish.log_level, "--log-level"),
        ("log.format", &wish.log_format, "--log-format"),
    ];
    let mut overrides: Vec<Override> = given
        .into_iter()
        .filter_map(|(key, value, flag)| {
            Some(Override {
                key: key.to_owned(),
                value: value.clone()?,
                origin: flag.to_owned(),
            })
        })
        .collect();
    for set in &wish.set {
        let Some((key, value)) = set.split_once('=') else {
            return Err(Failure::usage(format!("`--set {set}` has no `=`"))
                .with_hint(Some("write it as `--set models.default=tiny`")));
        };
        overrides.push(Override {
            key: key.trim().to_owned(),
            value: value.to_owned(),
            origin: format!("--set {key}"),
        });
    }
    Ok(overrides)
}

/// What a person at a terminal sees of the start. A service has the log.
struct Told {
    bar: Option<ProgressBar>,
    paint: Paint,
}

impl Told {
    fn begin() -> Self {
        let paint = Paint::for_stderr();
        if !std::io::stderr().is_terminal() {
            return Self { bar: None, paint };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_message("starting (the first start compiles the plugins, which takes a while)");
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            bar: Some(bar),
            paint,
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Waits for the default model, then tells where everything is.
    async fn serving(&mut self, agent: &Agent, first_key: Option<&Secret>, started: Instant) {
        let ready = match &agent.settings.models.default {
            None => None,
            Some(model) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("loading `{model}`"));
                }
                let patience = Duration::from_secs(15 * 60);
                Some((model.clone(), agent.router.ready(model, patience).await))
            }
        };
        let told = self.bar.is_some();
        self.end();
        if !told {
            return;
        }
        let paint = self.paint;
        let url = printable(&agent.url).into_owned();
        let took = figures::duration(started.elapsed());
        complain("");
        complain(&format!(
            "  {} {}",
            paint.bold("skep is up"),
            paint.dim(format!("after {took}"))
        ));
        complain("");
        let line = |label: &str, text: &str| {
            complain(&format!("  {}{text}", paint.dim(format!("{label:<9}"))));
        };
        line("page", &paint.cyan(format!("{url}/")));
        line("API", &format!("{url}/v1   (any OpenAI client)"));
        if let Some(key) = first_key {
            line("key", &paint.bold(key.reveal()));
            line(
                "",
                &paint.yellow("shown only this once; needed beyond this machine"),
            );
        }
        match &ready {
            Some((model, Ok(()))) => {
                line("model", &format!("{model} is ready"));
                line("try", &format!("skep run {model} \"The borrow checker\""));
            }
            Some((model, Err(why))) => {
                line(
                    "model",
                    &format!("{} {}", paint.red(format!("{model}:")), printable(why)),
                );
                line("", "`skep doctor` looks around");
            }
            None => line("model", "none is loaded at start (`models.default`)"),
        }
        line("stop", "Ctrl-C");
        complain("");
    }
}
