//! The machine that the tasks run on: its clock, its processes, its memory.

use crate::Failure;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The one place of this tool that reads the clock.
#[expect(clippy::disallowed_methods, reason = "the tool times stages and processes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the tool waits for processes and instants of a measurement")]
pub(crate) fn sleep(length: Duration) {
    std::thread::sleep(length);
}

/// An ended process: what it printed and what it cost.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// What it wrote to its standard output.
    pub(crate) stdout: String,
    /// What it wrote to its standard error.
    pub(crate) stderr: String,
    /// User and kernel CPU time, its children's included.
    pub(crate) cpu: Duration,
    /// Kernel share of it.
    pub(crate) kernel: Duration,
    /// Peak resident memory, bytes.
    pub(crate) rss: u64,
    /// From start to end.
    pub(crate) wall: Duration,
}

/// Runs a command to its end, with its output captured, optionally kept on one CPU.
pub(crate) fn measure(command: &mut Command, cpu: Option<usize>) -> Result<Ended, Failure> {
    let name = format!("{command:?}");
    let mut child = start(command, cpu)?;
    let began = now();
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || read_all(stderr));
    let stdout = read_all(child.stdout.take());
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals, and the child has not been waited for by anybody else.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    if waited < 0 {
        return Err(format!("failed to wait for {name}"));
    }
    let kernel = duration(usage.ru_stime);
    Ok(Ended {
        code: if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 },
        stdout,
        stderr: reader.join().unwrap_or_default(),
        cpu: duration(usage.ru_utime) + kernel,
        kernel,
        rss: usage.ru_maxrss as u64 * 1024,
        wall: began.elapsed(),
    })
}

/// Starts a command with its output captured, optionally kept on one CPU.
pub(crate) fn start(command: &mut Command, cpu: Option<usize>) -> Result<Child, Failure> {
    let name = format!("{command:?}");
    if let Some(cpu) = cpu {
        // SAFETY: only a system call is made between fork and exec.
        unsafe { command.pre_exec(move || pin(cpu)) };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| format!("failed to start {name}: {error}"))
}

fn read_all(source: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut source) = source {
        // what was read until an error is kept
        let _ = source.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Keeps the calling thread, and what it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> std::io::Result<()> {
    // SAFETY: a CPU set is plain bits, for which zero is a value, and it outlives the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        if libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    }
}

/// CPU time that all processes of the machine have used, from the kernel's counters (10 ms ticks).
pub(crate) fn used_by_all() -> Duration {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal
    let used = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum::<u64>();
    Duration::from_millis(used * 10)
}

/// CPU time that this process has used.
pub(crate) fn used_by_us() -> Duration {
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live local.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

/// Number of CPUs.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Resident memory of this process, bytes.
pub(crate) fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    pages * 4096
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

/// Whether a program is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|out| out.status.success())
}

/// Keeps a CPU from going to sleep while nobody uses it, by a thread that gives way to everybody (`SCHED_IDLE`): waking a
/// sleeping virtual CPU takes tens of microseconds, which would be measured as the product's. Ends when dropped.
pub(crate) struct Awake {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Awake {
    pub(crate) fn on(cpu: usize) -> Awake {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: reads the parameters and changes only the calling thread.
            let idle = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) == 0 };
            // A thread that would compete must not spin.
            while idle && pin(cpu).is_ok() && !told.load(std::sync::atomic::Ordering::Relaxed) {
                (0..10_000).for_each(|_| std::hint::spin_loop());
            }
        });
        Awake { stop, thread: Some(thread) }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
