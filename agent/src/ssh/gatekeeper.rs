//! What the other side may ask of us: whether we believe that it is who it is. Everything else, such as a way back into
//! this machine, it is refused.

use std::sync::{Arc, Mutex, PoisonError};

use russh::Channel;
use russh::client::{ChannelOpenHandle, Handler, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};

use super::Target;
use super::known::{HostKey, Known, Verdict};

/// Answers for one connection.
pub(super) struct Gatekeeper {
    pub(super) target: Target,
    pub(super) known: Known,
    /// Fingerprints that a person has agreed to.
    pub(super) accepted: Vec<String>,
    /// What the host has shown.
    pub(super) seen: Arc<Mutex<Option<PublicKey>>>,
}

impl Handler for Gatekeeper {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        // Certificates are not asked for.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let verdict = self.known.judge(&self.target, key);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        let accepted =
            || HostKey::of(key).is_some_and(|key| self.accepted.contains(&key.fingerprint));
        Ok(match verdict {
            Ok(Verdict::Known) => true,
            Ok(Verdict::Unknown) => accepted(),
            Ok(Verdict::Changed { .. } | Verdict::Revoked(_)) | Err(_) => false,
        })
    }

    // Whoever is not answered is refused; russh would let them in.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        Ok(())
    }
}
