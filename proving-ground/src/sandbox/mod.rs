//! Runs hostile Python: limits on time, memory, processes, output and files; no network; no file system but
//! its own scratch folder and, read only, the interpreter.
//!
//! Place in the flow: used by the workers of the evaluation platform; knows nothing of them. [`Sandbox::run`]
//! blocks a thread until the program has ended; several threads may run programs at once.
//!
//! Layers, each tried out when the sandbox is made and listed by [`Sandbox::layers`]:
//!
//! - **namespaces** (user, pid, mount, network, IPC, UTS): the program is process 2 of a world of its own, with
//!   an empty root of tmpfs into which only the interpreter and its libraries are bound, read only; the
//!   network has no interface that is up; when process 1 dies the kernel ends whatever is left;
//! - **rlimits**: address space, CPU time, processes, file size, open files, core files;
//! - **seccomp**: a list of allowed system calls; sockets, tracing, mounts and new namespaces are not on it;
//! - **Landlock**: the same view of the file system once more, enforced by another part of the kernel;
//! - **watch**: resident memory of all processes together, wall time and output, seen from outside.
//!
//! Fallback, where namespaces are refused (a container without the right to make them): Landlock keeps the
//! file system out, and the seccomp list shrinks, so that the program can start no other process and send no
//! signal. Where Landlock is missing too, no sandbox is made: there would be nothing between a program and
//! the files of the machine.

mod child;
mod files;
mod filter;
mod landlock;
mod model;
mod python;
mod run;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use model::{End, Job, Layer, Limits, Report};
pub(crate) use run::Sandbox;
