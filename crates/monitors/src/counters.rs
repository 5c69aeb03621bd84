//! Counters to rates.

use crucible_core::Ns;

/// A counter that only rises, unless what it counts began anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counter {
    last: Option<(Ns, u64)>,
}

impl Counter {
    /// The rise since the call before and the seconds that it took; `None` at the first call, over no time, and where the
    /// counter went backwards.
    pub(crate) fn step(&mut self, now: Ns, value: u64) -> Option<(u64, f64)> {
        let (at, before) = self.last.replace((now, value))?;
        let seconds = now.since(at).as_secs_f64();
        let rise = value.checked_sub(before)?;
        (seconds > 0.0).then_some((rise, seconds))
    }

    /// The rise per second; see [`Counter::step`].
    pub(crate) fn rate(&mut self, now: Ns, value: u64) -> Option<f64> {
        self.step(now, value).map(|(rise, seconds)| rise as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_went_backwards_gives_no_value() {
        let mut counter = Counter::default();
        let mut at = |second, value| counter.rate(Ns::from_secs(second), value);
        assert_eq!(at(1, 1_000), None, "what was before is no part of any value");
        assert_eq!(at(2, 1_010), Some(10.0));
        assert_eq!(at(2, 1_010), None, "no time has passed");
        assert_eq!(at(3, 5), None, "it began anew");
        assert_eq!(at(5, 25), Some(10.0));
    }
}
