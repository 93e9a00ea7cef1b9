//! Who is a member, from joining to removal.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::command::Joining;
use super::event::Event;
use super::member::{Member, Removed, Role, Standing, check_key};
use super::refusal::Refusal;
use super::token::Use;
use super::{State, text};
use crate::ids::{NodeId, TokenId};
use crate::limits::{LABELS_MAX, NODES_MAX, REMOVED_MAX, VOTERS_MAX};

impl State {
    /// A node comes with a token. Who comes again with the token that it used, because it never heard
    /// the answer, gets the same answer; so does a member that comes with a new one, because it slept
    /// through its certificate's end.
    pub(super) fn join(&mut self, at: u64, joining: &Joining) -> Result<Vec<Event>, Refusal> {
        self.check_token(at, joining)?;
        text::check_name(&joining.name)?;
        check_key(&joining.public_key)?;
        text::check_address(joining.address)?;
        self.check_name_free(joining.node, &joining.name)?;
        let known = self.members.get(&joining.node);
        let member = match known {
            Some(member) => {
                if member.public_key != joining.public_key {
                    return Err(Refusal::OtherKey(joining.node));
                }
                if member.role != joining.role {
                    return Err(Refusal::WrongRole {
                        expected: member.role,
                        found: joining.role,
                    });
                }
                Member {
                    name: joining.name.clone(),
                    address: Some(joining.address),
                    token: Some(joining.token),
                    ..Member::clone(member)
                }
            }
            None => self.newcomer(at, joining)?,
        };
        let event = Event::Joined {
            node: joining.node,
            standing: member.standing,
            again: known.is_some(),
        };
        if let Some(token) = self.tokens.get_mut(&joining.token) {
            token.used = Some(Use {
                by: joining.node,
                at,
            });
        }
        self.removed.remove(&joining.node);
        self.members.insert(joining.node, Arc::new(member));
        Ok(vec![event])
    }

    fn check_token(&self, at: u64, joining: &Joining) -> Result<(), Refusal> {
        let id: TokenId = joining.token;
        let token = self.tokens.get(&id).ok_or(Refusal::UnknownToken(id))?;
        if at >= token.expires_at {
            return Err(Refusal::TokenExpired {
                token: id,
                at: token.expires_at,
            });
        }
        if let Some(used) = token.used
            && (used.by != joining.node || !self.members.contains_key(&joining.node))
        {
            return Err(Refusal::TokenUsed {
                token: id,
                by: used.by,
            });
        }
        if token.role != joining.role {
            return Err(Refusal::WrongRole {
                expected: token.role,
                found: joining.role,
            });
        }
        if token
            .name
            .as_ref()
            .is_some_and(|name| *name != joining.name)
        {
            return Err(Refusal::WrongName {
                found: joining.name.escape_debug().take(80).collect(),
            });
        }
        match self.removed.get(&joining.node) {
            Some(removed) if token.revision < removed.revision => Err(Refusal::RemovedNode {
                node: joining.node,
                at: removed.at,
            }),
            _ => Ok(()),
        }
    }

    fn newcomer(&self, at: u64, joining: &Joining) -> Result<Member, Refusal> {
        if self.members.len() >= NODES_MAX {
            return Err(Refusal::TooManyNodes);
        }
        let voters = self
            .members
            .values()
            .filter(|member| member.role == Role::Voter);
        if joining.role == Role::Voter && voters.count() >= VOTERS_MAX {
            return Err(Refusal::TooManyVoters);
        }
        Ok(Member {
            name: joining.name.clone(),
            role: joining.role,
            standing: match joining.role {
                Role::Voter => Standing::Pending,
                Role::Worker => Standing::Member,
            },
            public_key: joining.public_key.clone(),
            address: Some(joining.address),
            labels: BTreeMap::new(),
            joined_at: at,
            token: Some(joining.token),
        })
    }

