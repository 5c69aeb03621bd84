//! How a simulated generator is made imperfect: late wake-ups and a CPU that is taken away.

use crucible_core::{Ns, Rng};

/// How much later than asked a sleeper wakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WakeError {
    /// Never late.
    #[default]
    None,
    /// Always by the same.
    Fixed(Ns),
    /// Exponential with this mean.
    Exponential(Ns),
}

impl WakeError {
    pub(super) fn draw(self, rng: &mut Rng) -> Ns {
        match self {
            WakeError::None => Ns::ZERO,
            WakeError::Fixed(late) => late,
            WakeError::Exponential(mean) => Ns((mean.0 as f64 * rng.exponential()) as u64),
        }
    }
}
