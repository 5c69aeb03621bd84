//! Monitors: what is read of the machine and of processes while the load runs, and the contract of whoever reads it.
//!
//! The names and units of all series stand here, so that plans can demand something of them before anything is read.
//! Monitors are pulled on the run's clock by a thread of their own; they never stand in the way of the load.

use crate::Ns;

/// A series that a monitor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name within the component.
    pub name: &'static str,
    /// The unit of its values: one of [`UNITS`].
    pub unit: &'static str,
    /// One line about it.
    pub doc: &'static str,
}

/// The units of series: CPUs, bytes, bytes per second, events per second, a number, a share from 0 to 1.
pub const UNITS: [&str; 6] = ["cores", "bytes", "bytes/s", "1/s", "count", "share"];

const fn row(name: &'static str, unit: &'static str, doc: &'static str) -> Series {
    Series { name, unit, doc }
}

/// What is read of a process and of its children together.
pub const PROCESS: &[Series] = &[
    row("cpu", "cores", "CPU, user and system together"),
    row("cpu_user", "cores", "CPU in user mode"),
    row("cpu_system", "cores", "CPU in the kernel"),
    row("memory", "bytes", "resident memory"),
    row("memory_private", "bytes", "resident memory that no other process shares"),
    row("descriptors", "count", "open file descriptors"),
    row("threads", "count", "threads"),
    row("processes", "count", "processes"),
    row("switches_voluntary", "1/s", "times that a thread gave its CPU up to wait"),
    row("switches_involuntary", "1/s", "times that a thread was taken off its CPU"),
    row("faults_minor", "1/s", "page faults without reading from disk"),
    row("faults_major", "1/s", "page faults that read from disk"),
    row("read", "bytes/s", "bytes read from storage"),
    row("written", "bytes/s", "bytes written to storage"),
];

/// What is read of the whole machine.
pub const HOST: &[Series] = &[
    row("cpu", "share", "time in which CPUs were busy, of all their time"),
    row("cpu_user", "share", "in user mode"),
    row("cpu_system", "share", "in the kernel"),
    row("cpu_interrupt", "share", "serving interrupts"),
    row("cpu_wait", "share", "idle, waiting for storage"),
    row("cpu_steal", "share", "taken away by the hypervisor"),
    row("running", "count", "threads that run or want to"),
    row("blocked", "count", "threads that wait for storage"),
    row("pressure_cpu", "share", "time in which some thread wanted a CPU and had none"),
    row("pressure_memory", "share", "time in which some thread waited for memory"),
    row("pressure_io", "share", "time in which some thread waited for storage"),
    row("memory_available", "bytes", "memory that could be had without swapping"),
    row("network_in", "bytes/s", "bytes received, the loopback included"),
    row("network_out", "bytes/s", "bytes sent, the loopback included"),
    row("retransmits", "1/s", "TCP segments sent again"),
    row("sockets", "count", "TCP sockets in use"),
    row("time_wait", "count", "TCP sockets that wait for their address to be free again"),
];

/// Series of what can be used up by growing all the time, in components and in their limits.
pub const USED_UP: &[&str] =
    &["memory", "memory_private", "descriptors", "threads", "processes", "connections"];

/// The component that always stands for the machine.
pub const HOST_NAME: &str = "host";
/// The component that always stands for the load generator itself.
pub const GENERATOR_NAME: &str = "generator";

/// How the process of a component is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its number.
    Pid(u32),
    /// By its name: the program's, or with `*` for any characters.
    Name(String),
    /// By the TCP port that it listens on.
    Port(u16),
    /// The load generator.
    Itself,
}

/// A component of the system under test that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name in the plan.
    pub name: String,
    /// How its process is found.
    pub target: Target,
    /// What it may have of a series, by the series' name, in the unit of its values: where it is exhausted.
    pub limits: Vec<(&'static str, f64)>,
}

/// Reads the series of one component.
///
/// A monitor MUST read its series from their source at each call, hold no value back and invent none: a series that
/// could not be read is left out. Differences of counters MUST be safe against resets: a counter that went backwards
/// gives no value. What happened before the first call is no part of any value.
pub trait Monitor: Send {
    /// What it reads, in a fixed order.
    fn series(&self) -> &'static [Series];

    /// Reads all series at `now` on the run's clock; `out` takes index and value. The error says what could not be read
    /// and why; what was taken before it stays valid.
    fn read(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64)) -> Result<(), String>;
}
