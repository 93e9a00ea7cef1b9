//! `skep node adopt` and `skep join --wait`: two machines show six digits, and a person says whether they
//! are the same.
//!
//! Decides what is asked at either machine; refuses to know what the digits are made of.

use std::io::{self, BufRead as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::terminal::{Paint, complain, printable, say};
use super::waiting::Waiting;
use super::{Exit, Failure, segment};
use crate::client::Client;
use crate::limits::ADOPT_OFFER;
use crate::wire::{AdoptWish, Adoption, AdoptionRole, AdoptionState, Adoptions, Offer, OfferWish};

/// `skep node adopt NODE`
pub(super) fn adopt(client: &Client, node: &str, json: bool) -> Result<(), Failure> {
    let waiting = Waiting::begin("calling it");
    let wish = AdoptWish {
        neighbour: node.to_owned(),
    };
    let begun: Result<Adoption, _> = client.post("/api/v1/cluster/adoptions", &wish);
    drop(waiting);
    compare(client, &Ears::open(), &begun?, json)
}

/// `skep join --wait`: asks an agent that runs.
pub(super) fn wait(client: &Client, time: Option<Duration>, json: bool) -> Result<(), Failure> {
    let wish = OfferWish {
        for_s: Some(time.unwrap_or(ADOPT_OFFER).as_secs()),
    };
    let before: Adoptions = client.get("/api/v1/cluster/adoptions")?;
    let offer: Offer = client.put("/api/v1/cluster/offer", &wish)?;
    let ears = Ears::open();
    if json {
        line(&offer)?;
    } else {
        complain(
            "waits to be adopted; on a machine of the cluster: `skep node adopt NAME`, or its page. Ctrl-C ends it",
        );
    }
    let found = listen(client, &ears, &before);
    let adoption = match found {
        Ok(adoption) => adoption,
        Err(failure) => {
            let _: Result<Offer, _> = client.delete("/api/v1/cluster/offer");
            return Err(failure);
        }
    };
    let compared = compare(client, &ears, &adoption, json);
    // Where it came to nothing, whoever wants to try again says so.
    let _: Result<Offer, _> = client.delete("/api/v1/cluster/offer");
    compared
}

/// Until somebody wants to adopt this node.
fn listen(client: &Client, ears: &Ears, before: &Adoptions) -> Result<Adoption, Failure> {
    let _waiting = Waiting::begin("waiting to be adopted");
    let is_new = |one: &Adoption| {
        one.role == AdoptionRole::Adopted
            && one.state == AdoptionState::Comparing
            && !before.adoptions.iter().any(|old| old.id == one.id)
    };
    loop {
        let now: Adoptions = client.get("/api/v1/cluster/adoptions")?;
        if let Some(found) = now.adoptions.into_iter().find(is_new) {
            return Ok(found);
        }
        if !now.offer.open {
            let why = now
                .offer
                .why
                .unwrap_or_else(|| "nobody came in time".to_owned());
            return Err(
                Failure::new(format!("this node waits no longer: {why}")).with_hint(Some(
                    "`skep join --wait` waits again; `skep join TOKEN` needs no digits",
                )),
            );
        }
        ears.pause()?;
    }
}

/// Shows the digits, asks whether the other machine shows the same, and waits for what comes of it.
fn compare(client: &Client, ears: &Ears, adoption: &Adoption, json: bool) -> Result<(), Failure> {
    let path = format!("/api/v1/cluster/adoptions/{}", segment(&adoption.id));
    if json {
        line(adoption)?;
    } else {
        complain(&render(adoption, Paint::for_stderr()));
        let mut terminal = io::stderr().lock();
        let asked = write!(terminal, "  the same there? [y/N] ").and_then(|()| terminal.flush());
        asked?;
    }
    let same = ears.line().map(|said| is_yes(&said));
    if !matches!(same, Ok(true)) {
        let _: Result<Adoption, _> = client.delete(&path);
        same?;
        return Err(Failure::new("not adopted: nobody said that the digits are the same").with_hint(
            Some("where they differ, somebody stands between; `skep token new` makes a token that you can carry over yourself"),
        ));
    }
    let _: Adoption = client.post(&format!("{path}/confirm"), &serde_json::json!({}))?;
    let waiting = Waiting::begin("waiting for the other machine to say the same");
    let ended = loop {
        let now: Adoption = client.get(&path)?;
        if now.state.is_over() {
            break now;
        }
        if now.confirmed_there {
            waiting.now("joining");
        }
        if let Err(failure) = ears.pause() {
            let _: Result<Adoption, _> = client.delete(&path);
            return Err(failure);
        }
    };
    drop(waiting);
    if json {
        line(&ended)?;
    }
    tell(&ended, json)
}

fn tell(ended: &Adoption, json: bool) -> Result<(), Failure> {
    if ended.state != AdoptionState::Joined {
        let why = ended.why.as_deref().unwrap_or("it came to nothing");
        return Err(Failure::new(format!("not adopted: {why}")));
    }
    if json {
        return Ok(());
    }
    let paint = Paint::for_stdout();
    let name = printable(&ended.name);
    let text = match ended.role {
        AdoptionRole::Adopter => format!("{} {name}", paint.green("adopted")),
        AdoptionRole::Adopted => format!("{} the cluster of {name}", paint.green("joined")),
    };
    say(text)?;
    complain("`skep nodes` lists the machines; what any of them serves is served on all");
    Ok(())
}

pub(super) fn render(adoption: &Adoption, paint: Paint) -> String {
    let who = match adoption.role {
        AdoptionRole::Adopter => "is to be adopted; its page or `skep join --wait` shows",
        AdoptionRole::Adopted => "wants to adopt this machine; it shows",
    };
    format!(
        "\n  {} at {} (skep {}) {who}\n\n      {}\n",
        paint.bold(printable(&adoption.name)),
        adoption.address,
        printable(&adoption.version),
        paint.bold(printable(&adoption.code)),
    )
}

/// One object a line, for programs.
fn line(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(format!("could not write JSON: {error}")))?;
    Ok(say(text)?)
}

