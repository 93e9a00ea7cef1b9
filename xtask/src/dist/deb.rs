//! The Debian package: an `ar` archive of two tarballs (deb(5)).
//!
//! Decides where Debian wants things and what its scripts do: a user of its own, its folders, the unit through `deb-systemd-helper`
//! where that is there; purging leaves nothing. Refuses to know what a unit means.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};

use super::Release;
use super::binary::{Binary, Libc};
use super::tarball::archive;
use super::tree::{Entry, Tree, unit};
use crate::step::output;

pub(super) fn write(
    into: &Path,
    release: &Release,
    binary: &Binary,
    tree: &Tree,
) -> Result<PathBuf> {
    let architecture = binary.processor.debian();
    let files = files(release, binary, tree)?;
    let control = control(release, binary, &files)?;
    let mut deb = b"!<arch>\n".to_vec();
    member(&mut deb, release, "debian-binary", b"2.0\n")?;
    let control = archive(Vec::new(), release.epoch, control)?;
    member(&mut deb, release, "control.tar.gz", &control)?;
    let data = archive(Vec::new(), release.epoch, files)?;
    member(&mut deb, release, "data.tar.gz", &data)?;
    let path = into.join(format!("skep_{}-1_{architecture}.deb", release.version));
    fs::write(&path, deb).with_context(|| format!("could not write `{}`", path.display()))?;
    Ok(path)
}

/// One file of an `ar` archive: a header of 60 bytes, and an even number of bytes after it.
fn member(deb: &mut Vec<u8>, release: &Release, name: &str, content: &[u8]) -> Result<()> {
    let epoch = release.epoch;
    let length = content.len();
    writeln!(
        deb,
        "{name:<16}{epoch:<12}{:<6}{:<6}{:<8}{length:<10}`",
        0, 0, "100644"
    )?;
    deb.extend_from_slice(content);
    if length % 2 == 1 {
        deb.push(b'\n');
    }
    Ok(())
}

fn files(release: &Release, binary: &Binary, tree: &Tree) -> Result<Vec<Entry>> {
    let mut entries = vec![
        Entry::program("./usr/bin/skep".to_owned(), &binary.path)?,
        Entry::text(
            "./usr/lib/systemd/system/skep.service".to_owned(),
            &unit("/usr/bin/skep")?,
        ),
        Entry::text("./usr/share/lintian/overrides/skep".to_owned(), OVERRIDES),
    ];
    for mut entry in tree.entries("./usr", "share/zsh/vendor-completions") {
        let plain = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        match plain.as_str() {
            // Debian has the one, and `copyright` has the other.
            "LICENSE-APACHE" | "LICENSE-MIT" => continue,
            "CHANGELOG.md" => entry.path = "./usr/share/doc/skep/changelog".to_owned(),
            _ => {}
        }
        if entry.path.ends_with("/changelog") || entry.path.contains("/man/") {
            entry.content = packed(&entry.content)?;
            entry.path.push_str(".gz");
        }
        entries.push(entry);
    }
    entries.push(Entry::text(
        "./usr/share/doc/skep/copyright".to_owned(),
        &copyright(tree)?,
    ));
    entries.push(Entry::file(
        "./usr/share/doc/skep/changelog.Debian.gz".to_owned(),
        packed(changelog(release)?.as_bytes())?,
    ));
    Ok(entries)
}

/// What changed in the packaging, in Debian's form.
fn changelog(release: &Release) -> Result<String> {
    let mut date = Command::new("date");
    let date = date.args(["-u", "-R", "-d", &format!("@{}", release.epoch)]);
    let date = output(date.env("LC_ALL", "C"))?;
    Ok(format!(
        "skep ({}-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- {}  {date}\n",
        release.version, release.maintainer
    ))
}

fn packed(text: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    packed.write_all(text)?;
    Ok(packed.finish()?)
}

