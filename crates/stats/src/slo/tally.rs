//! Counts of bad operations by window, in constant memory.

use crucible_core::{Histogram, Ns};

/// Windows that are kept apart; twice as many are summed in pairs.
const MOST: usize = 256;
/// How far to both sides of a limit the steepness of the distribution is looked at.
pub(super) const WIDE: f64 = 1.1;

/// What one window says about one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// Operations.
    pub operations: f64,
    /// Those that were bad: beyond the limit, or ended in an error.
    pub bad: f64,
    /// Those that were nearly bad: beyond half of the limit. Where hardly any are bad, these tell how they come in clumps. The
    /// same as `bad` where there is no such thing.
    pub near: f64,
    /// Those beyond the limit divided by 1.1, and those beyond 1.1 times the limit: how steep the distribution is there. Both the
    /// same as `bad` where there is no such thing.
    pub around: (f64, f64),
    /// Seconds that the window lasted.
    pub seconds: f64,
}

impl Count {
    /// A window of errors, checks or drops: `bad` of `operations`.
    pub fn share(bad: f64, operations: f64, seconds: f64) -> Count {
        Count { operations, bad, near: bad, around: (bad, bad), seconds }
    }

    /// A window of response times against a limit.
    pub fn latency(histogram: &Histogram, limit: Ns, seconds: f64) -> Count {
        let limit = limit.0 as f64;
        let [bad, near, inside, outside] =
            [limit, 0.5 * limit, limit / WIDE, limit * WIDE].map(|at| above(histogram, at));
        Count { operations: histogram.count() as f64, bad, near, around: (inside, outside), seconds }
    }

    fn add(&mut self, other: &Count) {
        self.operations += other.operations;
        self.bad += other.bad;
        self.near += other.near;
        self.around.0 += other.around.0;
        self.around.1 += other.around.1;
        self.seconds += other.seconds;
    }
}

/// How many values are above `limit` ns; those in the limit's own bucket in proportion to where it lies, not rounded: the
/// same fraction in every window would add up to a bias.
pub fn above(histogram: &Histogram, limit: f64) -> f64 {
    let (Some(min), Some(max)) = (histogram.min(), histogram.max()) else { return 0.0 };
    let (min, max) = (min.0 as f64, max.0 as f64);
    if limit >= max {
        return 0.0;
    }
    if limit < min {
        return histogram.count() as f64;
    }
    let part = |(edge, width, count): (u64, u64, u64)| {
        let (low, high) = ((edge as f64).max(min), ((edge + width) as f64).min(max));
        let beyond = if high > low { ((high - limit) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
        if low > limit { count as f64 } else { count as f64 * beyond }
    };
    histogram.spans().map(part).sum()
}

/// Counts of all windows so far: each for itself as long as there are few, then in neighbouring groups of 2, 4, 8, ...
#[derive(Clone, Debug)]
pub struct Tally {
    groups: Vec<Count>,
    /// Windows in a full group.
    size: u64,
    open: Count,
    /// Windows in `open`.
    filled: u64,
    total: Count,
    windows: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        let none = Count::default();
        Tally { groups: Vec::new(), size: 1, open: none, filled: 0, total: none, windows: 0 }
    }
}

impl Tally {
    /// Takes in the next window. One without operations counts for its seconds only.
    pub fn push(&mut self, count: Count) {
        self.total.add(&count);
        self.open.add(&count);
        if count.operations <= 0.0 {
            return;
        }
        self.windows += 1;
        self.filled += 1;
        if self.filled < self.size {
            return;
        }
        self.groups.push(std::mem::take(&mut self.open));
        self.filled = 0;
        if self.groups.len() == 2 * MOST {
            self.size *= 2;
            let halved = self.groups.chunks(2).map(|two| {
                let mut sum = two[0];
                two[1..].iter().for_each(|count| sum.add(count));
                sum
            });
            self.groups = halved.collect();
        }
    }

    /// Sums over all windows.
    pub fn total(&self) -> &Count {
        &self.total
    }

    /// Windows that had operations.
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// Groups of neighbouring windows (single ones, as long as there are few) that had bad operations.
    pub fn hit(&self) -> usize {
        self.groups().filter(|count| count.bad > 0.0).count()
    }

    /// The groups, with the open one as the last.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Count> {
        self.groups.iter().chain((self.open.operations > 0.0).then_some(&self.open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_constant_and_sums_are_kept() {
        let mut tally = Tally::default();
        for window in 0..100_000 {
            tally.push(Count::share(f64::from(window % 7 == 0), 10.0, 1.0));
            tally.push(Count::share(0.0, 0.0, 1.0));
        }
        assert!(tally.groups.capacity() <= 4 * MOST && tally.groups().count() >= MOST);
        let mut sum = Count::default();
        tally.groups().for_each(|group| sum.add(group));
        assert_eq!((sum.operations, sum.bad), (1e6, 14_286.0));
        assert_eq!((tally.total().seconds, tally.windows()), (200_000.0, 100_000));
    }

    #[test]
    fn what_is_above_is_in_proportion() {
        let mut histogram = Histogram::default();
        (0..100_000).for_each(|i| histogram.record(Ns(1_000_000 + 10 * i)));
        for limit in [1_000_500.0, 1_234_567.0, 1_500_000.0, 1_999_000.0] {
            let (told, truth) = (above(&histogram, limit), (2_000_000.0 - limit) / 10.0);
            assert!((told - truth).abs() < 30.0, "{told} for {truth}");
        }
        assert_eq!((above(&histogram, 1.0), above(&histogram, 3e6)), (100_000.0, 0.0));
        assert_eq!(above(&Histogram::default(), 1.0), 0.0);
        let mut same = Histogram::default();
        same.record_many(Ns(5_000_000), 9);
        assert_eq!((above(&same, 4_999_999.0), above(&same, 5_000_000.0)), (9.0, 0.0));
    }
}
