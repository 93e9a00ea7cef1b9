//! `skep join`: this machine becomes a member of a cluster.
//!
//! Decides whether the agent that runs is asked, or one is started.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::Join;
use super::terminal::{Paint, complain, printable, say};
use super::waiting::Waiting;
use super::{Failure, adopt, print_json, up};
use crate::client::{Client, ClientError};
use crate::pki::Token;
use crate::wire::{JoinWish, Joined, Version};

pub(super) fn join(home: Option<&Path>, client: &Client, wish: &Join) -> Result<ExitCode, Failure> {
    let Some(token) = &wish.token else {
        return wait(home, client, wish);
    };
    let text = if token == "-" {
        read_token()?
    } else {
        token.clone()
    };
    let token: Token = text.parse().map_err(|error| {
        // What was typed may be a secret of another kind; it is not repeated.
        Failure::usage(format!("{error}"))
    })?;
    let joining = JoinWish {
        token: token.to_string(),
        at: wish.at.clone(),
        name: wish.name.clone(),
        leave: wish.leave,
    };
    match client.get::<Version>("/api/v1/version") {
        Ok(_) => {}
        Err(ClientError::Unreachable { local: true, .. }) => {
            let entering = Entering::Token(joining);
            return up::up_and_join(home, &wish.up, entering, wish.json);
        }
        Err(error) => return Err(error.into()),
    }
    let waiting = Waiting::begin("joining");
    let joined: Result<Joined, _> = client.post("/api/v1/cluster/join", &joining);
    drop(waiting);
    tell(&joined?, wish.json)?;
    Ok(ExitCode::SUCCESS)
}

/// How a machine whose agent is only started becomes a member.
#[derive(Debug)]
pub(super) enum Entering {
    /// It has a token.
    Token(JoinWish),
    /// It waits to be adopted, for so long.
    Adoption(Option<Duration>),
}

/// Until somebody adopts this machine.
fn wait(home: Option<&Path>, client: &Client, wish: &Join) -> Result<ExitCode, Failure> {
    match client.get::<Version>("/api/v1/version") {
        Ok(_) => {}
        Err(ClientError::Unreachable { local: true, .. }) => {
            let entering = Entering::Adoption(wish.time);
            return up::up_and_join(home, &wish.up, entering, wish.json);
        }
        Err(error) => return Err(error.into()),
    }
    adopt::wait(client, wish.time, wish.json)?;
    Ok(ExitCode::SUCCESS)
}

/// What came of it, for people or for programs.
pub(super) fn tell(joined: &Joined, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(joined);
    }
    let paint = Paint::for_stdout();
    say(format!(
        "{} {} through {}",
        paint.green("joined the cluster"),
        printable(&joined.cluster),
        joined.at
    ))?;
    if joined.pending {
        let paint = Paint::for_stderr();
        complain(&paint.yellow(
            "this node awaits approval: `skep nodes` on a member shows it, `skep node approve` lets it in",
        ));
    } else {
        complain("`skep nodes` lists its machines; what any of them serves is served here");
    }
    Ok(())
}

fn read_token() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .take(TOKEN_BYTES_MAX)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::new(format!("could not read the token: {error}")))?;
    Ok(text)
}

/// More than any token has.
const TOKEN_BYTES_MAX: u64 = 4 << 10;
