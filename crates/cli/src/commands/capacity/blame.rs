//! What the operations that missed a target had in common: a percentile is missed by failures as well as by slowness, and
//! whoever reads of a latency should not look for a slow system where a limiter refuses.

use crucible_core::ErrorClass;
use crucible_plan::{Step, StepRole};
use crucible_record::Window;
use crucible_stats::capacity::{Edge, Reading, TrialResult};
use std::collections::BTreeMap;

/// Trials this close to the edge tell of it, as a share of it.
const NEAR: f64 = 0.15;
/// From this share of failures on they are what is told.
const MOSTLY: f64 = 0.5;

/// Whether a class, by its number, is a failure of the target's.
fn is_failure(class: usize) -> bool {
    class != ErrorClass::None as usize && class != ErrorClass::Injected as usize
}

/// Failures of all trials.
#[derive(Default)]
pub(super) struct Blame {
    trials: Vec<Trial>,
}

struct Trial {
    load: f64,
    /// By predicate, operations that missed it.
    bad: Vec<u64>,
    /// Failures by step and class.
    failed: BTreeMap<(usize, usize), u64>,
}

impl Blame {
    /// Takes note of a trial.
    pub(super) fn take(&mut self, result: &TrialResult, windows: &[Window], steps: &[Step]) {
        let predicates = result.windows.first().map_or(0, |window| window.readings.len());
        let bad = |index: usize| {
            let of = result.windows.iter().map(|window| match window.readings.get(index) {
                Some(Reading::Share { bad, .. }) => *bad,
                _ => 0,
            });
            of.sum()
        };
        let mut failed = BTreeMap::new();
        for (id, frame) in windows.iter().flat_map(|window| &window.steps) {
            let step = usize::from(id.0);
            let counts = |step: &Step| !matches!(step.role, StepRole::Follow | StepRole::Timed);
            if steps.get(step).is_some_and(counts) {
                let classes = frame.classes.iter().enumerate();
                for (class, count) in classes.filter(|(class, count)| **count > 0 && is_failure(*class)) {
                    *failed.entry((step, class)).or_default() += count;
                }
            }
        }
        let bad = (0..predicates).map(bad).collect();
        self.trials.push(Trial { load: result.trial.load, bad, failed });
    }

    /// A sentence about the edge, if most of what missed its target had failed.
    pub(super) fn of(&self, edge: &Edge, steps: &[Step]) -> Option<String> {
        let near = |trial: &&Trial| (trial.load / edge.estimate - 1.0).abs() < NEAR;
        let (mut bad, mut failed) = (0, BTreeMap::new());
        for trial in self.trials.iter().filter(near) {
            bad += trial.bad.get(edge.predicate).copied().unwrap_or(0);
            trial.failed.iter().for_each(|(what, count)| *failed.entry(*what).or_insert(0) += count);
        }
        let all: u64 = failed.values().sum();
        let (most, count) = failed.iter().max_by_key(|(_, count)| **count)?;
        let share = all as f64 / bad.max(all).max(1) as f64;
        let name = &steps.get(most.0)?.name;
        let class = ErrorClass::ALL.get(most.1).map_or("failed", |class| class.name());
        (share >= MOSTLY).then(|| {
            format!(
                "{:.0}% of what missed it near the edge had failed, and was not slow; most of that is `{name}`: {class} \
                 ({:.0}% of the failures)",
                100.0 * share,
                100.0 * *count as f64 / all.max(1) as f64
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::{Frame, Histogram, Ns, ScenarioId, StepId, StepSpec};
    use crucible_stats::capacity::{self, Purpose, Shape, Trial as Proposed};

    /// A trial at 100 in which so many of 1,000 missed the target and so many failed in the second step.
    fn blame(missed: u64, refused: u64) -> Option<String> {
        let step = |id, name: &str| {
            let (checks, measures, body) = (Vec::new(), Vec::new(), std::sync::Arc::new(()));
            let spec = StepSpec { default_name: name.into(), checks, measures, body };
            Step::plain(StepId(id), ScenarioId(0), "http", spec)
        };
        let steps = [step(0, "read"), step(1, "save")];
        let mut frame = Frame::new(0);
        frame.classes[ErrorClass::Throttled as usize] = refused;
        frame.classes[ErrorClass::None as usize] = 500;
        let window = Window { steps: vec![(StepId(1), frame)], ..Window::default() };
        let length = Ns::from_secs(5);
        let trial =
            Proposed { number: 1, purpose: Purpose::Measure, load: 100.0, length, settle: Ns::from_secs(1) };
        let readings = vec![Reading::Share { of: 1_000, bad: missed, near: missed }];
        let seen = capacity::Window { length, readings, done: 900, response: Histogram::default() };
        let result = TrialResult { trial, windows: vec![seen], ended_early: false };
        let mut blame = Blame::default();
        blame.take(&result, &[window], &steps);
        let name = "p95 <= 500ms".to_owned();
        let edge = Edge { estimate: 105.0, low: 90.0, high: 110.0, shape: Shape::Slope, predicate: 0, name };
        blame.of(&edge, &steps)
    }

    #[test]
    fn failures_are_told_where_they_are_most_of_it() {
        let told = blame(100, 90).unwrap();
        assert!(told.starts_with("90% of what missed it"), "{told}");
        assert!(told.contains("`save`: throttled (100% of the failures)"), "{told}");
        assert_eq!(blame(100, 20), None);
        assert_eq!(blame(100, 0), None);
    }
}
