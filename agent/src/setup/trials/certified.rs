//! Whether the certificate that was asked for by ACME came, and is shown.

use std::sync::Arc;
use std::time::Instant;

use super::{LOOK, Outcome};
use crate::acme::RenewError;
use crate::agent::Agent;
use crate::keys::unix_now_s;
use crate::limits::SETUP_CERTIFICATE_TIMEOUT;

pub(super) async fn came(agent: &Arc<Agent>) -> Outcome {
    let Some(acme) = &agent.certificates else {
        return Outcome::Skipped("no certificate is had by ACME".to_owned());
    };
    // The agent asks by itself; what failed before is tried once more.
    let deadline = Instant::now() + SETUP_CERTIFICATE_TIMEOUT;
    if acme.view().standing.why.is_some() {
        let tried = tokio::time::timeout(SETUP_CERTIFICATE_TIMEOUT, acme.renew(false));
        if let Ok(Err(RenewError::Failed(error))) = tried.await {
            return Outcome::Failed(vec![error.why()], error.remedy());
        }
    }
    loop {
        let view = acme.view();
        if let Some(given) = &view.given {
            let days = given.validity.left(unix_now_s()).as_secs() / 86_400;
            return Outcome::Passed(vec![
                given.names.join(", "),
                format!("by {}, for {days} more days", given.issuer),
            ]);
        }
        if let Some(why) = view.standing.why {
            return Outcome::Failed(vec![why], view.standing.remedy.unwrap_or_default());
        }
        if Instant::now() > deadline {
            return Outcome::Failed(
                vec!["the authority has not answered yet".to_owned()],
                "try again in a minute; `skep certificate` tells how it stands".to_owned(),
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}
