//! The warm-up of each phase of constant load: where it ends, and what is left without it.
//!
//! Place in the flow: windows -> [`Settling`] of their phase -> [`crucible_stats::steady`] -> [`Cut`], which thresholds on
//! steady figures leave out, and [`Settled`], which reports tell. Nothing is decided while the run goes on: what is kept is
//! one level for each window, for finding the end, and distributions of stretches that grow with the time, for cutting
//! there afterwards. So the verdict stays a fold over the record.
//!
//! Invariants: at most [`MOST_LEVELS`] levels, and stretches in number as the logarithm of the length; nothing is cut from
//! errors, checks, counts or extremes; a phase that is too short to say anything is left whole.

use crate::bounded::{Bounded, Joined};
use crate::totals::judged_response;
use crate::view::RunView;
use crucible_core::{Frame, Histogram, Ns, Outcome, WarmUp};
use crucible_record::{Model, PhaseMeta, Window};
use crucible_stats::steady::{Settings, State, Why, find};

/// Most windows (or groups of neighbouring ones) whose level is kept.
const MOST_LEVELS: usize = 600;
/// A stretch is at least this part of the time before it: a cut is rounded up by at most as much.
const STRETCH: u64 = 12;

/// What is left out of judgements on steady figures: the begin of phases.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cut {
    /// By phase: windows that begin before this instant are left out.
    until: Vec<(u16, Ns)>,
}

impl Cut {
    /// Leaves out the windows of a phase that begin before `until`.
    pub(crate) fn leave_out(&mut self, phase: usize, until: Ns) {
        self.until.push((phase as u16, until));
    }

    /// Whether nothing is left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// Until when windows of `phase` are left out, if any are.
    fn of(&self, phase: usize) -> Option<Ns> {
        self.until.iter().find(|(of, _)| usize::from(*of) == phase).map(|(_, until)| *until)
    }

    /// Whether a window of `phase` that begins at `from` is left out.
    pub(crate) fn leaves_out(&self, phase: u16, from: Ns) -> bool {
        self.of(usize::from(phase)).is_some_and(|until| from < until)
    }
}

/// The level of one window, or of a few neighbouring ones.
#[derive(Clone, Debug)]
struct Level {
    from: Ns,
    to: Ns,
    ok: u64,
    /// By step of the plan: operations, and as often the middle of the logarithms of their response times.
    steps: Vec<(f64, f64)>,
}

impl Joined for Level {
    fn alike(&self, _: &Level) -> bool {
        true
    }

    fn joined(&self, next: &Level) -> Level {
        let steps = self.steps.iter().zip(&next.steps).map(|(a, b)| (a.0 + b.0, a.1 + b.1)).collect();
        Level { from: self.from, to: next.to, ok: self.ok + next.ok, steps }
    }
}

/// Distributions of a stretch of a phase, in their compact form.
#[derive(Clone, Debug)]
struct Stretch {
    to: Ns,
    /// By step: response time as it is judged, and service time.
    steps: Vec<Option<[Vec<u8>; 2]>>,
}

/// One phase, as its windows told of it.
#[derive(Clone, Debug)]
pub(crate) struct Settling {
    /// Where its load is constant, since its begin.
    constant: Option<(Ns, Ns)>,
    /// Whether its warm-up is to be found.
    auto: bool,
    /// Where it is cut in any case.
    fixed: Option<Ns>,
    began: Option<Ns>,
    levels: Bounded<Level>,
    stretches: Vec<Stretch>,
    /// The stretch that is not complete.
    open: Option<Open>,
}

/// A stretch that is not complete.
#[derive(Clone, Debug)]
struct Open {
    from: Ns,
    to: Ns,
    /// By step: response time as it is judged, and service time.
    steps: Vec<Option<[Histogram; 2]>>,
}

impl Settling {
    /// Of a phase of a test that does this with its warm-up.
    pub(crate) fn new(meta: &PhaseMeta, warm_up: WarmUp) -> Settling {
        Settling {
            constant: meta.constant,
            auto: meta.constant.is_some() && warm_up == WarmUp::Auto,
            fixed: None,
            began: None,
            levels: Bounded::new(MOST_LEVELS),
            stretches: Vec::new(),
            open: None,
        }
    }

