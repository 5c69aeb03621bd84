//! The two arms, cut into the units that replicate: pairs, rounds, runs, or windows of single runs.

use super::cdf::Cdf;
use super::evidence::{Evidence, GaugeKind, Pair, Slice, Trials};
use super::outcome::Unit;
use crate::scatter::Scatter;
use crucible_core::Histogram;

/// Starts of both systems that are needed before the start is the unit: fewer say too little on how much they differ.
pub const FEWEST_ROUNDS: u32 = 5;

/// All that one arm showed in one unit.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) latency: Histogram,
    pub(super) cdf: Cdf,
    pub(super) ok: f64,
    pub(super) errors: f64,
    pub(super) operations: f64,
    pub(super) seconds: f64,
    /// For each gauge: what is divided by what; `NaN` where a reading is missing.
    pub(super) gauges: Vec<(f64, f64)>,
}

impl Cell {
    fn new<'s>(slices: impl Iterator<Item = &'s Slice>, kinds: &[GaugeKind]) -> Cell {
        let mut cell = Cell {
            latency: Histogram::default(),
            cdf: Cdf::new(&Histogram::default()),
            ok: 0.0,
            errors: 0.0,
            operations: 0.0,
            seconds: 0.0,
            gauges: vec![(0.0, 0.0); kinds.len()],
        };
        for slice in slices {
            cell.latency.merge(&slice.latency);
            cell.ok += slice.ok as f64;
            cell.errors += slice.errors as f64;
            cell.operations += slice.operations as f64;
            cell.seconds += slice.seconds;
            for ((sums, kind), reading) in cell.gauges.iter_mut().zip(kinds).zip(&slice.readings) {
                let (top, bottom) = match kind {
                    GaugeKind::Level => (reading * slice.seconds, slice.seconds),
                    GaugeKind::PerOperation => (*reading, slice.operations as f64),
                };
                *sums = (sums.0 + top, sums.1 + bottom);
            }
        }
        cell.cdf = Cdf::new(&cell.latency);
        cell
    }
}

/// How the units of the two arms belong together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Joint {
    /// Unit for unit, in the order of time.
    Paired,
    /// Not at all: runs.
    Runs,
    /// Not at all, and neighbours in an arm hang together: windows. With the standard deviation of what differs between
    /// runs, relative, for the difference of the arms.
    Windows(f64),
}

/// See the module text.
#[derive(Clone, Debug)]
pub(super) struct Arms {
    pub(super) a: Vec<Cell>,
    pub(super) b: Vec<Cell>,
    pub(super) joint: Joint,
    pub(super) unit: Unit,
}

impl Arms {
    pub(super) fn new(evidence: &Evidence, run_spread: Option<f64>) -> Arms {
        let kinds: Vec<GaugeKind> = evidence.gauges.iter().map(|gauge| gauge.kind).collect();
        match &evidence.trials {
            Trials::Interleaved(pairs) => Arms::interleaved(pairs, &kinds),
            Trials::Runs { a, b } if a.len() > 1 && b.len() > 1 => {
                let cells =
                    |runs: &[Vec<Slice>]| runs.iter().map(|run| Cell::new(run.iter(), &kinds)).collect();
                Arms { a: cells(a), b: cells(b), joint: Joint::Runs, unit: Unit::Runs }
            }
            Trials::Runs { a, b } => {
                let cells = |runs: &[Vec<Slice>]| {
                    runs.iter().flatten().map(|slice| Cell::new([slice].into_iter(), &kinds)).collect()
                };
                let shares = 1.0 / a.len().max(1) as f64 + 1.0 / b.len().max(1) as f64;
                let spread = run_spread.unwrap_or(0.0) * f64::sqrt(shares);
                Arms { a: cells(a), b: cells(b), joint: Joint::Windows(spread), unit: Unit::Windows }
            }
        }
    }

    fn interleaved(pairs: &[Pair], kinds: &[GaugeKind]) -> Arms {
        let mut rounds: Vec<u32> = pairs.iter().map(|pair| pair.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        let by_round = rounds.len() >= FEWEST_ROUNDS as usize;
        let groups: Vec<Vec<&Pair>> = if by_round {
            rounds.iter().map(|round| pairs.iter().filter(|pair| pair.round == *round).collect()).collect()
        } else {
            pairs.iter().map(|pair| vec![pair]).collect()
        };
        let cells = |arm: fn(&Pair) -> &Slice| {
            groups.iter().map(|group| Cell::new(group.iter().map(|pair| arm(pair)), kinds)).collect()
        };
        Arms {
            a: cells(|pair| &pair.a),
            b: cells(|pair| &pair.b),
            joint: Joint::Paired,
            unit: if by_round { Unit::Rounds } else { Unit::Pairs },
        }
    }

    /// Units of the arm that has fewer.
    pub(super) fn units(&self) -> usize {
        self.a.len().min(self.b.len())
    }

    /// Seconds of the arm that has fewer.
    pub(super) fn seconds(&self) -> f64 {
        let sum = |cells: &[Cell]| cells.iter().map(|cell| cell.seconds).sum::<f64>();
        sum(&self.a).min(sum(&self.b))
    }

    /// The error of the difference B - A of two sums whose residuals by unit are given. `slope` is how much the
    /// difference changes when B's scale changes by the factor e. `None` below two units.
    pub(super) fn scatter(&self, contrast: &Contrast, slope: f64) -> Option<Scatter> {
        match self.joint {
            // each round begins anew
            Joint::Paired if self.unit == Unit::Rounds => Scatter::independent(&contrast.joined()),
            Joint::Paired => Scatter::serial(&contrast.joined()),
            Joint::Runs => {
                let (a, b) = (Scatter::independent(&contrast.a)?, Scatter::independent(&contrast.b)?);
                Some(b.of_difference(&a))
            }
            Joint::Windows(spread) => {
                let (a, b) = (Scatter::serial(&contrast.a)?, Scatter::serial(&contrast.b)?);
                let both = b.of_difference(&a);
                Some(if spread > 0.0 { both.widened(spread * slope) } else { both })
            }
        }
    }
}

/// A difference of two sums, B - A, and the residuals of its units.
#[derive(Clone, Debug)]
pub(super) struct Contrast {
    pub(super) difference: f64,
    pub(super) a: Vec<f64>,
    pub(super) b: Vec<f64>,
}

impl Contrast {
    /// Residuals of the differences in pairs.
    pub(super) fn joined(&self) -> Vec<f64> {
        self.b.iter().zip(&self.a).map(|(b, a)| b - a).collect()
    }

    /// The standard deviation of the difference if units were independent.
    pub(super) fn plain(&self, joint: Joint) -> f64 {
        let variance = |z: &[f64]| {
            let n = z.len() as f64;
            z.iter().map(|z| z * z).sum::<f64>() * n / (n - 1.0).max(1.0)
        };
        match joint {
            Joint::Paired => variance(&self.joined()).sqrt(),
            _ => (variance(&self.a) + variance(&self.b)).sqrt(),
        }
    }
}
