//! `skep plugin add` and `update`: what somebody agrees to before a plugin runs.
//!
//! Decides what is shown, in which words it is asked, and that nobody agrees by accident: without a terminal everything has to be
//! named. Refuses to know whether it suffices, which the agent checks again.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::person::person;
use crate::cli::arguments::Terms;
use crate::cli::terminal::{Paint, complain, printable, say};
use crate::cli::waiting::Waiting;
use crate::cli::{Failure, figures, segment};
use crate::client::Client;
use crate::limits::SIGNATURE_BYTES;
use crate::plugins::source::{self, Fetched, Source, SourceError};
use crate::wire::{AddedPlugin, Install, PluginDetails, PluginOffer, PluginWish};

pub(super) fn add(client: &Client, source: &str, terms: Terms) -> Result<(), Failure> {
    take(client, None, source, terms)
}

pub(super) fn update(
    client: &Client,
    name: &str,
    source: Option<&str>,
    terms: Terms,
) -> Result<(), Failure> {
    if let Some(source) = source {
        return take(client, Some(name), source, terms);
    }
    let found: PluginDetails = client.get(&format!("/api/v1/plugins/{}", segment(name)))?;
    let current = found.versions.iter().find(|version| version.current);
    let source = current.and_then(|current| current.source.clone());
    let source = source.ok_or_else(|| {
        Failure::usage(format!(
            "it is not known where a newer `{name}` may be found"
        ))
        .with_hint(Some(format!("skep plugin update {name} FILE|URL|oci://…")))
    })?;
    take(client, Some(name), &source, terms)
}

fn take(client: &Client, updates: Option<&str>, source: &str, terms: Terms) -> Result<(), Failure> {
    let fetched = fetch(source, &terms)?;
    let signature = fetched.signature.map(|text| STANDARD.encode(text));
    let waiting = Waiting::begin("looking at it");
    let offer: Result<PluginOffer, _> =
        client.offer("/api/v1/plugins/-/inspect", fetched.component, signature);
    drop(waiting);
    let offer = offer?;
    check(&offer, updates, terms.sha256.as_deref())?;
    if let (Some(name), Some(present)) = (updates, &offer.present)
        && present.digest == offer.digest
    {
        let text = format!("`{name}` is {} already, to the byte", present.version);
        return Ok(say(printable(&text))?);
    }
    complain(&told(&offer, source, Paint::for_stderr()));
    let agreed = agree(&offer, updates, source, terms)?;
    let wish = Install {
        digest: offer.digest,
        grants: agreed.grants,
        accepts: agreed.accepts,
        updates: updates.map(str::to_owned),
        source: fetched.source,
        by: Some(person()),
    };
    let waiting = Waiting::begin("compiling and trying it");
    let added: Result<AddedPlugin, _> = client.post("/api/v1/plugins/-/install", &wish);
    drop(waiting);
    let added = added?;
    let next = match added.world.as_str() {
        "scheduler" => format!("skep scheduler use {}", added.name),
        "upstream" | "notifier" => {
            format!("skep {} add NAME --plugin {}", added.world, added.name)
        }
        "installer" => "skep setup".to_owned(),
        "engine" => format!(
            "name the models that it runs in the configuration: [models] engines = {{ MODEL = \"{}\" }}",
            added.name
        ),
        _ => format!("skep plugin show {}", added.name),
    };
    let done = Paint::for_stdout().green(if updates.is_some() {
        "updated"
    } else {
        "added"
    });
    let text = format!("`{}` {} ({})", added.name, added.version, added.digest);
    say(format!("{done} {}", printable(&text)))?;
    if updates.is_none() {
        complain(&format!("next: {}", printable(&next)));
    }
    Ok(())
}

