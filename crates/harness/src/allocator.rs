//! An allocator that counts: bytes and blocks allocated and released, what is live, and the most that was live.
//!
//! Counts are exact over all threads. Threads add to counters of their own (64 of them, shared by hash), so that
//! counting costs a few nanoseconds whatever the number of threads; only the peak is kept in steps: it is looked at when a
//! thread's share of what is live has grown by 64 KiB, so it is low by at most 64 KiB for each counter in use.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

const SHARDS: usize = 64;
/// Growth of a counter's share that is told to the total.
const STEP: i64 = 64 << 10;

#[repr(align(128))]
struct Shard {
    allocated: AtomicU64,
    released: AtomicU64,
    blocks: AtomicU64,
    freed: AtomicU64,
    /// Live bytes that the total does not know of yet.
    untold: AtomicI64,
}

impl Shard {
    const fn new() -> Shard {
        Shard {
            allocated: AtomicU64::new(0),
            released: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            untold: AtomicI64::new(0),
        }
    }
}

static COUNTERS: [Shard; SHARDS] = [const { Shard::new() }; SHARDS];
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // const and without a destructor: looking at it never allocates
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn shard() -> &'static Shard {
    let index = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Relaxed) as usize % SHARDS);
        }
        mine.get()
    });
    // a thread that is ending counts with the first
    &COUNTERS[index.unwrap_or(0)]
}

/// The system's allocator, counting. A program uses it with
/// `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
pub struct Counting;

/// What was counted since the program began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes allocated.
    pub allocated: u64,
    /// Bytes released.
    pub released: u64,
    /// Blocks allocated.
    pub blocks: u64,
    /// Blocks released.
    pub freed: u64,
    /// The most bytes that were live at once since [`reset_peak`].
    pub peak: u64,
}

impl Counted {
    /// Bytes that are live.
    pub fn live(&self) -> u64 {
        self.allocated.saturating_sub(self.released)
    }

    /// What was counted after `before`; the peak stays.
    pub fn since(&self, before: &Counted) -> Counted {
        Counted {
            allocated: self.allocated - before.allocated,
            released: self.released - before.released,
            blocks: self.blocks - before.blocks,
            freed: self.freed - before.freed,
            peak: self.peak,
        }
    }
}

/// What was counted so far; zeros unless the program uses [`Counting`].
pub fn counted() -> Counted {
    let mut sum = Counted::default();
    let mut untold = 0;
    for shard in &COUNTERS {
        sum.allocated += shard.allocated.load(Relaxed);
        sum.released += shard.released.load(Relaxed);
        sum.blocks += shard.blocks.load(Relaxed);
        sum.freed += shard.freed.load(Relaxed);
        untold += shard.untold.load(Relaxed);
    }
    let live = LIVE.load(Relaxed) + untold;
    sum.peak = PEAK.load(Relaxed).max(live).max(0).cast_unsigned();
    sum
}

/// Begins a new peak at what is live now.
pub fn reset_peak() {
    PEAK.store(LIVE.load(Relaxed), Relaxed);
}

fn grow(bytes: usize) {
    let shard = shard();
    shard.allocated.fetch_add(bytes as u64, Relaxed);
    shard.blocks.fetch_add(1, Relaxed);
    tell(shard, bytes as i64);
}

fn shrink(bytes: usize) {
    let shard = shard();
    shard.released.fetch_add(bytes as u64, Relaxed);
    shard.freed.fetch_add(1, Relaxed);
    tell(shard, -(bytes as i64));
}

fn tell(shard: &Shard, change: i64) {
    let untold = shard.untold.fetch_add(change, Relaxed) + change;
    if untold.abs() >= STEP {
        let told = shard.untold.swap(0, Relaxed);
        let live = LIVE.fetch_add(told, Relaxed) + told;
        if told > 0 {
            PEAK.fetch_max(live, Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters are atomics and never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is the system's.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            grow(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            grow(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(block, layout) };
        shrink(layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block came from `System` through this allocator, with this layout.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            grow(size);
            shrink(layout.size());
        }
        moved
    }
}
