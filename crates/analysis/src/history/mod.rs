//! Histories: the runs of one plan over time, what changed in them and since when.
//!
//! Place in the flow: `RunView` of each run -> [`RunFigures`] -> [`History`] -> report. Invariants: only runs of the same
//! load on the same system from the same machine stand in one series, the others in series of their own; runs that were
//! broken off or are invalid are left out and counted; the error covers all figures of all series together.

mod figures;
mod groups;
mod unsteady;

pub use figures::{FigureValue, Held, RunFigures, TestFigures, VERSION};
pub use unsteady::{Unsteady, Watched};

use crate::verdict::Unit;
use crucible_core::threshold::Better;
use crucible_stats::history::{FEWEST, Figure, Finding, Settings, Step, family};
use groups::{Alike, alike, facts};

/// See the module text.
#[derive(Clone, Debug)]
pub struct History {
    /// The plan.
    pub plan: String,
    /// The runs that count, the oldest first.
    pub runs: Vec<RunFigures>,
    /// Runs that do not.
    pub left_out: LeftOut,
    /// Series by test, the newest first.
    pub groups: Vec<Group>,
    /// What was asked.
    pub settings: Settings,
}

/// Runs that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their measurement cannot be trusted.
    pub invalid: usize,
    /// They did not come to their planned end.
    pub unfinished: usize,
    /// Their record cannot be read.
    pub unreadable: usize,
}

/// Runs of one test that stand in one series.
#[derive(Clone, Debug)]
pub struct Group {
    /// The test.
    pub test: String,
    /// Its load in words.
    pub load: String,
    /// The system under test.
    pub target: String,
    /// The machine that made the load.
    pub machine: String,
    /// Whether it holds the newest run of the test.
    pub newest: bool,
    /// Why these runs do not stand with those of the newest series.
    pub apart: Vec<&'static str>,
    /// Indices of its runs, in the order of time.
    pub runs: Vec<usize>,
    /// Standard errors by which a change must stand out; infinite where there are too few runs.
    pub critical: f64,
    /// Random orders of the runs that it follows from.
    pub orders: usize,
    /// Its figures.
    pub figures: Vec<Series>,
    /// Its thresholds.
    pub thresholds: Vec<Watched>,
    /// Changes, those of several figures at the same run together; in the order of time.
    pub events: Vec<Event>,
}

/// One figure over the runs of a group.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is of.
    pub subject: String,
    /// Which figure.
    pub measure: String,
    /// Unit of its values.
    pub unit: Unit,
    /// The side that is good.
    pub better: Better,
    /// By run of the group; `NaN` where the run does not tell it.
    pub values: Vec<f64>,
    /// By run of the group: what the value rests on.
    pub evidence: Vec<u64>,
    /// What happened to it.
    pub finding: Finding,
}

/// A run from which on one or more figures are other ones.
#[derive(Clone, Debug)]
pub struct Event {
    /// Place of the run in the group.
    pub at: usize,
    /// Places that can be the first as well.
    pub from: usize,
    /// See `from`.
    pub to: usize,
    /// The figures, by index, with their changes; the strongest first.
    pub steps: Vec<(usize, Step)>,
    /// What else changed there.
    pub changed: Vec<Changed>,
}

/// Something that is known of a run and differs from the run before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Place of the run in the group.
    pub at: usize,
    /// What: a label, `plan`, `tool`, `kernel`, ...
    pub what: String,
    /// Before; `None` if it was not known.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
    /// How often it changed in all runs of the group.
    pub times: usize,
}

/// A figure that is worse than it was.
#[derive(Clone, Copy, Debug)]
pub struct Regression<'a> {
    /// Where.
    pub group: &'a Group,
    /// Which figure.
    pub series: &'a Series,
    /// Since when; `None` for a drift.
    pub step: Option<&'a Step>,
}

/// Differences of error shares up to this do not matter.
const LEAST_SHARE: f64 = 0.000_5;

