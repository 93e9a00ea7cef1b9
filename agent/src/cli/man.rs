//! `skep man`: the manual, a page for each command, for packages. Decides nothing: the pages are what `help` says.

use std::path::Path;

use clap::CommandFactory as _;

use super::Failure;
use super::arguments::Arguments;

pub(super) fn write(folder: &Path) -> Result<(), Failure> {
    // No name of a machine or a user belongs into what everybody reads.
    let command = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(|error| {
        Failure::new(format!(
            "could not write the manual into `{}`: {error}",
            folder.display()
        ))
    })
}
