//! What every notifier must do: deliver each kind of alert, say truly whether it did, and tell the host rightly whether to try
//! again, whatever is at the other end.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::server::{End, Reply, Server};
use super::service::{SECRET, ServiceMost, ServiceSubject, Trial, comes_again, refused, scope};
use super::{Check, Checks, Outcome};
use crate::host::{CallError, World};
use crate::limits::TRIAL_AT_ONCE;
use crate::protocol::{Alert, Error, Severity};

/// Statuses after which the same alert is worth another attempt, and those after which it is not.
const LATER: [u16; 4] = [429, 500, 502, 503];
const NEVER: [u16; 4] = [400, 401, 403, 404];

/// Bytes of the long text: what an alert that quotes a driver's log may have.
const LONG: usize = 16 << 10;

struct Suite {
    server: Server,
    trial: Trial,
    /// Every error that it gave.
    said: Vec<String>,
}

pub(super) async fn run(subject: &ServiceSubject<'_>) -> Result<(Vec<Check>, ServiceMost), String> {
    let server = Server::start().await?;
    let trial = subject.open(World::Notifier, &server, "/alerts")?;
    let mut suite = Suite {
        server,
        trial,
        said: Vec::new(),
    };
    let mut checks = Checks::default();
    let kinds = suite.kinds().await;
    let elsewhere = matches!(&kinds, Ok(Outcome::LeftOut(_)));
    checks.note("it delivers every kind of alert", kinds);
    if !elsewhere {
        suite.meet(&mut checks).await;
    }
    let mut most = ServiceMost::default();
    suite.trial.weigh(&mut most);
    Ok((checks.0, most))
}

impl Suite {
    async fn meet(&mut self, checks: &mut Checks) {
        let texts = self.texts().await;
        checks.note("it takes texts in any script, empty and long", texts);
        let secret = self.secret().await;
        checks.note("its secret goes to the receiver, and nowhere else", secret);
        let at_once = self.at_once().await;
        checks.note("it delivers several at once", at_once);
        let later = self.later().await;
        checks.note("it has the host try again when later may be better", later);
        let never = self.never().await;
        checks.note("it does not when the receiver will not take it", never);
        let elsewhere = self.redirected().await;
        checks.note("it goes nowhere else when it is sent there", elsewhere);
        let broken = self.broken().await;
        checks.note("it takes no broken answer for a delivery", broken);
        let endless = self.endless().await;
        checks.note("it ends although the answer does not", endless);
        let http = match self.server.faults().first() {
            None => Ok(Outcome::Fine),
            Some(fault) => Err(fault.clone()),
        };
        checks.note("what it sends is HTTP", http);
        let leak = match self.trial.leak(&self.said) {
            None if self.trial.has_secret => Ok(Outcome::Fine),
            None => Ok(Outcome::LeftOut("it has no secret".to_owned())),
            Some(text) => Err(format!("it is in: {text}")),
        };
        checks.note("its secret is in no line and no error", leak);
    }

    async fn kinds(&mut self) -> Result<Outcome, String> {
        self.server.say(accepted());
        let severities = [Severity::Info, Severity::Warning, Severity::Critical];
        for severity in severities {
            for resolved in [false, true] {
                for node in [None, Some("n1".to_owned())] {
                    let alert = Alert {
                        severity,
                        resolved,
                        node,
                        ..alert("node.down")
                    };
                    if let Some(why) = self.elsewhere(alert).await? {
                        return Ok(Outcome::LeftOut(why));
                    }
                }
            }
        }
        Ok(Outcome::Fine)
    }

