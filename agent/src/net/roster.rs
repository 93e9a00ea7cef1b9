//! What the transport must know of the cluster: whom to let in.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::CertificateDer;
use skep_core::{ClusterId, NodeId};

/// The cluster as it stands.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Which; none before this node has one.
    pub cluster: Option<ClusterId>,
    /// Who may sign certificates: the authority in use, and those that come or go.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Who is a member and so may speak.
    pub members: BTreeSet<NodeId>,
}

/// The newest roster, where every handshake finds it. Copies are one.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<RwLock<Arc<Roster>>>);

impl Gate {
    /// The roster as it is now.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on this one counts.
    pub fn set(&self, roster: Roster) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
    }

    /// Whether a node may speak.
    #[must_use]
    pub fn admits(&self, node: NodeId) -> bool {
        self.roster().members.contains(&node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_the_gate_sees_the_newest_roster() {
        let (gate, node) = (Gate::default(), NodeId([1; 16]));
        let copy = gate.clone();
        assert!(!copy.admits(node));
        assert_eq!(copy.roster().cluster, None);
        gate.set(Roster {
            members: [node].into(),
            ..Roster::default()
        });
        let before = copy.roster();
        assert!(copy.admits(node));
        assert!(!copy.admits(NodeId([2; 16])));
        gate.set(Roster::default());
        assert!(!copy.admits(node));
        // Whoever looked before still has what it saw.
        assert!(before.members.contains(&node));
    }
}
