//! The step for an agent in a container: a compose file for Docker or Podman.
//!
//! Decides what stands in the file. There is no image of skep: the container has this program, mounted, and a distribution's image
//! around it, from a registry that somebody may choose.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_sdk::installer::{
    Compose, Description, Facts, Finding, Form, Installer, MakeFolder, Need, Owner, Plan, Protocol,
    Vendor, WriteFile, is_path,
};

mod compose;

/// The step.
#[derive(Debug)]
pub struct Containers;

/// The container; none: nobody wants one.
#[derive(Debug)]
pub struct Wish {
    container: Option<Container>,
}

/// An agent in a container.
#[derive(Debug)]
struct Container {
    folder: String,
    image: String,
    port: u16,
    cards: bool,
    start: bool,
}

impl Installer for Containers {
    type Wish = Wish;

    fn describe() -> Description {
        Description::new(
            "Containers",
            "Writes a compose file for an agent in a container of Docker or Podman.",
        )
        .needs(Need::Program("docker".into()))
        .needs(Need::Program("podman".into()))
        .needs(Need::Program("nvidia-ctk".into()))
    }

    fn ask(facts: &Facts, form: &mut Form<'_>) -> Wish {
        // In a container there is none to be started.
        if facts.system.container.is_some() {
            return Wish { container: None };
        }
        let wanted = form
            .flag("container", "Run a further agent in a container")
            .help("Beside this one, with folders and a port of its own: to try something out, or to keep it apart.")
            .get();
        if !wanted {
            return Wish { container: None };
        }
        let folder = ask_folder(facts, form);
        let image = ask_image(form);
        let port = form
            .number("container-port", "Its port (TCP)", 1024, 65535)
            .help("It listens there on this machine only.")
            .default(PORT)
            .get();
        let port = u16::try_from(port).unwrap_or(7430);
        // One of a container's own is seen as listening, too, once it runs.
        let is_other = |program: &str| !OWN.contains(&program);
        if let Some(taken) = facts.taken(Protocol::Tcp, port)
            && let Some(program) = taken.program.as_deref().filter(|program| is_other(program))
        {
            form.wrong(
                "container-port",
                format!("`{program}` listens on it: take another"),
            );
        }
        if facts.agent.listen.ends_with(&format!(":{port}")) {
            form.wrong("container-port", "this agent listens on it: take another");
        }
        let has_cards = facts
            .gpus
            .iter()
            .any(|card| card.vendor == Vendor::Nvidia && card.driver.is_some());
        let cards = has_cards
            && form
                .flag("container-cards", "With NVIDIA's cards")
                .help("NVIDIA's container toolkit has to be installed.")
                .default(facts.program("nvidia-ctk").is_some())
                .get();
        if cards && facts.program("nvidia-ctk").is_none() {
            form.wrong(
                "container-cards",
                "`nvidia-ctk` is not there: install NVIDIA's container toolkit first",
            );
        }
        let has_engine = facts
            .program("docker")
            .or_else(|| facts.program("podman"))
            .is_some();
        let start = has_engine
            && form
                .flag("container-start", "Start it now")
                .help("The image is fetched for that, once.")
                .default(true)
                .get();
        let container = Container {
            folder,
            image,
            port,
            cards,
            start,
        };
        Wish {
            container: Some(container),
        }
    }

    fn plan(facts: &Facts, wish: Wish, plan: &mut Plan) -> Result<(), String> {
        let Some(container) = wish.container else {
            return Ok(());
        };
        if !is_mountable(&facts.agent.executable) {
            return Err("it is not known where this program is, which the container runs".into());
        }
        let owner = || Owner {
            user: String::new(),
            group: String::new(),
        };
        for (folder, why) in [
            (
                container.folder.clone(),
                "What belongs to the container is there.",
            ),
            (
                format!("{}/data", container.folder),
                "Its models and its state are kept there.",
            ),
        ] {
            let folder = MakeFolder {
                path: folder,
                mode: 0o750,
                owner: owner(),
            };
            plan.act(folder, why);
        }
        let file = format!("{}/compose.yaml", container.folder);
        plan.act(
            WriteFile {
                path: file.clone(),
                content: compose::text(facts, &container),
                mode: 0o640,
                owner: owner(),
            },
            "It says how the container is run.",
        );
        if container.start {
            plan.act(
                Compose {
                    project: "skep".into(),
                    file,
                },
                "It runs then, and again when the machine starts.",
            );
        } else {
            plan.note(format!("Start it with `docker compose -f {file} up -d`."));
        }
        plan.note(format!(
            "Its page is at http://127.0.0.1:{}; `SKEP_URL=http://127.0.0.1:{} skep ps` speaks with it.",
            container.port, container.port
        ));
        Ok(())
    }

    fn check(facts: &Facts) -> Vec<Finding> {
        let engines = ["docker", "podman"].into_iter();
        let there: Vec<_> = engines.filter_map(|name| facts.program(name)).collect();
        let mut found = Vec::new();
        for program in &there {
            let version = program.version.as_deref().unwrap_or("of unknown version");
            let evidence = format!("{} {version}", program.path);
            found.push(Finding::fine(
                format!("`{}` can run containers.", program.name),
                evidence,
            ));
        }
        if there.is_empty() {
            let what = "Nothing here runs containers, which skep does not need.";
            found.push(Finding::fine(what, "there is no docker and no podman"));
        }
        found
    }
}

fn ask_folder(facts: &Facts, form: &mut Form<'_>) -> String {
    let base = match (facts.is_root(), facts.agent.home.trim_end_matches('/')) {
        (false, home) if is_mountable(home) => home,
        _ => "/srv",
    };
    let folder = form
        .text("container-folder", "Folder")
        .help("For its compose file, its models and its state.")
        .default(format!("{base}/skep-container"))
        .get();
    if !is_mountable(&folder) {
        form.wrong(
            "container-folder",
            "an absolute path, as `/srv/skep-container`",
        );
    }
    folder
}

fn ask_image(form: &mut Form<'_>) -> String {
    let registry = form
        .choice("registry", "Image from")
        .help("The image of a distribution with which this program runs in the container.")
        .recommend(
            "docker.io/library/debian:stable-slim",
            "Docker Hub: Debian",
            "80 MB.",
        )
        .option(
            "quay.io/fedora/fedora-minimal:latest",
            "Quay: Fedora",
            "130 MB.",
        )
        .option(
            OTHER,
            "Another registry",
            "Your own, or one that is nearer.",
        )
        .default("docker.io/library/debian:stable-slim")
        .advanced()
        .get();
    if registry != OTHER {
        return registry;
    }
    let image = form
        .text("image", "Image")
        .help("With its registry and its tag, or with its digest. It has to have glibc.")
        .placeholder("registry.example.org/debian:stable-slim")
        .at_most(255)
        .get();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let first = image.bytes().next();
    let is_image = first.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && image.bytes().all(fits)
        && image.contains('/');
    if !is_image {
        form.wrong("image", "as `registry.example.org/debian:stable-slim`");
    }
    image
}

/// A colon separates paths in a list of mounts, and a dollar begins a variable there.
fn is_mountable(text: &str) -> bool {
    is_path(text) && !text.contains([':', '$'])
}

/// What listens for a container.
const OWN: [&str; 4] = ["docker-proxy", "rootlessport", "conmon", "skep"];
const OTHER: &str = "other";
const PORT: i64 = 7430;

skep_sdk::installer!(Containers);
