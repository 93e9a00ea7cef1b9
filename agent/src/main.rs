//! `skep`: see `skep help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    skep::cli::main()
}
