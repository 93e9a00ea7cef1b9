//! `skep up`: the agent, in the foreground.
//!
//! Decides what is told on a terminal while it starts and once it serves; the start itself is
//! `boot`'s.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arguments::Up;
use super::join::Entering;
use super::terminal::{Paint, complain, printable};
use super::waiting::Waiting;
use super::{Failure, adopt, figures, join, setup};
use crate::agent::Agent;
use crate::boot::{self, Start};
use crate::config::Override;
use crate::keys::Secret;
use crate::paths::Paths;
use crate::pki::TokenError;
use crate::wire::{JoinWish, Joined, SetupLink};

pub(super) fn up(home: Option<&Path>, wish: &Up) -> Result<ExitCode, Failure> {
    run(home, wish, None)
}

/// The same, and joins a cluster first; ends when it does not get in.
pub(super) fn up_and_join(
    home: Option<&Path>,
    wish: &Up,
    entering: Entering,
    json: bool,
) -> Result<ExitCode, Failure> {
    run(home, wish, Some((entering, json)))
}

fn run(
    home: Option<&Path>,
    wish: &Up,
    entering: Option<(Entering, bool)>,
) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let start = Start {
        home: home.map(Path::to_owned),
        config: wish.config.clone(),
        overrides: overrides(wish)?,
        lan: wish.lan,
    };
    let runtime = boot::runtime()
        .map_err(|error| Failure::new(format!("the system gives no threads: {error}")))?;
    runtime.block_on(async {
        let waiting =
            Waiting::begin("starting (the first start compiles the plugins, which takes a while)");
        let running = match boot::start(start).await {
            Ok(running) => running,
            Err(error) => {
                drop(waiting);
                Failure::chain(&error).report(Paint::for_stderr());
                return Ok(ExitCode::from(error.exit_code()));
            }
        };
        if let Some((entering, json)) = entering {
            let told = match entering {
                Entering::Token(joining) => {
                    waiting.now("joining");
                    let joined = enter(&running.agent, joining).await;
                    joined.and_then(|joined| join::tell(&joined, json))
                }
                Entering::Adoption(time) => {
                    waiting.hide();
                    let home = home.map(Path::to_owned);
                    wait(home, time, json).await
                }
            };
            if let Err(failure) = told {
                drop(waiting);
                running.stop().await;
                return Err(failure);
            }
        }
        let (agent, first_key) = (Arc::clone(&running.agent), running.first_key.clone());
        // Asked to stop while its model loads, it stops.
        let mut stopping = pin!(running.until_stopped());
        let stop = tokio::select! {
            stop = &mut stopping => stop,
            () = serving(waiting, &agent, first_key.as_ref(), started) => stopping.await,
        };
        Ok(ExitCode::from(stop.exit_code()))
    })
}

/// The fingerprint of a certificate that was made here.
fn own_certificate(agent: &Agent) -> Option<String> {
    let files = agent.settings.http.tls.as_ref()?;
    let made_here = files.certificate.starts_with(&agent.paths.state);
    made_here.then(|| boot::fingerprint(&files.certificate))?
}

/// A way into the setup, while that is open.
fn setup_link(agent: &Agent) -> Option<SetupLink> {
    if !agent.setup.is_open() {
        return None;
    }
    let made = agent.setup.link();
    let made = made.inspect_err(|error| tracing::warn!(%error, "there is no link to the setup"));
    made.ok().map(|link| link.at(&agent.public_url()))
}

/// Waits to be adopted, on a thread of its own: it asks and prompts as it does of an agent elsewhere. The thread may
/// outlive this, in front of a terminal at which nobody says anything.
async fn wait(home: Option<PathBuf>, time: Option<Duration>, json: bool) -> Result<(), Failure> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let waited = std::thread::Builder::new().spawn(move || {
        let paths = Paths::choose(home.as_deref(), |name| std::env::var(name).ok()).ok();
        let client = super::connect(paths.as_ref());
        let _ = tell.send(client.and_then(|client| adopt::wait(&client, time, json)));
    });
    waited.map_err(|error| Failure::new(format!("the system gives no threads: {error}")))?;
    told.await
        .unwrap_or_else(|_| Err(Failure::new("waiting broke off")))
}

async fn enter(agent: &Agent, wish: JoinWish) -> Result<Joined, Failure> {
    let token = wish
        .token
        .parse()
        .map_err(|error: TokenError| Failure::chain(&error))?;
    let joined = agent
        .cluster
        .join(token, &wish.at, wish.name, wish.leave)
        .await;
    joined.map_err(|error| Failure::chain(&error))
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

/// Tells a person at a terminal where everything is, and of the default model once it is known what became of it. A service has the log.
async fn serving(waiting: Waiting, agent: &Agent, first_key: Option<&Secret>, started: Instant) {
    if waiting.is_seen() {
        waiting.aside(|| tell_where(agent, first_key, started));
    }
    let ready = match &agent.settings.models.default {
        None => None,
        Some(model) => {
            waiting.now(format!("loading `{model}`"));
            let patience = Duration::from_secs(15 * 60);
            Some((model, agent.router.ready(model, patience).await))
        }
    };
    let seen = waiting.is_seen();
    drop(waiting);
    if !seen {
        return;
    }
    let paint = Paint::for_stderr();
    match ready {
        Some((model, Ok(()))) => {
            line("model", &format!("{model} is ready"));
            line("try", &format!("skep run {model} \"The borrow checker\""));
        }
        Some((model, Err(why))) => {
            line(
                "model",
                &format!("{} {}", paint.red(format!("{model}:")), printable(&why)),
            );
            line("", "`skep doctor` looks around");
        }
        None => line("model", "none is loaded at start (`models.default`)"),
    }
    line("stop", "Ctrl-C");
    complain("");
}

/// Where it is reached, and what is shown only now.
fn tell_where(agent: &Agent, first_key: Option<&Secret>, started: Instant) {
    let paint = Paint::for_stderr();
    let url = printable(&agent.public_url()).into_owned();
    let took = figures::duration(started.elapsed());
    complain("");
    complain(&format!(
        "  {} {}",
        paint.bold("skep is up"),
        paint.dim(format!("after {took}"))
    ));
    complain("");
    line("page", &paint.cyan(format!("{url}/")));
    line("API", &format!("{url}/v1   (any OpenAI client)"));
    if let Some(fingerprint) = own_certificate(agent) {
        line("TLS", &format!("SHA-256 {fingerprint}"));
        line(
            "",
            "browsers ask once whether to go on; compare this with what they show",
        );
    }
    if let Some(key) = first_key {
        line("key", &paint.bold(key.reveal()));
        line(
            "",
            &paint.yellow("shown only this once; needed beyond this machine"),
        );
    }
    if let Some(link) = setup_link(agent) {
        line("setup", "open this in a browser, once:");
        for text in setup::show_link(&link, paint) {
            for text in text.lines() {
                line("", text);
            }
        }
    }
}

fn line(label: &str, text: &str) {
    let label = Paint::for_stderr().dim(format!("{label:<9}"));
    complain(&format!("  {label}{text}"));
}
