//! Sources of rows for `${name.column}`: CSV, JSON, JSON lines, rows in the plan, generated rows.
//!
//! Made while a plan is read; all that can be wrong with a file is told then, with line and remedy. Small files are
//! held as rows; of large ones only the offsets of some rows are, and rows are read where they stand.
//!
//! *Invariants:* memory does not follow the size of a large file; a row is the same whenever and by whomever it is
//! asked for; what a file holds is foreign, and never more than told.

mod columns;
mod csv_rows;
mod generate;
mod indexed;
mod json_rows;
mod open;
mod table;

pub use open::{Limits, Source, Wanted, open, open_source};
