//! Looking at the machine from threads of their own, where a sick driver can hold nobody up: one
//! for the host, one for each vendor's devices.
//!
//! Decides that a vendor without devices is not watched. Refuses to judge what is read.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skep_hw::telemetry::{Device, Host, HostWatch, Places, Source, Vendor, VendorWatch};
use tokio::sync::Notify;

/// What the threads have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    host: Mutex<Option<Arc<Host>>>,
    nvidia: Mutex<Option<Arc<Look>>>,
    amd: Mutex<Option<Arc<Look>>>,
    /// Rung after each look.
    pub(super) news: Notify,
}

/// A look at one vendor's devices.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) devices: Vec<Device>,
    pub(super) sources: Vec<Source>,
}

/// The threads. Each ends when this is dropped, or, held by a driver, with the process.
#[derive(Debug)]
pub(super) struct Threads {
    _stop: [mpsc::SyncSender<()>; 3],
}

impl Threads {
    pub(super) fn start(interval: Duration, places: &Places, seen: &Arc<Seen>) -> io::Result<Self> {
        let host = {
            let (places, seen) = (places.clone(), Arc::clone(seen));
            spawn("telemetry", interval, move || {
                let mut host = HostWatch::detect(&places);
                move || {
                    put(&seen.host, host.sample(Instant::now()));
                    seen.news.notify_one();
                    true
                }
            })?
        };
        let nvidia = vendor("nvidia", Vendor::Nvidia, interval, places, seen)?;
        let amd = vendor("amd", Vendor::Amd, interval, places, seen)?;
        Ok(Self {
            _stop: [host, nvidia, amd],
        })
    }
}

impl Seen {
    pub(super) fn host(&self) -> Option<Arc<Host>> {
        get(&self.host)
    }

    pub(super) fn vendor(&self, vendor: Vendor) -> Option<Arc<Look>> {
        get(self.of(vendor))
    }

    fn of(&self, vendor: Vendor) -> &Mutex<Option<Arc<Look>>> {
        match vendor {
            Vendor::Nvidia => &self.nvidia,
            Vendor::Amd => &self.amd,
        }
    }
}

fn vendor(
    name: &'static str,
    vendor: Vendor,
    interval: Duration,
    places: &Places,
    seen: &Arc<Seen>,
) -> io::Result<mpsc::SyncSender<()>> {
    let (places, seen) = (places.clone(), Arc::clone(seen));
    spawn(name, interval, move || {
        let mut watch = VendorWatch::detect(vendor, &places);
        move || {
            let devices = watch.sample(Instant::now());
            let look = Look {
                at: Instant::now(),
                devices,
                sources: watch.sources().to_vec(),
            };
            put(seen.of(vendor), look);
            seen.news.notify_one();
            // Where there is nothing to see, no further look follows.
            !watch.is_empty()
        }
    })
}

/// A thread that begins, then looks at every interval for as long as that says `true`.
fn spawn<L: FnMut() -> bool>(
    name: &str,
    interval: Duration,
    begin: impl FnOnce() -> L + Send + 'static,
) -> io::Result<mpsc::SyncSender<()>> {
    let (stop, stopped) = mpsc::sync_channel(0);
    let run = move || {
        let mut look = begin();
        while look() {
            match stopped.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)?;
    Ok(stop)
}

fn put<T>(slot: &Mutex<Option<Arc<T>>>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(value));
}

fn get<T>(slot: &Mutex<Option<Arc<T>>>) -> Option<Arc<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
