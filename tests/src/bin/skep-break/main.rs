//! `skep-break WALLS FOLDER VICTIM PORT SOCKET`: a process that raises walls around itself as a worker does, and then tries
//! everything that whoever has taken a worker over would try. Prints what each attempt came to, as JSON.
//!
//! `WALLS` is `none`, `all`, `card`, `network`, `Landlock` or `namespace`. `FOLDER` has a folder `own`, which may be written to,
//! and a folder `others` with a file `key`, which may not even be read. `VICTIM` is another process of this user, `PORT` a
//! TCP port of loopback on which somebody listens, `SOCKET` the name of an abstract socket on which somebody does.
//!
//! Attempts on the machine itself have arguments that the kernel refuses once it looks at them, so that nothing happens
//! where no wall stands; behind one it never looks.
#![allow(unsafe_code, reason = "it makes the calls that nothing else makes")]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

mod calls;
mod files;
mod limits;
mod others;

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use skep::confine::{self, Wall, Walls};

/// What the attempts are made on.
struct Scene {
    folder: PathBuf,
    victim: i32,
    port: u16,
    socket: String,
    /// Whether it is asked how far a file can grow.
    limited: bool,
}

/// Attempts by name: `null` for one that succeeded, otherwise the number of its error.
struct Attempts(Map<String, Value>);

impl Attempts {
    fn made<T>(&mut self, name: &str, outcome: io::Result<T>) {
        let code = outcome
            .err()
            .map(|error| error.raw_os_error().unwrap_or(-1));
        self.0.insert(name.to_owned(), json!(code));
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [walls, folder, victim, port, socket] = arguments.as_slice() else {
        bail!("usage: skep-break WALLS FOLDER VICTIM PORT SOCKET");
    };
    let scene = Scene {
        folder: folder.into(),
        victim: victim.parse()?,
        port: port.parse()?,
        socket: socket.clone(),
        limited: matches!(walls.as_str(), "all" | "network"),
    };
    limits::ignore_signal();
    let standing = raise(walls, &scene)?;
    // On a thread of its own: those made after the walls must be behind them too.
    let attempts = std::thread::spawn(move || {
        let mut attempts = Attempts(Map::new());
        files::try_all(&scene, &mut attempts);
        others::try_all(&scene, &mut attempts);
        calls::try_all(&mut attempts);
        limits::try_all(&scene, &mut attempts);
        attempts.0
    });
    let attempts = attempts.join().ok().context("an attempt panicked")?;
    println!("{}", json!({"standing": standing, "attempts": attempts}));
    Ok(())
}

fn raise(which: &str, scene: &Scene) -> Result<Value> {
    let walls = Walls {
        read: vec![scene.folder.join("given")],
        write: vec![scene.folder.join("own")],
        network: which == "network",
        devices: which == "card",
        file_bytes: limits::FILE_BYTES,
    };
    Ok(match which {
        "none" => Value::Null,
        "all" | "card" | "network" => {
            confine::begin()?;
            serde_json::to_value(walls.raise()?)?
        }
        "Landlock" => json!(walls.raise_one(Wall::Landlock)),
        "namespace" => json!(walls.raise_one(Wall::Network)),
        other => bail!("there are no walls `{other}`"),
    })
}

/// What a call of the C library came to.
fn done(code: impl Into<i64>) -> io::Result<i64> {
    match code.into() {
        -1 => Err(io::Error::last_os_error()),
        code => Ok(code),
    }
}
