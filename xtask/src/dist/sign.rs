//! The script that installs, digests of everything in the folder, and one signature over them.
//!
//! Decides that one signature is enough: whoever has the digests has everything. The script carries the public key.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{PublicKey, SecretKey, SecretKeyBox};
use sha2::{Digest, Sha256};

use super::Release;
use crate::step::root;

pub(super) fn finish(into: &Path, release: &Release, key: Option<&Path>) -> Result<()> {
    let key = key.map(secret).transpose()?;
    let public = key.as_ref().map(PublicKey::from_secret_key).transpose()?;
    let public = public.map_or_else(String::new, |public| public.to_base64());
    script(into, release, &public)?;
    let sums = sums(into)?;
    fs::write(into.join(SUMS), &sums)?;
    let signature = into.join(format!("{SUMS}.minisig"));
    let Some(key) = key else {
        if signature.exists() {
            fs::remove_file(&signature)?;
        }
        eprintln!(
            "!!! nothing is signed: `--key FILE` names a secret key of minisign's; `install.sh` refuses what is not signed"
        );
        return Ok(());
    };
    let about = format!("skep {} timestamp:{}", release.version, release.epoch);
    let signed = minisign::sign(
        None,
        &key,
        Cursor::new(&sums),
        Some(&about),
        Some("signature from skep's release key"),
    )?;
    fs::write(&signature, signed.into_string())?;
    eprintln!("    signed; the public key is {public}");
    Ok(())
}

/// The secret key of a file; `SKEP_SIGN_PASSWORD` opens one that has a password.
fn secret(path: &Path) -> Result<SecretKey> {
    let text =
        fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    let what = || format!("`{}` cannot be used to sign", path.display());
    if let Some(bytes) = unchecked(&text) {
        return SecretKey::from_bytes(&bytes).with_context(what);
    }
    let boxed = SecretKeyBox::from_string(&text).with_context(what)?;
    match std::env::var("SKEP_SIGN_PASSWORD") {
        Ok(password) => boxed.into_secret_key(Some(password)).with_context(what),
        Err(_) => boxed.into_unencrypted_secret_key().with_context(|| {
            format!(
                "{}; if it has a password, give it in `SKEP_SIGN_PASSWORD`",
                what()
            )
        }),
    }
}

/// The bytes of a key that `minisign -G -W` made: it has neither a password nor, unlike all others, a checksum.
fn unchecked(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    let no_password = bytes.get(2..4)? == [0; 2];
    let no_checksum = bytes.get(126..)? == [0; 32];
    (no_password && no_checksum).then_some(bytes)
}

/// Puts what it needs to know into the script.
fn script(into: &Path, release: &Release, public: &str) -> Result<()> {
    let text = fs::read_to_string(root().join("install.sh"))?;
    let text = text
        .replace("@VERSION@", &release.version)
        .replace("@PUBLIC_KEY@", public)
        .replace("@URL@", &release.url);
    let path = into.join("install.sh");
    fs::write(&path, text)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    Ok(fs::set_permissions(&path, mode)?)
}

/// As `sha256sum` writes them: of everything that is downloaded, packed now or before for another kind of machine.
fn sums(folder: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name == "install.sh" || name.ends_with(".tar.gz") || name.ends_with(".deb") {
            let digest = Sha256::digest(fs::read(&path)?);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push((name, hex));
        }
    }
    lines.sort();
    Ok(lines
        .iter()
        .map(|(name, hex)| format!("{hex}  {name}\n"))
        .collect())
}

const SUMS: &str = "SHA256SUMS";
