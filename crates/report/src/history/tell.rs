//! The history at 80 columns.

use super::spark::{WIDTH as SPARK, spark};
use super::{chance, change, missing, percent, stands, word};
use crate::text::{clean, cut, label, utc, wrap};
use crucible_analysis::Unit;
use crucible_analysis::history::{Changed, Event, Group, History, RunFigures, Series, Unsteady, Watched};
use crucible_core::units::{show_number, show_share};
use std::fmt::{self, Write};

const WIDTH: usize = 80;
/// Width of the names of figures.
const NAME: usize = 18;
/// Things that changed beside a figure, most that are told.
const CHANGED: usize = 8;

/// Everything that is to be said, the newest series of each test first.
pub fn text(history: &History, ascii: bool) -> String {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = whole(history, ascii, &mut out);
    out
}

fn whole(history: &History, ascii: bool, out: &mut String) -> fmt::Result {
    let minute = |run: &RunFigures| minute(run.started_unix_ms);
    let plan = cut(&history.plan, 40, ascii);
    match (history.runs.first(), history.runs.last()) {
        (Some(first), Some(last)) => {
            let count = counted(history.runs.len());
            wrap(out, "", 0, WIDTH, &format!("{plan}: {count}, {} to {} UTC", minute(first), minute(last)))?
        }
        _ => writeln!(out, "{plan}: no run that counts")?,
    }
    if let Some(told) = left_out(history) {
        wrap(out, "", 2, WIDTH, &told)?;
    }
    for group in &history.groups {
        if group.newest || missing(group.runs.len()) == 0 {
            one(history, group, ascii, out)?;
        } else {
            let (test, load) = (cut(&group.test, 30, ascii), cut(&group.load, 60, ascii));
            let text = format!(
                "{test}, {} ({load}): {}, too few to show a change",
                group.apart.join(" and "),
                counted(group.runs.len())
            );
            writeln!(out)?;
            wrap(out, "", 0, WIDTH, &text)?;
        }
    }
    foot(history, out)
}

fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".into() } else { format!("{runs} runs") }
}

fn minute(unix_ms: u64) -> String {
    utc(unix_ms).chars().take(16).collect()
}

