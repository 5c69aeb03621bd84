//! The table of claims at 80 columns: claim, measured, goal, and whether it holds.

use std::fmt::Write;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is claimed, for which case.
    pub(crate) claim: String,
    /// What came out.
    pub(crate) measured: String,
    /// What was to come out.
    pub(crate) goal: String,
    /// Whether it did.
    pub(crate) holds: bool,
}

impl Row {
    pub(crate) fn new(
        claim: impl Into<String>,
        measured: impl Into<String>,
        goal: impl Into<String>,
        holds: bool,
    ) -> Row {
        Row { claim: claim.into(), measured: measured.into(), goal: goal.into(), holds }
    }
}

/// The row, or one that says why there is none.
pub(crate) fn settle(claim: &str, measured: Result<Row, crate::Failure>) -> Row {
    measured.unwrap_or_else(|why| Row::new(claim, why, "measured", false))
}

const CLAIM: usize = 25;
const MEASURED: usize = 27;
const GOAL: usize = 16;

pub(crate) fn render(rows: &[(&str, Row)]) -> String {
    let mut out = String::new();
    line(&mut out, "", "claim", "measured", "goal", "");
    let _ = writeln!(out, "{}", "-".repeat(4 + CLAIM + MEASURED + GOAL + 8));
    for (id, row) in rows {
        let (claim, measured, goal) =
            (wrap(&row.claim, CLAIM), wrap(&row.measured, MEASURED), wrap(&row.goal, GOAL));
        for index in 0..claim.len().max(measured.len()).max(goal.len()) {
            let part = |lines: &[String]| lines.get(index).cloned().unwrap_or_default();
            let first = index == 0;
            let verdict = if row.holds { "pass" } else { "FAIL" };
            line(
                &mut out,
                if first { id } else { "" },
                &part(&claim),
                &part(&measured),
                &part(&goal),
                if first { verdict } else { "" },
            );
        }
    }
    out
}

/// A remark on a claim, below the table.
pub(crate) fn beside(id: &str, text: &str) -> String {
    let lines = wrap(text, CLAIM + MEASURED + GOAL + 8);
    let all = lines.iter().enumerate().map(|(index, line)| {
        let id = if index == 0 { id } else { "" };
        format!("{id:<4}{line}")
    });
    all.collect::<Vec<_>>().join("\n")
}

/// What is said of a claim as soon as it is measured, long before the table: how many rows hold, and those that do not.
pub(crate) fn ended(name: &str, rows: &[Row], seconds: f64) -> String {
    let held = rows.iter().filter(|row| row.holds).count();
    let open = rows.iter().filter(|row| !row.holds);
    let open: String =
        open.map(|row| format!("\n  FAIL {}: {} (goal: {})", row.claim, row.measured, row.goal)).collect();
    format!("{name}: {held} of {} hold, {seconds:.1} s{open}", rows.len())
}

fn line(out: &mut String, id: &str, claim: &str, measured: &str, goal: &str, verdict: &str) {
    let text = format!("{id:<4}{claim:<CLAIM$} {measured:<MEASURED$} {goal:<GOAL$} {verdict}");
    // writing to a String cannot fail
    let _ = writeln!(out, "{}", text.trim_end());
}

/// Breaks at spaces; longer words stay whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_80_columns() {
        let row = Row::new(
            "stall 1 s every 10 s, open load",
            "p99.9 912.40 ms for 912.31 ms (+0.01 %)",
            "1 % or 50 us",
            true,
        );
        let text = render(&[("T1", row.clone()), ("T2", Row { holds: false, ..row })]);
        let text = text + &beside("T2", &"why it is not met, told at length ".repeat(9));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!((text.matches("pass").count(), text.matches("FAIL").count()), (1, 1));
    }

    #[test]
    fn what_does_not_hold_is_told_at_once() {
        let row = |claim, holds| Row::new(claim, "2.1 %", "2 %", holds);
        let text = ended("T14", &[row("a", true), row("b", false)], 1.0);
        assert_eq!(text, "T14: 1 of 2 hold, 1.0 s\n  FAIL b: 2.1 % (goal: 2 %)");
    }
}
