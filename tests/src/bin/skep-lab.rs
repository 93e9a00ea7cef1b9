//! `skep-lab N`: a cluster of N machines on this one, for whoever works on skep. Ends with Ctrl-C.
//!
//! Each machine's agent is reached from here as well: its port on loopback is carried to one of ours.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on its terminal"
)]

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use skep_tests::lab::{self, Lab};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let machines = arguments.next().unwrap_or_else(|| "3".to_owned());
    let machines = machines
        .parse()
        .with_context(|| format!("`{machines}` is no number of machines"))?;
    if let Some(why) = lab::missing() {
        bail!("{why}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // From here on a signal ends the wait below, so that the network is taken down again.
    let mut ended = runtime.block_on(async {
        let interrupted = signal(SignalKind::interrupt())?;
        Ok::<_, io::Error>((interrupted, signal(SignalKind::terminate())?))
    })?;
    let started = Instant::now();
    let mut lab = Lab::new(machines)?;
    lab.form()?;
    lab.wait_for(machines.into(), Duration::from_secs(30))?;
    let lab = Arc::new(lab);
    println!(
        "{machines} machines are a cluster, after {:.1} s\n",
        started.elapsed().as_secs_f32()
    );
    for number in 0..lab.machines.len() {
        let port = carry(&lab, number)?;
        if let Some(machine) = lab.machines.get(number) {
            println!(
                "n{}  {}  http://127.0.0.1:{port}/  SKEP_HOME={} SKEP_URL=http://127.0.0.1:{port} SKEP_API_KEY={} skep nodes",
                number + 1,
                machine.address,
                machine.home().display(),
                machine.secret().unwrap_or_default()
            );
        }
    }
    println!("\nCtrl-C ends it, and nothing stays");
    runtime.block_on(async {
        tokio::select! {
            _ = ended.0.recv() => {}
            _ = ended.1.recv() => {}
        }
    });
    Ok(())
}

/// Carries connections to a port here to a machine's agent.
fn carry(lab: &Arc<Lab>, number: usize) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let lab = Arc::downgrade(lab);
    std::thread::spawn(move || {
        for here in listener.incoming().map_while(Result::ok) {
            let Some(lab) = lab.upgrade() else {
                return;
            };
            let Some(Ok(there)) = lab.machines.get(number).map(lab::Machine::connect) else {
                continue;
            };
            // A connection that cannot be doubled is dropped, as one that breaks.
            let _ = join(here, there);
        }
    });
    Ok(port)
}

fn join(here: TcpStream, there: TcpStream) -> io::Result<()> {
    let (here_too, there_too) = (here.try_clone()?, there.try_clone()?);
    std::thread::spawn(move || pour(here, there));
    std::thread::spawn(move || pour(there_too, here_too));
    Ok(())
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
