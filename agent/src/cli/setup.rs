//! `skep setup`: what the page does, on a terminal or from a file.
//!
//! Decides how the setup looks to somebody who types. What its steps are, what they ask and what is done is the agent's.

mod answers;
mod ask;
mod example;
mod file;
mod follow;
mod link;
mod people;
mod show;
mod status;
mod walk;

use super::Failure;
use super::arguments::{Setup, SetupCommand};
use crate::client::Client;

pub(super) use self::link::show as show_link;

pub(super) fn setup(client: &Client, wish: Setup) -> Result<(), Failure> {
    match wish.command {
        Some(SetupCommand::Link(listed)) => link::link(client, listed.json),
        Some(SetupCommand::Status(listed)) => status::status(client, listed.json),
        Some(SetupCommand::Drift(listed)) => status::drift(client, listed.json),
        Some(SetupCommand::Undo { run, yes, json }) => status::undo(client, run, yes, json),
        None if wish.example => example::example(client),
        None => match wish.from.clone() {
            Some(path) => file::set_up(client, &wish, &path),
            None => walk::asking(client, &wish),
        },
    }
}
