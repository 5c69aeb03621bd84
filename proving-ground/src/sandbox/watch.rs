//! Watching a program: its output, its memory, its time, and what its first process says.

use super::child::{self, Step};
use super::{End, Limits};
use crate::clock::Watch;
use crucible_core::Ns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{IoSliceMut, PipeReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often memory and the caller's wish are looked at.
const TICK: Ns = Ns::from_millis(20);

/// Why the world for a program could not be made.
pub(super) struct Broken {
    pub(super) step: Step,
    pub(super) text: String,
}

impl Broken {
    pub(super) fn new(step: Step, text: String) -> Broken {
        Broken { step, text }
    }
}

/// One stream of the program.
pub(super) struct Stream {
    pipe: Option<PipeReader>,
    /// What was read, cut at the limit.
    pub(super) kept: Vec<u8>,
}

impl Stream {
    pub(super) fn new(pipe: PipeReader) -> Stream {
        Stream { pipe: Some(pipe), kept: Vec::new() }
    }
}

/// A program that runs.
pub(super) struct Running {
    /// The first process.
    pub(super) pid: i32,
    pub(super) talk: UnixStream,
    /// Output and error output.
    pub(super) streams: [Stream; 2],
    pub(super) limits: Limits,
    pub(super) watch: Watch,
    /// Wait status of the program.
    pub(super) ended: Option<i32>,
    /// The scratch folder, once the program has ended.
    pub(super) folder: Option<OwnedFd>,
}

impl Running {
    /// Until everything is over. Returns what we cut it short for, if we did.
    pub(super) fn follow(&mut self, stop: &AtomicBool) -> Result<Option<End>, Broken> {
        let mut talking = true;
        let mut look = TICK;
        while talking || self.streams.iter().any(|stream| stream.pipe.is_some()) {
            let ready = self.wait(talking);
            if ready[0] {
                talking = self.listen()?;
            }
            if let Some(end) = self.collect([ready[1], ready[2]]) {
                return Ok(Some(end));
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Some(End::Stopped));
            }
            if self.watch.elapsed() >= self.limits.wall {
                return Ok(Some(End::Time));
            }
            if self.watch.elapsed() >= look {
                look = self.watch.elapsed() + TICK;
                if resident(self.pid) > self.limits.memory {
                    return Ok(Some(End::Memory));
                }
            }
        }
        Ok(None)
    }

    /// Which of socket, output and error output have something, after a tick at most.
    fn wait(&self, talking: bool) -> [bool; 3] {
        let mut fds = Vec::with_capacity(3);
        let mut of = Vec::with_capacity(3);
        if talking {
            fds.push(PollFd::new(&self.talk, PollFlags::IN));
            of.push(0);
        }
        for (index, stream) in self.streams.iter().enumerate() {
            if let Some(pipe) = &stream.pipe {
                fds.push(PollFd::new(pipe, PollFlags::IN));
                of.push(index + 1);
            }
        }
        let left = self.limits.wall.since(self.watch.elapsed()).min(TICK);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::try_from(left.0).unwrap_or(0) };
        let mut ready = [false; 3];
        if poll(&mut fds, Some(&timeout)).is_ok() {
            for (fd, index) in fds.iter().zip(of) {
                ready[index] = !fd.revents().is_empty();
            }
        }
        ready
    }

    /// Takes one message. False: there will be no further one.
    fn listen(&mut self) -> Result<bool, Broken> {
        let mut bytes = [0u8; child::MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut extra = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let got = recvmsg(self.talk.as_fd(), &mut parts, &mut extra, RecvFlags::CMSG_CLOEXEC);
        match got {
            Ok(message) if message.bytes == child::MESSAGE => {}
            Err(Errno::INTR) => return Ok(true),
            _ => return Ok(false),
        }
        for message in extra.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message {
                self.folder = fds.next();
            }
        }
        let number = i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if bytes[0] == child::FAILED {
            let step = child::STEPS.get(usize::from(bytes[1])).copied().unwrap_or(Step::Start);
            let error = std::io::Error::from_raw_os_error(number);
            return Err(Broken::new(step, format!("the step {step:?} is refused: {error}")));
        }
        self.ended = Some(number);
        Ok(true)
    }

    /// Reads what is there; the limit on output holds for both streams together.
    fn collect(&mut self, ready: [bool; 2]) -> Option<End> {
        let mut buffer = [0u8; 16 * 1024];
        let mut used: usize = self.streams.iter().map(|stream| stream.kept.len()).sum();
        for (stream, ready) in self.streams.iter_mut().zip(ready) {
            let Some(pipe) = stream.pipe.as_mut().filter(|_| ready) else { continue };
            match pipe.read(&mut buffer) {
                Ok(0) | Err(_) => stream.pipe = None,
                Ok(count) => {
                    let room = self.limits.output.saturating_sub(used);
                    stream.kept.extend_from_slice(&buffer[..count.min(room)]);
                    if count > room {
                        return Some(End::Output);
                    }
                    used += count;
                }
            }
        }
        None
    }

    /// What the end of the program means, from its wait status and what Python said last.
    pub(super) fn verdict(&self) -> End {
        let status = self.ended.unwrap_or(0);
        if libc::WIFSIGNALED(status) {
            return match libc::WTERMSIG(status) {
                libc::SIGXCPU => End::Time,
                libc::SIGKILL if self.watch.elapsed() >= self.limits.cpu => End::Time,
                signal => End::Signalled(signal),
            };
        }
        match libc::WEXITSTATUS(status) {
            1 => exception(&self.streams[1].kept),
            code => End::Exited(code),
        }
    }
}

/// What an exit code of 1 stands for: Python exits so upon an exception that nobody catches.
fn exception(stderr: &[u8]) -> End {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let traced = text.contains("Traceback (most recent call last):");
    let says = |names: &[&str]| names.iter().any(|name| last.starts_with(name));
    if says(&["MemoryError"]) {
        End::Memory
    } else if !traced && says(&["SyntaxError", "IndentationError", "TabError"]) {
        End::Syntax
    } else if traced || says(&["SystemError", "ValueError"]) {
        End::Raised
    } else {
        End::Exited(1)
    }
}

/// Resident memory of all processes below `pid`, bytes; what is gone counts nothing.
fn resident(pid: i32) -> u64 {
    let mut open = below(pid);
    let mut pages = 0u64;
    let mut seen = 0;
    while let Some(pid) = open.pop() {
        seen += 1;
        if seen > 1_000 {
            break;
        }
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        // shared pages belong to the interpreter's files
        let mut words = statm.split(' ').map(|word| word.parse::<u64>().unwrap_or(0));
        let (all, shared) = (words.nth(1).unwrap_or(0), words.next().unwrap_or(0));
        pages += all.saturating_sub(shared);
        open.extend(below(pid));
    }
    pages * rustix::param::page_size() as u64
}

/// The children of all threads of a process.
fn below(pid: i32) -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .map_while(Result::ok)
        .map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let text: Vec<String> = lists.collect();
    text.iter().flat_map(|list| list.split_ascii_whitespace()).filter_map(|word| word.parse().ok()).collect()
}