/// Debian's machine-readable form; the licence of Apache is on every Debian already.
fn copyright(tree: &Tree) -> Result<String> {
    let mit = tree
        .documents
        .iter()
        .find(|(name, _)| *name == "LICENSE-MIT");
    let Some((_, mit)) = mit else {
        bail!("there is no LICENSE-MIT")
    };
    let mit = String::from_utf8_lossy(mit);
    let holder = mit
        .lines()
        .find(|line| line.starts_with("Copyright"))
        .unwrap_or("Copyright: the skep authors");
    let holder = holder
        .trim_start_matches("Copyright")
        .trim_start_matches(" (c)")
        .trim();
    let mut text = format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: skep\n\nFiles: *\nCopyright: {holder}\nLicense: Expat or Apache-2.0\n\nLicense: Expat\n"
    );
    for line in mit
        .lines()
        .skip_while(|line| !line.starts_with("Permission"))
    {
        // Writing to a `String` cannot fail.
        let _ = match line.trim_end() {
            "" => writeln!(text, " ."),
            line => writeln!(text, " {line}"),
        };
    }
    text.push_str(
        "\nLicense: Apache-2.0\n On Debian systems the full text of this licence is in\n /usr/share/common-licenses/Apache-2.0.\n",
    );
    Ok(text)
}

fn control(release: &Release, binary: &Binary, files: &[Entry]) -> Result<Vec<Entry>> {
    let Libc::Gnu(glibc) = &binary.libc else {
        bail!("a static binary is not packaged for Debian")
    };
    let kib: usize = files
        .iter()
        .map(|file| file.content.len().div_ceil(1024))
        .sum();
    let control = format!(
        "Package: skep\n\
         Version: {version}-1\n\
         Architecture: {architecture}\n\
         Maintainer: {maintainer}\n\
         Installed-Size: {kib}\n\
         Depends: libc6 (>= {glibc}), libgcc-s1 (>= 4.2), passwd\n\
         Recommends: ca-certificates, systemd\n\
         Section: net\n\
         Priority: optional\n\
         Description: {DESCRIPTION}",
        version = release.version,
        architecture = binary.processor.debian(),
        maintainer = release.maintainer,
    );
    // As `md5sum` writes them, of paths without the leading dot: dpkg --verify reads them, and no other digest.
    let script = |name: &str, text: &str| {
        let mut script = Entry::text(format!("./{name}"), text);
        script.mode = 0o755;
        script
    };
    Ok(vec![
        Entry::text("./control".to_owned(), &control),
        script("postinst", POSTINST),
        script("prerm", PRERM),
        script("postrm", POSTRM),
    ])
}

const DESCRIPTION: &str = "\
one private AI cluster from one binary
 skep runs language models on the machines you have and serves them to any
 OpenAI client. Nodes find each other, share models and requests, and go on
 when one of them fails.
 .
 This package brings a hardened service with a user of its own.
";

const OVERRIDES: &str = "\
# The names of functions are kept: without them a crash report says nothing.
skep: unstripped-binary-or-object [usr/bin/skep]
# No bug of Debian's is closed by it: it is packaged by those who make it.
skep: initial-upload-closes-no-bugs *
";

const POSTINST: &str = include_str!("deb/postinst.sh");
const PRERM: &str = include_str!("deb/prerm.sh");
const POSTRM: &str = include_str!("deb/postrm.sh");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_begin_at_even_places() {
        let release = Release {
            version: "1".to_owned(),
            epoch: 7,
            url: String::new(),
            maintainer: String::new(),
        };
        let mut deb = b"!<arch>\n".to_vec();
        member(&mut deb, &release, "a", b"odd").unwrap();
        member(&mut deb, &release, "b", b"even").unwrap();
        let text = String::from_utf8(deb).unwrap();
        assert_eq!(
            &text[8..68],
            "a               7           0     0     100644  3         `\n"
        );
        assert_eq!(&text[68..72], "odd\n");
        assert_eq!(text.len(), 8 + 60 + 4 + 60 + 4);
    }
}