    /// Delivers; why it cannot be tried, when it wants to reach somebody else.
    async fn elsewhere(&mut self, alert: Alert) -> Result<Option<String>, String> {
        let delivered = self.notify(alert).await;
        let has_heard = !self.server.heard().is_empty();
        match delivered {
            Ok(()) if has_heard => Ok(None),
            Ok(()) => Err("it said that it delivered, and nothing was sent".to_owned()),
            Err(CallError::Refused(error)) if !has_heard && self.trial.refused() > 0 => Ok(Some(
                format!("it sends to a place of its own, which is not reached from here: {error}"),
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn texts(&mut self) -> Result<Outcome, String> {
        let long = "x".repeat(LONG);
        let odd = "\u{6a21}\u{578b} \u{1f41d} \u{e9}\u{202e}\u{0}\r\n<b>&amp;\"'\\`*_[](){}</b>";
        for text in ["", odd, &long] {
            self.server.say(accepted());
            let alert = Alert {
                id: text.to_owned(),
                title: text.to_owned(),
                text: text.to_owned(),
                cluster: text.to_owned(),
                node: Some(text.to_owned()),
                facts: vec![(text.to_owned(), text.to_owned())],
                at_unix_s: u64::MAX,
                ..alert("device.lost")
            };
            self.deliver(alert).await?;
        }
        Ok(Outcome::Fine)
    }

    async fn secret(&mut self) -> Result<Outcome, String> {
        if !self.trial.has_secret {
            return Ok(Outcome::LeftOut("it has no secret".to_owned()));
        }
        self.server.say(accepted());
        self.deliver(alert("model.failed")).await?;
        let heard = self.server.heard();
        if !heard.iter().any(|heard| heard.head_has(SECRET)) {
            return Err("it was given one and does not send it".to_owned());
        }
        // What the receiver says back comes into an error, and from there to people.
        self.server.answer(|heard| {
            let shown = heard.header("authorization").unwrap_or(SECRET).to_owned();
            Reply::status(401, &format!("this key is wrong: {shown}"))
        });
        let error = self
            .refuse(alert("model.failed"), "its key was refused")
            .await?;
        if comes_again(&error) {
            return Err(format!(
                "its key was refused, and it would be tried again: {error}"
            ));
        }
        Ok(Outcome::Fine)
    }

    async fn at_once(&mut self) -> Result<Outcome, String> {
        self.server.say(accepted());
        let mut calls = JoinSet::new();
        for at in 0..TRIAL_AT_ONCE {
            let alert = Alert {
                id: format!("at-once-{at}"),
                ..alert("load.high")
            };
            let plugin = Arc::clone(&self.trial.plugin);
            calls.spawn(async move { plugin.notify(scope(), alert).await });
        }
        while let Some(delivered) = calls.join_next().await {
            let delivered = delivered.map_err(|error| error.to_string())?;
            delivered.map_err(|error| error.to_string())?;
        }
        let heard = self.server.heard().len();
        if heard < TRIAL_AT_ONCE {
            return Err(format!("{TRIAL_AT_ONCE} were delivered, and {heard} came"));
        }
        Ok(Outcome::Fine)
    }

    async fn later(&mut self) -> Result<Outcome, String> {
        for status in LATER {
            let reply = Reply::status(status, "come back later");
            self.server.say(reply.with("retry-after", "7".to_owned()));
            let when = format!("the receiver answered {status}");
            self.again(&when).await?;
        }
        self.server.say(Reply::Close);
        self.again("the receiver hung up").await?;
        self.server.say(Reply::Silence);
        self.again("the receiver was silent").await?;
        Ok(Outcome::Fine)
    }

    async fn never(&mut self) -> Result<Outcome, String> {
        for status in NEVER {
            self.server.say(Reply::status(status, "no"));
            let when = format!("the receiver answered {status}");
            let error = self.refuse(alert("disk.full"), &when).await?;
            if comes_again(&error) {
                return Err(format!("{when}, and it would be tried again: {error}"));
            }
        }
        Ok(Outcome::Fine)
    }

    async fn redirected(&mut self) -> Result<Outcome, String> {
        let other = Server::start().await?;
        other.say(accepted());
        for status in [301, 302, 307] {
            let reply = Reply::status(status, "");
            let place = format!("http://{}/elsewhere", other.address);
            self.server.say(reply.with("location", place));
            let when = format!("the receiver answered {status}");
            self.refuse(alert("node.down"), &when).await?;
        }
        match other.heard().first() {
            None => Ok(Outcome::Fine),
            Some(heard) => Err(format!("`{}` was asked for there", heard.path)),
        }
    }

    async fn broken(&mut self) -> Result<Outcome, String> {
        self.server.say(Reply::Noise);
        self.refuse(alert("node.down"), "what came was no HTTP")
            .await?;
        // What came is a success, and only its words are cut: it may count as either, but must not break off.
        self.server.say(Reply::Pieces {
            content: "application/json",
            pieces: vec![b"{\"ok\":tr".to_vec()],
            end: End::Cut,
        });
        match self.notify(alert("node.down")).await {
            Err(CallError::Fault(fault)) => Err(fault.to_string()),
            _ => Ok(Outcome::Fine),
        }
    }

    async fn endless(&mut self) -> Result<Outcome, String> {
        for status in [200, 500] {
            self.server.say(Reply::Endless {
                status,
                content: "text/plain",
                piece: vec![b'x'; 16 << 10],
            });
            if let Err(CallError::Fault(fault)) = self.notify(alert("node.down")).await {
                return Err(format!("after {status}: {fault}"));
            }
        }
        Ok(Outcome::Fine)
    }

    async fn again(&mut self, when: &str) -> Result<(), String> {
        let error = self.refuse(alert("disk.full"), when).await?;
        if comes_again(&error) {
            return Ok(());
        }
        Err(format!(
            "{when}, and it would never be tried again: {error}"
        ))
    }

    /// Delivers what must not be delivered.
    async fn refuse(&mut self, alert: Alert, when: &str) -> Result<Error, String> {
        let delivered = self.notify(alert).await;
        refused(delivered, when)
    }

    /// Delivers what must be delivered.
    async fn deliver(&mut self, alert: Alert) -> Result<(), String> {
        self.notify(alert)
            .await
            .map_err(|error| error.to_string())?;
        match self.server.heard().last() {
            Some(_) => Ok(()),
            None => Err("it said that it delivered, and nothing was sent".to_owned()),
        }
    }

    async fn notify(&mut self, alert: Alert) -> Result<(), CallError> {
        let delivered = self.trial.plugin.notify(scope(), alert).await;
        if let Err(error) = &delivered {
            self.said.push(error.to_string());
        }
        delivered
    }
}

fn accepted() -> Reply {
    Reply::json(200, &serde_json::json!({ "ok": true }))
}

fn alert(kind: &str) -> Alert {
    Alert {
        id: "conformance-1".to_owned(),
        kind: kind.to_owned(),
        severity: Severity::Warning,
        title: "something is tried".to_owned(),
        text: "Nothing has happened.".to_owned(),
        cluster: "trial".to_owned(),
        node: None,
        at_unix_s: 1_800_000_000,
        resolved: false,
        facts: vec![("what".to_owned(), "a trial".to_owned())],
    }
}
