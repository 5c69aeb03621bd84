//! A mergeable latency histogram of fixed size.
//!
//! Log-linear buckets as in HdrHistogram (Tene): below `2^bits` every nanosecond has its own bucket, above it
//! every octave is divided into `2^bits` equal ones. A value is reported as the middle of its bucket, so the
//! relative error is at most `2^-(bits+1)`: 0.4 % with [`Precision::Fine`], 1.6 % with [`Precision::Coarse`].
//! Count, sum, minimum and maximum are exact. Values above [`LARGEST`] are counted there and in `clipped`.
//!
//! Invariants: recording never fails and, after the first record, never allocates; merging is associative and
//! commutative; `encode` and `decode` are inverse.

use crate::Ns;

/// Largest value with a bucket of its own: 2^46 ns, about 19.5 hours.
pub const LARGEST: u64 = 1 << 46;

/// Number of buckets per octave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// 128 buckets an octave: 40 KiB once used.
    #[default]
    Fine,
    /// 32 buckets an octave: 10 KiB once used.
    Coarse,
}

impl Precision {
    const fn bits(self) -> u32 {
        match self {
            Precision::Fine => 7,
            Precision::Coarse => 5,
        }
    }

    /// Number of buckets.
    pub const fn buckets(self) -> usize {
        let bits = self.bits();
        // one linear octave below 2^bits, then one per power of two up to and with LARGEST
        (((46 - bits) as usize + 1) << bits) + 1
    }
}

/// Counts of values in nanoseconds. See the module text.
#[derive(Clone, Debug)]
pub struct Histogram {
    precision: Precision,
    /// Empty until the first record.
    counts: Vec<u64>,
    /// Touched range of `counts`; meaningless while `count` is 0.
    low: usize,
    high: usize,
    count: u64,
    sum: u128,
    sum_of_squares: f64,
    min: u64,
    max: u64,
    clipped: u64,
}

/// Empty and fine. Not derived: the minimum of nothing is not 0.
impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new(Precision::default())
    }
}

impl Histogram {
    /// An empty histogram.
    pub const fn new(precision: Precision) -> Histogram {
        Histogram {
            precision,
            counts: Vec::new(),
            low: 0,
            high: 0,
            count: 0,
            sum: 0,
            sum_of_squares: 0.0,
            min: u64::MAX,
            max: 0,
            clipped: 0,
        }
    }

    /// Bytes of memory that a used histogram of this precision holds.
    pub const fn footprint(precision: Precision) -> usize {
        precision.buckets() * size_of::<u64>() + size_of::<Histogram>()
    }

    #[inline]
    fn index(bits: u32, value: u64) -> usize {
        // For value < 2^bits the octave is 0 and the index is the value itself.
        let octave = (63 - (value | (1 << bits)).leading_zeros()) - bits;
        ((octave as usize) << bits) + (value >> octave) as usize
    }

    /// Lower edge and width of bucket `index`.
    fn bucket(bits: u32, index: usize) -> (u64, u64) {
        let octave = (index >> bits).saturating_sub(1);
        let offset = (index - (octave << bits)) as u64;
        (offset << octave, 1 << octave)
    }

    /// Counts one value.
    #[inline]
    pub fn record(&mut self, value: Ns) {
        self.record_many(value, 1);
    }

    /// Counts `times` equal values.
    #[inline]
    pub fn record_many(&mut self, value: Ns, times: u64) {
        if times == 0 {
            return;
        }
        if self.counts.is_empty() {
            self.first_use();
        }
        let exact = value.0;
        let held = exact.min(LARGEST);
        if exact > LARGEST {
            self.clipped += times;
        }
        let index = Self::index(self.precision.bits(), held);
        if self.count == 0 {
            (self.low, self.high) = (index, index);
        } else {
            self.low = self.low.min(index);
            self.high = self.high.max(index);
        }
        self.counts[index] += times;
        self.count += times;
        self.sum += u128::from(exact) * u128::from(times);
        self.sum_of_squares += exact as f64 * exact as f64 * times as f64;
        self.min = self.min.min(exact);
        self.max = self.max.max(exact);
    }