    /// Takes in a window of this phase; `operations` says which steps are operations; before `fixed` all is cut.
    pub(crate) fn apply(&mut self, window: &Window, operations: &[bool], began: Ns, fixed: Option<Ns>) {
        self.fixed = fixed;
        if self.constant.is_none() && fixed.is_none() {
            return;
        }
        let began = *self.began.get_or_insert(began);
        if self.constant.is_some() {
            self.levels.push(level(window, operations));
        }
        if !self.auto && fixed.is_none() {
            return;
        }
        let fresh = || Open { from: window.from, to: window.to, steps: vec![None; operations.len()] };
        let mut open = self.open.take().unwrap_or_else(fresh);
        open.to = window.to;
        for (id, frame) in &window.steps {
            let place = &mut open.steps[usize::from(id.0)];
            let [response, service] = place.get_or_insert_with(Default::default);
            response.merge(&frame.response);
            response.merge(&frame.censored);
            service.merge(&frame.service);
            service.merge(&frame.censored);
        }
        let long = open.to.since(open.from).0.saturating_mul(STRETCH) >= open.from.since(began).0;
        let due = fixed.is_some_and(|fixed| window.from < fixed && fixed <= window.to);
        if (long && fixed.is_none()) || due {
            let compact = |pair: &[Histogram; 2]| pair.each_ref().map(Histogram::encode);
            let steps = open.steps.iter().map(|pair| pair.as_ref().map(compact)).collect();
            self.stretches.push(Stretch { to: open.to, steps });
        } else {
            self.open = Some(open);
        }
    }

    /// The windows whose load was constant, without those that were cut off at the end.
    fn constant_levels(&self) -> Vec<&Level> {
        let (Some((from, to)), Some(began)) = (self.constant, self.began) else { return Vec::new() };
        let within = |level: &&Level| level.from >= began + from && level.from < began + to;
        let mut levels: Vec<&Level> = self.levels.points().iter().filter(within).collect();
        let half = levels.first().map_or(Ns::ZERO, |level| Ns(level.to.since(level.from).0 / 2));
        while levels.last().is_some_and(|last| last.to.since(last.from) < half || last.to > began + to + half)
        {
            levels.pop();
        }
        levels
    }

    /// Response time by window as a ratio of the whole: what is the same for all steps, so that another mix of steps is no
    /// change; with the middle of each window. Windows in which nothing succeeded are left out.
    fn ratios(levels: &[&Level]) -> Vec<(usize, f64)> {
        let steps = levels.first().map_or(0, |level| level.steps.len());
        let means: Vec<f64> = (0..steps)
            .map(|step| {
                let (n, sum) = levels
                    .iter()
                    .map(|level| level.steps[step])
                    .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
                if n > 0.0 { sum / n } else { 0.0 }
            })
            .collect();
        let ratio = |level: &&Level| {
            let n: f64 = level.steps.iter().map(|(n, _)| n).sum();
            let above: f64 = level.steps.iter().zip(&means).map(|((n, sum), mean)| sum - n * mean).sum();
            (n > 0.0).then(|| (above / n).exp())
        };
        levels.iter().enumerate().filter_map(|(at, level)| Some((at, ratio(level)?))).collect()
    }

    /// Response times over time, in nanoseconds: their middle with the same mix of steps in each window. Only where
    /// the load was constant, from `after` on.
    pub(crate) fn response_times(&self, after: Ns) -> Vec<(f64, f64)> {
        let mut levels = self.constant_levels();
        levels.retain(|level| level.from >= after);
        let (n, sum) = levels
            .iter()
            .flat_map(|level| &level.steps)
            .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        let typical = if n > 0.0 { (sum / n).exp() } else { 0.0 };
        let middle = |at: usize| 0.5 * (levels[at].from.as_secs_f64() + levels[at].to.as_secs_f64());
        Settling::ratios(&levels).into_iter().map(|(at, ratio)| (middle(at), ratio * typical)).collect()
    }

