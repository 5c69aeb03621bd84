//! How a test went over its time, in words and rows that several formats show: its warm-up, what grows, and its figures by
//! slice of time.

use crate::values;
use crucible_analysis::{Growth, How, RunView, Unit, settled};
use crucible_core::Ns;
use crucible_core::units::{show_number, show_share};
use crucible_stats::trend::Leak;

/// What is to be said of the warm-up of a test, a sentence for each phase of which there is something to say.
pub(crate) fn warm_up(view: &RunView, test: usize) -> Vec<String> {
    let settled = settled(view, test);
    let several = settled.len() > 1;
    let told = settled.iter().filter_map(|one| {
        let text = match &one.how {
            How::WarmedUp { cut, before, after, told, .. } => warmed_up(*cut, before.zip(*after), *told),
            How::Unsteady(why) => format!("no steady state: {}", why.words()),
            How::Steady | How::TooShort => return None,
        };
        let phase = view.started.phases.get(one.phase).map_or("", |meta| meta.name.as_str());
        Some(if several { format!("{phase}: {text}") } else { text })
    });
    told.collect()
}

fn warmed_up(cut: Ns, p95: Option<(Ns, Ns)>, told: bool) -> String {
    let by = if told { ", as the plan says" } else { "" };
    let ratio =
        p95.filter(|(_, after)| *after > Ns::ZERO).map(|(before, after)| before.0 as f64 / after.0 as f64);
    let slower = ratio
        .map_or(String::new(), |ratio| format!(" (p95 there {} times that of the rest)", show_number(ratio)));
    format!("the first {cut} are left out of steady figures{by}{slower}")
}

/// What is to be said of growth in a test: what was found, what is undecided, and what is well.
#[derive(Default)]
pub(crate) struct Said {
    /// Each with its subject.
    pub(crate) found: Vec<String>,
    /// The same.
    pub(crate) undecided: Vec<String>,
    /// The same.
    pub(crate) well: Vec<String>,
}

/// Sorts what is said of growth.
pub(crate) fn growth(list: &[Growth]) -> Said {
    let mut said = Said::default();
    for growth in list {
        let place = match growth.leak {
            Leak::Found { .. } => &mut said.found,
            Leak::Undecided { .. } => &mut said.undecided,
            Leak::None { .. } => &mut said.well,
        };
        place.push(format!("{} {}", growth.subject, growth.words()));
    }
    said
}

/// Most slices of a table over time.
const SLICES: f64 = 5.0;
/// Shorter tests have no table over time.
const SHORTEST: Ns = Ns::from_secs(180);
/// Minutes that a slice may have.
const MINUTES: [u64; 13] = [1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 720, 1_440, 2_880];
/// Series that the table shows, with the words of their columns.
const COLUMNS: [(&str, &str); 6] = [
    ("cpu", "CPU"),
    ("memory", "memory"),
    ("descriptors", "descriptors"),
    ("threads", "threads"),
    ("connections", "connections"),
    ("hit_rate", "hit rate"),
];

/// A table over the time of a test.
pub(crate) struct Slices {
    /// Words of the columns; the first is the time.
    pub(crate) head: Vec<String>,
    /// A row for each slice.
    pub(crate) rows: Vec<Vec<String>>,
}

/// The figures of a test by slice of time; `None` for a short one. Percentiles are those of windows of about a second: the
/// mean of p50, and the worst p95.
pub(crate) fn slices(view: &RunView, test: usize) -> Option<Slices> {
    let totals = view.tests.get(test)?;
    let (from, to) = (totals.from?, totals.to);
    let length = to.since(from);
    if length < SHORTEST {
        return None;
    }
    let minutes = MINUTES.iter().find(|minutes| length.as_secs_f64() <= SLICES * 60.0 * **minutes as f64)?;
    let size = Ns::from_secs(60 * minutes);
    let shown: Vec<(usize, &str)> = COLUMNS
        .iter()
        .flat_map(|(name, word)| {
            let series = view.started.series.iter().enumerate();
            series.filter(move |(_, meta)| meta.name == *name).map(|(index, _)| (index, *word))
        })
        .filter(|(index, _)| totals.series[*index].count > 0)
        .filter(|(index, _)| {
            let component = view.started.series[*index].component.as_str();
            !matches!(component, crucible_core::monitor::GENERATOR_NAME)
        })
        .collect();
    let mut head: Vec<String> = ["Time", "Rate/s", "Errors", "p50", "Worst p95"].map(str::to_owned).into();
    head.extend(
        shown.iter().map(|(index, word)| format!("{} {word}", view.started.series[*index].component)),
    );
    let mut rows = Vec::new();
    let mut at = from;
    while at < to {
        let end = (at + size).min(to);
        // a rest of less than a tenth belongs to the slice before
        let end = if to.since(end).0 * 10 < size.0 { to } else { end };
        // to a tenth of a minute, without a zero that says nothing
        let minute = |instant: Ns| (instant.since(from).as_secs_f64() / 6.0).round() / 10.0;
        let mut row = vec![format!("{} to {} min", minute(at), minute(end))];
        row.extend(load(view, test, at, end));
        row.extend(shown.iter().map(|(index, _)| reading(view, *index, at, end)));
        rows.push(row);
        at = end;
    }
    Some(Slices { head, rows })
}

fn load(view: &RunView, test: usize, from: Ns, to: Ns) -> [String; 4] {
    let of_test = |phase: u16| {
        view.started.phases.get(usize::from(phase)).is_some_and(|meta| usize::from(meta.test) == test)
    };
    let points = view.timeline.points().iter().filter(|p| p.from >= from && p.from < to && of_test(p.phase));
    let (mut ended, mut errors, mut seconds, mut weight, mut p50, mut p95) = (0, 0, 0.0, 0.0, 0.0, None);
    for point in points {
        ended += point.ended;
        errors += point.errors;
        seconds += point.seconds();
        if let Some(median) = point.p50 {
            weight += point.ended as f64;
            p50 += median.0 as f64 * point.ended as f64;
        }
        p95 = p95.max(point.p95);
    }
    let dash = || "-".to_owned();
    let time = |ns: Option<Ns>| ns.map_or_else(dash, |ns| ns.to_string());
    [
        if seconds > 0.0 { show_number(ended as f64 / seconds) } else { dash() },
        if ended > 0 { show_share(errors as f64 / ended as f64) } else { dash() },
        time((weight > 0.0).then(|| Ns((p50 / weight) as u64))),
        time(p95),
    ]
}

/// The mean of a series in a slice.
fn reading(view: &RunView, series: usize, from: Ns, to: Ns) -> String {
    let points = view.readings.points().iter().filter(|point| point.from >= from && point.from < to);
    let values = points.filter_map(|point| point.values.get(series).copied().flatten());
    let (count, sum) = values
        .fold((0, 0.0), |(count, sum), value| (count + value.count, sum + value.mean * value.count as f64));
    match view.started.series.get(series) {
        Some(meta) if count > 0 => values::show(Unit::of_series(&meta.unit), sum / count as f64),
        _ => "-".to_owned(),
    }
}
