//! What a trial puts on the system, and what its windows say about the targets.

use crate::args::CapacityArgs;
use crate::exit::CliError;
use crucible_core::threshold::{Measure, Subject, Threshold};
use crucible_core::{Frame, Histogram, Ns, Outcome, ScenarioId, StepId, WarmUp, units};
use crucible_plan::{Plan, Step, StepRole, Test};
use crucible_record::Window;
use crucible_schedule::{Curve, Load, LoadPhase, Pacing, Piece, Spacing};
use crucible_stats::capacity::{self, Limit, Predicate, Reading, Scale, Trial};
use std::cell::Cell;

/// Users that open load may use at once: more than any system answers, so that the pool is never what gives way.
const MOST_USERS: u64 = 20_000;
/// How long operations under way at the end of a trial may still take: the next trial does not wait for a backlog.
const GRACE: Ns = Ns::from_secs(1);
/// Errors beyond this share are the breaking point unless another is asked for.
const BREAKING: f64 = 0.05;

/// A plan that allows no error at all is searched with this share: of an unbounded number of trials one has an error, and no
/// load could be said to hold.
const NO_ERRORS: f64 = 0.001;

/// What must hold, and how it is read from windows.
pub(super) struct Target {
    pub(super) predicates: Vec<Predicate>,
    readers: Vec<Reader>,
    pub(super) users: bool,
    /// Names of the plan's scenarios, in their order.
    scenarios: Vec<String>,
    /// Thresholds that a search cannot read from a trial.
    unread: Vec<String>,
}

struct Reader {
    subject: Subject,
    what: What,
    /// The fastest answer so far: what takes time whatever the load, on the way for example, is in it.
    least: Cell<Option<Ns>>,
}

impl Reader {
    /// The fastest answer so far, this one's among them.
    fn least(&self, answered: &Histogram) -> Ns {
        self.least.set(self.least.get().into_iter().chain(answered.min()).min());
        self.least.get().unwrap_or_default()
    }
}

enum What {
    Slower(Ns),
    Errors,
    Mean,
}

impl Target {
    /// What the load is counted in.
    pub(super) fn scale(&self) -> Scale {
        if self.users { Scale::Users } else { Scale::Rate }
    }

    /// The thresholds of the test that a load can break, with those of the command line; the last acceptable band is what
    /// must hold. `notes` gets what is to be told about them.
    pub(super) fn of(
        plan: &Plan,
        test: &Test,
        args: &CapacityArgs,
        notes: &mut Vec<String>,
    ) -> Result<Target, CliError> {
        let mut target = Target {
            predicates: Vec::new(),
            readers: Vec::new(),
            users: args.users,
            scenarios: plan.scenarios.iter().map(|scenario| scenario.name.clone()).collect(),
            unread: Vec::new(),
        };
        for threshold in test.thresholds.iter().filter(|_| args.thresholds.is_empty()) {
            target.add(threshold);
        }
        for text in &args.thresholds {
            let threshold = parse(text)?;
            if let Subject::Step(name) = &threshold.subject {
                known(plan, name)?;
            }
            target.add(&threshold);
        }
        if !target.readers.iter().any(|reader| matches!(reader.what, What::Errors)) {
            target.push(Subject::All, What::Errors, Predicate::target("errors <= 1%", Limit::Share(0.01)));
        }
        let breaking = Limit::Share(args.breaking.map_or(BREAKING, |percent| percent / 100.0));
        let name = format!("errors <= {}", units::show_share(args.breaking.map_or(BREAKING, |p| p / 100.0)));
        target.push(Subject::All, What::Errors, Predicate::breaking(name, breaking));
        if !target.unread.is_empty() {
            notes.push(format!(
                "not part of the search, as no single trial shows it: {}",
                target.unread.join(", ")
            ));
        }
        if target.readers.iter().all(|reader| matches!(reader.what, What::Errors))
            && test.thresholds.is_empty()
        {
            notes.push(format!(
                "no threshold on latency: only errors limit the capacity of {}; add for example --threshold 'p99 < 500ms'",
                plan.name
            ));
        }
        Ok(target)
    }

    fn push(&mut self, subject: Subject, what: What, predicate: Predicate) {
        self.predicates.push(predicate);
        self.readers.push(Reader { subject, what, least: Cell::default() });
    }

    fn add(&mut self, threshold: &Threshold) {
        let Some(limit) = threshold.bands.last().map(|band| band.limit) else { return };
        let read = match threshold.measure {
            Measure::Percentile(share) => Some((What::Slower(Ns(limit as u64)), Limit::Share(1.0 - share))),
            Measure::Errors => Some((What::Errors, Limit::Share(limit.max(NO_ERRORS)))),
            Measure::Average => Some((What::Mean, Limit::Level(limit / 1e9))),
            _ => None,
        };
        let subject = match &threshold.subject {
            Subject::All | Subject::Each => Some(String::new()),
            Subject::Step(name) | Subject::Scenario(name) => Some(format!("{name} ")),
            _ => None,
        };
        let (Some((what, bound)), Some(subject)) = (read, subject) else {
            self.unread.push(unread(threshold));
            return;
        };
        let measure = match threshold.measure {
            Measure::Percentile(share) => format!("p{} <= {}", show_percent(share), Ns(limit as u64)),
            Measure::Errors => format!("errors <= {}", units::show_share(limit.max(NO_ERRORS))),
            _ => format!("avg <= {}", Ns(limit as u64)),
        };
        let subject_key =
            if threshold.subject == Subject::Each { Subject::All } else { threshold.subject.clone() };
        self.push(subject_key, what, Predicate::target(format!("{subject}{measure}"), bound));
    }