/// Gets the bytes, with a bar where it takes a while.
fn fetch(text: &str, terms: &Terms) -> Result<Fetched, Failure> {
    let failed = |error: SourceError| {
        let hint = error.hint();
        Failure::chain(&error).with_hint(hint)
    };
    let source = Source::parse(text).map_err(failed)?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if matches!(source, Source::File(_)) {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let mut progress = |done, total: Option<u64>| {
        if bar.length() != total || done == 0 {
            let template = match total {
                Some(_) => "fetching {bytes} of {total_bytes} {wide_bar:.cyan/dim} {eta} left",
                None => "fetching {bytes} {spinner}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━━─"));
            }
            if let Some(total) = total {
                bar.set_length(total);
            }
        }
        bar.set_position(done);
    };
    let fetched = source.fetch(&mut progress);
    bar.finish_and_clear();
    let mut fetched = fetched.map_err(failed)?;
    if let Some(path) = &terms.signature {
        fetched.signature = Some(source::file(path, SIGNATURE_BYTES).map_err(failed)?);
    }
    Ok(fetched)
}

/// Whether it is what was meant at all.
fn check(offer: &PluginOffer, updates: Option<&str>, digest: Option<&str>) -> Result<(), Failure> {
    let digits = |text: &str| {
        text.strip_prefix("sha256:")
            .unwrap_or(text)
            .to_ascii_lowercase()
    };
    if let Some(digest) = digest
        && digits(digest) != digits(&offer.digest)
    {
        return Err(Failure::new(format!(
            "its digest is {} and not what you named",
            offer.digest
        ))
        .with_hint(Some("do not use it: ask whoever offers it")));
    }
    let name = &offer.manifest.name;
    match updates {
        Some(updates) if updates != name => Err(Failure::new(format!(
            "the component is of the plugin `{name}` and not of `{updates}`"
        ))),
        Some(_) if offer.present.is_none() => {
            Err(Failure::new(format!("there is no plugin `{name}` here"))
                .with_hint(Some("`skep plugin add` adds it")))
        }
        None if offer.present.is_some() => {
            Err(Failure::new(format!("there is a plugin `{name}` already"))
                .with_hint(Some(format!("skep plugin update {name} FILE|URL|oci://…"))))
        }
        _ => Ok(()),
    }
}

/// What was agreed to by name.
struct Agreed {
    grants: Vec<String>,
    accepts: Vec<String>,
}

fn agree(
    offer: &PluginOffer,
    updates: Option<&str>,
    source: &str,
    terms: Terms,
) -> Result<Agreed, Failure> {
    let mut agreed = Agreed {
        grants: terms.grants,
        accepts: terms.accepts,
    };
    let open = |wish: &&PluginWish| !wish.granted && wish.capability.is_some();
    let open: Vec<&PluginWish> = offer.wishes.iter().filter(open).collect();
    let named = |wish: &&&PluginWish| {
        let capability = wish.capability.as_ref();
        !capability.is_some_and(|capability| agreed.grants.contains(capability))
    };
    let open: Vec<&PluginWish> = open.iter().filter(named).copied().collect();
    let needed = || open.iter().filter(|wish| !wish.optional);
    let doubts = offer.doubts.iter();
    let doubts: Vec<_> = doubts
        .filter(|doubt| !agreed.accepts.contains(&doubt.name))
        .collect();
    if !offer.asks && agreed.grants.is_empty() {
        complain("it touches nothing that it may not touch already");
        return Ok(agreed);
    }
    let flags = needed().filter_map(|wish| wish.capability.as_ref());
    let flags = flags.map(|one| format!(" --grant {one}"));
    let flags: String = flags
        .chain(
            doubts
                .iter()
                .map(|doubt| format!(" --accept {}", doubt.name)),
        )
        .collect();
    if terms.yes {
        if flags.is_empty() {
            return Ok(agreed);
        }
        let message =
            "`--yes` alone does not agree to what it may touch, nor to what speaks against it";
        return Err(Failure::usage(message).with_hint(Some(format!("name each:{flags}"))));
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let verb = updates.map_or_else(|| "add".to_owned(), |name| format!("update {name}"));
        let given: String = agreed
            .grants
            .iter()
            .map(|one| format!(" --grant {one}"))
            .collect();
        return Err(
            Failure::usage("there is no terminal to ask on").with_hint(Some(format!(
                "if you agree: skep plugin {verb} {source} --yes{given}{flags}"
            ))),
        );
    }
    for doubt in doubts {
        let question = format!("{}: {}. Take it all the same?", doubt.name, doubt.words);
        if !asked(&Paint::for_stderr().yellow(printable(&question)))? {
            return Err(declined());
        }
        agreed.accepts.push(doubt.name.clone());
    }
    let name = &offer.manifest.name;
    let question = if needed().next().is_some() {
        format!("Let `{name}` run and touch what it needs?")
    } else {
        format!("Let `{name}` run?")
    };
    if !asked(&question)? {
        return Err(declined());
    }
    agreed
        .grants
        .extend(needed().filter_map(|wish| wish.capability.clone()));
    for wish in open.iter().filter(|wish| wish.optional) {
        if asked(&format!(
            "It works without: let it {} as well?",
            printable(&wish.words)
        ))? {
            agreed.grants.extend(wish.capability.clone());
        }
    }
    Ok(agreed)
}

