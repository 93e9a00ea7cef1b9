//! Trying one replica: past the queue and the scheduler, for whoever wants to know whether that very one answers.

use std::sync::Arc;

use skep_core::{NodeId, Replica};

use super::Router;
use crate::fleet::{Exchange, SubmitError};
use crate::protocol::Work;

impl Router {
    /// Every replica that is known of, here and elsewhere; those of upstreams are not among them.
    #[must_use]
    pub fn replicas_anywhere(&self) -> Vec<Replica> {
        let state = self.state();
        let replicas = state.core.registry().replicas();
        let own = replicas.filter(|replica| replica.upstream().is_none());
        own.cloned().collect()
    }

    /// Hands work to one replica, wherever it is.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn try_replica(&self, replica: &Replica, work: Work) -> Result<Exchange, SubmitError> {
        self.submit(replica.id.0, Arc::new(work))
    }

    /// Has another node load a model. Whether it does is seen by its replicas.
    pub fn load_elsewhere(&self, node: NodeId, model: &str) {
        let elsewhere = self.elsewhere_slot().clone();
        if let Some(elsewhere) = elsewhere {
            elsewhere.load(node, &Arc::from(model));
        }
    }
}
