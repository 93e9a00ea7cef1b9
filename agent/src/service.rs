//! The service process: one adapter or notifier with one set of settings, called by the agent over the socket that is this
//! process's standard input.
//!
//! Decides in which order things start, and that the process goes on after any fault of a call. Refuses to know who may be
//! reached (`egress`) and how a component is run (`host`).
//!
//! One thread does everything: calls take turns on it, each for some milliseconds at most while others wait. The walls go up
//! before there is another thread and before anything of the plugin is looked at.
//!
//! | file | decides |
//! |---|---|
//! | `link` | how messages come and go |
//! | `calls` | which calls live, and how each ends |
//! | `call` | what one call tells the agent |
//! | `lines` | which lines reach the operator |

mod call;
mod calls;
mod lines;
mod link;

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use self::calls::Calls;
use self::lines::Lines;
use self::link::{Lost, Outbox, Wire};
use crate::confine::{self, ConfineError, Standing, Walls};
use crate::egress::{Egress, Setup, Teller};
use crate::host::{ServiceLoadError, ServiceParts, ServicePlugin, World};
use crate::limits::SERVICE_RESOLVER_THREADS;
use crate::protocol::{FromService, Line, LineLevel, OpenService, ToService, VERSION};

/// Runs a service on the socket at standard input until the agent is done with it, or gone.
pub fn main() -> ExitCode {
    match run() {
        // The agent is gone, and with it whoever could be told.
        Ok(()) | Err(Lost::Closed) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening, and the exit code says the same.
            let _ = writeln!(std::io::stderr(), "skep service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Lost> {
    if let Err(error) = confine::begin() {
        return Err(Lost::Unconfined(error));
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    if rustix::net::sockopt::socket_domain(&socket) != Ok(rustix::net::AddressFamily::UNIX) {
        return Err(Lost::Protocol(
            "this command is started by the agent: run `skep up`",
        ));
    }
    let mut wire = Wire::new(UnixStream::from(socket));
    wire.send(&FromService::Hello { version: VERSION })?;
    match wire.wait()? {
        ToService::Hello { version: VERSION } => {}
        _ => return Err(Lost::Protocol("the agent is of another version")),
    }
    let ToService::Open(open) = wire.wait()? else {
        return Err(Lost::Protocol("the agent did not say what to open"));
    };
    // It makes a pair of sockets, which nobody does behind the walls, and no thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(SERVICE_RESOLVER_THREADS)
        // A call that computes has the thread for a few milliseconds each time; sockets are looked at in between.
        .event_interval(1)
        .build()?;
    let standing = match raise_walls(&open) {
        Ok(standing) => standing,
        Err(error) => {
            let why = format!("could not confine this process: {error}");
            return wire.send(&FromService::Ending(why));
        }
    };
    if !standing.missing.is_empty() {
        wire.send(&FromService::Log(Line {
            level: LineLevel::Warn,
            text: format!("this system lacks walls: {}", standing.missing.join("; ")),
            dropped: 0,
        }))?;
    }
    let served = runtime.block_on(serve(wire, *open));
    // The system's resolver may still wait for an answer that nobody needs.
    runtime.shutdown_background();
    served
}

async fn serve(wire: Wire, open: OpenService) -> Result<(), Lost> {
    let (mut inbox, outbox) = wire.split()?;
    let plugin = match load(open, &outbox) {
        Ok(plugin) => plugin,
        Err(refusal) => {
            outbox.send(refusal).await;
            return outbox.close().await;
        }
    };
    outbox.send(FromService::Opened).await;
    let (plugin, egress) = plugin;
    let calls = Calls::new(plugin, egress, outbox.sender());
    let served = calls.serve(&mut inbox).await;
    outbox.close().await.and(served)
}

type Loaded = (Arc<ServicePlugin>, Arc<Egress>);

/// Loads the plugin and opens its way out, or says why not.
fn load(open: OpenService, outbox: &Outbox) -> Result<Loaded, FromService> {
    let ending = |what: String| FromService::Ending(what);
    let world: World = open.world.parse().map_err(ending)?;
    let lines = Lines::new(&outbox.sender());
    let teller = Arc::new(Teller::new(move |level, text| lines.write(level, text)));
    let setup = Setup {
        plugin: open.plugin.clone(),
        rights: open.rights,
        own_addresses: open.own_addresses,
        resolver: open.resolver,
        authorities: open.authorities,
        connect: open.timeouts.connect,
        silence: open.timeouts.call,
    };
    let egress = Egress::new(setup, teller).map_err(|error| ending(error.to_string()))?;
    let egress = Arc::new(egress);
    let plugin = ServicePlugin::load(ServiceParts {
        plugin: &open.plugin,
        world,
        compiled: &open.compiled,
        settings: open.settings,
        timeouts: open.timeouts,
        egress: Arc::clone(&egress),
    });
    match plugin {
        Ok(plugin) => Ok((Arc::new(plugin), egress)),
        Err(ServiceLoadError::Stale(_)) => Err(FromService::Stale),
        Err(ServiceLoadError::Unfit(fault)) => Err(ending(fault.to_string())),
    }
}

/// What this process gives up: all but connections outwards, and one file to read.
fn raise_walls(open: &OpenService) -> Result<Standing, ConfineError> {
    Walls {
        network: true,
        read: vec![open.compiled.clone()],
        ..Walls::default()
    }
    .raise()
}
