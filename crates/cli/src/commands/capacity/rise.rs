//! How users come into a trial: in the time after which each of them asks again.
//!
//! Users who pause between their requests would all ask at once if they came at once, more of them than ever later: what gave
//! way then would have been the door. Where `N` users come in the time `C` in which each asks once, as many ask in a second
//! from the beginning on as later, `N / C`. `C` is known from the trial before, of `X` operations a second, by `N = X C`
//! (interactive response time law: P. J. Denning and J. P. Buzen, "The Operational Analysis of Queueing Network Models", ACM
//! Computing Surveys 10, 1978).

use crucible_core::Ns;
use crucible_stats::capacity::{Purpose, Scale, Trial, TrialResult};

/// In which the load of a trial without a time to settle rises; the others take a third of theirs, at least. Users who all come
/// in one instant, and all log in, would be measured instead of those who are there.
const RISE: Ns = Ns::from_millis(300);

/// A trial tells how often users ask if so many operations ended well in it.
const ENOUGH: u64 = 30;

/// Of the time of the whole search a trial takes this share at most for the users to come.
const SHARE: u64 = 10;

/// How long the load of the trials takes to rise.
pub(super) struct Rise {
    scale: Scale,
    /// The longest time that there is for it.
    most: Ns,
    /// From one request of a user to the next, on average.
    every: Option<Ns>,
}

impl Rise {
    /// For a search that may take so long.
    pub(super) fn new(scale: Scale, within: Ns) -> Rise {
        Rise { scale, most: Ns(within.0 / SHARE), every: None }
    }

    /// The trial as it is made, longer where users take longer to come, and the time in which they do. `left` is what is left
    /// for all trials: a third of a trial that has to end with it is counted at least.
    pub(super) fn shape(&self, trial: &Trial, left: Ns) -> (Trial, Ns) {
        let usual = if trial.settle > Ns::ZERO { Ns(trial.settle.0 / 3) } else { RISE };
        let usual = usual.min(Ns(trial.length.0 / 4));
        let more = Ns(self.every.unwrap_or_default().min(self.most).0.saturating_sub(usual.0));
        if trial.settle == Ns::ZERO || more == Ns::ZERO {
            return (*trial, usual);
        }
        let length = (trial.length + more).min(left.max(trial.length));
        let settle = (trial.settle + more).min(Ns(length.0 / 3 * 2));
        (Trial { length, settle, ..*trial }, (usual + more).min(settle))
    }

    /// Takes from a trial how often its users asked.
    pub(super) fn observe(&mut self, result: &TrialResult) {
        let other = matches!(result.trial.purpose, Purpose::Recover | Purpose::Descend);
        if self.scale == Scale::Rate || other || result.ended_early {
            return;
        }
        let windows = result.counted();
        let done: u64 = windows.iter().map(|window| window.done).sum();
        let time: Ns = windows.iter().map(|window| window.length).sum();
        if done >= ENOUGH {
            self.every = Some(Ns::from_secs_f64(result.trial.load * time.as_secs_f64() / done as f64));
        }
    }

    /// What is to be kept in mind: there was no time to let the users come as slowly as they ask.
    pub(super) fn remark(&self) -> Option<String> {
        let every = self.every.filter(|every| *every > self.most)?;
        Some(format!(
            "users ask every {every} and came within {}: in the beginning of a trial more of them asked than later; more \
             time (--within) lets them come more slowly",
            self.most
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Histogram;
    use crucible_stats::capacity::Window;

    fn trial(purpose: Purpose, load: f64, settle: u64) -> Trial {
        Trial { number: 1, purpose, load, length: Ns::from_secs(10), settle: Ns::from_secs(settle) }
    }

    /// Ten seconds in which so many operations end in each.
    fn seen(trial: Trial, done: u64, ended_early: bool) -> TrialResult {
        let window =
            Window { length: Ns::from_secs(1), readings: Vec::new(), done, response: Histogram::default() };
        TrialResult { trial, windows: vec![window; 10], ended_early }
    }

    #[test]
    fn users_come_as_slowly_as_they_ask() {
        let mut rise = Rise::new(Scale::Users, Ns::from_secs(120));
        let grown = trial(Purpose::Grow, 300.0, 3);
        assert_eq!(rise.shape(&grown, Ns::from_secs(60)), (grown, Ns::from_secs(1)));
        // 300 users ask 75 times a second: each of them every 4 s
        rise.observe(&seen(grown, 75, false));
        let (longer, takes) = rise.shape(&grown, Ns::from_secs(60));
        assert_eq!((longer.length, longer.settle), (Ns::from_secs(13), Ns::from_secs(6)));
        assert_eq!(takes, Ns::from_secs(4));
        let (last, takes) = rise.shape(&grown, Ns::from_secs(8));
        assert_eq!(
            (last.length, last.settle, takes),
            (Ns::from_secs(10), Ns::from_secs(6), Ns::from_secs(4))
        );
        // whether a system is well again is asked at once
        let recover = trial(Purpose::Recover, 100.0, 0);
        assert_eq!(rise.shape(&recover, Ns::from_secs(60)), (recover, RISE));
        assert_eq!(rise.remark(), None);
    }

    #[test]
    fn what_was_cut_or_too_short_tells_nothing_and_time_is_limited() {
        let mut rise = Rise::new(Scale::Users, Ns::from_secs(120));
        let grown = trial(Purpose::Grow, 300.0, 3);
        rise.observe(&seen(grown, 75, true));
        rise.observe(&seen(grown, 2, false));
        rise.observe(&seen(trial(Purpose::Recover, 300.0, 0), 75, false));
        assert_eq!(rise.shape(&grown, Ns::from_secs(60)).1, Ns::from_secs(1));
        // every 60 s
        rise.observe(&seen(grown, 5, false));
        assert_eq!(rise.shape(&grown, Ns::from_secs(60)).1, Ns::from_secs(12));
        let told = rise.remark().unwrap();
        assert!(told.contains("every 1m00s and came within 12.0s"), "{told}");
        let mut rate = Rise::new(Scale::Rate, Ns::from_secs(120));
        rate.observe(&seen(grown, 75, false));
        assert_eq!(rate.shape(&grown, Ns::from_secs(60)), (grown, Ns::from_secs(1)));
    }
}
