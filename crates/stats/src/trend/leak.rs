//! Whether something grows without end: memory, descriptors, connections.
//!
//! A straight line competes with what only looks like one: noise with a long memory, a curve that levels off (a cache that
//! fills), a single step, a logarithm (tables that grow ever more slowly). A saw-tooth (a collector that runs now and then)
//! is first reduced to its troughs. A leak is said only if the line wins against all of them; where they cannot be told
//! apart yet, the answer is how much longer to look.

use super::model::{Fit, fit};
use crate::special::t_quantile;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakSettings {
    /// Growth that does not matter, as a share of the level a minute: 0.001.
    pub least: f64,
    /// What the resource may grow to (a limit of memory, of descriptors), in the unit of the readings.
    pub limit: Option<f64>,
}

impl Default for LeakSettings {
    fn default() -> LeakSettings {
        LeakSettings { least: 0.001, limit: None }
    }
}

/// Growth a second, in the unit of the readings, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The best value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Leak {
    /// It grows, and nothing says that it will end.
    Found {
        /// How fast.
        slope: Slope,
        /// Seconds from the last reading until the limit is reached at this pace; `None` without a limit.
        exhausted_in: Option<f64>,
    },
    /// It does not grow, or levels off.
    None {
        /// Largest growth a second that can be excluded.
        excluded: f64,
        /// What the series looks like: `flat`, `levels off`, `one step`.
        like: &'static str,
    },
    /// It may, and it may not.
    Undecided {
        /// Why.
        why: &'static str,
        /// How many more seconds of readings would settle it, by the pace so far.
        seconds: f64,
    },
}

/// Fewest readings.
const FEWEST: usize = 30;
/// Most values that models are fitted to; of more, neighbours are averaged.
const MOST: usize = 300;
/// Fewest cycles of a saw-tooth.
const CYCLES: usize = 6;
/// How much better than a line a curve must be to be taken for it, as a difference of log-likelihoods: it has one more free
/// figure (Akaike, IEEE Trans. Automatic Control 19, 1974).
const AHEAD: f64 = 1.0;
/// By how much less the line may be behind to be taken for a line.
const BEHIND: f64 = 0.5;
/// How many standard errors the slope must fall by, from the third quarter of the time to the fourth, to be falling.
const BENT: f64 = 4.0;
/// By how much it must fall at least.
const FALLS: f64 = 0.65;
/// The part of all change that the last quarter of something that stands still may have.
const STILL: f64 = 0.02;
/// The part of all growth that may be still to come of what has levelled off.
const REST: f64 = 0.05;
/// The same against a flat series, where long memory imitates lines.
const AHEAD_OF_FLAT: f64 = 5.5;

/// Looks for a leak in readings `(seconds, value)` at about equal distances, in the order of time.
pub fn leak(readings: &[(f64, f64)], settings: &LeakSettings) -> Leak {
    let fine: Vec<(f64, f64)> =
        readings.iter().copied().filter(|(at, value)| at.is_finite() && value.is_finite()).collect();
    let span = fine.last().map_or(0.0, |last| last.0 - fine[0].0);
    if fine.len() < FEWEST || span <= 0.0 {
        let seconds = if fine.len() > 1 { span / fine.len() as f64 * FEWEST as f64 } else { 60.0 };
        return Leak::Undecided { why: "too few readings", seconds };
    }
    let every = span / (fine.len() - 1) as f64;
    let values: Vec<f64> = fine.iter().map(|(_, value)| *value).collect();
    let (values, every) = match cycles(&values) {
        Cycles::None => {
            let group = values.len().div_ceil(MOST);
            (thinned(&values, group), every * group as f64)
        }
        Cycles::Troughs(troughs, period) if troughs.len() >= CYCLES => (troughs, every * period),
        Cycles::Troughs(troughs, period) => {
            let missing = (CYCLES + 1 - troughs.len()) as f64;
            return Leak::Undecided {
                why: "too few cycles of its saw-tooth",
                seconds: missing * period * every,
            };
        }
    };
    judge(&values, every, settings)
}

/// Means of so many neighbours.
fn thinned(values: &[f64], group: usize) -> Vec<f64> {
    values.chunks_exact(group).map(|chunk| chunk.iter().sum::<f64>() / group as f64).collect()
}

enum Cycles {
    None,
    /// The lowest readings between drops, and the readings from one to the next.
    Troughs(Vec<f64>, f64),
}

