//! The machine: calls that change it, look into it or make new worlds. All with arguments that are refused once they are
//! looked at, so that nothing happens without walls.

use super::{Attempts, done};

pub(super) fn try_all(attempts: &mut Attempts) {
    let bad = u64::MAX;
    for (name, call, arguments) in [
        ("mount", libc::SYS_mount, [0, 0, 0, 0]),
        ("umount2", libc::SYS_umount2, [0, bad, 0, 0]),
        ("unshare", libc::SYS_unshare, [0x1_0000, 0, 0, 0]),
        ("setns", libc::SYS_setns, [bad, 0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, [0, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [0, 0, 0, 0]),
        ("chdir", libc::SYS_chdir, [0, 0, 0, 0]),
        ("open_tree", libc::SYS_open_tree, [bad, 0, bad, 0]),
        ("fsopen", libc::SYS_fsopen, [0, 0, 0, 0]),
        ("move_mount", libc::SYS_move_mount, [bad, 0, bad, 0]),
        ("mount_setattr", libc::SYS_mount_setattr, [bad, 0, bad, 0]),
        ("bpf", libc::SYS_bpf, [bad, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0, bad]),
        ("userfaultfd", libc::SYS_userfaultfd, [0xff, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0, 0, 0, 0]),
        ("io_uring_enter", libc::SYS_io_uring_enter, [bad, 0, 0, 0]),
        ("io_setup", libc::SYS_io_setup, [0, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [bad, 0, 0, 0]),
        ("add_key", libc::SYS_add_key, [0, 0, 0, 0]),
        ("request_key", libc::SYS_request_key, [0, 0, 0, 0]),
        ("kexec_load", libc::SYS_kexec_load, [0, bad, 0, 0]),
        ("init_module", libc::SYS_init_module, [0, 0, 0, 0]),
        ("finit_module", libc::SYS_finit_module, [bad, 0, 0, 0]),
        ("delete_module", libc::SYS_delete_module, [0, 0, 0, 0]),
        ("reboot", libc::SYS_reboot, [0, 0, 0, 0]),
        ("swapon", libc::SYS_swapon, [0, 0, 0, 0]),
        ("swapoff", libc::SYS_swapoff, [0, 0, 0, 0]),
        ("settimeofday", libc::SYS_settimeofday, [1, 1, 0, 0]),
        ("clock_settime", libc::SYS_clock_settime, [bad, 0, 0, 0]),
        ("clock_adjtime", libc::SYS_clock_adjtime, [bad, 0, 0, 0]),
        ("adjtimex", libc::SYS_adjtimex, [0, 0, 0, 0]),
        ("sethostname", libc::SYS_sethostname, [0, bad, 0, 0]),
        ("acct", libc::SYS_acct, [1, 0, 0, 0]),
        ("quotactl", libc::SYS_quotactl, [bad, 0, 0, 0]),
        ("syslog", libc::SYS_syslog, [bad, 0, 0, 0]),
        ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0]),
        (
            "name_to_handle_at",
            libc::SYS_name_to_handle_at,
            [bad, 0, 0, 0],
        ),
        (
            "open_by_handle_at",
            libc::SYS_open_by_handle_at,
            [bad, 0, 0, 0],
        ),
        ("fanotify_init", libc::SYS_fanotify_init, [bad, 0, 0, 0]),
        ("inotify_init1", libc::SYS_inotify_init1, [bad, 0, 0, 0]),
        ("shmget", libc::SYS_shmget, [0, 0, 0, 0]),
        ("semget", libc::SYS_semget, [0, bad, 0, 0]),
        ("msgget", libc::SYS_msgget, [bad, 0, 0, 0]),
        ("mq_open", libc::SYS_mq_open, [0, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, [bad, 0, 0, 0]),
        ("setgid", libc::SYS_setgid, [bad, 0, 0, 0]),
        ("setresuid", libc::SYS_setresuid, [bad, bad, bad, 0]),
        ("setgroups", libc::SYS_setgroups, [bad, 0, 0, 0]),
        ("capset", libc::SYS_capset, [0, 0, 0, 0]),
        ("setsid", libc::SYS_setsid, [0, 0, 0, 0]),
        ("setpgid", libc::SYS_setpgid, [0, bad, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [bad, 0, 0, 0]),
        (
            "sched_setscheduler",
            libc::SYS_sched_setscheduler,
            [bad, 0, 0, 0],
        ),
        ("ioprio_set", libc::SYS_ioprio_set, [bad, 0, 0, 0]),
        ("process_madvise", libc::SYS_process_madvise, [bad, 0, 0, 0]),
        (
            "process_vm_writev",
            libc::SYS_process_vm_writev,
            [bad, 0, 0, 0],
        ),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [bad, 0, 0, 0]),
        (
            "pidfd_send_signal",
            libc::SYS_pidfd_send_signal,
            [bad, 0, 0, 0],
        ),
        ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, [0, 0, 0, 0]),
        ("tkill", libc::SYS_tkill, [0, 0, 0, 0]),
        ("kcmp", libc::SYS_kcmp, [bad, bad, bad, 0]),
        ("move_pages", libc::SYS_move_pages, [bad, 0, 0, 0]),
        ("migrate_pages", libc::SYS_migrate_pages, [bad, 0, 0, 0]),
        ("execveat", libc::SYS_execveat, [bad, 0, 0, 0]),
        ("bind", libc::SYS_bind, [bad, 0, 0, 0]),
        ("listen", libc::SYS_listen, [bad, 0, 0, 0]),
        ("accept4", libc::SYS_accept4, [bad, 0, 0, 0]),
        ("seccomp", libc::SYS_seccomp, [bad, 0, 0, 0]),
        // PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_MM, PR_SET_PTRACER.
        ("prctl: show oneself", libc::SYS_prctl, [4, bad, 0, 0]),
        ("prctl: outlive the agent", libc::SYS_prctl, [1, bad, 0, 0]),
        ("prctl: move memory", libc::SYS_prctl, [35, bad, 0, 0]),
        (
            "ioctl: type into a terminal",
            libc::SYS_ioctl,
            [bad, 0x5412, 0, 0],
        ),
    ] {
        let [first, second, third, fourth] = arguments;
        // SAFETY: every argument is a number, null, or one that no pointer or descriptor can have: nothing of ours is
        // read or written.
        let outcome = unsafe { libc::syscall(call, first, second, third, fourth) };
        attempts.made(&format!("call: {name}"), done(outcome));
    }
    #[cfg(target_arch = "x86_64")]
    for (name, call) in [
        ("ioperm", libc::SYS_ioperm),
        ("kexec_file_load", libc::SYS_kexec_file_load),
        ("iopl", libc::SYS_iopl),
        ("modify_ldt", libc::SYS_modify_ldt),
    ] {
        // SAFETY: as above.
        let outcome = unsafe { libc::syscall(call, u64::MAX, 0_u64, 0_u64) };
        attempts.made(&format!("call: {name}"), done(outcome));
    }
}