    /// What the windows say, and from when on it is steady.
    fn state(&self, model: Model) -> (State, Option<Ns>) {
        let levels = self.constant_levels();
        let ratios = Settling::ratios(&levels);
        // what is missing in many windows has no level
        if ratios.len() * 10 < levels.len() * 9 {
            return (State::TooShort, None);
        }
        let settings = Settings::default();
        let of_times = of_times(ratios.iter().map(|(_, ratio)| *ratio).collect(), &settings);
        let begin = |at: usize| levels[at].from;
        let time = match of_times {
            State::Steady(steady) => begin(ratios[steady.from].0),
            other => return (other, None),
        };
        if model == Model::Open {
            return (of_times, Some(time));
        }
        let rate = |level: &&Level| level.ok as f64 / level.to.since(level.from).as_secs_f64();
        match find(&levels.iter().map(rate).collect::<Vec<f64>>(), &settings) {
            State::Steady(steady) if begin(steady.from) > time => {
                (State::Steady(steady), Some(begin(steady.from)))
            }
            State::Steady(_) => (of_times, Some(time)),
            other => (other, None),
        }
    }

    /// The end of the first stretch that ends at or after `found`; `None` if nothing is left then.
    fn boundary(&self, found: Ns) -> Option<Ns> {
        let until = self.stretches.iter().map(|stretch| stretch.to).find(|to| *to >= found)?;
        let last = self.open.as_ref().map(|open| open.to).or(self.stretches.last().map(|last| last.to))?;
        (last > until).then_some(until)
    }

    /// The distribution of some steps before or after an instant: of response time as it is judged, or of service time.
    fn distribution(&self, steps: &[usize], service: bool, keep: impl Fn(Ns) -> bool) -> Histogram {
        let (mut all, which) = (Histogram::default(), usize::from(service));
        for stretch in self.stretches.iter().filter(|stretch| keep(stretch.to)) {
            for step in steps {
                let part = stretch.steps.get(*step).and_then(Option::as_ref);
                if let Some(part) = part.and_then(|pair| Histogram::decode(&pair[which])) {
                    all.merge(&part);
                }
            }
        }
        if let Some(open) = self.open.as_ref().filter(|open| keep(open.to)) {
            for step in steps {
                if let Some(pair) = open.steps.get(*step).and_then(Option::as_ref) {
                    all.merge(&pair[which]);
                }
            }
        }
        all
    }
}

fn level(window: &Window, operations: &[bool]) -> Level {
    let mut steps = vec![(0.0, 0.0); operations.len()];
    let mut ok = 0;
    for (id, frame) in &window.steps {
        let step = usize::from(id.0);
        if !operations[step] {
            continue;
        }
        ok += frame.of(Outcome::Ok);
        let n = frame.response.count() as f64;
        steps[step] = (n, n * middle(&frame.response));
    }
    Level { from: window.from, to: window.to, ok, steps }
}

/// The mean of the logarithms of the middle half of the values: a busy machine makes some answers much longer, which must
/// not hide the level, and unlike a median it does not jump where the values have two heights. 0 of nothing.
fn middle(histogram: &Histogram) -> f64 {
    let n = histogram.count() as f64;
    let (low, high) = (0.25 * n, 0.75 * n);
    let (mut before, mut sum) = (0.0f64, 0.0);
    for (value, count) in histogram.buckets() {
        let after = before + count as f64;
        let within = after.min(high) - before.max(low);
        if within > 0.0 {
            sum += within * (value.0.max(1) as f64).ln();
        }
        before = after;
    }
    if n > 0.0 { sum / (high - low) } else { 0.0 }
}

/// The state of response times by window. Where bursts drown a warm-up, their logarithms still show it; where it is plain,
/// only the ratios themselves fade as an exponential does.
fn of_times(ratios: Vec<f64>, settings: &Settings) -> State {
    let plain = find(&ratios, settings);
    let found = |state: &State| matches!(state, State::Steady(steady) if steady.from > 0);
    if found(&plain) || plain == State::TooShort {
        return plain;
    }
    Some(find(&evened(ratios), settings)).filter(found).unwrap_or(plain)
}

/// Ratios to the median of their last quarter, as 1 and their logarithms: near 1 that is the ratio itself, and what a busy
/// machine makes many times as long does not drown the rest.
fn evened(mut ratios: Vec<f64>) -> Vec<f64> {
    let mut last = ratios[ratios.len() - ratios.len().div_ceil(4)..].to_vec();
    last.sort_by(f64::total_cmp);
    let level = last.get(last.len() / 2).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    ratios.iter_mut().for_each(|ratio| *ratio = 1.0 + (*ratio / level).max(f64::MIN_POSITIVE).ln());
    ratios
}

