//! What a trial puts on the system, and what its windows say about the targets.

use crate::args::CapacityArgs;
use crate::exit::CliError;
use crucible_core::threshold::{Measure, Subject, Threshold};
use crucible_core::{Frame, Ns, Outcome, StepId, WarmUp, units};
use crucible_plan::{LatenessBudget, Plan, Step, StepRole, Test};
use crucible_record::Window;
use crucible_schedule::{Curve, Load, LoadPhase, Pacing, Piece, Spacing};
use crucible_stats::capacity::{self, Limit, Predicate, Reading, Scale, Trial};

/// Users that open load may use at once: more than any system answers, so that the pool is never what gives way.
const MOST_USERS: u64 = 20_000;
/// How long operations under way at the end of a trial may still take: the next trial does not wait for a backlog.
const GRACE: Ns = Ns::from_secs(1);
/// Errors beyond this share are the breaking point unless another is asked for.
const BREAKING: f64 = 0.05;

/// What must hold, and how it is read from windows.
pub(super) struct Target {
    pub(super) predicates: Vec<Predicate>,
    readers: Vec<Reader>,
    pub(super) users: bool,
}

struct Reader {
    subject: Subject,
    what: What,
}

enum What {
    Slower(Ns),
    Errors,
    Mean,
}

impl Target {
    /// The thresholds of the test that a load can break, with those of the command line; the last acceptable band is what
    /// must hold.
    pub(super) fn of(plan: &Plan, test: &Test, args: &CapacityArgs) -> Result<Target, CliError> {
        let mut target = Target { predicates: Vec::new(), readers: Vec::new(), users: args.users };
        for threshold in test.thresholds.iter().filter(|_| args.thresholds.is_empty()) {
            target.add(threshold);
        }
        for text in &args.thresholds {
            let threshold = parse(text)?;
            target.add(&threshold);
        }
        if !target.readers.iter().any(|reader| matches!(reader.what, What::Errors)) {
            target.push(Subject::All, What::Errors, Predicate::target("errors <= 1%", Limit::Share(0.01)));
        }
        let breaking = Limit::Share(args.breaking.map_or(BREAKING, |percent| percent / 100.0));
        let name = format!("errors <= {}", units::show_share(args.breaking.map_or(BREAKING, |p| p / 100.0)));
        target.push(Subject::All, What::Errors, Predicate::breaking(name, breaking));
        if target.readers.iter().all(|reader| matches!(reader.what, What::Errors))
            && test.thresholds.is_empty()
        {
            crate::out::note(&format!(
                "no threshold on latency: only errors limit the capacity of {}; add for example --threshold 'p99 < 500ms'",
                plan.name
            ));
        }
        Ok(target)
    }

    fn push(&mut self, subject: Subject, what: What, predicate: Predicate) {
        self.predicates.push(predicate);
        self.readers.push(Reader { subject, what });
    }

    fn add(&mut self, threshold: &Threshold) {
        let Some(limit) = threshold.bands.last().map(|band| band.limit) else { return };
        let (what, bound) = match threshold.measure {
            Measure::Percentile(share) => (What::Slower(Ns(limit as u64)), Limit::Share(1.0 - share)),
            Measure::Errors => (What::Errors, Limit::Share(limit)),
            Measure::Average => (What::Mean, Limit::Level(limit / 1e9)),
            _ => return,
        };
        let subject = match &threshold.subject {
            Subject::All | Subject::Each => String::new(),
            Subject::Step(name) | Subject::Scenario(name) => format!("{name} "),
            _ => return,
        };
        let measure = match threshold.measure {
            Measure::Percentile(share) => format!("p{} <= {}", show_percent(share), Ns(limit as u64)),
            Measure::Errors => format!("errors <= {}", units::show_share(limit)),
            _ => format!("avg <= {}", Ns(limit as u64)),
        };
        let subject_key =
            if threshold.subject == Subject::Each { Subject::All } else { threshold.subject.clone() };
        self.push(subject_key, what, Predicate::target(format!("{subject}{measure}"), bound));
    }

    /// The windows of a trial as the search wants them.
    pub(super) fn windows(&self, windows: &[Window], steps: &[Step]) -> Vec<capacity::Window> {
        windows
            .iter()
            .filter(|window| window.to > window.from)
            .map(|window| self.window(window, steps))
            .collect()
    }

