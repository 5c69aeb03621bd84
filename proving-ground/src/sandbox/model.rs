//! What a sandbox is asked for and what it tells.

use crucible_core::Ns;

/// Bounds of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Time from start to end.
    pub(crate) wall: Ns,
    /// CPU time of each process, rounded up to whole seconds.
    pub(crate) cpu: Ns,
    /// Address space of each process, and resident memory of all together, bytes.
    pub(crate) memory: u64,
    /// Processes and threads at once.
    pub(crate) processes: u32,
    /// Standard output and standard error together, bytes. What goes beyond ends the program.
    pub(crate) output: usize,
    /// Size of the scratch folder and of each file, bytes.
    pub(crate) disk: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            wall: Ns::from_secs(30),
            cpu: Ns::from_secs(30),
            memory: 256 << 20,
            processes: 16,
            output: 1 << 20,
            disk: 16 << 20,
        }
    }
}

/// A program to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    /// The Python source.
    pub(crate) code: Vec<u8>,
    /// Files beside it in the scratch folder: plain names and contents.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Bounds.
    pub(crate) limits: Limits,
}

/// Why a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// The source is not Python.
    Syntax,
    /// An exception that nobody caught.
    Raised,
    /// The limit on wall or CPU time.
    Time,
    /// The limit on memory.
    Memory,
    /// The limit on output.
    Output,
    /// The caller's wish.
    Stopped,
}

/// What is known after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Why it ended.
    pub(crate) end: End,
    /// Standard output, cut at the limit.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, cut at the limit.
    pub(crate) stderr: Vec<u8>,
    /// Time from before the first process to after the last one.
    pub(crate) wall: Ns,
    /// CPU time of all processes.
    pub(crate) cpu: Ns,
    /// Largest resident memory of one process, bytes.
    pub(crate) peak_memory: u64,
    /// Files that the program left in its scratch folder, the given ones included: plain files of the top
    /// level in order of names, as far as they fit the limit on the disk; at most a hundred.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

/// One layer of containment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it works here.
    pub(crate) active: bool,
    /// What it does here, or why it does not work.
    pub(crate) detail: String,
}
