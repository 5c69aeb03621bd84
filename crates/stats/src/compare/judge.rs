//! From evidence to verdicts: each metric by itself, then all of them together.

use super::arms::{Arms, Joint};
use super::evidence::{Better, Evidence, Settings};
use super::outcome::{Change, Compared, Interval, Lack, Metric, Needs, Unit, Verdict};
use super::quantile::Quantiles;
use super::sums::{Quotient, Sums};
use crate::scatter::Scatter;

/// More than so many times the evidence at hand is not asked for.
const MOST_TIMES: f64 = 10_000.0;

/// What is known of a metric before the others are looked at.
pub(super) struct Found {
    metric: Metric,
    better: Better,
    a: f64,
    b: f64,
    known: Result<Known, Lack>,
}

struct Known {
    p: f64,
    /// At the confidence that is shown.
    interval: Interval,
    /// At the error that verdicts go by.
    strict: Interval,
    /// Error of the logarithm of the ratio, as far as it is normal.
    log: Scatter,
    /// A bound on the difference that is small in itself, whatever the ratio: shares of errors.
    negligible: Option<f64>,
    /// What differs from start to start, where each system was started once; more slices do not tell it.
    start_spread: f64,
}

/// All metrics of these arms, in the order in which they are shown.
pub(super) fn metrics(arms: &Arms, evidence: &Evidence, settings: &Settings) -> Vec<Found> {
    let plain = |metric, better, of: Quotient<'_>| quotient(arms, settings, metric, better, 0.0, of);
    let mut found = vec![
        plain(Metric::Throughput, Better::Higher, &|cell| (cell.ok, cell.seconds)),
        errors(arms, settings),
        plain(Metric::Mean, Better::Lower, &|cell| (cell.latency.sum() as f64, cell.latency.count() as f64)),
    ];
    let quantiles = Quantiles::new(arms);
    found.extend(settings.percentiles.iter().map(|share| percentile(&quantiles, settings, *share)));
    for (index, gauge) in evidence.gauges.iter().enumerate() {
        let started_once = matches!(arms.unit, Unit::Pairs | Unit::Windows);
        // of two arms, each with its own start
        let spread = if started_once { gauge.start_spread * f64::sqrt(2.0) } else { 0.0 };
        let metric = Metric::Gauge(index);
        found.push(quotient(arms, settings, metric, gauge.better, spread, &|cell| cell.gauges[index]));
    }
    found
}

/// `spread` is what is known to differ between starts, relative, beside what the units show.
fn quotient(
    arms: &Arms,
    settings: &Settings,
    metric: Metric,
    better: Better,
    spread: f64,
    of: Quotient<'_>,
) -> Found {
    let sums = Sums::new(arms, of);
    let (a, b) = sums.as_ref().map_or((f64::NAN, f64::NAN), |sums| (sums.a, sums.b));
    let known = sums.and_then(|sums| sums.log_contrast()).ok_or(Lack::Evidence).and_then(|contrast| {
        let mut log = arms.scatter(&contrast, 1.0).ok_or(Lack::Units)?;
        if spread > 0.0 {
            log = log.widened(spread);
        }
        let around = |error: f64| {
            let width = log.half_width(error);
            Interval { low: (contrast.difference - width).exp(), high: (contrast.difference + width).exp() }
        };
        let (interval, strict) = (around(1.0 - settings.confidence), around(settings.alpha));
        Ok(Known {
            p: log.p(contrast.difference),
            interval,
            strict,
            log,
            negligible: None,
            start_spread: spread,
        })
    });
    Found { metric, better, a, b, known }
}

fn errors(arms: &Arms, settings: &Settings) -> Found {
    let sums = Sums::new(arms, &|cell| (cell.errors, cell.operations));
    let (a, b) = sums.as_ref().map_or((f64::NAN, f64::NAN), |sums| (sums.a, sums.b));
    let known = sums.ok_or(Lack::Evidence).and_then(|sums| {
        let contrast = sums.contrast();
        let scatter = arms.scatter(&contrast, 0.5 * (a + b)).ok_or(Lack::Units)?;
        let events = sums.events();
        let inflation = sums.inflation(&scatter);
        let strict = events.interval(settings.alpha, inflation);
        let size = if events.a + events.b == 0.0 {
            sums.most_unseen(settings.alpha)
        } else {
            contrast.difference.abs() + scatter.half_width(settings.alpha)
        };
        Ok(Known {
            p: scatter.p(contrast.difference).max(events.p()),
            interval: events.interval(1.0 - settings.confidence, inflation),
            strict,
            log: scatter.scaled(2.0 / (a + b).max(f64::MIN_POSITIVE)),
            negligible: Some(size),
            start_spread: 0.0,
        })
    });
    Found { metric: Metric::Errors, better: Better::Lower, a, b, known }
}

fn percentile(quantiles: &Quantiles<'_>, settings: &Settings, share: f64) -> Found {
    let (a, b) = quantiles.of_arms(share).unwrap_or((f64::NAN, f64::NAN));
    let known = || {
        if a.is_nan() {
            return Err(Lack::Evidence);
        }
        if !quantiles.carried(share) {
            return Err(Lack::Samples);
        }
        let found = quantiles.ratio(share).ok_or(Lack::Units)?;
        let error = 1.0 - settings.confidence;
        let width = found.scatter.half_width(error);
        let interval = quantiles.interval(share, &found, width);
        let strict = quantiles.interval(share, &found, found.scatter.half_width(settings.alpha));
        if interval.low <= 0.0 || interval.high.is_infinite() {
            return Err(Lack::Samples);
        }
        let log = found.scatter.scaled(if width > 0.0 {
            0.5 * (interval.high / interval.low).ln() / width
        } else {
            0.0
        });
        Ok(Known { p: found.p, interval, strict, log, negligible: None, start_spread: 0.0 })
    };
    Found { metric: Metric::Percentile(share), better: Better::Lower, a, b, known: known() }
}

