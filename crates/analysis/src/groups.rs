//! What the windows said about one threshold, in the order of time and in constant memory: the sums that bounds are made of.
//!
//! Windows are kept apart as long as there are few, then in groups of 2, 4, 8, ... neighbours. A group knows when it was
//! and in which phase, so that a warm-up can be left out after it has been found. Invariants: at most twice [`MOST`] groups;
//! phases are not mixed as long as there are fewer of them than that; nothing is lost in the sums.

use crate::stats::RatioSums;
use crate::tracker::Observation;
use crate::warmup::Cut;
use crucible_core::Ns;
use crucible_stats::slo::{Count, Tally};

/// Groups that are kept apart; twice as many are summed in pairs.
const MOST: usize = 256;

/// Operations on the bad side of one limit, of what one window or group of windows saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Beyond {
    /// Known to be beyond it.
    pub(crate) known: f64,
    /// Those, and those that were cut off before it could be known.
    pub(crate) possible: f64,
    /// Beyond half of it: their clumping speaks for the limit where nothing is beyond it.
    pub(crate) near: f64,
    /// Beyond the limit divided by 1.1, and beyond 1.1 times the limit: how steep the distribution is there.
    pub(crate) around: (f64, f64),
}

impl Beyond {
    /// Of shares, where a bad one is a bad one.
    pub(crate) fn share(bad: f64) -> Beyond {
        Beyond { known: bad, possible: bad, near: bad, around: (bad, bad) }
    }

    pub(crate) fn add(&mut self, other: &Beyond, sign: f64) {
        self.known += sign * other.known;
        self.possible += sign * other.possible;
        self.near += sign * other.near;
        self.around.0 += sign * other.around.0;
        self.around.1 += sign * other.around.1;
    }
}

/// Neighbouring windows.
#[derive(Clone, Debug)]
struct Group {
    phase: u16,
    from: Ns,
    seconds: f64,
    /// Windows in it that had something to say.
    windows: u64,
    n: f64,
    beyond: Vec<Beyond>,
    mean: (f64, f64),
}

impl Group {
    fn add(&mut self, other: &Group) {
        self.seconds += other.seconds;
        self.windows += other.windows;
        self.n += other.n;
        self.beyond.iter_mut().zip(&other.beyond).for_each(|(mine, theirs)| mine.add(theirs, 1.0));
        self.mean = (self.mean.0 + other.mean.0, self.mean.1 + other.mean.1);
    }
}

/// See the module text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    /// Windows in a full group, as a power of two.
    size: u32,
    /// Windows in the last group; 0 if it is full.
    filled: u64,
    /// Whether there are so many phases that they are no longer kept apart.
    mixed: bool,
}

/// The sums of what is left after a cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// By band: what is known to be beyond its limit.
    pub(crate) known: Vec<Tally>,
    /// By band: what may be.
    pub(crate) possible: Vec<Tally>,
    /// Means: (operations, sum of response times in ns), or throughput: (seconds, `Ok` operations).
    pub(crate) means: RatioSums,
    /// Windows that means rest on.
    pub(crate) windows: u64,
    /// Operations, checks or arrivals: what shares are shares of.
    pub(crate) n: f64,
    /// Seconds that were measured.
    pub(crate) seconds: f64,
}

impl Groups {
    /// Takes in the next window.
    pub(crate) fn push(&mut self, phase: u16, seen: &Observation) {
        let next = Group {
            phase,
            from: seen.from,
            seconds: seen.to.since(seen.from).as_secs_f64(),
            windows: u64::from(seen.n > 0.0 || seen.mean.0 > 0.0),
            n: seen.n,
            beyond: seen.beyond.clone(),
            mean: seen.mean,
        };
        match self.groups.last_mut().filter(|last| self.filled > 0 && (self.mixed || last.phase == phase)) {
            Some(last) => last.add(&next),
            None => {
                self.groups.push(next);
                self.filled = 0;
            }
        }
        self.filled = (self.filled + 1) % (1 << self.size);
        if self.groups.len() > 2 * MOST || (self.filled == 0 && self.groups.len() == 2 * MOST) {
            self.halve();
            if self.groups.len() > 3 * MOST / 2 {
                self.mixed = true;
                self.halve();
            }
        }
    }

    fn halve(&mut self) {
        (self.size, self.filled) = (self.size + 1, 0);
        let mut halved: Vec<Group> = Vec::with_capacity(2 * MOST);
        let mut open = false;
        for group in std::mem::take(&mut self.groups) {
            match halved.last_mut().filter(|last| open && (self.mixed || last.phase == group.phase)) {
                Some(last) => {
                    last.add(&group);
                    open = false;
                }
                None => {
                    halved.push(group);
                    open = true;
                }
            }
        }
        self.groups = halved;
    }

    /// The sums of all windows but those of the warm-up.
    pub(crate) fn sums(&self, cut: &Cut) -> Sums {
        let bands = self.groups.iter().map(|group| group.beyond.len()).max().unwrap_or(0);
        let empty = || vec![Tally::default(); bands];
        let mut sums = Sums { known: empty(), possible: empty(), ..Sums::default() };
        for group in self.groups.iter().filter(|group| !cut.leaves_out(group.phase, group.from)) {
            for (band, beyond) in group.beyond.iter().enumerate() {
                let count = |bad| Count {
                    operations: group.n,
                    bad,
                    near: beyond.near,
                    around: beyond.around,
                    seconds: group.seconds,
                };
                sums.known[band].push(count(beyond.known));
                sums.possible[band].push(count(beyond.possible));
            }
            sums.means.push(group.mean.0, group.mean.1);
            sums.windows += group.windows;
            sums.n += group.n;
            sums.seconds += group.seconds;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(windows: u64, phase: impl Fn(u64) -> u16) -> Groups {
        let mut groups = Groups::default();
        for second in 0..windows {
            let bad = u64::from(second.is_multiple_of(7)) as f64;
            groups.push(
                phase(second),
                &Observation {
                    from: Ns::from_secs(second),
                    to: Ns::from_secs(second + 1),
                    n: 10.0,
                    beyond: vec![Beyond::share(bad)],
                    mean: (10.0, 5.0),
                    ..Observation::default()
                },
            );
        }
        groups
    }

    #[test]
    fn memory_is_constant_and_sums_are_kept() {
        for phases in [1, 3, 40_000] {
            let groups = pushed(100_000, |second| (second * phases / 100_000) as u16);
            assert!(groups.groups.len() <= 2 * MOST, "{phases}: {}", groups.groups.len());
            let sums = groups.sums(&Cut::default());
            assert_eq!((sums.n, sums.windows, sums.seconds), (1e6, 100_000, 1e5), "{phases}");
            assert_eq!((sums.known[0].total().bad, sums.means.ratio()), (14_286.0, Some(0.5)), "{phases}");
        }
    }

    #[test]
    fn a_cut_leaves_out_the_begin_of_its_phase_only() {
        let groups = pushed(100, |second| u16::from(second >= 50));
        let left = |phase: usize, until: u64| {
            let mut cut = Cut::default();
            cut.leave_out(phase, Ns::from_secs(until));
            groups.sums(&cut).seconds
        };
        assert_eq!((left(0, 10), left(1, 10), left(1, 70), left(0, 70)), (90.0, 100.0, 80.0, 50.0));
    }
}
