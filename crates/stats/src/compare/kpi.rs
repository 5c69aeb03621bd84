//! Figures that teams put into their tables: plain quotients without a claim about chance. A verdict is
//! [`compare`](super::compare)'s.

/// How much `new` is above `old`, in percent: `(new - old) / old * 100`. `None` unless `old` is above 0 and both are
/// finite. For throughput more is an improvement; for response times the sign is the other way round.
pub fn improvement_percent(old: f64, new: f64) -> Option<f64> {
    quotient(new - old, old).map(|share| share * 100.0)
}

/// Freed of allocated bytes, in percent. A figure for a table, never a verdict on leaks: a cache that fills looks like a
/// leak, and a program that frees what it has leaked all its life at its end looks like none. `None` without allocations.
pub fn memory_efficiency_percent(allocated: u64, deallocated: u64) -> Option<f64> {
    quotient(deallocated as f64, allocated as f64).map(|share| share * 100.0)
}

/// Actual by expected gain: `(throughput / base throughput) / (resources / base resources)`. With one resource as the base
/// this is the efficiency X(N) / (N X(1)) of Gunther's scalability law. `None` unless all are above 0 and finite.
pub fn scalability_factor(
    base_throughput: f64,
    throughput: f64,
    base_resources: f64,
    resources: f64,
) -> Option<f64> {
    let gained = quotient(throughput, base_throughput)?;
    let expected = quotient(resources, base_resources).filter(|expected| *expected > 0.0)?;
    Some(gained / expected)
}

/// Failed of all, in percent. `None` if there was nothing.
pub fn error_rate_percent(failed: u64, total: u64) -> Option<f64> {
    quotient(failed as f64, total as f64).map(|share| share * 100.0)
}

fn quotient(top: f64, bottom: f64) -> Option<f64> {
    (bottom > 0.0 && bottom.is_finite() && top.is_finite()).then(|| top / bottom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_formulas_of_the_tables() {
        assert_eq!(improvement_percent(1_000.0, 1_250.0), Some(25.0));
        assert_eq!(improvement_percent(1_000.0, 900.0), Some(-10.0));
        assert_eq!(memory_efficiency_percent(2_000, 1_900), Some(95.0));
        assert_eq!(scalability_factor(100.0, 300.0, 1.0, 4.0), Some(0.75));
        assert_eq!(error_rate_percent(3, 200), Some(1.5));
    }

    #[test]
    fn nothing_divided_by_nothing_is_no_figure() {
        assert_eq!(improvement_percent(0.0, 5.0), None);
        assert_eq!(improvement_percent(f64::NAN, 5.0), None);
        assert_eq!(improvement_percent(5.0, f64::INFINITY), None);
        assert_eq!(memory_efficiency_percent(0, 0), None);
        assert_eq!(scalability_factor(100.0, 300.0, 1.0, 0.0), None);
        assert_eq!(error_rate_percent(0, 0), None);
    }
}
