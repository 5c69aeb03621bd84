//! The counting allocator against programs whose allocations are known.

use crucible_harness::allocator::{Counting, counted, reset_peak};
use std::thread;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test, so that nothing else allocates at the same time.
#[test]
fn counts_are_exact_over_threads() {
    const THREADS: u64 = 4;
    const BLOCKS: u64 = 10_000;
    const SIZE: u64 = 1_000;
    // what threads themselves cost is seen in a round that does nothing else
    let round = |blocks: u64| {
        let before = counted();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                thread::spawn(move || {
                    for _ in 0..blocks {
                        drop(std::hint::black_box(Vec::<u8>::with_capacity(SIZE as usize)));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        counted().since(&before)
    };
    round(0);
    let (empty, full) = (round(0), round(BLOCKS));
    assert_eq!(full.blocks - empty.blocks, THREADS * BLOCKS);
    assert_eq!(full.allocated - empty.allocated, THREADS * BLOCKS * SIZE);
    assert_eq!(full.released - empty.released, THREADS * BLOCKS * SIZE);

    let live = counted().live();
    reset_peak();
    let kept = std::hint::black_box(vec![0u8; 8 << 20]);
    assert_eq!(counted().live() - live, 8 << 20);
    drop(kept);
    let peak = counted().peak - live;
    // a counter keeps up to 64 KiB to itself
    assert!(((8 << 20) - (64 << 10)..9 << 20).contains(&peak), "{peak}");
}
