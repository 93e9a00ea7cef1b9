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

/// What `--world` and `--lang` take.
const WORLDS: [&str; 5] = ["scheduler", "notifier", "upstream", "engine", "installer"];
const LANGS: [&str; 4] = ["rust", "js", "python", "c"];

pub(super) fn new(wish: &New) -> Result<(), Failure> {
    check_name("name", &wish.name).map_err(|_| {
        let shown = wish.name.chars().take(64).collect::<String>();
        Failure::usage(format!("`{}` is no name of a plugin", shown.escape_debug())).with_hint(
            Some("names have 1 to 64 of a-z, 0-9 and `-`, a letter first"),
        )
    })?;
    let files = files(&wish.lang, &wish.world).ok_or_else(|| {
        let (lang, world) = (wish.lang.as_str(), wish.world.as_str());
        let worlds: Vec<_> = WORLDS
            .into_iter()
            .filter(|of| is_offered(lang, of))
            .collect();
        let langs = LANGS.into_iter().filter(|of| is_offered(of, world));
        let langs: Vec<_> = langs.map(|lang| format!("`--lang {lang}`")).collect();
        Failure::usage(format!(
            "there is no project of the world `{world}` in `{lang}`: that language has {}",
            worlds.join(", ")
        ))
        .with_hint(Some(format!("{} has one", langs.join(" or "))))
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
    // What imports nothing is built without the standard library.
    let feature = match wish.world.as_str() {
        "scheduler" | "installer" => "bare",
        _ => "std",
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
    if !is_offered(lang, world) {
        return None;
    }
    let own = format!("sdk/templates/{lang}/{world}/");
    let all = format!("sdk/templates/{lang}/all/");
    let http = format!("sdk/templates/{lang}/http/");
    let reaches_out = matches!(world, "notifier" | "upstream");
    let place = |path: &str| -> Option<PathBuf> {
        let shared = path.strip_prefix(&http).filter(|_| reaches_out);
        let shared = shared.or_else(|| path.strip_prefix(&all));
        if let Some(rest) = path.strip_prefix(&own).or(shared) {
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
            _ if is_of(world, path) => Some(path.into()),
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

fn is_offered(lang: &str, world: &str) -> bool {
    let own = format!("sdk/templates/{lang}/{world}/");
    FILES.iter().any(|(path, _)| path.starts_with(&own))
}

/// Whether a file of the contract is one that a world needs.
fn is_of(world: &str, path: &str) -> bool {
    let Some(file) = path.strip_prefix("wit/") else {
        return false;
    };
    match world {
        // HTTP's package names all others of WASI.
        "notifier" | "upstream" => file.starts_with("deps/") || SERVICE_FILES.contains(&file),
        "engine" => ENGINE_FILES.contains(&file),
        // Its file needs no other.
        _ => file.strip_suffix(".wit") == Some(world),
    }
}

/// What the file of the world `upstream`, and so secrets, cannot be read without.
const SERVICE_FILES: [&str; 8] = [
    "compute.wit",
    "engine.wit",
    "files.wit",
    "log.wit",
    "mail.wit",
    "types.wit",
    "upstream.wit",
    "notifier.wit",
];

const ENGINE_FILES: [&str; 5] = [
    "compute.wit",
    "engine.wit",
    "files.wit",
    "log.wit",
    "types.wit",
];

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("could not write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_project_has_a_manifest_that_can_be_read() {
        let langs = ["rust", "js", "python", "c"];
        let worlds = ["scheduler", "notifier", "upstream", "engine"];
        let all = langs
            .into_iter()
            .flat_map(|lang| worlds.map(|world| (lang, world)))
            .chain([("rust", "installer")]);
        for (lang, world) in all {
            let files = files(lang, world).unwrap();
            let manifest = files
                .iter()
                .find(|(path, _)| path == Path::new("plugin.toml"));
            let text = manifest.unwrap().1.replace("{{name}}", "calm");
            let manifest = crate::plugins::manifest::Manifest::from_toml(&text).unwrap();
            assert_eq!(manifest.world, world, "{lang}");
            let is_read = |path: &Path| path.starts_with("wit") && path.extension().is_some();
            let contract = files.iter().any(|(path, _)| is_read(path));
            assert!(contract || lang == "rust", "{lang} {world}");
        }
        assert!(files("cobol", "notifier").is_none());
        assert!(files("..", "src").is_none());
    }
}
