//! `skep notifier`: who is told of alerts, and whether that works.

use super::arguments::NewService;
use super::terminal::{Paint, printable, say};
use super::waiting::Waiting;
use super::{Failure, segment, services};
use crate::client::Client;
use crate::services::Kind;

pub(super) fn add(client: &Client, typed: &NewService) -> Result<(), Failure> {
    let wish = services::wish(typed)?;
    services::add(client, Kind::Notifier, typed, wish)
}

pub(super) fn test(client: &Client, name: &str) -> Result<(), Failure> {
    let waiting = Waiting::begin("sending");
    let path = format!("/api/v1/notifiers/{}/test", segment(name));
    let sent: Result<serde_json::Value, _> = client.post(&path, &());
    drop(waiting);
    sent?;
    let paint = Paint::for_stdout();
    Ok(say(format!(
        "{} an alert by `{}`; look whether it arrived",
        paint.green("sent"),
        printable(name)
    ))?)
}
