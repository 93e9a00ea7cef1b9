//! What `skep upstream` and `skep notifier` share: adding with consent, listing, showing, removing.
//!
//! Decides how consent is asked for: on a terminal each thing by itself, elsewhere only by `--grant`.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::arguments;
use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, complain, printable, say};
use super::{Failure, print_json, segment};
use crate::client::Client;
use crate::services::Kind;
use crate::wire::{NewService, Service, Services, Want, Wants};

/// What was typed, as the agent takes it.
pub(super) fn wish(typed: &arguments::NewService) -> Result<NewService, Failure> {
    let mut settings = BTreeMap::new();
    for (name, value) in &typed.set {
        if settings.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("`{name}` is set twice")));
        }
    }
    Ok(NewService {
        name: typed.name.clone(),
        plugin: typed.plugin.clone(),
        settings,
        grant: typed.grant.clone(),
        by: std::env::var("USER").ok(),
        ..NewService::default()
    })
}

/// Asks for consent where it is needed, and adds the service.
pub(super) fn add(
    client: &Client,
    kind: Kind,
    typed: &arguments::NewService,
    mut wish: NewService,
) -> Result<(), Failure> {
    let path = format!("/api/v1/{kind}s");
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        let wants: Wants = client.post(&format!("{path}/check"), &wish)?;
        for want in &wants.wants {
            let settled = want.granted || wish.grant.contains(&want.capability);
            if settled || !agreed(&wish.plugin, want)? {
                continue;
            }
            wish.grant.push(want.capability.clone());
        }
    }
    let made: Service = if typed.replace {
        client.put(&format!("{path}/{}", segment(&typed.name)), &wish)?
    } else {
        client.post(&path, &wish)?
    };
    if typed.json {
        return print_json(&made);
    }
    let paint = Paint::for_stdout();
    say(format!(
        "{} the {kind} `{}`",
        paint.green("added"),
        printable(&made.name)
    ))?;
    let name = printable(&made.name);
    let why = made.why.as_deref().map(printable).unwrap_or_default();
    complain(&match (kind, made.state.as_str()) {
        (Kind::Upstream, "up") => match made.offers {
            0 => format!(
                "it answers, and has no models: `skep upstream pull {name} MODEL` may get one"
            ),
            1 => format!("it answers for one model: `skep upstream models {name}` names it"),
            many => {
                format!("it answers for {many} models: `skep upstream models {name}` lists them")
            }
        },
        (Kind::Upstream, "down") => {
            format!("it does not answer yet: {why}\n`skep upstream models {name}` tries again")
        }
        (Kind::Upstream, _) => format!("`skep upstream models {name}` tries it"),
        (Kind::Notifier, _) => format!("`skep notifier test {name}` tries it"),
    });
    Ok(())
}

pub(super) fn list(client: &Client, kind: Kind, json: bool) -> Result<(), Failure> {
    let services: Services = client.get(&format!("/api/v1/{kind}s"))?;
    if json {
        return print_json(&services);
    }
    Ok(say(render(
        &services,
        kind,
        Paint::for_stdout(),
        figures::ago,
    ))?)
}

pub(super) fn render(
    services: &Services,
    kind: Kind,
    paint: Paint,
    ago: impl Fn(u64) -> String,
) -> String {
    if services.services.is_empty() {
        let plugins = services.plugins.join(", ");
        return format!(
            "there are no {kind}s; `skep {kind} add NAME --plugin PLUGIN` makes one (plugins: {plugins})"
        );
    }
    let answered = |one: &Service| {
        let at = one.answered_unix_s;
        at.map_or_else(|| Cell::new("never", Hue::Faint), |at| ago(at).into())
    };
    let first = |one: &Service| {
        [
            Cell::new(one.name.as_str(), Hue::Strong),
            one.plugin.as_str().into(),
            Cell::new(standing(one), hue(one)),
        ]
    };
    let why = |one: &Service| one.why.clone().unwrap_or_default().into();
    if kind == Kind::Notifier {
        let mut table = Table::new(["NAME", "PLUGIN", "STATE", "DELIVERED", "WHY"]);
        for one in &services.services {
            let [name, plugin, state] = first(one);
            table.row([name, plugin, state, answered(one), why(one)]);
        }
        return table.render(paint);
    }
    let mut table = Table::new([
        "NAME", "PLUGIN", "STATE", ">MODELS", ">RUNNING", "ANSWERED", "WHY",
    ]);
    for one in &services.services {
        let [name, plugin, state] = first(one);
        table.row([
            name,
            plugin,
            state,
            one.offers.to_string().into(),
            one.requests.to_string().into(),
            answered(one),
            why(one),
        ]);
    }
    table.render(paint)
}

pub(super) fn show(client: &Client, kind: Kind, wish: &arguments::Service) -> Result<(), Failure> {
    let one: Service = client.get(&format!("/api/v1/{kind}s/{}", segment(&wish.name)))?;
    if wish.json {
        return print_json(&one);
    }
    Ok(say(sheet(&one, Paint::for_stdout(), figures::ago))?)
}

pub(super) fn sheet(one: &Service, paint: Paint, ago: impl Fn(u64) -> String) -> String {
    let mut lines = vec![format!(
        "{}  {}, by the plugin {}",
        paint.bold(printable(&one.name)),
        hue(one).paint(standing(one), paint),
        printable(&one.plugin)
    )];
    if let Some(why) = &one.why {
        lines.push(format!("  why       {}", printable(why)));
    }
    if let Some(at) = one.answered_unix_s {
        lines.push(format!("  answered  {}", ago(at)));
    }
    for (name, value) in &one.settings {
        lines.push(format!("  {:<9} {}", printable(name), printable(value)));
    }
    for want in &one.wants {
        let mark = match (want.granted, want.optional) {
            (true, _) => paint.green("granted  "),
            (false, true) => paint.dim("not granted, and not needed"),
            (false, false) => paint.red("not granted"),
        };
        let (capability, reason) = (printable(&want.capability), printable(&want.reason));
        lines.push(format!("  {mark} {capability}: {reason}"));
    }
    let used = &one.used;
    lines.push(format!(
        "  used      {} calls, {} failed; {} requests out, {} refused; {} sent, {} received",
        used.calls,
        used.faults,
        used.requests_out,
        used.refused_out,
        figures::size(used.bytes_out),
        figures::size(used.bytes_in)
    ));
    if let Some(fault) = &one.fault {
        lines.push(format!("  failed    {}", printable(fault)));
    }
    lines.join("\n")
}

pub(super) fn remove(client: &Client, kind: Kind, name: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/{kind}s/{}", segment(name));
    let _: serde_json::Value = client.delete(&path)?;
    Ok(say(format!("removed the {kind} `{}`", printable(name)))?)
}

/// Asks on the terminal for one thing.
fn agreed(plugin: &str, want: &Want) -> Result<bool, Failure> {
    let needed = if want.optional { ", if you like" } else { "" };
    let mut terminal = io::stderr().lock();
    write!(
        terminal,
        "let `{}` {}{needed}?\n  it {}. [y/N] ",
        printable(plugin),
        printable(&want.words),
        printable(&want.reason)
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

fn standing(one: &Service) -> &str {
    match one.process.as_str() {
        "not_granted" => "not granted",
        "restarting" | "failed" => &one.process,
        _ => &one.state,
    }
}

fn hue(one: &Service) -> Hue {
    match standing(one) {
        "up" => Hue::Good,
        "unknown" => Hue::Faint,
        "restarting" => Hue::Doubtful,
        _ => Hue::Bad,
    }
}