    fn window(&self, window: &Window, steps: &[Step]) -> capacity::Window {
        let all = frame_of(window, steps, &Subject::All);
        let readings = self.readers.iter().map(|reader| {
            let own = (reader.subject != Subject::All).then(|| frame_of(window, steps, &reader.subject));
            let frame = own.as_ref().unwrap_or(&all);
            let bad = frame.errors();
            let of = frame.of(Outcome::Ok) + bad;
            match reader.what {
                _ if of == 0 => Reading::Missing,
                What::Slower(limit) => Reading::slower_than(limit, &frame.response, bad),
                What::Errors => Reading::Share { of, bad },
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
}

fn frame_of(window: &Window, steps: &[Step], subject: &Subject) -> Frame {
    let mut sum = Frame::new(0);
    let wanted = |id: &StepId| {
        let Some(step) = steps.get(usize::from(id.0)) else { return false };
        match subject {
            Subject::Step(name) => step.name == *name,
            Subject::Scenario(_) | Subject::All | Subject::Each => {
                !matches!(step.role, StepRole::Follow | StepRole::Timed)
            }
            _ => false,
        }
    };
    window.steps.iter().filter(|(id, _)| wanted(id)).for_each(|(_, frame)| sum.merge(frame));
    sum
}

fn show_percent(share: f64) -> String {
    let percent = format!("{:.4}", share * 100.0);
    percent.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A threshold as typed: `p99 < 100ms`, `errors < 1%`, `avg < 20ms`.
fn parse(text: &str) -> Result<Threshold, CliError> {
    let wrong = |hint: &str| CliError::usage(format!("failed to read --threshold {text:?}\n  {hint}"));
    let hint = "write for example 'p99 < 100ms', 'errors < 1%' or 'avg < 20ms'";
    let (measure, limit) = text.split_once('<').ok_or_else(|| wrong(hint))?;
    let limit = limit.trim_start_matches('=').trim();
    format!("* {} target<={limit}", measure.trim()).parse().map_err(|_| wrong(hint))
}

/// The test of a trial: the base's scenarios under the trial's load, judged by the search alone.
pub(super) fn test(base: &Test, trial: &Trial, scale: Scale) -> Test {
    let load = match scale {
        Scale::Rate => open(trial.load, trial.length, MOST_USERS),
        Scale::Users => closed(trial.load, trial.length),
    };
    let name = format!("trial {}: {}", trial.number, super::tell::load(trial.load, scale));
    Test { name, load, thresholds: Vec::new(), warm_up: WarmUp::Keep, ..base.clone() }
}

fn flat(value: f64, length: Ns) -> Curve {
    Curve { pieces: vec![Piece { length, from: value, to: value }] }
}

/// Arrivals at random instants (users do not come in step).
pub(super) fn open(rate: f64, length: Ns, max_users: u64) -> Load {
    let pacing =
        Pacing::Open { rate: flat(rate, length), spacing: Spacing::Poisson, max_users, patience: None };
    phase(format!("{}/s", units::show_number(rate)), length, pacing)
}

fn closed(users: f64, length: Ns) -> Load {
    let pacing = Pacing::Closed { users: flat(users, length), iterations: None };
    phase(format!("{users} users"), length, pacing)
}

fn phase(name: String, length: Ns, pacing: Pacing) -> Load {
    let phase = LoadPhase { name, length, pacing, marks: Vec::new() };
    Load { profile: "trial", start_delay: Ns::ZERO, phases: vec![phase], graceful_stop: GRACE }
}

/// Why a trial says nothing about the target: our own lateness was more than is allowed.
pub(super) fn late(windows: &[Window], budget: LatenessBudget) -> Option<String> {
    let mut lag = crucible_core::Histogram::default();
    let mut response = crucible_core::Histogram::default();
    for window in windows {
        lag.merge(&window.lag.generator);
        window.steps.iter().for_each(|(_, frame)| response.merge(&frame.response));
    }
    let (p99, median) = (lag.quantile(0.99)?, response.quantile(0.5)?);
    let allowed = budget.floor.max(Ns((median.0 as f64 * budget.share) as u64));
    (lag.count() >= 200 && p99 > allowed)
        .then(|| format!("the load generator was late (p99 {p99}, allowed {allowed}): it was the bottleneck"))
}
