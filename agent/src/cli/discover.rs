//! `skep discover`: who else is on the local network, and at listed places.

use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, say};
use super::waiting::Waiting;
use super::{Failure, print_json};
use crate::client::Client;
use crate::wire::Neighbours;

pub(super) fn discover(client: &Client, json: bool) -> Result<(), Failure> {
    let waiting = Waiting::begin("listening to the local network");
    let found: Result<Neighbours, _> = client.get("/api/v1/cluster/neighbours");
    drop(waiting);
    let found = found?;
    if json {
        return print_json(&found);
    }
    Ok(say(render(&found, Paint::for_stdout()))?)
}

pub(super) fn render(found: &Neighbours, paint: Paint) -> String {
    if found.neighbours.is_empty() {
        return "nobody was heard. A node says that it is there while it has, or invites, others: \
                `skep token new` on one of them makes it heard; `cluster.look` lists places beyond the local network"
            .to_owned();
    }
    let mut table = Table::new(["NEIGHBOUR", "USABLE", "VERSION", "ADDRESS", "WHY"]);
    for one in &found.neighbours {
        let (usable, hue) = if one.usable {
            ("yes", Hue::Good)
        } else {
            ("no", Hue::Doubtful)
        };
        let address = one.addresses.first().map(ToString::to_string);
        table.row([
            Cell::new(one.name.as_str(), Hue::Strong),
            Cell::new(usable, hue),
            one.version.as_deref().unwrap_or("-").into(),
            address.as_deref().unwrap_or("-").into(),
            one.why.as_str().into(),
        ]);
    }
    table.render(paint)
}
