//! Other processes and the world: programs, signals, debuggers, every kind of socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};

use super::{Attempts, Scene, done};

pub(super) fn try_all(scene: &Scene, attempts: &mut Attempts) {
    let victim = scene.victim;
    attempts.made("own: start a thread", {
        std::thread::Builder::new().spawn(|| ()).map(drop)
    });
    // SAFETY: 0 is no signal; it is only looked whether one could be sent.
    attempts.made(
        "own: signal oneself",
        done(unsafe { libc::kill(libc::getpid(), 0) }),
    );

    attempts.made("start a process", fork());
    attempts.made("become another program", exec());
    attempts.made("start a process by clone3", clone3());
    for (name, signal) in [("signal", 0), ("wake", libc::SIGCONT)] {
        // SAFETY: neither does anything to a process that runs.
        let outcome = done(unsafe { libc::kill(victim, signal) });
        attempts.made(&format!("{name} another process"), outcome);
    }
    // SAFETY: 0 is no signal.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, victim, victim, 0) };
    attempts.made("signal a thread of another process", done(sent));
    attempts.made("debug another process", debug(victim));
    attempts.made("read another process's memory", peek(victim));
    // SAFETY: the call takes numbers alone.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, victim, 0) };
    attempts.made("hold another process", done(opened));
    let mut cpus = [0_u64; 16];
    // SAFETY: the kernel writes no more than the length it is given.
    let asked = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, 128, cpus.as_mut_ptr()) };
    attempts.made("own: ask for one's processors", done(asked));
    // SAFETY: the kernel reads as many bytes as it is told.
    let pinned = unsafe { libc::syscall(libc::SYS_sched_setaffinity, victim, 128, cpus.as_ptr()) };
    attempts.made("pin another process", done(pinned));
    let nothing = std::ptr::null::<libc::rlimit>();
    // SAFETY: null means that nothing is set and nothing is told.
    let asked = unsafe { libc::syscall(libc::SYS_prlimit64, victim, 7, nothing, nothing) };
    attempts.made("limit another process", done(asked));

    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, scene.port));
    attempts.made("connect by TCP", TcpStream::connect(server));
    attempts.made("listen by TCP", TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    attempts.made("send by UDP", {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|it| it.send_to(b"x", server))
    });
    attempts.made("connect to an abstract socket", {
        UnixAddress::from_abstract_name(&scene.socket)
            .and_then(|address| UnixStream::connect_addr(&address))
    });
    attempts.made("make a pair of sockets", UnixStream::pair());
    for (name, family, kind) in [
        ("TCP", libc::AF_INET, libc::SOCK_STREAM),
        ("TCP over IPv6", libc::AF_INET6, libc::SOCK_STREAM),
        ("UDP", libc::AF_INET, libc::SOCK_DGRAM),
        ("Unix", libc::AF_UNIX, libc::SOCK_STREAM),
        ("netlink", libc::AF_NETLINK, libc::SOCK_RAW),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW),
        ("raw", libc::AF_INET, libc::SOCK_RAW),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM),
        ("crypto", libc::AF_ALG, libc::SOCK_SEQPACKET),
    ] {
        // SAFETY: the call takes numbers alone; what it opens ends with the process.
        let outcome = done(unsafe { libc::socket(family, kind, 0) });
        attempts.made(&format!("socket: {name}"), outcome);
    }
}

fn fork() -> io::Result<i64> {
    // SAFETY: the child does nothing but leave.
    let child = done(unsafe { libc::fork() })?;
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: null means that the status is not asked for.
    done(unsafe { libc::waitpid(child as i32, std::ptr::null_mut(), 0) })
}

/// Of a program that is not there, so that this one goes on.
fn exec() -> io::Result<i64> {
    let arguments = [c"x".as_ptr(), std::ptr::null()];
    // SAFETY: the arrays end with null and live as long as the call.
    done(unsafe { libc::execv(c"/there/is/no/program".as_ptr(), arguments.as_ptr()) })
}

/// Without arguments, which the kernel refuses once it looks.
fn clone3() -> io::Result<i64> {
    // SAFETY: no memory is given.
    done(unsafe { libc::syscall(libc::SYS_clone3, 0, 0) })
}

fn debug(victim: i32) -> io::Result<i64> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: no memory is given.
    let seized = done(unsafe { libc::ptrace(libc::PTRACE_SEIZE, victim, nothing, nothing) })?;
    // SAFETY: no memory is given. It may not be possible while it runs; it ends with this process.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, victim, nothing, nothing) };
    Ok(seized)
}

/// Of no memory at all; whether it may is looked at first.
fn peek(victim: i32) -> io::Result<i64> {
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 1,
    };
    // SAFETY: one byte of ours may be written, which lives as long as the call.
    match done(unsafe { libc::process_vm_readv(victim, &local, 1, &remote, 1, 0) } as i64) {
        // It was allowed to, and there is nothing at the place.
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(0),
        outcome => outcome,
    }
}
