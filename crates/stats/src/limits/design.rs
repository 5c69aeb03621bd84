//! The next experiment: the one from which most is learned for its time.
//!
//! Each believed rule plays each experiment of a menu in thought. What one expects is then explained by every other: an
//! experiment is worth the doubt that it would settle, sum over pairs that say different things of
//! w_i w_j (1 - exp(-D_ij / [`PATIENCE`])), D_ij the logarithm of the likelihood ratio of i and j for what i expects. Source: expected
//! information gain (Lindley 1956), with the pairwise bound instead of the entropy.

use super::acts::{Act, Next, Player, least_length};
use super::belief::{Belief, Weighted};
use super::headers::Hints;
use super::likelihood::{SURPRISE, log_probability, state_after};
use super::rule::{Class, Rule};
use super::seen::{Log, Seen, Verdict};
use super::spread::{LADDER, fan, ladder};
use super::state::State;

/// An experiment to make.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What to do.
    pub acts: Vec<Act>,
    /// Nothing is sent after this instant.
    pub end: f64,
    /// Why, for people.
    pub about: &'static str,
}

/// What experiments are chosen within.
pub(crate) struct Means {
    /// When the probing began.
    pub begun: f64,
    /// The present instant.
    pub now: f64,
    /// When all must be over.
    pub end: f64,
    /// Time of a round trip.
    pub trip: f64,
    /// Requests under way at once.
    pub lanes: u64,
    /// Why the last experiments were made, and how often for that reason.
    pub again: (&'static str, u32),
}

/// Rules that think.
const MINDS: usize = 14;
/// Worth of settling figures, against that of settling the class.
const FIGURES: f64 = 0.3;
/// Share of a window within which a verdict tells nothing about the class: another window would explain it, too.
const CLASS_BLUR: f64 = 0.02;
/// Likelihood ratios that are worth something, as a logarithm: a little evidence now is less than much soon.
const PATIENCE: f64 = 4.0;
/// Doubt that is not worth an experiment.
const WORTH: f64 = 0.0005;

/// The best experiment; `None` if none settles anything.
pub(crate) fn choose(belief: &Belief, log: &Log, means: &Means) -> Option<Experiment> {
    let minds = belief.sample(MINDS, 2.0);
    let best = belief.best()?.rule;
    let states: Vec<State> = minds.iter().map(|mind| state_after(&mind.rule, log)).collect();
    let unit = best.memory();
    let all: Vec<(&Weighted, &State)> = minds.iter().zip(&states).collect();
    let mut chosen: Option<(f64, Experiment)> = None;
    for (acts, about) in menu(&best, &minds, &states, means, &belief.windows()) {
        let end = means.end.min(means.now + 4.0 * unit + 1.0);
        let (mut gain, mut length, mut requests) = (0.0, 0.0, 0.0);
        for (mind, state) in minds.iter().zip(&states) {
            let expected = think(&acts, &mind.rule, state.clone(), means, end);
            let last = expected.last().map_or(means.now, |event| event.0);
            length += mind.weight * (last - means.now);
            requests += mind.weight * expected.len() as f64;
            gain += mind.weight * settled(mind, state, &expected, &all, log.noise, belief.share);
        }
        // what takes much longer than all before it can wait until the figures are better known
        let hasty = (length / (means.now - means.begun + 0.5)).max(1.0);
        let spent = length / (means.end - means.now).max(1e-3);
        let cost = 2.5 * hasty + length / unit + 3.0 * spent + requests / (20.0 * (best.limit as f64 + 5.0));
        // what has settled little so far is not what it is thought to be
        let again = if about == means.again.0 && about != LADDER { means.again.1 } else { 0 };
        let value = gain / (cost * (1.0 + 0.5 * f64::from(again)));
        if gain > WORTH && chosen.as_ref().is_none_or(|(most, _)| value > *most) {
            chosen = Some((value, Experiment { acts, end, about }));
        }
    }
    chosen.map(|(_, experiment)| experiment)
}

/// What measures the window of a lock-out or a log once more, whatever it is worth; `None` if there is no time for it.
pub(crate) fn refine(belief: &Belief, log: &Log, means: &Means) -> Option<Experiment> {
    let best = belief.best()?.rule;
    let windows = belief.windows();
    let ladder = || ladder(&best, &state_after(&best, log), means, &windows);
    let (acts, about) = ladder().or_else(|| fan(&best, means, &windows))?;
    (means.now + least_length(&acts) < means.end).then_some(Experiment { acts, end: means.end, about })
}

/// The doubt that an experiment settles if `mind` is right and it brings what `mind` expects. Figures are settled rule by
/// rule; a class only if none of its rules explains it: else the one would be taken for the other.
fn settled(
    mind: &Weighted,
    begin: &State,
    expected: &[(f64, bool)],
    all: &[(&Weighted, &State)],
    noise: f64,
    share: f64,
) -> f64 {
    let blur = CLASS_BLUR * mind.rule.grain() + 2.0 * noise;
    let own = weigh(expected, &mind.rule, begin, noise);
    let mut classes: Vec<(Class, f64, f64)> = Vec::new();
    let mut figures = 0.0;
    for (other, begin) in all {
        if other.rule.class == mind.rule.class {
            if !mind.rule.agrees(&other.rule, share) {
                figures += FIGURES * other.weight * worth(own - weigh(expected, &other.rule, begin, noise));
            }
            continue;
        }
        let apart = against(expected, &other.rule, begin, noise, blur);
        match classes.iter_mut().find(|(class, ..)| *class == other.rule.class) {
            Some((_, weight, least)) => (*weight, *least) = (*weight + other.weight, least.min(apart)),
            None => classes.push((other.rule.class, other.weight, apart)),
        }
    }
    figures + classes.iter().map(|(_, weight, least)| weight * worth(*least)).sum::<f64>()
}

fn worth(apart: f64) -> f64 {
    1.0 - (-apart.max(0.0) / PATIENCE).exp()
}

/// Plays an experiment against a rule.
fn think(acts: &[Act], rule: &Rule, mut state: State, means: &Means, end: f64) -> Vec<(f64, bool)> {
    let mut player = Player::new(acts.to_vec(), means.now, end);
    let (mut now, mut told) = (means.now, Vec::new());
    while let Next::Fire { at, count, .. } = player.next(now) {
        let sent = at.max(now);
        let arrived = sent + 0.5 * means.trip;
        now = sent + means.trip;
        let mut answers = Vec::new();
        for _ in 0..count {
            let passed = state.margin(rule, arrived) >= 0.0;
            if passed {
                state.admit(rule, arrived);
            } else {
                state.refuse(rule, arrived);
            }
            told.push((arrived, passed));
            let verdict = if passed { Verdict::Passed } else { Verdict::Refused };
            answers.push(Seen { sent, answered: now, key: 0, verdict, status: 0, hints: Hints::default() });
        }
        player.saw(&answers);
        if told.len() > 4_000 {
            break;
        }
    }
    told
}

fn weigh(expected: &[(f64, bool)], rule: &Rule, begin: &State, noise: f64) -> f64 {
    let mut state = begin.clone();
    let mut sum = 0.0;
    for (at, passed) in expected {
        sum += log_probability(state.margin(rule, *at), *passed, noise, SURPRISE);
        if *passed {
            state.admit(rule, *at);
        } else {
            state.refuse(rule, *at);
        }
    }
    sum
}

/// What speaks against a rule beside verdicts so near to an edge that another window would explain them.
fn against(expected: &[(f64, bool)], rule: &Rule, begin: &State, noise: f64, blur: f64) -> f64 {
    let mut state = begin.clone();
    let mut sum = 0.0;
    for (at, passed) in expected {
        let margin = state.margin(rule, *at);
        if (margin >= 0.0) != *passed && margin.abs() > blur {
            sum -= log_probability(margin, *passed, noise, SURPRISE);
        }
        if *passed {
            state.admit(rule, *at);
        } else {
            state.refuse(rule, *at);
        }
    }
    sum
}

type Menu = Vec<(Vec<Act>, &'static str)>;

/// Experiments that may be worth it, on the scales of what is believed.
fn menu(best: &Rule, minds: &[Weighted], states: &[State], means: &Means, windows: &[f64]) -> Menu {
    let lanes = means.lanes;
    let limit = minds.iter().map(|mind| mind.rule.limit).max().unwrap_or(1).max(best.limit);
    let all = Act::Burst { most: 2 * limit + 5, refusals: 2, lanes };
    let part = |most: u64| Act::Burst { most: most.max(1), refusals: 1, lanes };
    let watch = |first: f64, longest: f64| Act::Watch { first, growth: 0.0, longest };
    let mut menu: Menu = vec![(vec![all], "asking for all that is left")];
    for scale in scales(best, minds) {
        for share in [0.3, 0.6, 0.85, 1.03, 1.6, 2.2] {
            menu.push((vec![Act::Wait(share * scale), all], "a quiet wait, then all that is left"));
        }
        let rest = Act::Wait(1.35 * scale);
        for share in [0.3, 0.5] {
            let split = vec![rest, part(best.limit.div_ceil(2)), Act::Wait(share * scale), all];
            menu.push((split.clone(), "a split burst"));
            menu.push(([split, vec![watch(0.03 * scale, 1.3 * scale), all]].concat(), "a split burst"));
        }
        let late = vec![rest, part(best.limit), Act::Wait(0.8 * scale), part(2)];
        menu.push((late.clone(), "a violation late in the window"));
        menu.push((
            [late, vec![watch(0.03 * scale, 1.3 * scale)]].concat(),
            "a violation late in the window",
        ));
        menu.push((vec![watch(0.02 * scale, 1.3 * scale), all], "asking again and again until one passes"));
        for share in [0.37, 1.4] {
            let phase = vec![Act::Wait(share * scale), all, watch(0.02 * scale, 1.1 * scale)];
            menu.push((phase, "another phase"));
        }
        let steps = best.limit.saturating_sub(1).clamp(1, 16);
        for every in [0.02, 0.05, 0.1, 0.25] {
            let ladder = Act::Singles { count: steps, every: every * scale };
            menu.push((vec![rest, ladder, all], "singles spread over time, then all that is left"));
        }
        // where the rules expect the end of refusing, in small steps
        for (mind, state) in minds.iter().zip(states).take(3) {
            let wait = -state.margin(&mind.rule, means.now);
            if wait > 0.06 * scale && wait < 2.0 * scale {
                let fine = vec![Act::Wait(wait - 0.04 * scale), watch(0.005 * scale, 0.08 * scale)];
                menu.push((fine, "the end of refusing in small steps"));
            }
        }
    }
    let own = minds.iter().zip(states).find(|(mind, _)| mind.rule.class == best.class);
    menu.extend(own.and_then(|(mind, state)| ladder(&mind.rule, state, means, windows)));
    menu.extend(fan(best, means, windows));
    if best.class == Class::TwoTier {
        // as much as the short tier allows, until the long one refuses; then a watch for its end
        let times = best.second.limit.div_ceil(best.limit).min(40) + 1;
        let press = (0..times).flat_map(|_| [all, Act::Wait(1.03 * best.window)]);
        let end = [watch(0.008 * best.second.window, 1.2 * best.second.window), all];
        menu.push((end.to_vec(), "asking again and again until one passes"));
        menu.push((press.chain(end).collect(), "pressing until the long limit refuses, to its end"));
    }
    let growing = Act::Watch { first: 0.01 * best.window, growth: 0.1, longest: 12.0 * best.memory() };
    menu.push((vec![growing, all], "asking again, ever more slowly"));
    menu
}

/// Times that differ by more than a fifth among those that likely rules name.
fn scales(best: &Rule, minds: &[Weighted]) -> Vec<f64> {
    let mut scales: Vec<f64> = Vec::new();
    let mut add = |scale: f64| {
        if scales.len() < 4 && scale > 1e-3 && scales.iter().all(|s| (s / scale).ln().abs() > 0.2) {
            scales.push(scale);
        }
    };
    add(best.memory());
    let mut likely: Vec<&Weighted> = minds.iter().collect();
    likely.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    for rule in likely.iter().map(|mind| &mind.rule) {
        add(rule.window);
        if rule.class == Class::Lockout {
            add(rule.lock);
        }
        if matches!(rule.class, Class::TokenBucket | Class::IntervalRefill) {
            add(rule.window * rule.lump as f64 / rule.limit as f64);
        }
    }
    scales
}
