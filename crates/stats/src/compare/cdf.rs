//! A histogram as a continuous distribution: values lie evenly in their bucket.
//!
//! Quantiles of a histogram come in steps of up to 0.8 %; differences smaller than that are asked for here, and they show
//! in the counts of the buckets beside the quantile.

use crucible_core::Histogram;

/// See the module text. Empty if the histogram is.
#[derive(Clone, Debug)]
pub(super) struct Cdf {
    /// Non-empty buckets, rising: lower edge, width, count below the edge, count inside.
    spans: Vec<Span>,
    total: f64,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    edge: f64,
    width: f64,
    below: f64,
    count: f64,
}

impl Cdf {
    pub(super) fn new(histogram: &Histogram) -> Cdf {
        let (min, max) = match (histogram.min(), histogram.max()) {
            (Some(min), Some(max)) => (min.0 as f64, max.0 as f64),
            _ => (0.0, 0.0),
        };
        let mut below = 0.0;
        let spans = histogram
            .spans()
            .map(|(edge, width, count)| {
                // the ends are known exactly; a value at the limit belongs to what is at or below it
                let (low, high) = ((edge as f64).max(min - 1.0), ((edge + width) as f64).min(max));
                let span = Span { edge: low, width: (high - low).max(0.0), below, count: count as f64 };
                below += count as f64;
                span
            })
            .collect();
        Cdf { spans, total: below }
    }

    /// Number of values.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// How many values are at or below `x`.
    pub(super) fn below(&self, x: f64) -> f64 {
        let after = self.spans.partition_point(|span| span.edge < x);
        let Some(span) = after.checked_sub(1).and_then(|index| self.spans.get(index)) else { return 0.0 };
        let part = if span.width > 0.0 { ((x - span.edge) / span.width).min(1.0) } else { 1.0 };
        span.below + span.count * part
    }

    /// The value that the share `p` of all is at or below; `None` when empty.
    pub(super) fn quantile(&self, p: f64) -> Option<f64> {
        let rank = p.clamp(0.0, 1.0) * self.total;
        let after = self.spans.partition_point(|span| span.below < rank);
        let span = self.spans.get(after.saturating_sub(1))?;
        Some(span.edge + span.width * ((rank - span.below) / span.count).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Ns;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Cdf {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(Ns(*value)));
        Cdf::new(&histogram)
    }

    #[test]
    fn the_ends_are_exact() {
        let cdf = of(&[5_000_000; 7]);
        assert_eq!((cdf.below(4_999_998.0), cdf.below(5_000_000.0)), (0.0, 7.0));
        assert!((cdf.quantile(0.5).unwrap() - 5e6).abs() < 2.0);
        assert_eq!((of(&[]).quantile(0.5), of(&[]).below(1.0)), (None, 0.0));
    }

    proptest! {
        #[test]
        fn count_and_quantile_are_inverse(values in prop::collection::vec(1_000u64..1 << 40, 1..200), p in 0.001f64..0.999) {
            let cdf = of(&values);
            let at = cdf.quantile(p).unwrap();
            // a bucket may be a nanosecond wide, which large values resolve only so far
            let finest = 1e-6 + 4.0 * at * f64::EPSILON;
            prop_assert!((cdf.below(at) - p * cdf.total()).abs() < finest * cdf.total() + 1e-9 || cdf.below(at) > p * cdf.total());
            let truth = values.iter().filter(|v| **v as f64 <= at).count() as f64;
            let near = values.iter().filter(|v| (**v as f64 / at - 1.0).abs() < 0.009).count() as f64;
            prop_assert!((cdf.below(at) - truth).abs() <= near);
        }

        #[test]
        fn it_rises(values in prop::collection::vec(0u64..1 << 30, 1..100), x in 0.0f64..1e9, step in 0.0f64..1e6) {
            let cdf = of(&values);
            prop_assert!(cdf.below(x) <= cdf.below(x + step));
            prop_assert_eq!((cdf.below(-1.0), cdf.below(2e9)), (0.0, values.len() as f64));
        }
    }
}