impl History {
    /// Looks at the runs of a plan, the oldest first; `test` alone, if given.
    pub fn of(plan: &str, runs: Vec<RunFigures>, test: Option<&str>, settings: &Settings) -> History {
        let mut left_out = LeftOut::default();
        let mut counted: Vec<RunFigures> = Vec::new();
        for run in runs {
            match (run.completed, run.invalid) {
                (false, _) => left_out.unfinished += 1,
                (_, true) => left_out.invalid += 1,
                _ => counted.push(run),
            }
        }
        let groups = alike(&counted, test);
        let series = groups.iter().filter(|group| group.runs.len() >= FEWEST).count().max(1);
        let each = Settings { alpha: settings.alpha / series as f64, ..*settings };
        let looked = groups.iter().map(|group| look(&counted, group, &groups, &each)).collect();
        History { plan: plan.to_owned(), groups: looked, runs: counted, left_out, settings: *settings }
    }

    /// Figures of the newest series that are worse than they were and have not come back.
    pub fn regressions(&self) -> Vec<Regression<'_>> {
        let mut found = Vec::new();
        for group in self.groups.iter().filter(|group| group.newest) {
            for series in &group.figures {
                let (least, margin) = (least(series.unit), self.settings.margin);
                let standing = series.finding.standing(series.better, least, margin);
                found.extend(standing.map(|step| Regression { group, series, step: Some(step) }));
                if series.finding.drifts_worse(series.better) {
                    found.push(Regression { group, series, step: None });
                }
            }
        }
        found
    }

    /// Tests whose newest series has too few runs to show a change.
    pub fn too_few(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.newest && group.runs.len() < FEWEST)
    }
}

impl Series {
    fn figure(&self) -> Figure<'_> {
        Figure { values: &self.values, least: least(self.unit) }
    }

    /// Its name for people: `p95`, `api.cpu`, `one product p99`.
    pub fn name(&self) -> String {
        match self.subject.as_str() {
            "all steps" => self.measure.clone(),
            subject if matches!(self.unit, Unit::Cores | Unit::Bytes) && subject.contains('.') => {
                subject.to_owned()
            }
            subject => format!("{subject} {}", self.measure),
        }
    }

    /// Whether a change from `before` to `after` is one for the worse.
    pub fn is_worse(&self, before: f64, after: f64) -> bool {
        match self.better {
            Better::Lower => after > before,
            Better::Higher => after < before,
        }
    }
}

fn least(unit: Unit) -> f64 {
    if unit == Unit::Share { LEAST_SHARE } else { 0.0 }
}

fn look(runs: &[RunFigures], group: &Alike, all: &[Alike], settings: &Settings) -> Group {
    let first = all.iter().find(|other| other.test == group.test).unwrap_or(group);
    let tests = group.runs.iter().map(|(run, place)| &runs[*run].tests[*place]);
    let mut series = series(runs, group);
    let figures: Vec<Figure<'_>> = series.iter().map(Series::figure).collect();
    let family = family(&figures, settings);
    series.iter_mut().zip(family.figures).for_each(|(series, finding)| series.finding = finding);
    agree(&mut series);
    let mut apart = Vec::new();
    let mut tell = |differs: bool, what| apart.extend(differs.then_some(what));
    tell(group.key.load != first.key.load, "another load");
    tell(group.key.target != first.key.target, "another target");
    tell(group.key.machine != first.key.machine, "another machine");
    Group {
        test: group.test.clone(),
        load: tests.clone().next_back().map(|test| test.load.clone()).unwrap_or_default(),
        target: group.key.target.clone(),
        machine: group.key.machine.clone(),
        newest: apart.is_empty(),
        apart,
        runs: group.runs.iter().map(|(run, _)| *run).collect(),
        critical: family.critical,
        orders: family.orders,
        thresholds: unsteady::watched(&tests.collect::<Vec<_>>(), &series),
        events: events(runs, group, &series),
        figures: series,
    }
}