    #[cold]
    fn first_use(&mut self) {
        self.counts.resize(self.precision.buckets(), 0);
    }

    /// Adds all counts of `other`. Precisions may differ; the result keeps this one's.
    pub fn merge(&mut self, other: &Histogram) {
        if other.count == 0 {
            return;
        }
        if self.counts.is_empty() {
            self.first_use();
        }
        if self.precision == other.precision {
            if self.count == 0 {
                (self.low, self.high) = (other.low, other.high);
            } else {
                self.low = self.low.min(other.low);
                self.high = self.high.max(other.high);
            }
            let range = other.low..=other.high;
            for (mine, theirs) in self.counts[range.clone()].iter_mut().zip(&other.counts[range]) {
                *mine += theirs;
            }
        } else {
            for (middle, count) in other.buckets() {
                let index = Self::index(self.precision.bits(), middle.0.min(LARGEST));
                if self.count == 0 && self.counts.iter().all(|c| *c == 0) {
                    (self.low, self.high) = (index, index);
                }
                self.low = self.low.min(index);
                self.high = self.high.max(index);
                self.counts[index] += count;
            }
        }
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.clipped += other.clipped;
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        if self.count > 0 {
            self.counts[self.low..=self.high].fill(0);
        }
        let counts = std::mem::take(&mut self.counts);
        *self = Histogram { counts, ..Histogram::new(self.precision) };
    }

    /// Number of values.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing was recorded.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Exact smallest value; `None` when empty.
    pub fn min(&self) -> Option<Ns> {
        (self.count > 0).then_some(Ns(self.min))
    }

    /// Exact largest value; `None` when empty.
    pub fn max(&self) -> Option<Ns> {
        (self.count > 0).then_some(Ns(self.max))
    }

    /// Exact mean; `None` when empty.
    pub fn mean(&self) -> Option<Ns> {
        (self.count > 0).then(|| Ns((self.sum / u128::from(self.count)) as u64))
    }

    /// Exact sum in nanoseconds.
    pub const fn sum(&self) -> u128 {
        self.sum
    }

    /// Sample standard deviation (divisor n - 1); `None` below two values.
    pub fn stddev(&self) -> Option<Ns> {
        if self.count < 2 {
            return None;
        }
        let n = self.count as f64;
        let mean = self.sum as f64 / n;
        let variance = (self.sum_of_squares - n * mean * mean).max(0.0) / (n - 1.0);
        Some(Ns(variance.sqrt().round() as u64))
    }

    /// Values above [`LARGEST`], which percentiles understate.
    pub const fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The smallest recorded value such that at least `share` (0 to 1) of all values are not above it, to the
    /// histogram's precision (nearest rank, no interpolation between samples). `None` when empty.
    pub fn quantile(&self, share: f64) -> Option<Ns> {
        if self.count == 0 {
            return None;
        }
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank == self.count {
            return self.max();
        }
        let mut seen = 0;
        for (middle, count) in self.buckets() {
            seen += count;
            if seen >= rank {
                return Some(middle);
            }
        }
        self.max()
    }

    /// How many values are above `limit`. Values in the limit's own bucket are divided in proportion to where
    /// the limit lies in it (rounded to the nearest count).
    pub fn count_above(&self, limit: Ns) -> u64 {
        if self.count == 0 || limit.0 >= self.max {
            return 0;
        }
        if limit.0 < self.min {
            return self.count;
        }
        let bits = self.precision.bits();
        let at = Self::index(bits, limit.0.min(LARGEST));
        let above: u64 = self.counts[(at + 1).min(self.high + 1)..=self.high].iter().sum();
        let (edge, width) = Self::bucket(bits, at);
        let beyond = (edge + width - 1).saturating_sub(limit.0) as f64 / width as f64;
        above + (self.counts[at] as f64 * beyond).round() as u64
    }

