//! Keeping up with what an upstream offers: asked at the start, every few minutes, after a failure, when nobody listens there
//! any more, and on demand.
//!
//! Decides when. One task per upstream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use skep_core::ReplicaId;

use super::knock;
use super::offers::{Exposed, exposed};
use super::shared::Shared;
use super::tend::told;
use super::unit::{Standing, State, Unit};
use crate::limits::{MODELS_CALL_TIMEOUT, OFFERS_REFRESH, OFFERS_RETRY, OFFERS_RETRY_MAX};
use crate::protocol::Error;

/// Follows an upstream until it is removed.
pub(super) async fn refresh(shared: Arc<Shared>, unit: Arc<Unit>) {
    let mut ending = unit.ending();
    let (mut plugins, mut secrets) = (shared.shelf.watch(), shared.secrets.changes());
    // Where a knock is not heard although requests are, it tells nothing.
    let (mut knocked, mut deaf) = (false, false);
    loop {
        let asked = tokio::select! {
            asked = ask(&shared, &unit) => asked,
            () = told(&mut ending) => return,
        };
        deaf |= knocked && asked.is_ok();
        knocked = false;
        let pause = match asked {
            Ok(()) => OFFERS_REFRESH,
            Err(_) => retry_after(unit.now().failures),
        };
        let may_change = unit.now().standing != Standing::Up;
        tokio::select! {
            // Never in a tight circle, whatever rings.
            () = unit.refresh.notified() => tokio::time::sleep(REFRESH_PAUSE).await,
            () = tokio::time::sleep(pause) => {}
            () = knock::until_silent(&shared, &unit), if !may_change && !deaf => knocked = true,
            _ = plugins.changed(), if may_change => {}
            _ = secrets.changed(), if may_change => {}
            () = told(&mut ending) => return,
        }
    }
}

/// Asks an upstream what it offers now, and remembers that.
pub(super) async fn ask(shared: &Arc<Shared>, unit: &Arc<Unit>) -> Result<(), Error> {
    let calling = unit.mailbox.models();
    let answered = match calling {
        Ok(calling) => calling.answer(MODELS_CALL_TIMEOUT).await,
        Err(error) => Err(Error::Other(error.to_string())),
    };
    match answered {
        Ok(offers) => {
            let known = unit.now().offers;
            let offers = shared.numbered(unit, known.clone(), exposed(&unit.service, offers));
            let news = known != offers;
            unit.set_offers(offers);
            unit.set_up();
            if news {
                let (shared, unit) = (Arc::clone(shared), Arc::clone(unit));
                let keeping = tokio::task::spawn_blocking(move || shared.remembered.keep(&unit));
                // It says itself what went wrong.
                let _ = keeping.await;
            }
            Ok(())
        }
        Err(error) => {
            // Whoever may do nothing yet has failed at nothing.
            let granted = !matches!(unit.now().state, State::NotGranted(_));
            let failures = unit.set_down(error.to_string());
            if failures == 1 && granted {
                tracing::warn!(upstream = %unit.service.name, why = %error, "an upstream does not answer");
            }
            Err(error)
        }
    }
}

/// The same numbers for the same models, new ones for others.
pub(super) fn number(
    known: Vec<(ReplicaId, Exposed)>,
    exposed: Vec<Exposed>,
    mut next: impl FnMut() -> ReplicaId,
) -> Vec<(ReplicaId, Exposed)> {
    let known: HashMap<(Arc<str>, Arc<str>), ReplicaId> = known
        .into_iter()
        .map(|(number, exposed)| ((exposed.id, exposed.name), number))
        .collect();
    let numbered = exposed.into_iter().map(|exposed| {
        let before = known.get(&(exposed.id.clone(), exposed.name.clone()));
        (before.copied().unwrap_or_else(&mut next), exposed)
    });
    numbered.collect()
}

fn retry_after(failures: u32) -> Duration {
    let doubled = 1_u32 << failures.saturating_sub(1).min(16);
    OFFERS_RETRY.saturating_mul(doubled).min(OFFERS_RETRY_MAX)
}

/// Between a failure and the question that follows it.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_grow_to_their_bound() {
        assert_eq!(retry_after(1), OFFERS_RETRY);
        assert_eq!(retry_after(2), OFFERS_RETRY * 2);
        assert_eq!(retry_after(u32::MAX), OFFERS_RETRY_MAX);
    }

    #[test]
    fn a_model_keeps_its_number() {
        let exposed = |id: &str| Exposed {
            name: id.into(),
            id: id.into(),
            info: None,
        };
        let mut last = 0;
        let mut next = || {
            last += 1;
            ReplicaId(last)
        };
        let first = number(Vec::new(), vec![exposed("a"), exposed("b")], &mut next);
        let second = number(first, vec![exposed("b"), exposed("c")], &mut next);
        let numbers: Vec<_> = second.iter().map(|(number, _)| number.0).collect();
        assert_eq!(numbers, [2, 3]);
    }
}
