//! A thin wrapper around epoll, with a handle that stops its loop from another thread.

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::Timespec;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Token of the stop handle; never given to users of the poller.
const STOP: u64 = u64::MAX;

/// An epoll set.
pub(super) struct Poller {
    epoll: OwnedFd,
    stop: Arc<OwnedFd>,
}

/// What a wait gave.
pub(super) struct Ready {
    /// The token that the source was added with.
    pub(super) token: u64,
    /// It can be written.
    pub(super) writable: bool,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let stop = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        epoll::add(&set, &stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        Ok(Poller { epoll: set, stop: Arc::new(stop) })
    }

    /// Wakes the loop for good when written to.
    pub(super) fn stop_handle(&self) -> Arc<OwnedFd> {
        self.stop.clone()
    }

    pub(super) fn add(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
        Ok(())
    }

    pub(super) fn interest(&self, source: impl AsFd, token: u64, write: bool) -> io::Result<()> {
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, write);
        epoll::modify(&self.epoll, source, epoll::EventData::new_u64(token), flags)?;
        Ok(())
    }

    /// Waits, for ever or not at all, and appends what is ready to `ready`. False once it was told to stop.
    pub(super) fn wait(&self, block: bool, ready: &mut Vec<Ready>) -> bool {
        let mut events = [std::mem::MaybeUninit::<epoll::Event>::uninit(); 128];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = if block { None } else { Some(&now) };
        let waited = epoll::wait(&self.epoll, &mut events, timeout);
        let events = match waited {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return true,
            Err(_) => return false,
        };
        let mut go_on = true;
        for event in events {
            // copied out because the kernel's structure is packed
            let (data, flags) = (event.data, event.flags);
            if data.u64() == STOP {
                go_on = false;
            } else {
                ready.push(Ready { token: data.u64(), writable: flags.contains(epoll::EventFlags::OUT) });
            }
        }
        go_on
    }
}

/// Threads that stop and are waited for when this is dropped.
pub(super) struct Threads {
    threads: Vec<(Arc<OwnedFd>, Option<JoinHandle<()>>)>,
}

impl Threads {
    pub(super) const fn new() -> Threads {
        Threads { threads: Vec::new() }
    }

    pub(super) fn start(
        &mut self,
        name: &str,
        poller: Poller,
        body: impl FnOnce(Poller) + Send + 'static,
    ) -> io::Result<()> {
        let stop = poller.stop_handle();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || body(poller))?;
        self.threads.push((stop, Some(thread)));
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for (stop, _) in &self.threads {
            // the counter of an eventfd cannot overflow by ones; a failure would mean a closed descriptor
            let _ = rustix::io::write(stop, &1u64.to_ne_bytes());
        }
        for (_, thread) in &mut self.threads {
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}