    /// Non-empty buckets in rising order: the middle value (within min and max) and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (Ns, u64)> + '_ {
        let bits = self.precision.bits();
        let range = if self.count == 0 { 0..0 } else { self.low..self.high + 1 };
        let (min, max) = (self.min, self.max);
        range.filter_map(move |index| {
            let count = self.counts[index];
            let (edge, width) = Self::bucket(bits, index);
            (count > 0).then(|| (Ns((edge + (width - 1) / 2).clamp(min, max)), count))
        })
    }

    /// Non-empty buckets in rising order: lower edge and width in nanoseconds, and count. Unlike [`Histogram::buckets`]
    /// this tells the range that the values of a bucket lie in, for those who interpolate.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let bits = self.precision.bits();
        let range = if self.count == 0 { 0..0 } else { self.low..self.high + 1 };
        range.filter_map(move |index| {
            let count = self.counts[index];
            let (edge, width) = Self::bucket(bits, index);
            (count > 0).then_some((edge, width, count))
        })
    }

    /// A compact form: a few bytes for each non-empty bucket. Layout, all LEB128 varints: precision bits,
    /// count, clipped, min, max, sum (low 64 bits, high 64 bits), sum of squares (IEEE 754 bits), then pairs of
    /// (index distance, count).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put(&mut out, u64::from(self.precision.bits()));
        put(&mut out, self.count);
        if self.count == 0 {
            return out;
        }
        put(&mut out, self.clipped);
        put(&mut out, self.min);
        put(&mut out, self.max);
        put(&mut out, self.sum as u64);
        put(&mut out, (self.sum >> 64) as u64);
        put(&mut out, self.sum_of_squares.to_bits());
        let mut last = 0;
        for index in self.low..=self.high {
            if self.counts[index] > 0 {
                put(&mut out, (index - last) as u64);
                put(&mut out, self.counts[index]);
                last = index;
            }
        }
        out
    }

    /// Reads what [`Histogram::encode`] wrote. `None` if the bytes are not such a form (a damaged record).
    pub fn decode(mut bytes: &[u8]) -> Option<Histogram> {
        let bytes = &mut bytes;
        let precision = match take(bytes)? {
            7 => Precision::Fine,
            5 => Precision::Coarse,
            _ => return None,
        };
        let mut hist = Histogram::new(precision);
        let count = take(bytes)?;
        if count == 0 {
            return bytes.is_empty().then_some(hist);
        }
        hist.first_use();
        hist.clipped = take(bytes)?;
        hist.min = take(bytes)?;
        hist.max = take(bytes)?;
        hist.sum = u128::from(take(bytes)?) | (u128::from(take(bytes)?) << 64);
        hist.sum_of_squares = f64::from_bits(take(bytes)?);
        let mut index = 0usize;
        let mut first = true;
        while !bytes.is_empty() {
            index = index.checked_add(usize::try_from(take(bytes)?).ok()?)?;
            let n = take(bytes)?;
            *hist.counts.get_mut(index)? = n;
            hist.count = hist.count.checked_add(n)?;
            if first {
                hist.low = index;
                first = false;
            }
            hist.high = index;
        }
        (hist.count == count && hist.min <= hist.max).then_some(hist)
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut hist = Histogram::new(Precision::Fine);
        values.iter().for_each(|v| hist.record(Ns(*v)));
        hist
    }

    #[test]
    fn merging_into_a_default_one_keeps_the_minimum() {
        let (mut all, mut one) = (Histogram::default(), Histogram::default());
        one.record(Ns(700));
        all.merge(&one);
        assert_eq!((all.min(), all.max(), all.count()), (Some(Ns(700)), Some(Ns(700)), 1));
    }

    #[test]
    fn an_empty_one_has_no_figures() {
        let hist = Histogram::new(Precision::Fine);
        assert_eq!((hist.quantile(0.5), hist.mean(), hist.max(), hist.stddev()), (None, None, None, None));
        assert_eq!(hist.count_above(Ns(0)), 0);
    }

    #[test]
    fn every_bucket_contains_its_own_edges() {
        for precision in [Precision::Fine, Precision::Coarse] {
            let bits = precision.bits();
            for index in 0..precision.buckets() {
                let (edge, width) = Histogram::bucket(bits, index);
                assert_eq!(Histogram::index(bits, edge), index);
                if edge < LARGEST {
                    assert_eq!(Histogram::index(bits, edge + width - 1), index);
                }
            }
            assert_eq!(Histogram::index(bits, LARGEST), precision.buckets() - 1);
        }
    }

    #[test]
    fn beyond_the_range_is_clipped_and_said() {
        let hist = of(&[5, LARGEST + 10]);
        assert_eq!((hist.clipped(), hist.max()), (1, Some(Ns(LARGEST + 10))));
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_stated_error(mut values in prop::collection::vec(0u64..100_000_000_000, 1..400), share in 0.0f64..=1.0) {
            let hist = of(&values);
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let truth = values[rank - 1] as f64;
            let told = hist.quantile(share).unwrap().0 as f64;
            prop_assert!((told - truth).abs() <= truth / 256.0 + 1.0, "{told} for {truth}");
        }

        #[test]
        fn merging_equals_recording_together(a in prop::collection::vec(any::<u64>(), 0..200), b in prop::collection::vec(0u64..1_000_000, 0..200)) {
            let mut left = of(&a);
            left.merge(&of(&b));
            let mut right = of(&b);
            right.merge(&of(&a));
            let both: Vec<u64> = a.iter().chain(&b).copied().collect();
            let whole = of(&both);
            for hist in [&left, &right] {
                prop_assert_eq!(hist.count(), whole.count());
                prop_assert_eq!((hist.min(), hist.max(), hist.sum()), (whole.min(), whole.max(), whole.sum()));
                prop_assert!(hist.buckets().eq(whole.buckets()));
            }
        }

        #[test]
        fn encoding_is_lossless(values in prop::collection::vec(any::<u64>(), 0..200)) {
            let hist = of(&values);
            let back = Histogram::decode(&hist.encode()).unwrap();
            prop_assert!(back.buckets().eq(hist.buckets()));
            prop_assert_eq!((back.count(), back.min(), back.max(), back.sum(), back.stddev()), (hist.count(), hist.min(), hist.max(), hist.sum(), hist.stddev()));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Histogram::decode(&bytes);
        }

        #[test]
        fn the_count_above_a_limit_is_near_the_truth(values in prop::collection::vec(1_000u64..1_000_000, 1..300), limit in 0u64..1_100_000) {
            let told = of(&values).count_above(Ns(limit)) as i64;
            let least = values.iter().filter(|v| **v as f64 > limit as f64 * 1.008 + 1.0).count() as i64;
            let most = values.iter().filter(|v| **v as f64 > limit as f64 * 0.992 - 1.0).count() as i64;
            prop_assert!(told >= least && told <= most, "{told} not in {least}..={most}");
        }

        #[test]
        fn every_value_lies_in_a_span(values in prop::collection::vec(0u64..1 << 40, 1..50)) {
            let hist = of(&values);
            let spans: Vec<_> = hist.spans().collect();
            prop_assert_eq!(spans.iter().map(|span| span.2).sum::<u64>(), values.len() as u64);
            for value in values {
                prop_assert!(spans.iter().any(|(edge, width, _)| (*edge..edge + width).contains(&value)));
            }
        }

        #[test]
        fn a_cleared_one_is_as_new(values in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut hist = of(&values);
            hist.clear();
            prop_assert!(hist.is_empty() && hist.buckets().next().is_none());
            hist.record(Ns(7));
            prop_assert_eq!(hist.quantile(0.5), Some(Ns(7)));
        }
    }
}