/// A drift that levels explain nearly as well is a change of level, if other figures change theirs at the same runs.
fn agree(series: &mut [Series]) {
    let known: Vec<usize> =
        series.iter().flat_map(|series| series.finding.steps.iter().map(|step| step.at)).collect();
    for series in series {
        let steps = series.finding.otherwise.as_ref().map(|other| other.steps.as_slice()).unwrap_or_default();
        let alike = |step: &Step| known.iter().any(|at| (step.from..=step.to).contains(at));
        if !steps.is_empty() && steps.iter().all(alike) {
            series.finding = series.finding.otherwise.take().map(|other| *other).unwrap_or_default();
        }
    }
}

/// All figures that any run of the group tells.
fn series(runs: &[RunFigures], group: &Alike) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let n = group.runs.len();
    for (at, (run, place)) in group.runs.iter().enumerate() {
        for figure in &runs[*run].tests[*place].figures {
            let known = all.iter().position(|s| s.subject == figure.subject && s.measure == figure.measure);
            let index = known.unwrap_or(all.len());
            if known.is_none() {
                let (values, evidence) = (vec![f64::NAN; n], vec![0; n]);
                let (subject, measure) = (figure.subject.clone(), figure.measure.clone());
                let (unit, better) = (figure.unit, figure.better());
                let finding = Finding::default();
                all.push(Series { subject, measure, unit, better, values, evidence, finding });
            }
            (all[index].values[at], all[index].evidence[at]) = (figure.value, figure.evidence);
        }
    }
    all
}

/// Changes of several figures that can be one, together.
fn events(runs: &[RunFigures], group: &Alike, series: &[Series]) -> Vec<Event> {
    let steps = series
        .iter()
        .enumerate()
        .flat_map(|(index, series)| series.finding.steps.iter().map(move |step| (index, *step)));
    let mut steps: Vec<(usize, Step)> = steps.collect();
    steps.sort_by(|a, b| b.1.strength.total_cmp(&a.1.strength));
    let mut events: Vec<Event> = Vec::new();
    for (index, step) in steps {
        let same = |event: &&mut Event| {
            let can_be = step.from <= event.at && event.at <= step.to;
            can_be && event.steps.iter().all(|(other, _)| *other != index)
        };
        match events.iter_mut().find(same) {
            Some(event) => event.steps.push((index, step)),
            None => {
                let (at, from, to) = (step.at, step.from, step.to);
                events.push(Event { at, from, to, steps: vec![(index, step)], changed: Vec::new() })
            }
        }
    }
    events.iter_mut().for_each(|event| event.changed = changed(runs, group, event));
    events.sort_by_key(|event| event.at);
    events
}

/// What is known to have changed where an event can lie; what seldom changes first. At other runs than the likeliest only
/// what changed there and hardly anywhere else.
fn changed(runs: &[RunFigures], group: &Alike, event: &Event) -> Vec<Changed> {
    const SELDOM: usize = 3;
    let all: Vec<Vec<(String, String)>> = group.runs.iter().map(|(run, _)| facts(&runs[*run])).collect();
    let of =
        |at: usize, what: &str| all[at].iter().find(|(name, _)| name == what).map(|(_, value)| value.clone());
    let differs = |at: usize, what: &str| at > 0 && of(at - 1, what) != of(at, what);
    let mut names: Vec<&String> = all.iter().flatten().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let mut found = Vec::new();
    for what in names {
        let places: Vec<usize> = (1..all.len()).filter(|at| differs(*at, what)).collect();
        for at in places.iter().copied().filter(|at| (event.from..=event.to).contains(at)) {
            if at == event.at || places.len() <= SELDOM {
                let (before, after) = (of(at - 1, what), of(at, what));
                found.push(Changed { at, what: what.clone(), before, after, times: places.len() });
            }
        }
    }
    found.sort_by_key(|changed| (changed.at.abs_diff(event.at), changed.times));
    found
}
