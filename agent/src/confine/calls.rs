//! seccomp: which system calls there still are. All others look as if the kernel had none of that number (`ENOSYS`), which
//! libraries that try a newer call first are prepared for.
//!
//! Decides by a list of what may be called, so that a call which some later kernel brings is refused until somebody has
//! thought about it, and so are those of other instruction sets (a process that makes one is killed). A call that reaches
//! other processes by a number is allowed for this process's own alone.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::Walls;

/// Forgets every other call.
///
/// # Errors
/// Why they are all still there, as a clause.
pub(super) fn filter(walls: &Walls) -> Result<(), String> {
    let Some(arch) = arch() else {
        return Err("there is no list of calls for this kind of processor".to_owned());
    };
    let program = program(walls, arch).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program)
        .map_err(|error| format!("the system refuses a filter ({error})"))
}

fn arch() -> Option<TargetArch> {
    match std::env::consts::ARCH {
        "x86_64" => Some(TargetArch::x86_64),
        "aarch64" => Some(TargetArch::aarch64),
        _ => None,
    }
}

fn program(walls: &Walls, arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let mut rules = Rules(BTreeMap::new());
    for list in [MEMORY, FILES, WAITING, THREADS, TIME, ITSELF, STREAMS] {
        rules.allow(list);
    }
    #[cfg(target_arch = "x86_64")]
    rules.allow(OLD);
    rules.limited()?;
    if walls.network {
        rules.connections()?;
    }
    if walls.devices {
        rules.drivers()?;
    }
    SeccompFilter::new(
        rules.0,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        SeccompAction::Allow,
        arch,
    )?
    .try_into()
}

struct Rules(BTreeMap<i64, Vec<SeccompRule>>);

impl Rules {
    fn allow(&mut self, calls: &[c_long]) {
        self.0.extend(calls.iter().map(|call| (*call, Vec::new())));
    }

    /// Allows a call if all of these hold. Given again, one of the sets must.
    fn only(&mut self, call: c_long, conditions: &[Condition]) -> Result<(), BackendError> {
        let conditions = conditions.iter().map(|(argument, operator, value)| {
            SeccompCondition::new(
                *argument,
                SeccompCmpArgLen::Dword,
                operator.clone(),
                u64::from(*value),
            )
        });
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        self.0.entry(call).or_default().push(rule);
        Ok(())
    }

    fn limited(&mut self) -> Result<(), BackendError> {
        let own = std::process::id();
        // A thread and never a process. `clone3` hides its flags in memory, and the C library does without it.
        let thread = libc::CLONE_THREAD.unsigned_abs();
        self.only(
            libc::SYS_clone,
            &[(0, SeccompCmpOp::MaskedEq(thread.into()), thread)],
        )?;
        for call in [libc::SYS_kill, libc::SYS_tgkill] {
            self.only(call, &[(0, SeccompCmpOp::Eq, own)])?;
        }
        for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity] {
            self.only(call, &[(0, SeccompCmpOp::Eq, 0)])?;
        }
        // Words put into a terminal as if somebody had typed them.
        let typed = [libc::TIOCSTI, TIOCLINUX].map(|request| request as u32);
        let typed = typed.map(|request| (1, SeccompCmpOp::Ne, request));
        self.only(libc::SYS_ioctl, &typed)?;
        for option in PROCESS_OPTIONS {
            let option = option.unsigned_abs();
            self.only(libc::SYS_prctl, &[(0, SeccompCmpOp::Eq, option)])?;
        }
        Ok(())
    }

    /// Connections outwards over the two Internet protocols; nothing listens.
    fn connections(&mut self) -> Result<(), BackendError> {
        self.allow(&[libc::SYS_connect, libc::SYS_sendmmsg, libc::SYS_recvmmsg]);
        // Resolvers bind the sockets that they ask from. Nothing can listen; Landlock forbids it for TCP besides.
        self.allow(&[libc::SYS_bind]);
        for family in [libc::AF_INET, libc::AF_INET6] {
            for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
                self.only(
                    libc::SYS_socket,
                    &[
                        (0, SeccompCmpOp::Eq, family.unsigned_abs()),
                        // Without flags as `SOCK_CLOEXEC`.
                        (1, SeccompCmpOp::MaskedEq(0xf), kind.unsigned_abs()),
                    ],
                )?;
            }
        }
        Ok(())
    }

    /// What vendors' drivers need besides: pipes between their own threads, and the modes of files that they share.
    fn drivers(&mut self) -> Result<(), BackendError> {
        self.allow(&[libc::SYS_fchmod, libc::SYS_mkdirat]);
        self.only(
            libc::SYS_socketpair,
            &[
                (0, SeccompCmpOp::Eq, libc::AF_UNIX.unsigned_abs()),
                // A stream alone: it has one other end, whatever address is given.
                (
                    1,
                    SeccompCmpOp::MaskedEq(0xf),
                    libc::SOCK_STREAM.unsigned_abs(),
                ),
            ],
        )?;
        let own = std::process::id();
        self.only(
            libc::SYS_kcmp,
            &[(0, SeccompCmpOp::Eq, own), (1, SeccompCmpOp::Eq, own)],
        )
    }
}

/// The argument's place, how it is compared, and with what.
type Condition = (u8, SeccompCmpOp, u32);

/// `linux/tty.h`: pastes into a virtual terminal, among other things.
const TIOCLINUX: libc::Ioctl = 0x541c;

const MEMORY: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_get_mempolicy,
    libc::SYS_madvise,
    libc::SYS_mbind,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munlockall,
    libc::SYS_munmap,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_set_mempolicy,
];

/// Where Landlock stands, paths that were not named do not open. It has no rules for modes, owners and times, so those
/// calls are not here, and neither are links.
const FILES: &[c_long] = &[
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
];

const WAITING: &[c_long] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
];

const THREADS: &[c_long] = &[
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
];

const TIME: &[c_long] = &[
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_gettime,
    libc::SYS_timer_settime,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_times,
];

/// What a process asks about itself and its machine.
const ITSELF: &[c_long] = &[
    libc::SYS_capget,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// On a socket that was there before; none can be made.
const STREAMS: &[c_long] = &[
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// Older forms of the above, which only this processor has, and its registers.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_select,
    libc::SYS_setrlimit,
    libc::SYS_signalfd,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];

/// Names of threads and of memory, large pages, what the processor can do.
const PROCESS_OPTIONS: [i32; 12] = [
    libc::PR_CAPBSET_READ,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_NAME,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_SECCOMP,
    libc::PR_GET_THP_DISABLE,
    libc::PR_GET_TIMERSLACK,
    libc::PR_SET_NAME,
    libc::PR_SET_THP_DISABLE,
    libc::PR_SET_TIMERSLACK,
    libc::PR_SET_VMA,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_walls_has_a_program_that_the_kernel_takes_by_its_length() {
        for network in [false, true] {
            for devices in [false, true] {
                let walls = Walls {
                    network,
                    devices,
                    ..Walls::default()
                };
                for arch in [TargetArch::x86_64, TargetArch::aarch64] {
                    let program = program(&walls, arch).unwrap();
                    // BPF_MAXINSNS.
                    assert!((200..4096).contains(&program.len()), "{}", program.len());
                }
            }
        }
    }
}
