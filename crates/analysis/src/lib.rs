//! Views on a record, criteria, statistics and verdicts. Pure: no I/O, no clock, no randomness.

pub mod assess;
pub mod bands;
pub mod bounded;
pub mod conservation;
pub mod criteria;
mod groups;
pub mod growth;
pub mod history;
pub mod requirements;
pub mod scaling;
pub mod series;
mod source;
pub mod stats;
mod stretch;
pub mod timeline;
pub mod totals;
mod tracker;
pub mod verdict;
pub mod view;
mod warmup;

pub use assess::{assess, broken_abort};
pub use conservation::{Balance, Conservation};
pub use criteria::lateness::lateness_of_all;
pub use criteria::{CRITERIA, Criterion};
pub use growth::{Growth, growth};
pub use series::{SeriesPoint, SeriesTotals, SeriesValue};
pub use timeline::{Point, Timeline};
pub use totals::{Totals, is_operation, judged_response};
pub use verdict::{Assessment, Judgement, TestAssessment, Unit, Verdict, WithWarmUp};
pub use view::{Completeness, RunView, ViewError};
pub use warmup::{How, Settled, settled};