    /// The shortest time that an operation is to have been answered in.
    pub(super) fn limit(&self) -> Option<Ns> {
        self.limits().min()
    }

    /// The shortest trial in which it can be seen that an operation takes longer than it may: even the first trials, which are
    /// shorter by two fifths, go on for longer than the longest limit.
    pub(super) fn shortest(&self) -> Ns {
        Ns(2 * self.limits().max().unwrap_or_default().0)
    }

    fn limits(&self) -> impl Iterator<Item = Ns> {
        self.readers.iter().zip(&self.predicates).filter_map(|(reader, one)| {
            match (&reader.what, one.limit) {
                (What::Slower(limit), _) => Some(*limit),
                (What::Mean, Limit::Level(level)) => Some(Ns::from_secs_f64(level)),
                _ => None,
            }
        })
    }

    /// The windows of a trial as the search wants them.
    ///
    /// What hangs is not seen to end: operations that are under way for longer than is allowed stand in the last window, those of
    /// users in each window in which they hang, as such a user does nothing else.
    pub(super) fn windows(&self, windows: &[Window], steps: &[Step]) -> Vec<capacity::Window> {
        let proper: Vec<&Window> = windows.iter().filter(|window| window.to > window.from).collect();
        let mut all: Vec<capacity::Window> = proper.iter().map(|window| self.window(window, steps)).collect();
        let first = if self.users { 0 } else { all.len().saturating_sub(1) };
        for (index, reader) in self.readers.iter().enumerate() {
            let What::Slower(limit) = reader.what else { continue };
            for last in first..all.len() {
                let hanging = self.hanging(&proper[..=last], steps, &reader.subject, limit);
                let reading = &mut all[last].readings[index];
                *reading = match *reading {
                    _ if hanging == 0 => continue,
                    Reading::Share { of, bad, near } => {
                        Reading::Share { of: of + hanging, bad: bad + hanging, near: near + hanging }
                    }
                    _ => Reading::Share { of: hanging, bad: hanging, near: hanging },
                };
            }
        }
        all
    }

    /// At least so many operations were begun longer than `limit` ago and have not ended.
    fn hanging(&self, windows: &[&Window], steps: &[Step], subject: &Subject, limit: Ns) -> u64 {
        let Some(now) = windows.last().map(|window| window.to) else { return 0 };
        let (mut begun, mut ended) = (0, 0);
        for window in windows {
            let counts = self.parts(window, steps, subject);
            let (planned, over) = counts.fold((0, 0), |sum, one| (sum.0 + one.planned, sum.1 + one.ended()));
            begun += if now.since(window.to) >= limit { planned } else { 0 };
            ended += over;
        }
        begun.saturating_sub(ended)
    }

    fn window(&self, window: &Window, steps: &[Step]) -> capacity::Window {
        let all = self.frame_of(window, steps, &Subject::All);
        let readings = self.readers.iter().map(|reader| {
            let own = (reader.subject != Subject::All).then(|| self.frame_of(window, steps, &reader.subject));
            let frame = own.as_ref().unwrap_or(&all);
            let bad = frame.errors() + cut_off(frame, &reader.what);
            let of = frame.of(Outcome::Ok) + bad;
            match reader.what {
                _ if of == 0 => Reading::Missing,
                What::Slower(limit) => {
                    Reading::slower_than(limit, reader.least(&frame.response), &frame.response, bad)
                }
                What::Errors => Reading::Share { of, bad, near: bad },
                What::Mean => {
                    frame.response.mean().map_or(Reading::Missing, |mean| Reading::Level(mean.as_secs_f64()))
                }
            }
        });
        capacity::Window {
            length: window.to.since(window.from),
            readings: readings.collect(),
            done: all.of(Outcome::Ok),
            response: all.response,
        }
    }

    /// What happened to the steps of a subject in a window.
    fn frame_of(&self, window: &Window, steps: &[Step], subject: &Subject) -> Frame {
        let mut sum = Frame::new(0);
        self.parts(window, steps, subject).for_each(|frame| sum.merge(frame));
        sum
    }