fn declined() -> Failure {
    Failure::new("you did not agree; nothing was changed")
}

/// A question on the terminal; anything but a clear yes is a no.
fn asked(question: &str) -> Result<bool, Failure> {
    complain(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    let answer = answer.trim();
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

/// Everything that there is to know before one agrees.
pub(in crate::cli) fn told(offer: &PluginOffer, source: &str, paint: Paint) -> String {
    let manifest = &offer.manifest;
    let mut text = String::new();
    let head = format!("{} {}", manifest.name, manifest.version);
    let _ = writeln!(
        text,
        "{}, for the world `{}`",
        paint.bold(head),
        offer.world
    );
    for line in [&manifest.title, &manifest.description] {
        if !line.is_empty() {
            let _ = writeln!(text, "  “{}”", one_line(line));
        }
    }
    let authors = match manifest.authors.as_slice() {
        [] => "nobody says who wrote it".to_owned(),
        authors => format!("by {}", one_line(&authors.join(", "))),
    };
    let licence = match manifest.licence.as_str() {
        "" => "no licence",
        licence => licence,
    };
    let _ = writeln!(text, "  {authors}; {}", one_line(licence));
    if let Some(present) = &offer.present {
        let _ = writeln!(
            text,
            "  in place of {}, {}",
            present.version, present.digest
        );
    }
    let (named, needed) = (source.chars().take(200).collect::<String>(), &offer.wishes);
    let _ = writeln!(
        text,
        "  {}, {}, from `{}`",
        offer.digest,
        figures::size(offer.bytes),
        one_line(named.split('?').next().unwrap_or_default())
    );
    let _ = writeln!(text, "  {}", super::show::signature(&offer.signature));
    if needed.is_empty() {
        let _ = writeln!(text, "\n{}", paint.bold("It asks for nothing."));
    } else {
        let _ = writeln!(text, "\n{}", paint.bold("It asks to:"));
        for wish in needed {
            let _ = writeln!(text, "  {}", super::show::wish(wish, paint));
            let _ = writeln!(
                text,
                "      {}",
                paint.dim(format!("“{}”", one_line(&wish.reason)))
            );
        }
    }
    let _ = writeln!(text, "\n{}", paint.bold("Whatever you grant, it may:"));
    for given in &offer.gives {
        let _ = writeln!(text, "  {given}");
    }
    let _ = writeln!(text, "\n{}", paint.bold("It may not touch:"));
    for not in &offer.may_not {
        let _ = writeln!(text, "  {not}");
    }
    for doubt in &offer.doubts {
        let _ = writeln!(text, "\n{} {}", paint.yellow("beware:"), doubt.words);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// An author's words, which must not look like ours.
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&line).into_owned()
}
