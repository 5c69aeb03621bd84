//! How the result of a run is told on standard output.

use super::report;
use crate::args::TellArgs;
use crate::conduct::Conducted;
use crate::exit::CliError;

/// Prints the result as the flags say. `latency` adds the detailed distribution.
pub fn result(conducted: &Conducted, tell: &TellArgs, latency: bool) -> Result<(), CliError> {
    let format = match (&tell.summary, tell.json) {
        (Some(tool), _) => tool.as_str(),
        (None, true) => "json",
        (None, false) => "summary",
    };
    report::print(&conducted.view, format)?;
    if latency && format == "summary" {
        report::print(&conducted.view, "hdr")?;
    }
    Ok(())
}