    /// The frames of the steps of a subject.
    fn parts<'a>(
        &'a self,
        window: &'a Window,
        steps: &'a [Step],
        subject: &'a Subject,
    ) -> impl Iterator<Item = &'a Frame> {
        let ordinary = |step: &Step| !matches!(step.role, StepRole::Follow | StepRole::Timed);
        let within = |scenario: ScenarioId, name: &str| {
            self.scenarios.get(usize::from(scenario.0)).is_some_and(|known| known == name)
        };
        let wanted = move |id: &StepId| {
            let Some(step) = steps.get(usize::from(id.0)) else { return false };
            match subject {
                Subject::Step(name) => step.name == *name,
                Subject::Scenario(name) => ordinary(step) && within(step.scenario, name),
                Subject::All | Subject::Each => ordinary(step),
                _ => false,
            }
        };
        window.steps.iter().filter(move |(id, _)| wanted(id)).map(|(_, frame)| frame)
    }
}

/// A threshold that is not part of the search, in short.
fn unread(threshold: &Threshold) -> String {
    let of = match &threshold.subject {
        Subject::All | Subject::Each => "*".to_owned(),
        Subject::Step(name) | Subject::Scenario(name) | Subject::Measure(name) => name.clone(),
        Subject::Series { component, name } => format!("{component}.{name}"),
    };
    format!("{} of {of}", threshold.measure.name())
}

/// Operations that we cut off at the end of a trial when they had taken longer than is allowed already.
fn cut_off(frame: &Frame, what: &What) -> u64 {
    let What::Slower(limit) = what else { return 0 };
    // the histogram holds those that timed out as well, and they are errors already
    let waited = frame.censored.count_above(*limit).saturating_sub(frame.of(Outcome::TimedOut));
    waited.min(frame.of(Outcome::Aborted))
}

fn show_percent(share: f64) -> String {
    let percent = format!("{:.4}", share * 100.0);
    percent.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A step that is named on the command line is one of the plan's.
fn known(plan: &Plan, name: &str) -> Result<(), CliError> {
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    if steps.contains(&name) {
        return Ok(());
    }
    let hint = crucible_core::fields::suggest(name, &steps);
    Err(CliError::usage(format!("failed to read --threshold: the plan has no step `{name}`\n  {hint}")))
}

/// A threshold as typed: `p99 < 100ms`, `errors < 1%`, `avg < 20ms`, each perhaps of one step: `login: p95 < 1s`.
fn parse(text: &str) -> Result<Threshold, CliError> {
    let wrong = |hint: &str| CliError::usage(format!("failed to read --threshold {text:?}\n  {hint}"));
    let hint = "write for example 'p99 < 100ms', 'errors < 1%', 'avg < 20ms' or 'STEP: p95 < 2s'";
    let (step, text) = match text.rsplit_once(':') {
        Some((step, text)) => (Some(step.trim()), text),
        None => (None, text),
    };
    let (measure, limit) = text.split_once('<').ok_or_else(|| wrong(hint))?;
    let limit = limit.trim_start_matches('=').trim();
    let read = format!("* {} target<={limit}", measure.trim()).parse();
    let mut threshold: Threshold = read.map_err(|_| wrong(hint))?;
    if let Some(step) = step {
        threshold.subject = Subject::Step(step.to_owned());
    }
    Ok(threshold)
}

/// The test of a trial: the base's scenarios under the trial's load, judged by the search alone.
pub(super) fn test(base: &Test, trial: &Trial, rise: Ns, scale: Scale) -> Test {
    let load = match scale {
        Scale::Rate => arrivals(rising(trial.load, trial.length, rise), MOST_USERS),
        Scale::Users => closed(rising(trial.load, trial.length, rise)),
    };
    let name = format!("trial {}: {}", trial.number, super::tell::load(trial.load, scale));
    Test { name, load, thresholds: Vec::new(), warm_up: WarmUp::Keep, ..base.clone() }
}

fn flat(value: f64, length: Ns) -> Curve {
    Curve { pieces: vec![Piece { length, from: value, to: value }] }
}

/// From nothing to `value` in the time `rise`, then level.
fn rising(value: f64, length: Ns, rise: Ns) -> Curve {
    let rest = Ns(length.0.saturating_sub(rise.0));
    let pieces =
        [Piece { length: rise, from: 0.0, to: value }, Piece { length: rest, from: value, to: value }];
    Curve { pieces: pieces.into_iter().filter(|piece| piece.length > Ns::ZERO).collect() }
}

/// Arrivals at random instants (users do not come in step).
pub(super) fn open(rate: f64, length: Ns, max_users: u64) -> Load {
    arrivals(flat(rate, length), max_users)
}

fn arrivals(rate: Curve, max_users: u64) -> Load {
    let (name, length) = (format!("{}/s", units::show_number(rate.max())), rate.length());
    let pacing = Pacing::Open { rate, spacing: Spacing::Poisson, max_users, patience: None };
    phase(name, length, pacing)
}

fn closed(users: Curve) -> Load {
    let (name, length) = (format!("{} users", users.max()), users.length());
    let pacing = Pacing::Closed { users, iterations: None };
    phase(name, length, pacing)
}

fn phase(name: String, length: Ns, pacing: Pacing) -> Load {
    let phase = LoadPhase { name, length, pacing, marks: Vec::new() };
    Load { profile: "trial", start_delay: Ns::ZERO, phases: vec![phase], graceful_stop: GRACE }
}
