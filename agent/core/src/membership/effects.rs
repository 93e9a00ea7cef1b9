//! What foca wants done, kept until the call is over.

use std::time::Duration;

use foca::{Notification, Runtime, Timer};

use super::peer::Peer;

/// Collected effects of one call.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) sends: Vec<(Peer, Vec<u8>)>,
    pub(super) timers: Vec<(Duration, Timer<Peer>)>,
    pub(super) news: Vec<News>,
}

/// What changed in foca's view.
#[derive(Debug)]
pub(super) enum News {
    Up(Peer),
    Down(Peer),
    /// The same node in a later life, whether up or down.
    Renamed(Peer),
    /// We are in a new life ourselves.
    Renewed(Peer),
}

impl Runtime<Peer> for Effects {
    fn notify(&mut self, notification: Notification<'_, Peer>) {
        self.news.push(match notification {
            Notification::MemberUp(peer) => News::Up(peer.clone()),
            Notification::MemberDown(peer) => News::Down(peer.clone()),
            Notification::Rename(_, to) => News::Renamed(to.clone()),
            Notification::Rejoin(me) => News::Renewed(me.clone()),
            Notification::Active | Notification::Idle | Notification::Defunct => return,
        });
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        self.sends.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Peer>, after: Duration) {
        self.timers.push((after, event));
    }
}
