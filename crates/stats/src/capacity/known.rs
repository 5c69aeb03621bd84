//! What all trials together say about the edge: the lowest edge of several predicates.

use super::evidence::{Ceiling, Evidence};
use super::fit::Fit;
use super::{Purpose, Role, Settings, TrialResult};

/// The edges of some predicates and of the first of them to give way.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Index of the predicate in the settings, and its edge.
    fits: Vec<(usize, Fit)>,
    range: (f64, f64),
}

impl Known {
    /// From all trials but those in which the system was recovering or had not recovered.
    pub(super) fn of(settings: &Settings, results: &[TrialResult], role: Role) -> Option<Known> {
        Known::with(settings, results, role, None)
    }

    /// The same at the end of a search, with what the throughput under overload says of the slope. Not before: while little is
    /// known a wrong edge finds a slope that suits it, and the search would go on there.
    pub(super) fn at_last(settings: &Settings, results: &[TrialResult], role: Role) -> Option<Known> {
        Known::with(settings, results, role, Ceiling::of(results, settings.scale))
    }

    fn with(
        settings: &Settings,
        results: &[TrialResult],
        role: Role,
        ceiling: Option<Ceiling>,
    ) -> Option<Known> {
        let usable = |purpose| !matches!(purpose, Purpose::Recover | Purpose::Descend);
        let trials = || results.iter().filter(|result| usable(result.trial.purpose));
        let fits: Vec<(usize, Fit)> = settings
            .predicates
            .iter()
            .enumerate()
            .filter(|(_, predicate)| predicate.role == role)
            .filter_map(|(index, predicate)| {
                let evidence: Vec<Evidence> = trials()
                    .filter_map(|result| Evidence::of(result, index, predicate.limit, settings.scale))
                    .collect();
                Some((index, Fit::new(predicate.limit, evidence, ceiling)?))
            })
            .collect();
        let loads = trials().map(|result| result.trial.load);
        let range = loads.fold((f64::INFINITY, 0.0_f64), |(a, b), load| (a.min(load), b.max(load)));
        (!fits.is_empty()).then_some(Known { fits, range })
    }

    /// The predicate whose edge is lowest, and its fit.
    pub(super) fn first(&self) -> (usize, &Fit) {
        let lowest = self.fits.iter().min_by(|a, b| a.1.estimate().total_cmp(&b.1.estimate()));
        let (index, fit) = lowest.unwrap_or(&self.fits[0]);
        (*index, fit)
    }

    /// Probability that some predicate's edge is below `load`.
    pub(super) fn below(&self, load: f64) -> f64 {
        1.0 - self.fits.iter().map(|(_, fit)| 1.0 - fit.below(load)).product::<f64>()
    }

    /// The load below which the edge lies with this probability: infinite or 0 where the trials do not say.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let (mut low, mut high) = ((self.range.0 / 4.0).ln(), (self.range.1 * 4.0).ln());
        if self.below(low.exp()) > share {
            return 0.0;
        }
        if self.below(high.exp()) < share {
            return f64::INFINITY;
        }
        // one part in 10^5 of the load
        while high - low > 1e-5 {
            let middle = f64::midpoint(low, high);
            if self.below(middle.exp()) < share { low = middle } else { high = middle }
        }
        f64::midpoint(low, high).exp()
    }

    /// Half of the width of the central 68 %, as a share of the median.
    pub(super) fn blur(&self) -> f64 {
        let (low, middle, high) = (self.quantile(0.16), self.quantile(0.5), self.quantile(0.84));
        if middle > 0.0 && middle.is_finite() { (high - low) / 2.0 / middle } else { f64::INFINITY }
    }
}
