//! `skep completions`: what a shell needs to complete our commands. Decides nothing.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Failure;
use super::arguments::Arguments;

pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "skep", &mut text);
    Ok(std::io::stdout().lock().write_all(&text)?)
}
