//! The search: which load next, and when enough is known.

use super::crisp::crisp;
use super::known::Known;
use super::trial::beyond_chance;
use super::{
    Finding, Limit, Predicate, Progress, Purpose, Role, Scale, Settings, Trial, TrialResult, design, report,
};
use crucible_core::Ns;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposal {
    /// Put this load on the system, without a pause after the trial before.
    Trial(Trial),
    /// The search is over.
    Done(Box<Finding>),
}

/// Rates that differ by less than this share are as good as the same.
const BESIDE: f64 = 0.01;

/// An adaptive search for the highest load at which all targets hold. See the module text.
#[derive(Clone, Debug)]
pub struct Search {
    pub(super) settings: Settings,
    pub(super) results: Vec<TrialResult>,
    pub(super) spent: Ns,
    /// What is known of the edge of the targets.
    pub(super) known: Option<Known>,
    /// Whether the system is still to recover from a failed trial.
    pub(super) unwell: bool,
    /// Recoveries in a row that were not seen to end.
    pub(super) stuck: u32,
    /// Whether it was tried what the system does at most.
    pub(super) overloaded: bool,
    /// Whether that could not be put on.
    pub(super) passed_over: bool,
    /// How the extra passes stand.
    pub(super) extra: super::extra::Extra,
    next: Option<Trial>,
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
        let mut search = Search {
            settings,
            results: Vec::new(),
            spent: Ns::ZERO,
            known: None,
            unwell: false,
            stuck: 0,
            overloaded: false,
            passed_over: false,
            extra: super::extra::Extra::default(),
            next: None,
        };
        search.next = design::next(&search);
        Ok(search)
    }

    /// What to do next. Asking again without observing gives the same answer.
    pub fn propose(&self) -> Proposal {
        match self.next {
            Some(trial) => Proposal::Trial(trial),
            None => Proposal::Done(Box::new(self.finding())),
        }
    }

    /// Goes no further than `load`: more cannot be put on.
    pub fn cap(&mut self, load: f64) {
        self.settings.most = load;
        self.next = design::next(self);
    }

    /// Goes on without an overload that could not be put on.
    pub fn pass_over(&mut self) {
        (self.overloaded, self.passed_over) = (true, true);
        // what was put on in vain is still to go
        self.unwell = true;
        self.next = design::next(self);
    }

    /// Takes what came of the trial that was proposed last.
    pub fn observe(&mut self, result: TrialResult) {
        self.spent += result.took();
        let mut well = None;
        match result.trial.purpose {
            Purpose::Recover => {
                let recovered = self.well(&result);
                (self.unwell, self.stuck) = if recovered { (false, 0) } else { (true, self.stuck + 1) };
                well = Some(recovered);
            }
            // the way down is looked for in a system that was just overloaded; only what a test leaves has to go
            Purpose::Descend => self.unwell = result.trial.settle > Ns::ZERO && !self.holds(&result),
            // the next trial is short, too: what this one left behind would be taken for its own
            Purpose::Grow | Purpose::Narrow | Purpose::Overload => self.unwell = !self.holds(&result),
            _ => self.unwell = !self.holds(&result) && (result.ended_early || self.ends_badly(&result)),
        }
        self.overloaded |= result.trial.purpose == Purpose::Overload;
        self.extra.observe(&self.settings, &result, well);
        let fitted = !matches!(result.trial.purpose, Purpose::Recover | Purpose::Descend);
        self.results.push(result);
        if fitted {
            self.known = Known::of(&self.settings, &self.results, Role::Target);
        }
        self.next = design::next(self);
    }

    /// Whether going on with this trial is pointless: so much is bad already that the target is missed several times over
    /// even if all the rest were good. The caller then ends the trial and observes what there is.
    pub fn hopeless(&self, partial: &TrialResult) -> bool {
        let role = if partial.trial.purpose == Purpose::Break { Role::Breaking } else { Role::Target };
        let (times, from) = match partial.trial.purpose {
            Purpose::Recover => return false,
            Purpose::Measure => (12.0, partial.trial.settle),
            Purpose::Descend => (6.0, partial.trial.settle),
            _ => (6.0, Ns(partial.trial.settle.0 / 2)),
        };
        if partial.silent(self.settings.scale) {
            return true;
        }
        if partial.trial.purpose == Purpose::Overload {
            return false;
        }
        let done = partial.took().as_secs_f64() / partial.trial.length.as_secs_f64();
        let beyond = |(index, one): (usize, &Predicate)| {
            let most = match one.limit {
                // no share can be missed more often than 1 / allowed times
                Limit::Share(allowed) => f64::min(times, 0.5 + 0.5 / allowed),
                Limit::Level(_) => f64::min(times, 3.0),
            };
            one.role == role && partial.ratio(index, one).is_some_and(|ratio| ratio * done > most)
        };
        partial.took() > from && self.settings.predicates.iter().enumerate().any(beyond)
    }

    /// Whether the system is seen to be well again, so that a [`Purpose::Recover`] trial can end.
    pub fn recovered(&self, partial: &TrialResult) -> bool {
        partial.trial.purpose == Purpose::Recover && self.well(partial)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let (held, failed) = self.bracket();
        let told = self.known.as_ref().map(|known| [0.025, 0.5, 0.975].map(|share| known.quantile(share)));
        let (interval, estimate) = match (crisp(self), told) {
            (Some(found), _) => ((found.held, found.failed), Some(found.held)),
            (None, Some([low, middle, high])) if failed.is_some() => ((low, high), Some(middle)),
            (None, Some([low, _, high])) => ((low, high), held),
            (None, None) => ((0.0, f64::INFINITY), held),
        };
        let estimate = estimate.filter(|load| *load > 0.0 && load.is_finite()).or(held);
        Progress {
            purpose: self.next.map_or(Purpose::Measure, |trial| trial.purpose),
            interval,
            estimate,
            spent: self.spent,
            left: self.left(),
            trials: self.results.len() as u32,
        }
    }

    /// What is known so far, as at the end: for a search that is interrupted.
    pub fn finding(&self) -> Finding {
        report::finding(self)
    }

    /// Time of load left.
    pub fn left(&self) -> Ns {
        Ns(self.settings.within.0.saturating_sub(self.spent.0))
    }

    /// A load that can be put on.
    pub(super) fn snap(&self, load: f64) -> f64 {
        let load = load.clamp(self.settings.start, self.settings.most);
        match self.settings.scale {
            Scale::Rate => load,
            Scale::Users => load.round().max(1.0),
        }
    }

    /// The largest of the ratios of what was seen to what is allowed.
    pub(super) fn worst(&self, result: &TrialResult, role: Role) -> Option<f64> {
        self.settings.of_role(role).filter_map(|(index, one)| result.ratio(index, one)).reduce(f64::max)
    }

    /// Whether all targets were seen to hold, uncertainty aside.
    pub(super) fn holds(&self, result: &TrialResult) -> bool {
        match self.worst(result, Role::Target) {
            Some(worst) => worst <= 1.0,
            None => !result.silent(self.settings.scale),
        }
    }

    /// The highest load that held and the lowest that failed, of trials of the search proper.
    pub(super) fn bracket(&self) -> (Option<f64>, Option<f64>) {
        let proper = |result: &&TrialResult| {
            !matches!(result.trial.purpose, Purpose::Recover | Purpose::Descend | Purpose::Break)
        };
        let trials: Vec<(f64, f64, bool)> = self
            .results
            .iter()
            .filter(proper)
            .map(|result| (result.trial.load, result.took().as_secs_f64(), !self.fails(result)))
            .collect();
        // a longer trial that says the opposite from the other side takes away what a shorter one said
        let stands = |(load, time, held): &(f64, f64, bool), beside: f64| {
            !trials.iter().any(|other| {
                other.2 != *held
                    && other.1 > 1.5 * time
                    && if *held { other.0 <= *load * beside } else { other.0 >= *load / beside }
            })
        };
        let all = |wanted: bool, beside: f64| {
            let standing = trials.iter().filter(move |one| one.2 == wanted && stands(one, beside));
            standing.map(|trial| trial.0).reduce(if wanted { f64::max } else { f64::min })
        };
        // and one from beside it: else the search would come ever closer to a load that held by chance, and never below it. But
        // not the last one of its kind, without which the search would begin anew
        let near = if self.settings.scale == Scale::Rate { 1.0 + BESIDE } else { 1.0 };
        let last = |wanted: bool| all(wanted, near).or(all(wanted, 1.0));
        (last(true), last(false))
    }

    /// Whether a target was missed by more than a handful of operations.
    fn fails(&self, result: &TrialResult) -> bool {
        if self.holds(result) {
            return false;
        }
        let missed = |(index, one): (usize, &Predicate)| {
            one.role == Role::Target
                && match one.limit {
                    Limit::Share(allowed) => result.ratio(index, one).is_some_and(|ratio| {
                        let may = result.amount(index) * allowed;
                        beyond_chance(may * ratio, may)
                    }),
                    Limit::Level(_) => result.ratio(index, one).is_some_and(|ratio| ratio > 1.0),
                }
        };
        result.ended_early
            || self.worst(result, Role::Target).is_none()
            || result.trial.purpose == Purpose::Measure
            || self.settings.predicates.iter().enumerate().any(missed)
    }

    /// Whether the last three windows, and at least the last second, are well.
    fn well(&self, result: &TrialResult) -> bool {
        self.well_since(result).is_some()
    }

    /// When the last three windows, and at least the last second, began if they are well: the system has recovered by then.
    pub(super) fn well_since(&self, result: &TrialResult) -> Option<Ns> {
        let mut count = 0;
        let mut time = Ns::ZERO;
        for window in result.windows.iter().rev() {
            if count >= 3 && time >= Ns::from_secs(1) {
                break;
            }
            (count, time) = (count + 1, time + window.length);
        }
        let last = TrialResult {
            trial: Trial { settle: Ns::ZERO, ..result.trial },
            windows: result.windows[result.windows.len() - count..].to_vec(),
            ended_early: false,
        };
        let well = count >= 3
            && time >= Ns::from_secs(1)
            && self.worst(&last, Role::Target).is_some_and(|worst| worst <= 1.0);
        well.then(|| Ns(result.took().0.saturating_sub(time.0)))
    }

    /// Whether the last quarter of a trial misses a target several times over: a backlog that goes on.
    fn ends_badly(&self, result: &TrialResult) -> bool {
        let quarter = (result.windows.len() / 4).max(1);
        let last = TrialResult {
            trial: Trial { settle: Ns::ZERO, ..result.trial },
            windows: result.windows[result.windows.len().saturating_sub(quarter)..].to_vec(),
            ended_early: false,
        };
        self.worst(&last, Role::Target).is_none_or(|worst| worst > 10.0)
    }
}
