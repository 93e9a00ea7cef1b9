//! `skep plugin new`: a project that builds at once.
//!
//! Decides which files it has. Refuses to overwrite anything, and to reach for what this program does not carry.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::arguments::New;
use crate::cli::terminal::say;
use crate::plugins::manifest::check_name;

/// Path in the repository, and text.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/project.rs"));

pub(super) fn new(wish: &New) -> Result<(), Failure> {
    check_name("name", &wish.name).map_err(|error| Failure::usage(error.to_string()))?;
    let files = files(&wish.lang, &wish.world).ok_or_else(|| {
        Failure::usage(format!(
            "there is no project of the world `{}` in `{}` yet",
            wish.world, wish.lang
        ))
        .with_hint(Some(
            "there are: rust for every world; js, python and c for scheduler",
        ))
    })?;
    let dir = wish.dir.clone().unwrap_or_else(|| wish.name.clone().into());
    let is_free = match fs::read_dir(&dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(unwritten(&dir, &error)),
    };
    if !is_free {
        let message = format!("`{}` is there and not empty", dir.display());
        return Err(Failure::new(message).with_hint(Some("choose another folder with --dir")));
    }
    let feature = if wish.world == "scheduler" {
        "bare"
    } else {
        "std"
    };
    for (path, text) in files {
        let path = dir.join(path);
        let text = text
            .replace("{{name}}", &wish.name)
            .replace("{{world}}", &wish.world)
            .replace("{{feature}}", feature)
            .replace("{{skep}}", env!("CARGO_PKG_VERSION"));
        let folder = path.parent().unwrap_or(&dir);
        fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
        fs::write(&path, text).map_err(|error| unwritten(&path, &error))?;
    }
    let dir = dir.display();
    let tools = match wish.lang.as_str() {
        "js" => "npm install\n  ",
        "python" => "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt\n  ",
        _ => "",
    };
    Ok(say(format!(
        "wrote `{dir}`\n\nNext:\n  cd {dir}\n  {tools}skep plugin build\n  skep plugin test"
    ))?)
}

/// What a project is made of: path in it, and text.
fn files(lang: &str, world: &str) -> Option<Vec<(PathBuf, &'static str)>> {
    let own = format!("sdk/templates/{lang}/{world}/");
    if !FILES.iter().any(|(path, _)| path.starts_with(&own)) {
        return None;
    }
    let all = format!("sdk/templates/{lang}/all/");
    let place = |path: &str| -> Option<PathBuf> {
        if let Some(rest) = path.strip_prefix(&own).or_else(|| path.strip_prefix(&all)) {
            return Some(match rest {
                "gitignore" => ".gitignore".into(),
                "sdk.toml" => "skep/sdk/Cargo.toml".into(),
                other => other.into(),
            });
        }
        match lang {
            // The SDK and the whole contract: it is on no registry.
            "rust" if path.starts_with("sdk/src/") || path.starts_with("wit/") => {
                Some(Path::new("skep").join(path))
            }
            "rust" => None,
            // A scheduler's file needs no other.
            _ if path == format!("wit/{world}.wit") => Some(path.into()),
            _ => None,
        }
    };
    let found = FILES.iter();
    Some(
        found
            .filter_map(|(path, text)| Some((place(path)?, *text)))
            .collect(),
    )
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("could not write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_project_has_a_manifest_that_can_be_read() {
        let all = [
            ("rust", "scheduler"),
            ("rust", "notifier"),
            ("rust", "upstream"),
            ("rust", "engine"),
            ("js", "scheduler"),
            ("python", "scheduler"),
            ("c", "scheduler"),
        ];
        for (lang, world) in all {
            let files = files(lang, world).unwrap();
            let manifest = files
                .iter()
                .find(|(path, _)| path == Path::new("plugin.toml"));
            let text = manifest.unwrap().1.replace("{{name}}", "calm");
            let manifest = crate::plugins::manifest::Manifest::from_toml(&text).unwrap();
            assert_eq!(manifest.world, world, "{lang}");
        }
        assert!(files("c", "notifier").is_none());
        assert!(files("..", "src").is_none());
    }
}
