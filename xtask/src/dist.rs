//! `cargo xtask dist`: what people download: a tarball and a Debian package for one kind of machine, the script that installs
//! either, and digests of all that are signed.
//!
//! Decides what is in them and that the same sources and binary give the same bytes (`SOURCE_DATE_EPOCH`, or the commit's time).
//! Refuses to know how a unit is written (`plugins/step-service` has the text) and where files are put up for download.
//!
//! The binary is linked to glibc and not to musl: a static program cannot load a driver's library, and so would never use a
//! card. `--target x86_64-unknown-linux-musl` makes one for machines without cards and with an old glibc.

mod binary;
mod deb;
mod sign;
mod tarball;
#[cfg(test)]
mod tests;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use self::binary::{Binary, Libc};
use self::tree::Tree;
use crate::step::{output, root, step, target};

/// What was typed.
#[derive(Default)]
struct Wish {
    target: Option<String>,
    binary: Option<PathBuf>,
    documents_by: Option<PathBuf>,
    key: Option<PathBuf>,
    into: Option<PathBuf>,
    url: String,
    maintainer: Option<String>,
}

/// What every part of a release says of itself.
struct Release {
    version: String,
    /// Seconds since 1970: the time of every file in it.
    epoch: u64,
    /// Where `install.sh` fetches from when it is told nothing else; empty: nowhere.
    url: String,
    maintainer: String,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let wish = parse(arguments)?;
    let binary = match &wish.binary {
        Some(path) => path.clone(),
        None => binary::build(wish.target.as_deref())?,
    };
    let binary = Binary::open(&binary)?;
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: epoch()?,
        url: wish.url,
        maintainer: wish.maintainer.unwrap_or_else(|| MAINTAINER.to_owned()),
    };
    let into = wish.into.unwrap_or_else(|| target().join("dist"));
    fs::create_dir_all(&into).with_context(|| format!("could not make `{}`", into.display()))?;
    let documents = wish.documents_by.as_deref().unwrap_or(&binary.path);
    let tree = step("manual and completions", || Tree::make(documents))?;
    let tarball = step("tarball", || {
        tarball::write(&into, &release, &binary, &tree)
    })?;
    eprintln!("    {}", told(&tarball)?);
    if binary.libc != Libc::None {
        let deb = step("Debian package", || {
            deb::write(&into, &release, &binary, &tree)
        })?;
        eprintln!("    {}", told(&deb)?);
    }
    step("digests and signature", || {
        sign::finish(&into, &release, wish.key.as_deref())
    })?;
    eprintln!("    everything is in `{}`", into.display());
    match &binary.libc {
        Libc::Gnu(version) => {
            eprintln!("    the binary needs glibc {version} or newer (`ldd --version`)");
        }
        Libc::None => {
            eprintln!("    the binary is static: it runs on any Linux, and on processors alone")
        }
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("target") => wish.target = Some(parser.value()?.string()?),
            Long("binary") => wish.binary = Some(parser.value()?.into()),
            Long("documents-by") => wish.documents_by = Some(parser.value()?.into()),
            Long("key") => wish.key = Some(parser.value()?.into()),
            Long("into") => wish.into = Some(parser.value()?.into()),
            Long("url") => wish.url = parser.value()?.string()?,
            Long("maintainer") => wish.maintainer = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ":/._-~%".contains(c);
    if !(wish.url.is_empty() || wish.url.starts_with("https://") && wish.url.chars().all(plain)) {
        bail!(
            "`--url {}` is no address that begins with `https://`",
            wish.url
        );
    }
    Ok(wish)
}

/// What stands in for the time at which this was made.
fn epoch() -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given
            .parse()
            .with_context(|| format!("`SOURCE_DATE_EPOCH={given}` is no number of seconds"));
    }
    let mut git = Command::new("git");
    let time = output(git.args(["log", "-1", "--format=%ct"]).current_dir(root()));
    let time = time.context("set `SOURCE_DATE_EPOCH`: git does not tell the commit's time")?;
    time.parse()
        .with_context(|| format!("git told `{time}` as a time"))
}

fn told(path: &Path) -> Result<String> {
    let bytes = fs::metadata(path)?.len();
    Ok(format!("{} ({:.1} MB)", path.display(), bytes as f64 / 1e6))
}

const MAINTAINER: &str = "skep maintainers <maintainers@skep.invalid>";
