//! The search: which load next, and when enough is known.

use super::{Answer, CurvePoint, Edge, Finding, Progress, Purpose, Role, Scale, Settings, Shape};
use super::{Trial, TrialResult, Window};
use crucible_core::{Histogram, Ns};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    /// Put this load on the system, without a pause after the trial before.
    Trial(Trial),
    /// The search is over.
    Done(Box<Finding>),
}

/// An adaptive search for the highest load at which all targets hold. See the module text.
#[derive(Clone, Debug)]
pub struct Search {
    settings: Settings,
    results: Vec<TrialResult>,
    spent: Ns,
    held: Option<f64>,
    failed: Option<f64>,
    unwell: bool,
}

impl Search {
    /// A search, or all mistakes of its settings.
    ///
    /// # Errors
    /// One sentence per mistake.
    pub fn new(settings: Settings) -> Result<Search, Vec<String>> {
        let mistakes = settings.mistakes();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Search { settings, results: Vec::new(), spent: Ns::ZERO, held: None, failed: None, unwell: false })
    }

    /// What to do next. Asking again without observing gives the same answer.
    pub fn propose(&self) -> Proposal {
        let length = self.settings.shortest;
        let over = self.spent + length > self.settings.within;
        let (purpose, load) = match (self.held, self.failed) {
            _ if over => return Proposal::Done(Box::new(self.finding())),
            (Some(held), _) if self.unwell => (Purpose::Recover, self.snap(held / 2.0)),
            (None, None) => (Purpose::Grow, self.settings.start),
            (Some(held), None) if held >= self.settings.most => {
                return Proposal::Done(Box::new(self.finding()));
            }
            (Some(held), None) => (Purpose::Grow, self.snap((held * 2.0).min(self.settings.most))),
            (None, Some(_)) => return Proposal::Done(Box::new(self.finding())),
            (Some(held), Some(failed)) => {
                let next = self.snap((held * failed).sqrt());
                if next <= held || next >= failed || failed / held < 1.0 + self.settings.precision {
                    return Proposal::Done(Box::new(self.finding()));
                }
                (Purpose::Narrow, next)
            }
        };
        let settle = Ns(length.0 / 5);
        Proposal::Trial(Trial { number: self.results.len() as u32 + 1, purpose, load, length, settle })
    }

    /// Takes what came of the trial that was proposed last.
    pub fn observe(&mut self, result: TrialResult) {
        self.spent += result.took();
        let bad = self.worst(&result).is_none_or(|worst| worst > 1.0);
        let load = result.trial.load;
        if result.trial.purpose == Purpose::Recover {
            self.unwell = false;
        } else if bad {
            self.failed = Some(self.failed.map_or(load, |failed| failed.min(load)));
            self.unwell = true;
        } else {
            self.held = Some(self.held.map_or(load, |held| held.max(load)));
        }
        self.results.push(result);
    }

    /// Whether going on with this trial is pointless: a target is missed by so much that no rest of the trial could
    /// bring it back, or the system only gets worse. The caller then ends the trial and observes what there is.
    pub fn hopeless(&self, partial: &TrialResult) -> bool {
        let done = partial.took().as_secs_f64() / partial.trial.length.as_secs_f64();
        partial.trial.purpose != Purpose::Recover
            && partial.took() > partial.trial.settle
            && self.worst(partial).is_some_and(|worst| worst * done > 3.0)
    }

    /// Whether the system is seen to be well again, so that a [`Purpose::Recover`] trial can end.
    pub fn recovered(&self, partial: &TrialResult) -> bool {
        partial.trial.purpose == Purpose::Recover && partial.windows.len() >= 3 && {
            let last = TrialResult {
                windows: partial.windows[partial.windows.len() - 3..].to_vec(),
                ..partial.clone()
            };
            self.worst(&last).is_some_and(|worst| worst <= 1.0)
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let purpose = match self.propose() {
            Proposal::Trial(trial) => trial.purpose,
            Proposal::Done(_) => Purpose::Measure,
        };
        let interval = (self.held.unwrap_or(0.0), self.failed.unwrap_or(f64::INFINITY));
        Progress {
            purpose,
            interval,
            estimate: self.held,
            spent: self.spent,
            left: Ns(self.settings.within.0.saturating_sub(self.spent.0)),
            trials: self.results.len() as u32,
        }
    }

    /// What is known so far, as at the end: for a search that is interrupted.
    pub fn finding(&self) -> Finding {
        let answer = match (self.held, self.failed) {
            (Some(held), Some(failed)) => {
                let (predicate, name) = self.binding();
                let shape = Shape::Slope;
                Answer::Edge(Edge { estimate: held, low: held, high: failed, shape, predicate, name })
            }
            (Some(highest), None) => Answer::NoEdge { highest },
            (None, Some(lowest)) => Answer::NeverHeld { lowest, name: self.binding().1 },
            (None, None) => Answer::Unknown { why: "no trial was made".into() },
        };
        Finding {
            answer,
            recommended: self.held.map(|held| held * (1.0 - self.settings.headroom)),
            headroom: self.settings.headroom,
            confidence: None,
            breaking: None,
            hysteresis: None,
            curve: self.curve(),
            knee: None,
            spent: self.spent,
            trials: self.results.len() as u32,
            remarks: Vec::new(),
        }
    }

    fn snap(&self, load: f64) -> f64 {
        match self.settings.scale {
            Scale::Rate => load,
            Scale::Users => load.floor().max(1.0),
        }
    }

    fn worst(&self, result: &TrialResult) -> Option<f64> {
        let targets = self.settings.predicates.iter().enumerate().filter(|(_, one)| one.role == Role::Target);
        targets.filter_map(|(index, one)| result.ratio(index, one)).reduce(f64::max)
    }

    fn binding(&self) -> (usize, String) {
        let targets = self.settings.predicates.iter().enumerate().filter(|(_, one)| one.role == Role::Target);
        let worst = |index: usize| {
            let ratios =
                self.results.iter().filter_map(|one| one.ratio(index, &self.settings.predicates[index]));
            ratios.fold(0.0, f64::max)
        };
        targets
            .max_by(|a, b| worst(a.0).total_cmp(&worst(b.0)))
            .map_or((0, String::new()), |(index, one)| (index, one.name.clone()))
    }

    fn curve(&self) -> Vec<CurvePoint> {
        let mut points: Vec<CurvePoint> = self
            .results
            .iter()
            .filter(|result| result.trial.purpose != Purpose::Recover)
            .map(|result| self.point(result.trial.load, result.counted()))
            .collect();
        points.sort_by(|a, b| a.load.total_cmp(&b.load));
        points
    }

    fn point(&self, load: f64, windows: &[Window]) -> CurvePoint {
        let mut response = Histogram::default();
        windows.iter().for_each(|window| response.merge(&window.response));
        let time: Ns = windows.iter().map(|window| window.length).sum();
        let done = windows.iter().map(|window| window.done).sum::<u64>() as f64;
        let ratios = self.settings.predicates.iter().enumerate();
        CurvePoint {
            load,
            throughput: done / time.as_secs_f64().max(1e-9),
            p50: response.quantile(0.5),
            p95: response.quantile(0.95),
            p99: response.quantile(0.99),
            ratios: ratios.map(|(index, one)| super::trial::ratio(windows, index, one)).collect(),
            time,
        }
    }
}
