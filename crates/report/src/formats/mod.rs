//! The table of formats.

mod csv;
mod hdr;
mod json;
mod junit;
mod k6;
mod md;
mod summary;
mod wrk;

use crate::Report;
pub(crate) use md::safe;
use std::fmt;

/// A report format: one row of [`FORMATS`].
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The name on the command line.
    pub name: &'static str,
    /// Extension of files, without the dot.
    pub extension: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Writes the whole report. Errors come from the writer alone.
    pub render: fn(&Report<'_>, &mut dyn fmt::Write) -> fmt::Result,
}

/// All formats, in the order in which help shows them.
pub const FORMATS: &[Format] = &[
    summary::FORMAT,
    md::FORMAT,
    json::FORMAT,
    csv::FORMAT,
    junit::FORMAT,
    k6::FORMAT,
    wrk::FORMAT,
    hdr::FORMAT,
];

/// The format of this name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

impl Format {
    /// The whole report as text.
    pub fn text(&self, report: &Report<'_>) -> String {
        let mut out = String::new();
        // writing to a String cannot fail
        let _ = (self.render)(report, &mut out);
        out
    }
}
