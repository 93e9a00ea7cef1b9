//! What the cluster agrees on and must not lose: its authorities, its nodes, its join tokens, its plugins,
//! its people.
//!
//! Decides what each command does and which are refused. The same commands in the same order make
//! the same state and the same events on every node; time is the second that a command carries.
//! Refuses to know how commands become durable, how they reach other nodes, and who may give them.
//!
//! Ids that follow from a key ([`NodeId`], [`AuthorityId`]) are taken as given: whoever makes the
//! command has checked them against the key.

mod authority;
mod command;
mod event;
mod format;
mod member;
mod nodes;
mod plugins;
mod refusal;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::authority::{Authority, AuthorityStanding, Certificate};
pub use self::command::{Action, Command, Founding, Issue, Joining};
pub use self::event::Event;
pub use self::format::{COMMAND_FORMAT, FormatError, STATE_FORMAT};
pub use self::member::{Member, Removed, Role, Standing};
pub use self::plugins::{
    Consent, Grant, Plugin, PluginAction, PluginDigest, PluginEvent, PluginRefusal, PluginVersion,
    Plugins, PreviousVersion, Revoked, SignedBy, Signer,
};
pub use self::refusal::Refusal;
pub use self::token::{Token, Use};
pub use self::users::{
    Arrival, Door, DoorSettings, NewDoor, NewUser, PasswordHash, User, UserAction, UserEvent,
    UserRefusal, UserRole, UserSource, Users, check_user_name,
};
use crate::ids::{AuthorityId, ClusterId, NodeId, TokenId};

/// The cluster's state. Cheap to clone: the nodes are shared between clones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    cluster: Option<Cluster>,
    /// How many commands were accepted: orders what happened independently of clocks.
    revision: u64,
    authorities: BTreeMap<AuthorityId, Authority>,
    members: BTreeMap<NodeId, Arc<Member>>,
    removed: BTreeMap<NodeId, Removed>,
    tokens: BTreeMap<TokenId, Token>,
    plugins: Plugins,
    users: Users,
}

/// What a cluster is from its founding on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Chosen once; clusters with different ids never merge.
    pub id: ClusterId,
    /// For people.
    pub name: String,
    /// The node that founded it.
    pub founder: NodeId,
    /// Seconds since 1970.
    pub founded_at: u64,
}

impl State {
    /// Does what the command says, or refuses it and leaves the state as it was; then
    /// [`Event::Refused`] is the only event.
    pub fn apply(&mut self, command: &Command) -> Vec<Event> {
        self.accept(command)
            .unwrap_or_else(|refusal| vec![Event::Refused(refusal)])
    }

    /// The same with the refusal as an error.
    ///
    /// # Errors
    /// When the command is refused. The state is as it was.
    pub fn accept(&mut self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let at = command.at;
        let mut events = match &command.action {
            Action::Found(founding) => self.found(at, founding)?,
            other => {
                if self.cluster.is_none() {
                    return Err(Refusal::NotFounded);
                }
                self.change(at, other)?
            }
        };
        self.revision = self.revision.saturating_add(1);
        self.prune(at, &mut events);
        Ok(events)
    }

    fn change(&mut self, at: u64, action: &Action) -> Result<Vec<Event>, Refusal> {
        match action {
            Action::Found(_) => Err(Refusal::AlreadyFounded),
            Action::IssueToken(issue) => self.issue_token(at, issue),
            Action::RevokeToken(token) => self.revoke_token(*token),
            Action::Join(joining) => self.join(at, joining),
            Action::Approve(node) => self.approve(*node),
            Action::Drain(node) => self.drain(*node),
            Action::Resume(node) => self.resume(*node),
            Action::Remove(node) => self.remove(at, *node),
            Action::Rename { node, name } => self.rename(*node, name),
            Action::Label { node, labels } => self.label(*node, labels),
            Action::Move { node, address } => self.relocate(*node, *address),
            Action::AddAuthority(certificate) => self.add_authority(at, certificate),
            Action::ActivateAuthority(id) => self.activate_authority(at, *id),
            Action::RetireAuthority(id) => self.retire_authority(*id),
            Action::Plugins(action) => {
                let events = self.plugins.change(at, action).map_err(Refusal::Plugins)?;
                Ok(events.into_iter().map(Event::Plugins).collect())
            }
            Action::Users(action) => {
                let events = self.users.change(at, action).map_err(Refusal::Users)?;
                Ok(events.into_iter().map(Event::Users).collect())
            }
        }
    }

    fn found(&mut self, at: u64, founding: &Founding) -> Result<Vec<Event>, Refusal> {
        if self.cluster.is_some() {
            return Err(Refusal::AlreadyFounded);
        }
        text::check_name(&founding.name)?;
        let member = member::founder(at, founding)?;
        let authority = authority::first(at, &founding.authority)?;
        self.members.insert(founding.founder, Arc::new(member));
        self.authorities.insert(founding.authority.id, authority);
        self.cluster = Some(Cluster {
            id: founding.cluster,
            name: founding.name.clone(),
            founder: founding.founder,
            founded_at: at,
        });
        Ok(vec![Event::Founded(founding.cluster)])
    }

    /// Forgets what time has made useless. Only after an accepted command, so that every node does it
    /// at the same place in the log.
    fn prune(&mut self, at: u64, events: &mut Vec<Event>) {
        self.prune_tokens(at, events);
        self.prune_authorities(at, events);
        self.prune_removed();
    }

    /// The cluster; none before it is founded.
    #[must_use]
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// How many commands were accepted.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Every node, by id, those that await approval included.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (NodeId, &Arc<Member>)> {
        self.members.iter().map(|(node, member)| (*node, member))
    }

    /// A node.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&Arc<Member>> {
        self.members.get(&node)
    }

    /// The node of that name, however its letters are cased.
    #[must_use]
    pub fn member_named(&self, name: &str) -> Option<(NodeId, &Arc<Member>)> {
        self.members()
            .find(|(_, member)| member.name.eq_ignore_ascii_case(name))
    }

    /// What is remembered of nodes that were removed.
    pub fn removed(&self) -> impl ExactSizeIterator<Item = (NodeId, &Removed)> {
        self.removed.iter().map(|(node, removed)| (*node, removed))
    }

    /// Every token that is remembered, used and lately expired ones included.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = (TokenId, &Token)> {
        self.tokens.iter().map(|(id, token)| (*id, token))
    }

    /// A token.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&Token> {
        self.tokens.get(&id)
    }

    /// Every authority that is trusted.
    pub fn authorities(&self) -> impl ExactSizeIterator<Item = (AuthorityId, &Authority)> {
        self.authorities
            .iter()
            .map(|(id, authority)| (*id, authority))
    }

    /// The authority that signs.
    #[must_use]
    pub fn active_authority(&self) -> Option<(AuthorityId, &Authority)> {
        self.authorities()
            .find(|(_, authority)| authority.standing == AuthorityStanding::Active)
    }
}
