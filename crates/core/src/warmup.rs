//! What a test does with its warm-up.

use crate::Ns;

/// Whether the begin of a test counts for its steady figures: percentiles and means of response time, throughput. Errors,
/// checks and everything else count from the first operation on, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WarmUp {
    /// It counts.
    #[default]
    Keep,
    /// Where each phase of constant load becomes steady is found from its figures, and what is before it is left out.
    Auto,
    /// So much of the test's begin is left out.
    First(Ns),
}