/// A saw-tooth: drops of at least a third of the range between neighbours (or nearly), at about equal distances.
fn cycles(values: &[f64]) -> Cycles {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let mut changes: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    changes.sort_by(f64::total_cmp);
    // a drop is nothing that the noise makes
    let drop = ((high - low) / 3.0).max(8.0 * changes[changes.len() / 2]);
    let mut drops: Vec<usize> = Vec::new();
    for i in 2..values.len() {
        let fell = values[i - 1].max(values[i - 2]) - values[i];
        if fell > drop && drops.last().is_none_or(|last| i - last > 2) {
            drops.push(i);
        }
    }
    if drops.len() < 2 {
        return Cycles::None;
    }
    let gaps: Vec<f64> = drops.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    if gaps.iter().any(|gap| (gap - mean).abs() > mean / 2.0) || mean < 4.0 {
        return Cycles::None;
    }
    let reach = (mean / 4.0) as usize;
    let trough = |at: &usize| {
        let window = &values[*at..(*at + reach.max(1)).min(values.len())];
        window.iter().copied().fold(f64::MAX, f64::min)
    };
    Cycles::Troughs(drops.iter().map(trough).collect(), mean)
}

/// All that is compared, of one series.
struct Models {
    flat: Fit,
    line: Fit,
    /// The best of what only looks like a line, with its name.
    rival: (Fit, &'static str),
    /// The best of those with a line on top.
    both: Fit,
    /// The best curve that has not levelled off yet in the time seen.
    far: Fit,
}

/// Time constants, in parts of the time seen, up to which a curve has visibly levelled off.
const LEVELLED: f64 = 0.5;
/// Time constants of curves that have not.
const FAR: [f64; 7] = [0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0];

fn models(values: &[f64]) -> Models {
    let n = values.len();
    let of = |shape: &dyn Fn(f64) -> f64| -> Vec<f64> {
        (0..n).map(|i| shape(i as f64 / (n - 1) as f64)).collect()
    };
    let slope = of(&|x| x);
    let mut rivals: Vec<(Vec<f64>, &'static str)> = Vec::new();
    let curve = |time: f64| of(&|x| 1.0 - (-x / time).exp());
    let times: Vec<f64> = (1..=12).map(|k| LEVELLED * f64::from(k) / 12.0).collect();
    rivals.extend(times.iter().map(|time| (curve(*time), "levels off")));
    // with little noise the time constant matters: a line on top of a wrong one is no leak
    rivals.push((curve(finest(&times, &|time| fit(values, &[&curve(time)]).likelihood)), "levels off"));
    rivals
        .push((curve(finest(&times, &|time| fit(values, &[&curve(time), &slope]).likelihood)), "levels off"));
    rivals.extend([0.002, 0.006, 0.02].map(|first: f64| (of(&|x| (1.0 + x / first).ln()), "levels off")));
    let steps = n.min(75);
    rivals.extend((1..steps).map(|k| (of(&|x| f64::from(x >= k as f64 / steps as f64)), "one step")));
    let better = |best: Fit, next: Fit| if next.likelihood > best.likelihood { next } else { best };
    let flat = fit(values, &[]);
    let both = rivals.iter().map(|(shape, _)| fit(values, &[shape, &slope])).fold(flat.clone(), better);
    let alone = rivals.iter().map(|(shape, name)| (fit(values, &[shape]), *name));
    let rival =
        alone.fold(
            (flat.clone(), "flat"),
            |best, next| {
                if next.0.likelihood > best.0.likelihood { next } else { best }
            },
        );
    let far = FAR.iter().map(|time| fit(values, &[&curve(*time)])).fold(flat.clone(), better);
    Models { line: fit(values, &[&slope]), flat, rival, both, far }
}

/// Closer to the best of rising `times` than they are to each other, up to the last of them.
fn finest(times: &[f64], likelihood: &dyn Fn(f64) -> f64) -> f64 {
    let most = times.last().copied().unwrap_or(1.0);
    let best = |candidates: &mut dyn Iterator<Item = f64>| {
        candidates
            .map(|time| (time, likelihood(time)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(most, |best| best.0)
    };
    let mut found = best(&mut times.iter().copied());
    let mut width = most / times.len() as f64;
    for _ in 0..4 {
        width /= 2.0;
        found =
            best(&mut [found - width, found, found + width].into_iter().map(|t| t.clamp(0.2 * width, most)));
    }
    found
}

/// How the slope goes on in the second half of the values: (that of the third quarter, that of the fourth) per value, if they
/// surely differ.
fn bend(values: &[f64]) -> Option<(f64, f64)> {
    let half = &values[values.len() / 2..];
    let n = half.len();
    if n < FEWEST {
        return None;
    }
    let at = |i: usize| i as f64 / (n - 1) as f64;
    let line: Vec<f64> = (0..n).map(at).collect();
    let hinge: Vec<f64> = line.iter().map(|x| (x - 0.5).max(0.0)).collect();
    let bent = fit(half, &[&line, &hinge]);
    if bent.height.abs() <= BENT * bent.error {
        return None;
    }
    // what the hinge leaves is a line
    let straight: Vec<f64> =
        half.iter().zip(&hinge).map(|(value, hinge)| value - bent.height * hinge).collect();
    let before = fit(&straight, &[&line]).height;
    Some((before, before + bent.height))
}

/// Whether the last quarter of something that changed has no more than a fiftieth of the change, noise and all: then what is
/// before it does not matter. The most that it can have grown by a second there.
fn stands_still(values: &[f64], every: f64) -> Option<f64> {
    if values.len() < FEWEST {
        return None;
    }
    let range = |values: &[f64]| {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        high - low
    };
    let last = &values[values.len() - values.len() / 4..];
    let (late, all) = (range(last), range(values));
    (all > 0.0 && late <= STILL * all).then(|| late / (every * last.len() as f64))
}

fn judge(values: &[f64], every: f64, settings: &LeakSettings) -> Leak {
    let n = values.len();
    let span = every * (n - 1) as f64;
    if let Some(excluded) = stands_still(values, every) {
        return Leak::None { excluded, like: "levels off" };
    }
    let models = models(values);
    let least = settings.least / 60.0 * models.flat.base.abs().max(f64::MIN_POSITIVE);
    let (rival, like) = &models.rival;
    let bent = rival.likelihood.max(models.both.likelihood - AHEAD_OF_FLAT);
    let bends = bent - models.line.likelihood.max(models.flat.likelihood) > AHEAD;
    let (leaky, without, like) =
        if bends { (&models.both, rival, *like) } else { (&models.line, &models.flat, "flat") };
    let interval = interval(leaky, n, span);
    let freedom = (leaky.worth(n) - 3.0).max(1.0);
    // whatever the form of the noise, the slope must also be beyond its own error
    let grows = leaky.height > t_quantile(freedom, 0.0005) * leaky.error
        && leaky.likelihood - without.likelihood > AHEAD_OF_FLAT
        && interval.low >= least;
    if !grows {
        let excluded = interval.high.max(0.0);
        if excluded > 10.0 * least && leaky.height > leaky.error {
            let seconds = more(span, excluded / (10.0 * least));
            return Leak::Undecided { why: "growth hides in the noise", seconds };
        }
        return Leak::None { excluded, like };
    }
    let open = Leak::Undecided { why: "it may still level off", seconds: span };
    if !bends && models.line.likelihood - rival.likelihood < -BEHIND {
        return open;
    }
    let curved = bends && like == "levels off";
    if curved && models.far.likelihood > models.both.likelihood + AHEAD {
        return open;
    }
    // whatever curve it is, a slope that falls and falls comes to an end
    let bent = bend(values).filter(|(third, fourth)| curved && *fourth < FALLS * third);
    if let Some((third, fourth)) = bent {
        let ratio = (fourth / third).max(0.0);
        let (rest, all) = (fourth.max(0.0) / 2.0 * ratio / (1.0 - ratio), values[n - 1] - values[0]);
        if rest < REST * all {
            return Leak::None { excluded: (fourth / (0.5 * span)).max(0.0), like: "levels off" };
        }
        return open;
    }
    let last = values[n - n / 10..].iter().sum::<f64>() / (n / 10).max(1) as f64;
    let exhausted_in = settings.limit.map(|limit| ((limit - last) / interval.value).max(0.0));
    Leak::Found { slope: interval, exhausted_in }
}

fn interval(fit: &Fit, n: usize, span: f64) -> Slope {
    let wide = t_quantile((fit.worth(n) - 3.0).max(1.0), 0.025) * fit.error;
    Slope { value: fit.height / span, low: (fit.height - wide) / span, high: (fit.height + wide) / span }
}

/// Seconds more until an error that falls as the time to the power of 3/2 is `times` smaller.
fn more(span: f64, times: f64) -> f64 {
    span * (times.max(1.1).powf(2.0 / 3.0) - 1.0)
}
