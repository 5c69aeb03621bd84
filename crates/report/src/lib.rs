//! Report formats over an analysed record: text in, text out.
//!
//! Place in the flow: `RunEvent` log -> `RunView` and `Assessment` -> [`Report`] -> one of [`FORMATS`]; several reports in a
//! [`Survey`] -> one of [`OVERVIEWS`].
//! Invariants: no clock, no I/O, no randomness; the same record gives the same bytes; foreign text (names of the
//! plan, texts of the target) never reaches a terminal, a cell or a document unescaped.

pub mod comparison;
mod demanded;
mod figures;
#[cfg(test)]
mod fixture;
mod formats;
mod found;
mod growth;
pub mod history;
#[cfg(test)]
mod ladder;
mod overviews;
mod page;
mod report;
mod searched;
mod soak;
mod survey;
mod swallowed;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use formats::{FORMATS, Format, find};
pub use overviews::{OVERVIEWS, Overview, Told, find_overview};
pub use report::{Options, Report};
pub use survey::{Asked, Baseline, Kind, Survey, Wanted, kind};
pub use swallowed::{Swallowed, swallowed};
