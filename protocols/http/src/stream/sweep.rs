//! Idle lines: one task of a shard looks at all of them about once a second and takes what has arrived.
//!
//! A user that is thinking must not lose its line because nobody answers the server's pings or empties its window; a
//! browser would do both. A task and a buffer for each line would cost more than the line; here a line in silence costs
//! one look at what the runtime knows already, without a system call. Messages that come meanwhile wait for the next
//! step, in bounded number; as nobody saw them arrive, they have no latency.

use super::line::{Kind, Line, Shared};
use super::protocol::Shard;
use crucible_core::Ns;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::Poll;

/// Distance of two looks.
const EVERY: Ns = Ns::from_secs(1);

/// All lines of a shard.
pub(crate) struct Lines<K: Kind> {
    all: RefCell<Vec<Weak<RefCell<Line<K>>>>>,
    watched: Cell<bool>,
}

impl<K: Kind> Default for Lines<K> {
    fn default() -> Lines<K> {
        Lines { all: RefCell::default(), watched: Cell::new(false) }
    }
}

impl<K: Kind> Lines<K> {
    /// Adds a line; the first one starts the task.
    pub(crate) fn add(&self, shard: &Rc<Shard<K>>, line: &Shared<K>) {
        let mut all = self.all.borrow_mut();
        if all.len() == all.capacity() {
            all.retain(|line| line.strong_count() > 0);
        }
        all.push(Rc::downgrade(line));
        if !self.watched.replace(true) {
            tokio::task::spawn_local(watch(Rc::clone(shard)));
        }
    }

    /// Looks at all idle lines; tells whether there are lines at all.
    fn look(&self, shard: &Shard<K>) -> bool {
        let mut local = shard.local.borrow_mut();
        let mut scratch = shard.scratch.borrow_mut();
        let mut all = self.all.borrow_mut();
        all.retain(|line| {
            let Some(line) = line.upgrade() else { return false };
            let mut line = line.borrow_mut();
            if !line.busy {
                line.take_arrived(&mut local, &mut scratch);
            }
            true
        });
        !all.is_empty()
    }
}

async fn watch<K: Kind>(shard: Rc<Shard<K>>) {
    let mut slot = shard.deadlines.slot();
    loop {
        slot.arm(EVERY);
        poll_fn(|cx| {
            slot.register(cx.waker());
            if slot.fired() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if !shard.lines.look(&shard) {
            break;
        }
    }
    slot.disarm();
    shard.lines.watched.set(false);
}
