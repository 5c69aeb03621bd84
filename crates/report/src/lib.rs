//! Report formats over an analysed record: text in, text out.
//!
//! Place in the flow: `RunEvent` log -> `RunView` and `Assessment` -> [`Report`] -> one of [`FORMATS`].
//! Invariants: no clock, no I/O, no randomness; the same record gives the same bytes; foreign text (names of the
//! plan, texts of the target) never reaches a terminal, a cell or a document unescaped.

pub mod comparison;
mod figures;
#[cfg(test)]
mod fixture;
mod formats;
mod report;
mod soak;
mod swallowed;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub use formats::{FORMATS, Format, find};
pub use report::{Options, Report};
pub use swallowed::{Swallowed, swallowed};
