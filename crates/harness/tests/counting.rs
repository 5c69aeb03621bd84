//! The counting allocator against programs whose allocations are known.

use crucible_harness::allocator::{Counted, Counting, counted, reset_peak};
use std::sync::Barrier;
use std::thread;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const THREADS: u64 = 4;
const BLOCKS: u64 = 10_000;
const SIZE: u64 = 1_000;
const ROUNDS: usize = 20;

/// What is counted in each round, while all threads live: what it costs to begin and to end one depends on how they meet.
fn rounds() -> Vec<Counted> {
    let meet = Barrier::new(THREADS as usize + 1);
    let work = || {
        for _ in 0..ROUNDS {
            meet.wait();
            for _ in 0..BLOCKS {
                drop(std::hint::black_box(Vec::<u8>::with_capacity(SIZE as usize)));
            }
            meet.wait();
        }
    };
    let mut found = Vec::with_capacity(ROUNDS);
    thread::scope(|scope| {
        (0..THREADS).for_each(|_| drop(scope.spawn(work)));
        for _ in 0..ROUNDS {
            let before = counted();
            meet.wait();
            meet.wait();
            found.push(counted().since(&before));
        }
    });
    found
}

// One test, so that nothing else allocates at the same time but what runs it.
#[test]
fn counts_are_exact_over_threads() {
    // What runs the test allocates a little of its own now and then. That only adds: nothing may ever be missing, and in a
    // round in which it does not nothing may be too much.
    let expected = [THREADS * BLOCKS, THREADS * BLOCKS, THREADS * BLOCKS * SIZE, THREADS * BLOCKS * SIZE];
    let mut least = [u64::MAX; 4];
    for counts in rounds() {
        let seen = [counts.blocks, counts.freed, counts.allocated, counts.released];
        assert!(seen.iter().zip(expected).all(|(seen, expected)| *seen >= expected), "{seen:?}");
        least.iter_mut().zip(seen).for_each(|(least, seen)| *least = seen.min(*least));
    }
    assert_eq!(least, expected);

    let live = counted().live();
    reset_peak();
    let kept = std::hint::black_box(vec![0u8; 8 << 20]);
    assert_eq!(counted().live() - live, 8 << 20);
    drop(kept);
    let peak = counted().peak - live;
    // a counter keeps up to 64 KiB to itself
    assert!(((8 << 20) - (64 << 10)..9 << 20).contains(&peak), "{peak}");
}
