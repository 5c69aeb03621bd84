//! What the operating system says about this process and thread: CPU time, waiting time, memory, limits.

use crucible_core::Ns;
use std::fs;

/// CPU time that this process has used, user and kernel.
pub fn process_cpu() -> Ns {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage writes one rusage to the given place; the zeroed value is valid if it fails.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let ns = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1_000;
    Ns(ns(usage.ru_utime) + ns(usage.ru_stime))
}

/// Resident memory of this process in bytes; 0 if it cannot be read.
pub fn process_rss() -> u64 {
    // SAFETY: sysconf reads a constant.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(0) as u64;
    fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * page)
}

/// CPU time of the calling thread, and the time in which it wanted a CPU and had none
/// (`/proc/thread-self/schedstat`, kernel documentation `scheduler/sched-stats`); zeros if it cannot be read.
pub fn thread_times() -> (Ns, Ns) {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|n| n.parse().unwrap_or(0));
    (Ns(numbers.next().unwrap_or(0)), Ns(numbers.next().unwrap_or(0)))
}

/// CPUs that this process may run on.
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: an all-zero cpu_set_t is valid, and sched_getaffinity writes at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return vec![0];
        }
        set
    };
    // SAFETY: the index is below CPU_SETSIZE.
    let cpus: Vec<usize> =
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Keeps the calling thread on one CPU. `false` if the system refuses.
pub fn pin_to(cpu: usize) -> bool {
    // SAFETY: an all-zero cpu_set_t is valid; `cpu` came from `allowed_cpus`, so it is below CPU_SETSIZE.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0
    }
}

/// Raises the soft limit of open files to the hard one; gives the soft limit that holds then.
pub fn raise_file_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    match rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Lets the calling thread run before all ordinary threads (`SCHED_FIFO`, lowest priority of that class). `false` if
/// the system refuses.
pub fn run_before_others() -> bool {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: sched_setscheduler reads the parameters and changes only the calling thread (pid 0).
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) == 0 }
}