/// What is known of the warm-up of one phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// Index of the phase.
    pub phase: usize,
    /// How it went.
    pub how: How,
}

/// How a phase came to its level.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// It was steady from its begin, or from where its load was constant.
    Steady,
    /// Its begin is left out of steady figures.
    WarmedUp {
        /// How long after its begin it was found to be steady; as long as the plan says, where it does.
        found: Ns,
        /// How much is left out: whole stretches of its record.
        cut: Ns,
        /// p95 of the response time in what is left out.
        before: Option<Ns>,
        /// p95 of the response time after it.
        after: Option<Ns>,
        /// Whether the plan says how long it is.
        told: bool,
    },
    /// It never became steady.
    Unsteady(Why),
    /// There were too few windows to say.
    TooShort,
}

/// How the phases of a test that have begun came to their level: those of constant load, if the warm-up is to be found, or
/// those that it lies in, if the plan says how long it is.
pub fn settled(view: &RunView, test: usize) -> Vec<Settled> {
    let phases = view.started.phases.iter().zip(&view.settling).enumerate();
    let own = phases.filter(|(_, (meta, _))| usize::from(meta.test) == test);
    own.filter_map(|(phase, (meta, settling))| {
        let how = how(view, meta, settling)?;
        Some(Settled { phase, how })
    })
    .collect()
}

fn how(view: &RunView, meta: &PhaseMeta, settling: &Settling) -> Option<How> {
    let began = settling.began?;
    let warmed_up = |found: Ns, cut: Ns, told| {
        let all: Vec<usize> = (0..view.started.steps.len()).filter(|step| view.operations[*step]).collect();
        let p95 = |keep: &dyn Fn(Ns) -> bool| settling.distribution(&all, false, keep).quantile(0.95);
        How::WarmedUp {
            found: found.since(began),
            cut: cut.since(began),
            before: p95(&|to| to <= cut),
            after: p95(&|to| to > cut),
            told,
        }
    };
    if let Some(fixed) = settling.fixed {
        let last = view.phases.iter().map(|totals| totals.to).max().unwrap_or(fixed);
        return (fixed > began).then(|| warmed_up(fixed, settling.boundary(fixed).unwrap_or(last), true));
    }
    if !settling.auto {
        return None;
    }
    Some(match settling.state(meta.model) {
        (State::Steady(_), Some(found)) => {
            let ramp = settling.constant.map_or(began, |(from, _)| began + from);
            // a window is the least that can be told apart
            let first = settling.constant_levels().first().map_or(ramp, |level| level.from);
            match settling.boundary(found).filter(|_| found > first) {
                Some(cut) => warmed_up(found, cut, false),
                None => How::Steady,
            }
        }
        (State::Unsteady(why), _) => How::Unsteady(why),
        _ => How::TooShort,
    })
}

/// What is left out of the steady figures of a test.
pub(crate) fn cut(view: &RunView, settled: &[Settled]) -> Cut {
    let mut left_out = Cut::default();
    for one in settled {
        let began = view.settling[one.phase].began;
        if let (How::WarmedUp { cut, .. }, Some(began)) = (&one.how, began) {
            left_out.leave_out(one.phase, began + *cut);
        }
    }
    left_out
}

/// The distribution of some steps of a test without what is left out, and how much of it are lower bounds.
pub(crate) fn later(
    view: &RunView,
    test: usize,
    cut: &Cut,
    steps: &[usize],
    service: bool,
) -> (Histogram, u64) {
    let (mut all, mut bounds) = (Histogram::default(), 0);
    let phases = view.started.phases.iter().enumerate();
    for (phase, _) in phases.filter(|(_, meta)| usize::from(meta.test) == test) {
        let frames = || steps.iter().filter_map(|step| view.phases[phase].steps.get(*step));
        bounds += frames().map(|frame| frame.censored.count()).sum::<u64>();
        match cut.of(phase) {
            Some(until) => all.merge(&view.settling[phase].distribution(steps, service, |to| to > until)),
            None => frames().for_each(|frame| all.merge(&judged(frame, service))),
        }
    }
    (all, bounds)
}

fn judged(frame: &Frame, service: bool) -> Histogram {
    if !service {
        return judged_response(frame);
    }
    let mut judged = frame.service.clone();
    judged.merge(&frame.censored);
    judged
}
