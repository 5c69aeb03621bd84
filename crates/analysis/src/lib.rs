//! Views on a record, criteria, statistics and verdicts. Pure: no I/O, no clock, no randomness.

pub mod assess;
pub mod timeline;
pub mod verdict;
pub mod view;

pub use assess::{assess, broken_abort};
pub use timeline::{Point, Timeline};
pub use verdict::{Assessment, Judgement, TestAssessment, Unit, Verdict};
pub use view::{Completeness, Conservation, RunView, Totals, ViewError, judged_response};
