//! How much windows vary, and for how long one depends on the one before.

/// What is known of a stationary series from its residuals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// Long-run variance per window: the variance of a sum of n windows is about n times this.
    pub(super) variance: f64,
    /// Integrated autocorrelation time in windows; 1 if they are independent.
    pub(super) time: f64,
    /// Number of windows behind it.
    pub(super) windows: f64,
}

/// Long-run variance of residuals (mean 0) in several stretches, each in order of time. `None` below four windows.
///
/// Source: Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992): autocovariances are summed in pairs
/// until a pair is no longer positive, here by one standard error; over all stretches together, and not beyond a third of
/// the longest.
pub(super) fn long_run(stretches: &[Vec<f64>]) -> Option<Noise> {
    let windows: usize = stretches.iter().map(Vec::len).sum();
    let longest = stretches.iter().map(Vec::len).max().unwrap_or(0);
    if windows < 4 {
        return None;
    }
    let at = |lag: usize| -> f64 {
        let pairs: usize = stretches.iter().map(|one| one.len().saturating_sub(lag)).sum();
        let sum: f64 =
            stretches.iter().flat_map(|one| one.iter().zip(one.iter().skip(lag))).map(|(a, b)| a * b).sum();
        if pairs == 0 { 0.0 } else { sum / pairs as f64 }
    };
    let plain = at(0);
    if plain <= 0.0 {
        return Some(Noise { variance: 0.0, time: 1.0, windows: windows as f64 });
    }
    let mut sum = plain;
    let mut lag = 1;
    while lag < longest / 3 {
        let pair = at(lag) + at(lag + 1);
        if pair <= plain * (2.0 / windows as f64).sqrt() {
            break;
        }
        sum += 2.0 * pair;
        lag += 2;
    }
    let time = (sum / plain).max(1.0);
    Some(Noise { variance: plain * time, time, windows: windows as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Rng;

    fn series(keep: f64, length: usize, index: u64) -> Vec<f64> {
        let mut rng = Rng::new(4, "noise", index);
        let mut value = 0.0;
        let mut next = || {
            value = keep * value + (1.0 - keep * keep).sqrt() * rng.normal();
            value
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn the_long_run_variance_of_an_ar1_comes_out() {
        for keep in [0.0, 0.5, 0.8] {
            let stretches: Vec<Vec<f64>> = (0..40).map(|index| series(keep, 100, index)).collect();
            let truth = (1.0 + keep) / (1.0 - keep);
            let told = long_run(&stretches).unwrap().variance;
            assert!((told / truth - 1.0).abs() < 0.2, "{told} for {truth}");
        }
    }

    #[test]
    fn a_constant_has_none_and_too_little_says_nothing() {
        assert_eq!(long_run(&[vec![0.0; 9]]).unwrap().variance, 0.0);
        assert_eq!(long_run(&[vec![1.0, 2.0]]), None);
    }
}
