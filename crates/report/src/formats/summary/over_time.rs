//! How the test went over its time: its warm-up, and what grows.

use super::WIDTH;
use crate::report::Report;
use crate::soak;
use crate::text::{clean, wrap};
use std::fmt::{self, Write};

/// Most sentences of each kind.
const TOLD: usize = 6;

/// The warm-up of each phase of which there is something to say.
pub(super) fn warm_up(report: &Report<'_>, test: usize, out: &mut dyn Write) -> fmt::Result {
    let list = soak::warm_up(report.view, test);
    for text in list.iter().take(TOLD) {
        wrap(out, "  warm-up", 11, WIDTH, &clean(text))?;
    }
    if list.len() > TOLD {
        writeln!(out, "  warm-up  of {} further phases: `--format md` tells", list.len() - TOLD)?;
    }
    Ok(())
}

/// What grows without end; what is undecided; how much is well.
pub(super) fn growth(report: &Report<'_>, test: usize, out: &mut dyn Write) -> fmt::Result {
    let said = soak::growth(&crucible_analysis::growth(report.view, test));
    for text in said.found.iter().take(2 * TOLD) {
        wrap(out, "  grows", 9, WIDTH, &clean(text))?;
    }
    for text in said.undecided.iter().take(TOLD) {
        wrap(out, "  grows?", 10, WIDTH, &clean(text))?;
    }
    let more = said.found.len().saturating_sub(2 * TOLD) + said.undecided.len().saturating_sub(TOLD);
    if more > 0 {
        writeln!(out, "  ... and {more} further series; `--format md` tells all")?;
    }
    match said.well.len() {
        0 => Ok(()),
        1 => wrap(out, "  no leak", 11, WIDTH, &clean(&said.well[0])),
        well if well <= 2 * TOLD => wrap(out, "  no leak", 11, WIDTH, &clean(&said.well.join("; "))),
        well => writeln!(out, "  no leak  in {well} series"),
    }
}
