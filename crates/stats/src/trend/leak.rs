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
/// The price of a step for its name, as a difference of log-likelihoods: its place is chosen among some eighty, of which in
/// noise with a memory one always fits a little (the logarithm of their number; Schwarz 1978).
const STEP: f64 = 4.0;
/// The price of a step against a leak: less, as a step just too small to stand out must not pass for one.
const STEP_AGAINST: f64 = 1.5;
/// The price of a curve for its name: one more figure than flat, and its time constant.
const CURVE: f64 = 2.0;
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
    /// The best of what only looks like a line, prices paid.
    rival: Fit,
    /// What the series looks like without a line; a step pays its price here.
    like: &'static str,
    /// The best of those with a line on top, prices paid.
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
    // shape, name, price for the name, price against a leak
    let mut rivals: Vec<(Vec<f64>, &'static str, f64, f64)> = Vec::new();
    let mut levels = |shape: Vec<f64>| rivals.push((shape, "levels off", CURVE, 0.0));
    let curve = |time: f64| of(&|x| 1.0 - (-x / time).exp());
    let times: Vec<f64> = (1..=12).map(|k| LEVELLED * f64::from(k) / 12.0).collect();
    times.iter().for_each(|time| levels(curve(*time)));
    // with little noise the time constant matters: a line on top of a wrong one is no leak
    levels(curve(finest(&times, &|time| fit(values, &[&curve(time)]).likelihood)));
    levels(curve(finest(&times, &|time| fit(values, &[&curve(time), &slope]).likelihood)));
    [0.002, 0.006, 0.02].iter().for_each(|first| levels(of(&|x| (1.0 + x / first).ln())));
    let step = |at: usize| (0..n).map(|i| f64::from(i >= at)).collect::<Vec<f64>>();
    rivals.extend(steps(values).into_iter().map(|at| (step(at), "one step", STEP, STEP_AGAINST)));
    let better = |best: Fit, next: Fit| if next.likelihood > best.likelihood { next } else { best };
    let flat = fit(values, &[]);
    let dear = |fit: Fit, price: f64| Fit { likelihood: fit.likelihood - price, ..fit };
    let with_line = rivals.iter().map(|(shape, .., price)| dear(fit(values, &[shape, &slope]), *price));
    let both = with_line.fold(flat.clone(), better);
    let (mut rival, mut like) = (flat.clone(), (flat.likelihood, "flat"));
    for (shape, name, price, against) in &rivals {
        let alone = fit(values, &[shape]);
        if alone.likelihood - price > like.0 {
            like = (alone.likelihood - price, *name);
        }
        rival = better(rival, dear(alone, *against));
    }
    let far = FAR.iter().map(|time| fit(values, &[&curve(*time)])).fold(flat.clone(), better);
    Models { line: fit(values, &[&slope]), flat, rival, like: like.1, both, far }
}

/// Where a step is looked for: at even distances, and where neighbours differ most. A step that is off by one reading leaves
/// a jump behind that makes the noise look like a random walk, in which any growth hides.
fn steps(values: &[f64]) -> Vec<usize> {
    const EVEN: usize = 75;
    const JUMPS: usize = 8;
    let n = values.len();
    let even = n.min(EVEN);
    let mut places: Vec<usize> = (1..even).map(|k| k * n / even).collect();
    let mut jumps: Vec<(f64, usize)> = (1..n).map(|at| ((values[at] - values[at - 1]).abs(), at)).collect();
    jumps.sort_by(|a, b| b.0.total_cmp(&a.0));
    places.extend(jumps.iter().take(JUMPS).map(|(_, at)| *at));
    places.sort_unstable();
    places.dedup();
    places
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
    let rival = &models.rival;
    let bent = rival.likelihood.max(models.both.likelihood - AHEAD_OF_FLAT);
    let bends = bent - models.line.likelihood.max(models.flat.likelihood) > AHEAD;
    let (leaky, without, like) =
        if bends { (&models.both, rival, models.like) } else { (&models.line, &models.flat, "flat") };
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
