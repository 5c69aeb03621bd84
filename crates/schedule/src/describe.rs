//! A load in words, and the figures that people and records want of it.

use crate::{Iterations, Load, LoadPhase, Pacing, expected};
use crucible_core::Ns;

impl Load {
    /// One line for people: `50 users for 2m after a 10s ramp`.
    pub fn describe(&self) -> String {
        self.profile.to_owned()
    }

    /// Most users at once, over all phases and shares.
    pub fn max_users(&self) -> u64 {
        self.phases.iter().map(LoadPhase::max_users).max().unwrap_or(0)
    }

    /// Planned length: start delay and phases, without the graceful stop. Phases that end by count may be shorter.
    pub fn length(&self) -> Ns {
        self.start_delay + self.phases.iter().map(|phase| phase.length).sum()
    }
}

impl LoadPhase {
    /// Most users at once, over all shares.
    pub fn max_users(&self) -> u64 {
        match &self.pacing {
            Pacing::Open { max_users, .. } => *max_users,
            Pacing::Closed { users, .. } => users.max().ceil() as u64,
        }
    }

    /// How many iterations the phase is to begin over all shares: for open load the arrivals of [`crate::Arrivals`]
    /// with the same seed, for closed load by count the count; `None` for closed load by time.
    pub fn expected(&self, seed: u64) -> Option<u64> {
        match &self.pacing {
            Pacing::Open { rate, spacing, .. } => Some(expected(rate, *spacing, seed)),
            Pacing::Closed { iterations: Some(Iterations::Shared(count)), .. } => Some(*count),
            Pacing::Closed { iterations: Some(Iterations::PerUser(count)), .. } => {
                Some(count.saturating_mul(self.max_users()))
            }
            Pacing::Closed { iterations: None, .. } => None,
        }
    }
}
