//! Which scenario an arrival or a user belongs to, by weight.
//!
//! Arrivals are independent draws, as visitors are. Users are few, so they are dealt out as evenly as integers allow.

use crucible_core::rng;
use std::sync::Arc;

/// Longest table of users that is made; see [`Mix::scenario_of_user`].
const TABLE: u64 = 1 << 17;

/// Bound on the work (users times scenarios) that goes into the table.
const WORK: u64 = 50_000_000;

/// Scenarios and their weights. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Upper ends of the scenarios' shares of `0..1`.
    ends: Arc<[f64]>,
    /// Scenario of user `k % len`.
    table: Arc<[u16]>,
}

impl Mix {
    /// A mix of scenarios by relative weight. Weights that are not above 0 count as 0, unless all are: then all
    /// count the same. No weights at all are taken as one scenario; those beyond the 65,536th are ignored.
    pub fn new(weights: &[f64]) -> Mix {
        let mut weights: Vec<f64> =
            weights.iter().take(1 << 16).map(|w| if *w > 0.0 && w.is_finite() { *w } else { 0.0 }).collect();
        if weights.is_empty() {
            weights.push(1.0);
        }
        if weights.iter().all(|w| *w == 0.0) {
            weights.fill(1.0);
        }
        let largest = weights.iter().copied().fold(0.0, f64::max);
        weights.iter_mut().for_each(|w| *w /= largest);
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let mut ends: Vec<f64> = weights
            .iter()
            .map(|w| {
                sum += w / total;
                sum
            })
            .collect();
        // Whatever the rounding, a draw below 1 falls to somebody, and to nobody of weight 0.
        let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
        ends[last..].fill(1.0);
        Mix { ends: ends.into(), table: deal(&weights).into() }
    }

    /// Number of scenarios, at least 1.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Always false: there is at least one scenario.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Index of the scenario of arrival `seq`: an independent draw by weight, a pure function of `seed` and `seq`.
    ///
    /// The draw is number `seq` of a SplitMix64 stream (Steele, Lea, Flood 2014), whose state is a counter and so can
    /// be entered anywhere.
    pub fn scenario_of_arrival(&self, seed: u64, seq: u64) -> usize {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        if self.ends.len() == 1 {
            return 0;
        }
        let stream = rng::mix(seed ^ 0x6d69_785f_6172_7276);
        let bits = rng::mix(stream.wrapping_add(seq.wrapping_add(1).wrapping_mul(GOLDEN)));
        let draw = (bits >> 11) as f64 / (1u64 << 53) as f64;
        self.ends.iter().position(|end| draw < *end).unwrap_or(0)
    }

    /// Index of the scenario of user `user`: dealt out so that among the first `n` users every scenario has its share
    /// of `n`, less or more than one user.
    ///
    /// Source: R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980) 323-330; the bound there
    /// is 1 - 1/(2k - 2) for k scenarios. The deal repeats after the sum of the weights in lowest terms, if that is at
    /// most 131,072; else it is computed for 131,072 users (fewer with more than 381 scenarios) and repeated, and the
    /// bound holds for each stretch of that length.
    pub fn scenario_of_user(&self, user: u64) -> usize {
        usize::from(self.table[(user % self.table.len() as u64) as usize])
    }
}

/// Tijdeman's rule: of the scenarios that may have one more, the one whose deadline is nearest.
fn deal(weights: &[f64]) -> Vec<u16> {
    let scenarios: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
    if scenarios.len() == 1 {
        return vec![scenarios[0] as u16];
    }
    let total: f64 = weights.iter().sum();
    let shares: Vec<f64> = scenarios.iter().map(|i| weights[*i] / total).collect();
    let most = TABLE.min(WORK / shares.len() as u64).max(1024);
    let length = period(weights).filter(|p| *p <= most).unwrap_or(most);
    let margin = 1.0 / (2.0 * shares.len() as f64 - 2.0);
    let mut counts = vec![0u64; shares.len()];
    let mut table = Vec::with_capacity(length as usize);
    for n in 1..=length {
        let mut best = (f64::INFINITY, 0);
        for (index, (share, count)) in shares.iter().zip(&counts).enumerate() {
            let due = n as f64 * share - *count as f64;
            let deadline = (1.0 - margin - due) / share;
            // The tolerance keeps equal deadlines in the order of the text, whatever the rounding.
            if due >= margin - 1e-9 && deadline < best.0 - 1e-9 {
                best = (deadline, index);
            }
        }
        counts[best.1] += 1;
        table.push(scenarios[best.1] as u16);
    }
    table
}

/// Sum of the weights in lowest terms, if a denominator up to 10,000 makes them all whole.
fn period(weights: &[f64]) -> Option<u64> {
    let smallest = weights.iter().copied().filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min);
    let whole = |scale: f64| -> Option<Vec<u64>> {
        let near = |w: f64| {
            let scaled = w * scale;
            let is_whole = (scaled - scaled.round()).abs() <= 1e-9 * scaled.max(1.0) && scaled < 1e9;
            is_whole.then_some(scaled.round() as u64)
        };
        weights.iter().map(|w| near(*w)).collect()
    };
    // In lowest terms the smallest weight is a small number in most plans: 1, 2, 3, ...
    let parts = (1..=10_000u32).find_map(|small| whole(f64::from(small) / smallest))?;
    Some(parts.iter().sum())
}
