//! Lines for the operator on their way to the agent. Decides that a flood of them holds up no call and takes no memory: what
//! does not fit is counted.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::{Sender, WeakSender};

use crate::host::Pen;
use crate::protocol::{FromService, LineLevel};

/// All that a service's calls write, under one limit.
pub(super) struct Lines {
    pen: Mutex<Pen>,
    /// Weak, so that whoever holds a line's end does not hold up the process's.
    outbox: WeakSender<FromService>,
}

impl Lines {
    pub(super) fn new(outbox: &Sender<FromService>) -> Self {
        Self {
            pen: Mutex::new(Pen::new()),
            outbox: outbox.downgrade(),
        }
    }

    pub(super) fn write(&self, level: LineLevel, text: &str) {
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        pen.write(level, text);
        for line in pen.take() {
            let dropped = line.dropped;
            let sent = match self.outbox.upgrade() {
                Some(outbox) => outbox.try_send(FromService::Log(line)).is_ok(),
                None => false,
            };
            if !sent {
                pen.lost(dropped + 1);
            }
        }
    }
}