    pub(super) fn approve(&mut self, node: NodeId) -> Result<Vec<Event>, Refusal> {
        let member = self.known(node)?;
        if member.standing != Standing::Pending {
            return Err(Refusal::NotPending(node));
        }
        member.standing = Standing::Member;
        Ok(vec![Event::Approved(node)])
    }

    pub(super) fn drain(&mut self, node: NodeId) -> Result<Vec<Event>, Refusal> {
        let member = self.known(node)?;
        match member.standing {
            Standing::Pending => return Err(Refusal::Pending(node)),
            Standing::Draining => return Err(Refusal::AlreadyDraining(node)),
            Standing::Member => member.standing = Standing::Draining,
        }
        Ok(vec![Event::Drained(node)])
    }

    pub(super) fn resume(&mut self, node: NodeId) -> Result<Vec<Event>, Refusal> {
        let member = self.known(node)?;
        if member.standing != Standing::Draining {
            return Err(Refusal::NotDraining(node));
        }
        member.standing = Standing::Member;
        Ok(vec![Event::Resumed(node)])
    }

    pub(super) fn remove(&mut self, at: u64, node: NodeId) -> Result<Vec<Event>, Refusal> {
        self.known(node)?;
        let others_vote = self
            .members
            .iter()
            .any(|(other, member)| *other != node && member.votes());
        if !others_vote {
            return Err(Refusal::LastVoter(node));
        }
        if let Some(member) = self.members.remove(&node) {
            let removed = Removed {
                name: member.name.clone(),
                at,
                revision: self.revision,
            };
            self.removed.insert(node, removed);
        }
        Ok(vec![Event::Removed(node)])
    }

    pub(super) fn rename(&mut self, node: NodeId, name: &str) -> Result<Vec<Event>, Refusal> {
        text::check_name(name)?;
        self.check_name_free(node, name)?;
        let member = self.known(node)?;
        let from = std::mem::replace(&mut member.name, name.to_owned());
        Ok(vec![Event::Renamed {
            node,
            from,
            to: name.to_owned(),
        }])
    }

    pub(super) fn label(
        &mut self,
        node: NodeId,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<Vec<Event>, Refusal> {
        for (key, value) in changes {
            text::check_label(key, value.as_deref())?;
        }
        let member = self.known(node)?;
        let mut labels = member.labels.clone();
        for (key, value) in changes {
            match value {
                Some(value) => labels.insert(key.clone(), value.clone()),
                None => labels.remove(key),
            };
        }
        if labels.len() > LABELS_MAX {
            return Err(Refusal::TooManyLabels);
        }
        member.labels = labels;
        Ok(vec![Event::Labelled(node)])
    }

    pub(super) fn relocate(
        &mut self,
        node: NodeId,
        address: SocketAddr,
    ) -> Result<Vec<Event>, Refusal> {
        text::check_address(address)?;
        self.known(node)?.address = Some(address);
        Ok(vec![Event::Moved(node)])
    }

    pub(super) fn prune_removed(&mut self) {
        while self.removed.len() > REMOVED_MAX {
            let oldest = self
                .removed
                .iter()
                .min_by_key(|(_, removed)| removed.revision)
                .map(|(node, _)| *node);
            let Some(oldest) = oldest else { return };
            self.removed.remove(&oldest);
        }
    }

    fn known(&mut self, node: NodeId) -> Result<&mut Member, Refusal> {
        match self.members.get_mut(&node) {
            Some(member) => Ok(Arc::make_mut(member)),
            None => Err(match self.removed.get(&node) {
                Some(removed) => Refusal::RemovedNode {
                    node,
                    at: removed.at,
                },
                None => Refusal::UnknownNode(node),
            }),
        }
    }

    fn check_name_free(&self, node: NodeId, name: &str) -> Result<(), Refusal> {
        match self.member_named(name) {
            Some((other, _)) if other != node => Err(Refusal::NameTaken {
                name: name.to_owned(),
                node: other,
            }),
            _ => Ok(()),
        }
    }
}