fn left_out(history: &History) -> Option<String> {
    let left = history.left_out;
    let parts = [
        (left.invalid, "invalid"),
        (left.unfinished, "broken off"),
        (left.unreadable, "that cannot be read"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    (!told.is_empty()).then(|| format!("left out: {}", told.join(", ")))
}

fn one(history: &History, group: &Group, ascii: bool, out: &mut String) -> fmt::Result {
    let (test, load) = (clean(&group.test), clean(&group.load));
    writeln!(out)?;
    wrap(out, "", 0, WIDTH, &format!("{test}: {load}"))?;
    let apart = if group.newest { String::new() } else { format!(" ({})", group.apart.join(" and ")) };
    let machine = if group.machine.is_empty() { "an unknown machine" } else { &group.machine };
    let about =
        format!("{} on {}, from {}{apart}", counted(group.runs.len()), clean(&group.target), clean(machine));
    wrap(out, "  ", 2, WIDTH, &about)?;
    if missing(group.runs.len()) > 0 {
        let more = missing(group.runs.len());
        let told = format!(
            "too few to show a change: {more} more {} needed, and a change shows after 5 runs at the earliest",
            if more == 1 { "is" } else { "are" }
        );
        wrap(out, "  ", 2, WIDTH, &told)?;
    }
    writeln!(out, "\n  {:<NAME$} {:<SPARK$} {:>10} {:>8}", "", "history", "now", "change")?;
    for series in &group.figures {
        row(history, series, ascii, out)?;
    }
    for event in &group.events {
        tell(history, group, event, ascii, out)?;
    }
    for series in &group.figures {
        drift(history, group, series, ascii, out)?;
    }
    unsteady(group, ascii, out)
}

fn row(history: &History, series: &Series, ascii: bool, out: &mut String) -> fmt::Result {
    let name = cut(&series.name(), NAME, ascii);
    let now = series.finding.level.median;
    let (moved, said) = match (&series.finding.drift, series.finding.steps.last()) {
        (Some(drift), _) => {
            let ends = (drift.first, drift.last);
            (change(series.unit, ends.0, ends.1), format!("drifts {}", word(series, ends.0, ends.1)))
        }
        (None, Some(step)) => {
            let standing = series.finding.steps.iter().find(|step| stands(history, series, step));
            let told = standing.unwrap_or(step);
            let word = match standing {
                None if series.finding.steps.len() > 1 && series.is_worse(step.after, step.before) => {
                    "came back".into()
                }
                _ => word(series, told.before, now).to_owned(),
            };
            (change(series.unit, told.before, now), word)
        }
        (None, None) => (String::new(), String::new()),
    };
    let line = format!(
        "  {name:<NAME$} {:<SPARK$} {:>10} {moved:>8} {said}",
        spark(&series.values, ascii),
        show(series.unit, now)
    );
    writeln!(out, "{}", line.trim_end())
}

fn show(unit: Unit, value: f64) -> String {
    match unit {
        _ if !value.is_finite() => "-".into(),
        Unit::Cores if value < 0.995 => format!("{value:.3} CPU"),
        Unit::Cores => format!("{} CPU", show_number(value)),
        unit => unit.show(value),
    }
}

/// A run with when it was and what it is of.
fn named(history: &History, group: &Group, at: usize) -> String {
    let Some(run) = group.runs.get(at).and_then(|index| history.runs.get(*index)) else {
        return "an unknown run".into();
    };
    format!("{} ({} UTC)", clean(&run.run), minute(run.started_unix_ms))
}

fn short(history: &History, group: &Group, at: usize) -> String {
    let run = group.runs.get(at).and_then(|index| history.runs.get(*index));
    run.map_or("an unknown run".into(), |run| clean(&run.run))
}

fn tell(history: &History, group: &Group, event: &Event, ascii: bool, out: &mut String) -> fmt::Result {
    writeln!(out)?;
    wrap(out, "  ", 2, WIDTH, &format!("Since {}", named(history, group, event.at)))?;
    for (index, step) in &event.steps {
        let series = &group.figures[*index];
        let name = cut(&series.name(), 16, ascii);
        let levels = format!("{} -> {}", show(series.unit, step.before), show(series.unit, step.after));
        let line = format!(
            "    {name:<16} {levels:<22} {:>8} {:<6} {:>5.1} SE, {}",
            change(series.unit, step.before, step.after),
            word(series, step.before, step.after),
            step.strength,
            chance(step.p)
        );
        writeln!(out, "{line}")?;
    }
    if event.from < event.to {
        let (from, to) = (short(history, group, event.from), short(history, group, event.to));
        wrap(out, "    ", 4, WIDTH, &format!("can lie between {from} and {to} (95 %)"))?;
    }
    let here: Vec<&Changed> = event.changed.iter().filter(|changed| changed.at == event.at).collect();
    let told = if here.is_empty() { "nothing that the record knows".into() } else { list(&here) };
    wrap(out, "    ", 4, WIDTH, &format!("changed there: {told}"))?;
    let mut others: Vec<usize> = event.changed.iter().map(|c| c.at).filter(|at| *at != event.at).collect();
    others.sort_unstable();
    others.dedup();
    for at in others {
        let there: Vec<&Changed> = event.changed.iter().filter(|changed| changed.at == at).collect();
        let text = format!("changed at {}: {}", short(history, group, at), list(&there));
        wrap(out, "    ", 4, WIDTH, &text)?;
    }
    Ok(())
}

fn list(changed: &[&Changed]) -> String {
    let side = |value: &Option<String>| value.as_deref().map_or("none".into(), label);
    let one = |c: &&Changed| format!("{} {} -> {}", clean(&c.what), side(&c.before), side(&c.after));
    let mut told: Vec<String> = changed.iter().take(CHANGED).map(one).collect();
    if changed.len() > CHANGED {
        told.push(format!("and {} more", changed.len() - CHANGED));
    }
    told.join("; ")
}

fn drift(history: &History, group: &Group, series: &Series, ascii: bool, out: &mut String) -> fmt::Result {
    let Some(drift) = &series.finding.drift else { return Ok(()) };
    let share = |slope: f64| format!("{:+.2}%", slope / drift.first.abs().max(1e-300) * 100.0);
    writeln!(out)?;
    let text = format!(
        "{} drifts by {} a run ({} to {}, 95 %), from {} to {}: {}; {:.1} standard errors, {}; since {}, without a step",
        cut(&series.name(), NAME, ascii),
        share(drift.slope),
        share(drift.low),
        share(drift.high),
        show(series.unit, drift.first),
        show(series.unit, drift.last),
        word(series, drift.first, drift.last),
        drift.strength,
        chance(drift.p),
        named(history, group, drift.from)
    );
    wrap(out, "  ", 2, WIDTH, &text)
}

fn unsteady(group: &Group, ascii: bool, out: &mut String) -> fmt::Result {
    let shaky: Vec<(&Watched, Unsteady)> =
        group.thresholds.iter().filter_map(|watched| Some((watched, watched.unsteady?))).collect();
    if shaky.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  Thresholds that cannot be relied on")?;
    for (watched, why) in shaky {
        let threshold = cut(&watched.threshold, 70, ascii);
        let text = match why {
            Unsteady::Flips { flips, passed, runs } => format!(
                "its verdict changed {flips} times in {runs} runs ({passed} passed) although the figure did not change: run \
                 longer, or move the limit"
            ),
            Unsteady::Tight { room, scatter, chance } => format!(
                "the limit is {} away, runs scatter by {}: about one run in {:.0} breaks it by chance",
                show_share(room.max(0.0)),
                show_share(scatter),
                (1.0 / chance).max(1.0)
            ),
        };
        wrap(out, "    ", 4, WIDTH, &threshold)?;
        wrap(out, "      ", 6, WIDTH, &text)?;
    }
    Ok(())
}

fn foot(history: &History, out: &mut String) -> fmt::Result {
    let looked: Vec<&Group> = history.groups.iter().filter(|group| group.critical.is_finite()).collect();
    let (Some(least), Some(most)) = (
        looked.iter().map(|group| group.critical).reduce(f64::min),
        looked.iter().map(|group| group.critical).reduce(f64::max),
    ) else {
        return Ok(());
    };
    let orders = looked.iter().map(|group| group.orders).max().unwrap_or(0);
    let figures: usize = looked.iter().map(|group| group.figures.len()).sum();
    let beyond = if most - least < 0.05 { format!("{most:.1}") } else { format!("{least:.1} to {most:.1}") };
    let text = format!(
        "A history without a change shows one in at most {} of cases, over all {figures} figures together: changes stand \
         out by more than {beyond} standard errors (SE), more than chance does in {orders} random orders of the runs. Changes up \
         to {} do not matter.",
        percent(history.settings.alpha),
        percent(history.settings.margin)
    );
    writeln!(out)?;
    wrap(out, "", 0, WIDTH, &text)
}
