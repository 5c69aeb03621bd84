//! Conservation of work, window by window.
//!
//! All steps have a part in it, also those that are no operations of the plan's own (polls, timed spans): whatever was
//! begun must have ended or still be there.

use crucible_record::Window;

/// Conservation of work: what came in must have come out or still be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    /// Windows whose step counts did not add up.
    pub broken_step_windows: u64,
    /// Windows whose iteration counts did not add up.
    pub broken_iteration_windows: u64,
    /// The first violation in words.
    pub first: Option<String>,
    /// Operations planned, ended, and under way at the end of the last window.
    pub steps: Balance,
    /// The same for iterations.
    pub iterations: Balance,
    /// Something was not observed since the last window, so the next one cannot be compared with it.
    pub(crate) interrupted: bool,
}

/// What came in, what came out and what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Came in.
    pub planned: u64,
    /// Came out.
    pub ended: u64,
    /// There after the last window.
    pub in_flight: u64,
}

impl Balance {
    /// Takes in a window; `false` if it does not add up.
    fn apply(&mut self, planned: u64, ended: u64, in_flight: u64) -> bool {
        let holds =
            u128::from(self.in_flight) + u128::from(planned) == u128::from(ended) + u128::from(in_flight);
        self.planned = self.planned.saturating_add(planned);
        self.ended = self.ended.saturating_add(ended);
        self.in_flight = in_flight;
        holds
    }
}

impl Conservation {
    pub(crate) fn apply(&mut self, window: &Window) {
        let skip = std::mem::take(&mut self.interrupted);
        let sum = |counts: &mut dyn Iterator<Item = u64>| counts.fold(0u64, u64::saturating_add);
        let planned = sum(&mut window.steps.iter().map(|(_, f)| f.planned));
        let ended = sum(&mut window.steps.iter().map(|(_, f)| f.ended()));
        let before = self.steps.in_flight;
        if !self.steps.apply(planned, ended, window.in_flight) && !skip {
            self.broken_step_windows += 1;
            self.tell("operations", window, before, planned, ended, window.in_flight);
        }
        let planned = sum(&mut window.iterations.iter().map(|(_, f)| f.planned));
        let ended = sum(&mut window.iterations.iter().map(|(_, f)| f.ended()));
        let (before, after) = (self.iterations.in_flight, window.iterations_in_flight);
        if !self.iterations.apply(planned, ended, after) && !skip {
            self.broken_iteration_windows += 1;
            self.tell("iterations", window, before, planned, ended, after);
        }
    }

    fn tell(&mut self, what: &str, window: &Window, before: u64, planned: u64, ended: u64, after: u64) {
        self.first.get_or_insert_with(|| {
            format!(
                "{what} from {} to {}: {before} under way before + {planned} planned is not {ended} ended + {after} \
                 under way after",
                window.from, window.to
            )
        });
    }
}