/// Adjusts for the number of metrics (Holm 1979) and says of each what it is.
pub(super) fn settle(found: Vec<Found>, arms: &Arms, settings: &Settings) -> Vec<Compared> {
    let raw: Vec<f64> =
        found.iter().map(|found| found.known.as_ref().map_or(f64::NAN, |known| known.p)).collect();
    let adjusted = holm(&raw);
    let family = raw.iter().filter(|p| !p.is_nan()).count().max(1) as f64;
    found
        .into_iter()
        .zip(adjusted)
        .map(|(found, adjusted_p)| settle_one(&found, adjusted_p, family, arms, settings))
        .collect()
}

fn settle_one(found: &Found, adjusted_p: f64, family: f64, arms: &Arms, settings: &Settings) -> Compared {
    let ratio = Some(found.b / found.a).filter(|ratio| ratio.is_finite());
    let mut row = Compared {
        metric: found.metric.clone(),
        better: found.better,
        a: found.a,
        b: found.b,
        ratio,
        interval: None,
        p: 1.0,
        adjusted_p: 1.0,
        verdict: Verdict::Undecided(Needs { lack: Lack::Evidence, units: None, seconds: None }),
        detectable: None,
        freedom: 0.0,
    };
    let known = match &found.known {
        Ok(known) => known,
        Err(lack) => {
            row.verdict = Verdict::Undecided(needs(*lack, lacking(*lack, arms), arms));
            return row;
        }
    };
    let log_width = known.log.half_width(settings.alpha / family);
    let power = known.log.half_width((2.0 * (1.0 - settings.power)).min(1.0));
    row.interval = Some(known.interval);
    (row.p, row.adjusted_p, row.freedom) = (known.p, adjusted_p, known.log.freedom());
    row.detectable =
        Some((log_width + power).exp_m1()).filter(|size| size.is_finite() && found.a + found.b > 0.0);
    let within = (known.strict.high - 1.0).max(1.0 / known.strict.low - 1.0);
    let small = known.negligible.filter(|size| *size <= settings.error_margin);
    row.verdict = if within <= settings.margin {
        Verdict::Equivalent { within: within.max(0.0) }
    } else if let Some(within) = small {
        Verdict::Equivalent { within }
    } else if adjusted_p <= settings.alpha {
        let more = found.b > found.a;
        let worse = more == (found.better == Better::Lower);
        Verdict::Different(if worse { Change::Worse } else { Change::Better })
    } else if known.start_spread > 0.0 {
        Verdict::Undecided(needs(Lack::Starts, f64::INFINITY, arms))
    } else if let Some(size) = known.negligible.filter(|_| found.a + found.b == 0.0) {
        // none seen: what that excludes shrinks as the evidence grows
        Verdict::Undecided(needs(Lack::Samples, size / settings.error_margin, arms))
    } else {
        let distance = ratio.map_or(f64::NAN, |ratio| ratio.ln().abs());
        let to_differ = ((log_width + power) / distance).powi(2);
        let room = settings.margin.ln_1p() - distance;
        let to_agree = if room > 0.0 {
            ((known.log.half_width(settings.alpha) + power) / room).powi(2)
        } else {
            f64::INFINITY
        };
        Verdict::Undecided(needs(Lack::Precision, to_differ.min(to_agree), arms))
    };
    row
}

/// How many times the evidence it takes where there is too little to go by.
fn lacking(lack: Lack, arms: &Arms) -> f64 {
    match lack {
        Lack::Units if arms.joint == Joint::Runs || arms.unit == Unit::Rounds => {
            5.0 / arms.units().max(1) as f64
        }
        Lack::Units => 20.0 / arms.units().max(1) as f64,
        Lack::Samples => 3.0,
        Lack::Evidence | Lack::Precision | Lack::Starts => f64::INFINITY,
    }
}

fn needs(lack: Lack, times: f64, arms: &Arms) -> Needs {
    if times.is_nan() || times > MOST_TIMES {
        return Needs { lack, units: None, seconds: None };
    }
    let have = arms.units() as f64;
    let more = ((times - 1.0) * have).ceil().max(1.0);
    let each = if have > 0.0 { arms.seconds() / have } else { 0.0 };
    Needs { lack, units: Some(more as u64), seconds: Some(more * each) }
}

/// Adjusted p-values; those that are no number stay so and do not count.
fn holm(raw: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..raw.len()).filter(|index| !raw[*index].is_nan()).collect();
    order.sort_by(|one, two| raw[*one].total_cmp(&raw[*two]));
    let mut adjusted = raw.to_vec();
    let mut largest = 0.0_f64;
    for (rank, index) in order.iter().enumerate() {
        largest = largest.max((raw[*index] * (order.len() - rank) as f64).min(1.0));
        adjusted[*index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_is_as_in_the_tables() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let adjusted = holm(&[0.01, 0.04, f64::NAN, 0.03, 0.005]);
        let expected = [0.03, 0.06, f64::NAN, 0.06, 0.02];
        for (got, expected) in adjusted.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12 || (got.is_nan() && expected.is_nan()), "{adjusted:?}");
        }
    }
}