fn is_yes(said: &str) -> bool {
    matches!(said.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What a person says: a line, or an interrupt.
struct Ears {
    tell: SyncSender<Heard>,
    heard: Receiver<Heard>,
}

enum Heard {
    Line(String),
    Interrupted,
}

impl Ears {
    /// From now on an interrupt does not end the process by itself: the other machine is to be told.
    fn open() -> Self {
        let (tell, heard) = sync_channel(4);
        let interrupted = tell.clone();
        // Without the thread an interrupt ends the process, and the digits end by themselves.
        let _ = std::thread::Builder::new()
            .name("interrupts".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_io()
                    .build();
                let Ok(runtime) = runtime else { return };
                while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                    if interrupted.send(Heard::Interrupted).is_err() {
                        return;
                    }
                }
            });
        Self { tell, heard }
    }

    /// The next line; nothing when there is none.
    fn line(&self) -> Result<String, Failure> {
        let tell = self.tell.clone();
        let read = std::thread::Builder::new()
            .name("answer".into())
            .spawn(move || {
                let mut text = String::new();
                // What cannot be read is no yes.
                let _ = io::Read::take(io::stdin().lock(), LINE_BYTES_MAX).read_line(&mut text);
                let _ = tell.send(Heard::Line(text));
            });
        read.map_err(|error| Failure::new(format!("the system gives no threads: {error}")))?;
        match self.heard.recv() {
            Ok(Heard::Line(text)) => Ok(text),
            Ok(Heard::Interrupted) | Err(_) => Err(Failure::silent(Exit::Interrupted)),
        }
    }

    /// A moment, unless somebody interrupts it.
    fn pause(&self) -> Result<(), Failure> {
        match self.heard.recv_timeout(LOOK) {
            Ok(Heard::Interrupted) => Err(Failure::silent(Exit::Interrupted)),
            Ok(Heard::Line(_))
            | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

/// How often is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(300);

/// A yes is shorter.
const LINE_BYTES_MAX: u64 = 256;
