//! Views on a record, criteria, statistics and verdicts. Pure: no I/O, no clock, no randomness.

pub mod assess;
pub mod bands;
pub mod criteria;
pub mod stats;
mod stretch;
pub mod timeline;
mod tracker;
pub mod verdict;
pub mod view;

pub use assess::{assess, broken_abort};
pub use criteria::{CRITERIA, Criterion};
pub use timeline::{Point, Timeline};
pub use verdict::{Assessment, Judgement, TestAssessment, Unit, Verdict};
pub use view::{Balance, Completeness, Conservation, RunView, Totals, ViewError, judged_response};
