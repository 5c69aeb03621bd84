//! To be written.
use super::Format;
use crate::Report;
use std::fmt;
/// The row.
pub(super) const FORMAT: Format = Format { name: "json", extension: "json", about: "", render };
fn render(report: &Report<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    writeln!(out, "{}", report.assessment.verdict)
}
