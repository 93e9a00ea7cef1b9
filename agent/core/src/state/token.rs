//! Join tokens, as much of them as the cluster keeps: never the secret.

use serde::{Deserialize, Serialize};

use super::command::Issue;
use super::event::Event;
use super::member::Role;
use super::refusal::Refusal;
use super::{State, text};
use crate::ids::{NodeId, TokenId};
use crate::limits::{TOKEN_KEPT_S, TOKEN_TTL_S_MAX, TOKENS_MAX};

/// A join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SCRAM's `StoredKey`: what the joiner's proof is checked against.
    pub stored_key: [u8; 32],
    /// What whoever comes with it becomes.
    pub role: Role,
    /// The only name by which one may come with it.
    pub name: Option<String>,
    /// Seconds since 1970.
    pub issued_at: u64,
    /// Seconds since 1970; from then on it is worth nothing.
    pub expires_at: u64,
    /// Who came with it.
    pub used: Option<Use>,
    /// The state's revision when it was issued.
    pub(super) revision: u64,
}

/// A token's one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Who came with it.
    pub by: NodeId,
    /// When, seconds since 1970.
    pub at: u64,
}

impl Token {
    /// Whether anybody could still come with it.
    #[must_use]
    pub fn is_open(&self, at: u64) -> bool {
        self.used.is_none() && at < self.expires_at
    }

    fn is_forgotten(&self, at: u64) -> bool {
        at >= self.expires_at.saturating_add(TOKEN_KEPT_S)
    }
}

impl State {
    pub(super) fn issue_token(&mut self, at: u64, issue: &Issue) -> Result<Vec<Event>, Refusal> {
        if let Some(name) = &issue.name {
            text::check_name(name)?;
        }
        let lifetime = issue.expires_at.saturating_sub(at);
        if lifetime == 0 || lifetime > TOKEN_TTL_S_MAX {
            return Err(Refusal::Lifetime);
        }
        if self.tokens.contains_key(&issue.token) {
            return Err(Refusal::TokenExists(issue.token));
        }
        let kept = self.tokens.values().filter(|kept| !kept.is_forgotten(at));
        if kept.count() >= TOKENS_MAX {
            return Err(Refusal::TooManyTokens);
        }
        self.tokens.insert(
            issue.token,
            Token {
                stored_key: issue.stored_key,
                role: issue.role,
                name: issue.name.clone(),
                issued_at: at,
                expires_at: issue.expires_at,
                used: None,
                revision: self.revision,
            },
        );
        Ok(vec![Event::TokenIssued(issue.token)])
    }

    pub(super) fn revoke_token(&mut self, id: TokenId) -> Result<Vec<Event>, Refusal> {
        match self.tokens.remove(&id) {
            Some(_) => Ok(vec![Event::TokenRevoked(id)]),
            None => Err(Refusal::UnknownToken(id)),
        }
    }

    pub(super) fn prune_tokens(&mut self, at: u64, events: &mut Vec<Event>) {
        self.tokens.retain(|id, token| {
            let forgotten = token.is_forgotten(at);
            if forgotten {
                events.push(Event::TokenForgotten(*id));
            }
            !forgotten
        });
    }
}
