//! `skep nodes` and the verbs of `skep node`: the machines of the cluster.

use std::collections::BTreeMap;

use super::arguments::NodeCommand;
use super::figures;
use super::table::{Cell, Hue, Table};
use super::terminal::{Paint, printable, say};
use super::{Failure, node, print_json, segment};
use crate::client::Client;
use crate::wire::{ClusterNode, ClusterNodes, DeviceFacts, NewLabels, NewName, NodeState, Top};

pub(super) fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let nodes: ClusterNodes = client.get("/api/v1/cluster/nodes")?;
    if json {
        return print_json(&nodes);
    }
    Ok(say(render(&nodes, Paint::for_stdout()))?)
}

pub(super) fn render(nodes: &ClusterNodes, paint: Paint) -> String {
    let mut table = Table::new([
        "NODE",
        "STATE",
        "ROLE",
        "VERSION",
        "DEVICES",
        ">MODELS",
        ">REQUESTS",
        ">RTT",
        "LAST SEEN",
        "ADDRESS",
        "WHY",
    ]);
    for node in &nodes.nodes {
        let (state, hue) = state(node.state);
        let mut role = node.role.clone();
        if node.leads {
            role += ", leads";
        }
        let name = if node.here {
            format!("{} (here)", node.name)
        } else {
            node.name.clone()
        };
        let seen = match node.last_seen_s {
            _ if node.here => "-".to_owned(),
            None => "never".to_owned(),
            Some(0) => "now".to_owned(),
            Some(ago) => format!("{} ago", figures::span(ago)),
        };
        let requests = match (node.running, node.waiting) {
            (running, 0) => running.to_string(),
            (running, waiting) => format!("{running}+{waiting}"),
        };
        table.row([
            Cell::new(name, Hue::Strong),
            Cell::new(state, hue),
            role.into(),
            node.version.as_deref().unwrap_or("-").into(),
            devices(&node.devices),
            node.replicas.to_string().into(),
            requests.into(),
            round_trip(node.round_trip_us).into(),
            seen.into(),
            node.address
                .map_or_else(|| "-".to_owned(), |address| address.to_string())
                .into(),
            Cell::new(why(node), Hue::Faint),
        ]);
    }
    table.render(paint)
}

fn state(state: NodeState) -> (&'static str, Hue) {
    match state {
        NodeState::Up => ("up", Hue::Good),
        NodeState::Draining => ("draining", Hue::Doubtful),
        NodeState::Pending => ("pending", Hue::Doubtful),
        NodeState::Joining => ("joining", Hue::Doubtful),
        NodeState::Down => ("down", Hue::Bad),
    }
}

/// The worst of them gives the colour.
fn devices(devices: &[DeviceFacts]) -> Cell {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for device in devices {
        *kinds.entry(&device.kind).or_default() += 1;
    }
    let text: Vec<String> = kinds
        .into_iter()
        .map(|(kind, count)| match count {
            1 => kind.to_owned(),
            count => format!("{count} {kind}"),
        })
        .collect();
    let is = |health: &str| devices.iter().any(|device| device.health == health);
    let hue = match (is("lost"), is("degraded")) {
        (true, _) => Hue::Bad,
        (false, true) => Hue::Doubtful,
        (false, false) => Hue::Plain,
    };
    match text.is_empty() {
        true => Cell::from("-"),
        false => Cell::new(text.join(", "), hue),
    }
}

/// Why the node is as it is; else what is wrong with a device of it.
fn why(node: &ClusterNode) -> String {
    if !node.why.is_empty() {
        return node.why.clone();
    }
    let ill = node.devices.iter().find(|device| device.why.is_some());
    ill.map_or_else(String::new, |device| {
        let why = device.why.as_deref().unwrap_or_default();
        format!("{} is {}: {why}", device.id, device.health)
    })
}

fn round_trip(us: Option<u64>) -> String {
    match us {
        None => "-".to_owned(),
        Some(us @ 0..1_000) => format!("{us} µs"),
        Some(us) => format!(
            "{:.1} ms",
            std::time::Duration::from_micros(us).as_secs_f64() * 1e3
        ),
    }
}

pub(super) fn act(client: &Client, command: &NodeCommand) -> Result<(), Failure> {
    let nobody = serde_json::json!({});
    match command {
        NodeCommand::Show { node, json } => show(client, node, *json),
        // The caller has seen to them.
        NodeCommand::BurnIn(_) | NodeCommand::Adopt { .. } | NodeCommand::Add(_) => Ok(()),
        NodeCommand::Approve { node } => {
            let changed: ClusterNode = client.post(&path(node, "approve"), &nobody)?;
            told(&changed, "is a member now")
        }
        NodeCommand::Drain { node } => {
            let changed: ClusterNode = client.post(&path(node, "drain"), &nobody)?;
            let running = changed.running + changed.waiting;
            told(
                &changed,
                &format!("gets no new work; {running} requests there may finish"),
            )
        }
        NodeCommand::Resume { node } => {
            let changed: ClusterNode = client.post(&path(node, "resume"), &nobody)?;
            told(&changed, "gets work again")
        }
        NodeCommand::Remove { node } => {
            let removed: ClusterNode =
                client.delete(&format!("/api/v1/cluster/nodes/{}", segment(node)))?;
            told(&removed, "is no member any more")
        }
        NodeCommand::Rename { node, name } => {
            let wish = NewName { name: name.clone() };
            let changed: ClusterNode = client.post(&path(node, "rename"), &wish)?;
            told(&changed, &format!("is what {node} is called now"))
        }
        NodeCommand::Label { node, labels } => {
            let labels = labels.iter().map(|text| label(text));
            let wish = NewLabels {
                labels: labels.collect::<Result<_, Failure>>()?,
            };
            let changed: ClusterNode = client.post(&path(node, "label"), &wish)?;
            let now: Vec<String> = changed
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            told(&changed, &format!("is labelled {}", now.join(" ")))
        }
    }
}

fn show(client: &Client, name: &str, json: bool) -> Result<(), Failure> {
    let top: Top = client.get(&format!("/api/v1/cluster/nodes/{}", segment(name)))?;
    if json {
        return print_json(&top);
    }
    let gone = || Failure::new(format!("`{name}` said nothing of itself; try again"));
    let found = top.nodes.first().ok_or_else(gone)?;
    let now = crate::keys::unix_now_s();
    Ok(say(node::render(found, Paint::for_stdout(), now))?)
}

fn path(node: &str, verb: &str) -> String {
    format!("/api/v1/cluster/nodes/{}/{verb}", segment(node))
}

fn told(node: &ClusterNode, what: &str) -> Result<(), Failure> {
    Ok(say(printable(&format!("`{}` {what}", node.name)))?)
}

/// `KEY=VALUE`, or `KEY-`.
fn label(text: &str) -> Result<(String, Option<String>), Failure> {
    if let Some((key, value)) = text.split_once('=') {
        return Ok((key.to_owned(), Some(value.to_owned())));
    }
    match text.strip_suffix('-') {
        Some(key) if !key.is_empty() => Ok((key.to_owned(), None)),
        _ => Err(Failure::usage(format!("`{text}` is no label"))
            .with_hint(Some("`gpu=3090` sets one, `gpu-` removes it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let set = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(label("gpu=3090").unwrap(), set("gpu", "3090"));
        assert_eq!(label("a=b=c-").unwrap(), set("a", "b=c-"));
        assert_eq!(label("gpu-").unwrap(), ("gpu".to_owned(), None));
        for bad in ["gpu", "", "-"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
