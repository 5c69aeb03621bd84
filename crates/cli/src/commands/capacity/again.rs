//! What is done about a trial in which we were late: it is made again, or the search goes on without it.

use super::tell;
use crate::out;
use crucible_stats::capacity::{Purpose, Scale, Search, Trial};

/// A trial in which we were late says nothing and is made again; after so many in a row the search ends.
const MOST_LATE: u32 = 4;

/// While the load still grows, so many in a row are enough to grow by less, and so often. An overload is given up after so many: it
/// may be that this machine cannot make so much, or that something else ran just then.
const LATE_ABOVE: u32 = 2;
const CAPS: usize = 3;

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
    /// Why no overload could be put on.
    no_overload: Option<String>,
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
        if trial.purpose == Purpose::Overload {
            if self.late >= LATE_ABOVE {
                self.no_overload = Some(why);
                self.late = 0;
                search.pass_over();
            }
            return None;
        }
        let grows = trial.purpose == Purpose::Grow && self.held > 0.0;
        if self.late >= LATE_ABOVE && grows && self.capped.len() < CAPS {
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
    pub(super) fn remarks(mut self) -> Vec<String> {
        let overload = self.no_overload.map(|why| {
            format!(
                "what the system does at most is not known, so that the interval may reach far down: {why}"
            )
        });
        self.capped.pop().into_iter().chain(overload).collect()
    }
}
