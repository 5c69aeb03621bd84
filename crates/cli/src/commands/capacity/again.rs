//! What is done about a trial in which we were late: it is made again, or the search goes on without it.

use super::tell;
use crate::out;
use crucible_stats::capacity::{Purpose, Scale, Search, Trial};

/// A trial in which we were late says nothing and is made again; after so many in a row the search ends.
const MOST_LATE: u32 = 4;

/// While the load still grows, so many in a row are enough to grow by less, and so often. An overload, and what is to break the
/// system, are given up after so many: it may be that this machine cannot make so much, or that something else ran just then.
const LATE_ABOVE: u32 = 2;
const CAPS: usize = 3;

/// More than a search raises the load by from one trial to the next in looking for what breaks the system.
const STEP: f64 = 1.12;

/// Between the seeds of a trial and of its repetition: more than there are trials.
const AGAIN: u64 = 1_000_000;

/// How it went so far.
#[derive(Default)]
pub(super) struct Repetitions {
    /// Trials in a row in which we were late.
    late: u32,
    /// The highest load that was put on in full.
    held: f64,
    /// Where growing ended for us, the last one last.
    capped: Vec<String>,
}

impl Repetitions {
    /// The turn of a trial: one that is made once more is another draw of the same load.
    pub(super) fn turn(&self, trial: &Trial) -> u64 {
        u64::from(trial.number) + u64::from(self.late) * AGAIN
    }

    /// A trial in which we were in time.
    pub(super) fn in_time(&mut self, trial: &Trial, cut: bool) {
        self.late = 0;
        if !cut && trial.purpose == Purpose::Grow {
            self.held = self.held.max(trial.load);
        }
    }

    /// A trial in which we were late, for this reason: the search goes on, unless this says why it cannot.
    pub(super) fn late(
        &mut self,
        search: &mut Search,
        trial: &Trial,
        why: &str,
        scale: Scale,
    ) -> Option<String> {
        self.late += 1;
        let why = format!("at {} the load generator was late: {why}", tell::load(trial.load, scale));
        let twice = self.late >= LATE_ABOVE;
        match trial.purpose {
            Purpose::Overload if twice => {
                out::note(&format!("{why}; on without it"));
                self.late = 0;
                search.pass_over();
                return None;
            }
            // the capacity stands, whatever breaks the system
            Purpose::Break if twice => {
                out::note(&format!("{why}; no further"));
                self.capped.push(format!("no breaking point was looked for there: {why}"));
                self.late = 0;
                search.cap(trial.load / STEP);
                return None;
            }
            _ => {}
        }
        let grows = trial.purpose == Purpose::Grow && self.held > 0.0;
        if twice && grows && self.capped.len() < CAPS {
            // what held stands; how far the generator goes lies in between
            let most = (self.held * trial.load).sqrt();
            out::note(&format!("{why}; not beyond {}", tell::load(most, scale)));
            self.capped.push(format!("not tried beyond {}: there {why}", tell::load(most, scale)));
            self.late = 0;
            search.cap(most);
            return None;
        }
        if self.late >= MOST_LATE {
            return Some(format!("{why}; it was the bottleneck"));
        }
        out::note(&format!("{why}; once more"));
        None
    }

    /// What is to be kept in mind of it.
    pub(super) fn remark(mut self) -> Option<String> {
        self.capped.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Ns;
    use crucible_stats::capacity::{Limit, Predicate, Settings};

    fn search() -> Search {
        let target = Predicate::target("p99", Limit::Share(0.01));
        Search::new(Settings::new(Scale::Rate, vec![target])).unwrap()
    }

    fn trial(purpose: Purpose, load: f64) -> Trial {
        Trial { number: 7, purpose, load, length: Ns::from_secs(5), settle: Ns::from_secs(1) }
    }

    #[test]
    fn a_trial_is_made_again_with_other_arrivals_and_four_times_at_most() {
        let (mut again, mut search) = (Repetitions::default(), search());
        let one = trial(Purpose::Measure, 750.0);
        let mut turns = vec![again.turn(&one)];
        for _ in 1..MOST_LATE {
            assert_eq!(again.late(&mut search, &one, "late", Scale::Rate), None);
            turns.push(again.turn(&one));
        }
        turns.dedup();
        assert_eq!(turns.len(), 4);
        let ends = again.late(&mut search, &one, "late", Scale::Rate).unwrap();
        assert!(
            ends.contains("at 750/s the load generator was late") && ends.contains("bottleneck"),
            "{ends}"
        );
        again.in_time(&one, false);
        assert_eq!(again.turn(&one), 7);
    }

    #[test]
    fn what_is_only_to_show_more_is_given_up_after_two() {
        for (purpose, remark) in [(Purpose::Overload, None), (Purpose::Break, Some("no breaking point"))] {
            let (mut again, mut search) = (Repetitions::default(), search());
            let one = trial(purpose, 1_100.0);
            for turn in 0..5 {
                assert_eq!(again.late(&mut search, &one, "late", Scale::Rate), None, "{turn}");
            }
            let told = again.remark();
            assert_eq!(told.is_some(), remark.is_some());
            assert!(told.unwrap_or_default().contains(remark.unwrap_or_default()));
        }
    }
}
