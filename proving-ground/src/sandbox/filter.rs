//! The system calls that a sandboxed program may make.
//!
//! A list of what is allowed; everything else gives `EPERM`, which Python shows as `PermissionError`. `clone3`
//! gives `ENOSYS` instead, upon which libraries fall back to `clone`, whose flags a filter can read.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

const FILES: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_mkdirat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_symlinkat,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_lseek,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_getdents64,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_fadvise64,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_listxattr,
];

const MEMORY: &[i64] = &[
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_mincore,
    libc::SYS_msync,
];

const PROCESS: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_futex,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getpriority,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getrandom,
    libc::SYS_getcpu,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
];

const SIGNALS_AND_TIME: &[i64] = &[
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
];

/// Of use only with the two ends of a `socketpair`, as event loops make it: there is no other socket.
const PAIRED: &[i64] = &[
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
];

/// Calls that newer architectures no longer have.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_symlink,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getdents,
    libc::SYS_chmod,
    libc::SYS_getpgrp,
    libc::SYS_arch_prctl,
    libc::SYS_time,
    libc::SYS_pause,
    libc::SYS_alarm,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    libc::SYS_utime,
    libc::SYS_utimes,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

/// Calls that are safe only where the program sees nobody but its own.
const OWN_WORLD: &[i64] = &[libc::SYS_kill, libc::SYS_tkill, libc::SYS_setsid, libc::SYS_setpgid];
#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[i64] = &[];

/// Questions about terminals and readiness, and closing at exec: what Python asks its files.
const IOCTLS: &[u64] = &[0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];

/// Any new namespace, time included.
const NEW_NAMESPACES: u64 = 0x7e02_0080;

/// The filters, to be installed in this order. `own_world`: the program has namespaces of its own, so it may
/// start processes and send signals. `scoped`: something else keeps its signals to itself, so that it may at
/// least signal its own threads, as `abort` does.
///
/// Errors: an architecture for which there is no filter.
pub(crate) fn build(own_world: bool, scoped: bool) -> Result<Vec<BpfProgram>, String> {
    let told = |e: seccompiler::BackendError| format!("cannot build the seccomp filter: {e}");
    let arch = std::env::consts::ARCH.try_into().map_err(told)?;
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for list in [FILES, MEMORY, PROCESS, SIGNALS_AND_TIME, PAIRED, OLD] {
        allowed.extend(list.iter().map(|call| (*call, Vec::new())));
    }
    if own_world {
        allowed.extend(OWN_WORLD.iter().chain(FORKS).map(|call| (*call, Vec::new())));
    }
    let when = |argument, operator, value| -> Result<SeccompRule, seccompiler::BackendError> {
        let length = SeccompCmpArgLen::Dword;
        SeccompRule::new(vec![SeccompCondition::new(argument, length, operator, value)?])
    };
    let cloning = if own_world {
        when(0, SeccompCmpOp::MaskedEq(NEW_NAMESPACES), 0)
    } else {
        let thread = libc::CLONE_THREAD as u64;
        when(0, SeccompCmpOp::MaskedEq(thread | NEW_NAMESPACES), thread)
    };
    if own_world || scoped {
        allowed.insert(libc::SYS_tgkill, Vec::new());
    }
    // the end of the parent must stay its own end; limits are its own only
    let death = when(0, SeccompCmpOp::Ne, libc::PR_SET_PDEATHSIG as u64);
    allowed.insert(libc::SYS_prctl, vec![death.map_err(told)?]);
    let own = when(0, SeccompCmpOp::Eq, 0);
    allowed.insert(libc::SYS_prlimit64, vec![own.map_err(told)?]);
    allowed.insert(libc::SYS_clone, vec![cloning.map_err(told)?]);
    let ioctls: Result<Vec<_>, _> = IOCTLS.iter().map(|code| when(1, SeccompCmpOp::Eq, *code)).collect();
    allowed.insert(libc::SYS_ioctl, ioctls.map_err(told)?);
    let unix = when(0, SeccompCmpOp::Eq, libc::AF_UNIX as u64);
    allowed.insert(libc::SYS_socketpair, vec![unix.map_err(told)?]);

    let errno = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let list = SeccompFilter::new(allowed, errno(libc::EPERM), SeccompAction::Allow, arch);
    let newer = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let fall_back = SeccompFilter::new(newer, SeccompAction::Allow, errno(libc::ENOSYS), arch);
    // the list comes last: it allows no further filter
    [fall_back, list].into_iter().map(|filter| filter.and_then(TryInto::try_into).map_err(told)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_lists_compile() {
        for (own_world, scoped) in [(true, true), (false, true), (false, false)] {
            let filters = super::build(own_world, scoped).unwrap();
            assert!(filters.iter().all(|filter| !filter.is_empty() && filter.len() < 4096));
        }
    }
}
