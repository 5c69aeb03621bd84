//! From what is known to what is said.

use super::crisp::crisp;
use super::evidence::Ceiling;
use super::known::Known;
use super::{
    Answer, Confidence, CurvePoint, Edge, Finding, Knee, Purpose, Recovery, Role, Scale, Search, Shape,
    TrialResult, Window,
};
use crucible_core::{Histogram, Ns};

/// Everything, as it stands.
pub(super) fn finding(search: &Search) -> Finding {
    let known = known(search);
    let answer = answer(search, known.as_ref());
    let hysteresis = search.extra.hysteresis();
    let safe = match (&answer, &hysteresis) {
        (Answer::Edge(edge), Some(way)) if way.differs => Some(edge.low.min(way.down)),
        (Answer::Edge(edge), _) => Some(edge.low),
        (Answer::NoEdge { highest }, _) => Some(*highest),
        _ => None,
    };
    // an interval that is open below knows no load that is safe
    let safe = safe.filter(|load| *load > 0.0);
    let headroom = search.settings.headroom;
    let recommended = safe.map(|load| match search.settings.scale {
        Scale::Rate => load * (1.0 - headroom),
        Scale::Users => (load * (1.0 - headroom)).floor(),
    });
    let curve = curve(search);
    Finding {
        confidence: confidence(search, &answer, known.as_ref()),
        recommended,
        headroom,
        breaking: broken(search),
        hysteresis,
        recoveries: recoveries(search),
        cut: cut(search),
        knee: knee(&curve),
        curve,
        spent: search.spent,
        trials: search.results.len() as u32,
        remarks: remarks(search, &answer),
        answer,
    }
}

/// What all trials say in the end. What overload says of the slope only narrows the interval: where it would move the edge
/// out of the place in which the trials were made, it is not believed.
fn known(search: &Search) -> Option<Known> {
    let plain = search.known.clone()?;
    let last = Known::at_last(&search.settings, &search.results, Role::Target);
    let middle = plain.quantile(0.5);
    last.filter(|last| (last.quantile(0.5) / middle - 1.0).abs() < MOVED).or(Some(plain))
}

/// So far, as a share, what is seen under overload may move the edge.
const MOVED: f64 = 0.04;

fn answer(search: &Search, known: Option<&Known>) -> Answer {
    match (search.bracket(), known) {
        ((None, None), _) => Answer::Unknown { why: "no trial was made".into() },
        ((Some(highest), None), known) => match known.filter(|known| missed(search, known, highest)) {
            Some(known) => Answer::Edge(edge(search, known, Role::Target)),
            None => Answer::NoEdge { highest },
        },
        ((None, Some(lowest)), known) => {
            let index = known.map_or(0, |known| known.first().0);
            Answer::NeverHeld { lowest, name: search.settings.predicates[index].name.clone() }
        }
        ((Some(_), Some(_)), Some(known)) => Answer::Edge(edge(search, known, Role::Target)),
        _ => Answer::Unknown { why: "no trial had a reading of a target".into() },
    }
}

/// Whether a target was missed below the highest load that held, so that the edge lies about there: longer trials may have taken
/// away what shorter ones said.
fn missed(search: &Search, known: &Known, highest: f64) -> bool {
    let proper = search
        .results
        .iter()
        .filter(|result| matches!(result.trial.purpose, Purpose::Grow | Purpose::Narrow | Purpose::Measure));
    let estimate = known.quantile(0.5);
    proper.filter(|result| !search.holds(result)).count() > 0 && estimate > 0.0 && estimate < BESIDE * highest
}

/// An edge this far beyond the highest load that held was not tried.
const BESIDE: f64 = 1.1;

fn edge(search: &Search, known: &Known, role: Role) -> Edge {
    let (predicate, fit) = known.first();
    let name = search.settings.predicates[predicate].name.clone();
    if let Some(found) =
        crisp(search).filter(|found| role == Role::Target && found.closed(search.settings.scale))
    {
        let (low, shape) = (found.held, found.shape);
        let (estimate, high) = match search.settings.scale {
            Scale::Rate => (f64::midpoint(found.held, found.failed), found.failed),
            Scale::Users => (low, low),
        };
        return Edge { estimate, low, high, shape, predicate, name };
    }
    let (low, estimate, high) = (known.quantile(0.025), known.quantile(0.5), known.quantile(0.975));
    let open = estimate <= 0.0 || !estimate.is_finite();
    if let (true, Role::Target, (Some(held), Some(failed))) = (open, role, search.bracket()) {
        // the model knows no slope; what held and what did not is known all the same
        return Edge { estimate: held, low: held, high: failed, shape: Shape::Cliff, predicate, name };
    }
    // there was no time to learn how users give way; beside a load that plainly held and one that plainly did not, an interval
    // that is open below says less than is known
    let plain = crisp(search).filter(|found| {
        low <= 0.0 && role == Role::Target && search.settings.scale == Scale::Users && found.is_sure(search)
    });
    if let Some(found) = plain {
        let predicate = found.gives_way(search).unwrap_or(predicate);
        let name = search.settings.predicates[predicate].name.clone();
        let (held, failed) = (found.held, found.failed);
        return Edge { estimate: held, low: held, high: failed, shape: Shape::Slope, predicate, name };
    }
    let whole = |load: f64| match search.settings.scale {
        Scale::Rate => load,
        Scale::Users => load.floor(),
    };
    // twenty times the odds within one percent of the load, or with one user more
    let step = match search.settings.scale {
        Scale::Rate => 0.01,
        Scale::Users => 0.01_f64.max(1.0 / estimate.max(1.0)),
    };
    let shape = if fit.slope * step > 3.0 { Shape::Cliff } else { Shape::Slope };
    Edge { estimate: whole(estimate), low: whole(low), high: whole(high), shape, predicate, name }
}

/// The lowest load that breaks the system, if one did.
fn broken(search: &Search) -> Option<Edge> {
    let seen = search.results.iter().filter(|result| result.trial.purpose != Purpose::Recover);
    let mut broke =
        seen.filter(|result| search.worst(result, Role::Breaking).is_some_and(|worst| worst > 1.0));
    broke.next()?;
    Known::of(&search.settings, &search.results, Role::Breaking)
        .map(|known| edge(search, &known, Role::Breaking))
}

/// Whether the edge is known from its two sides alone.
fn exact(search: &Search) -> bool {
    crisp(search).is_some_and(|found| found.closed(search.settings.scale))
}

/// How close the truth is to the estimate, in a number and in words.
fn confidence(search: &Search, answer: &Answer, known: Option<&Known>) -> Option<Confidence> {
    let (Answer::Edge(edge), Some(known)) = (answer, known) else { return None };
    let beside = match search.settings.scale {
        Scale::Rate => (edge.estimate * 0.98, edge.estimate * 1.02),
        Scale::Users => (edge.estimate, edge.estimate + 1.0),
    };
    let told = (known.below(beside.1) - known.below(beside.0)).clamp(0.0, 1.0);
    // every window of both sides says so
    let probability = if exact(search) { told.max(0.99) } else { told };
    let words = match probability {
        _ if search.stuck > 0 => "low: the system did not recover",
        p if p >= 0.9 => "high",
        p if p >= 0.5 => "medium: more time would narrow the interval",
        _ => "low: the interval is wide, more time is needed",
    };
    Some(Confidence { probability, words })
}

/// How each overload ended: trials at a low load in a row are one recovery.
fn recoveries(search: &Search) -> Vec<Recovery> {
    let mut found: Vec<Recovery> = Vec::new();
    let (mut after, mut lasted) = (None, Ns::ZERO);
    for result in &search.results {
        if result.trial.purpose != Purpose::Recover {
            (after, lasted) = (Some(result.trial.load), Ns::ZERO);
            continue;
        }
        let Some(failed) = after else { continue };
        let well = search.well_since(result);
        let one = Recovery { after: failed, at: result.trial.load, took: well.map(|since| lasted + since) };
        match found.last_mut().filter(|_| lasted > Ns::ZERO) {
            Some(last) => *last = one,
            None => found.push(one),
        }
        lasted += result.took();
    }
    found
}

/// Trials that were ended as hopeless, and the time that was saved.
fn cut(search: &Search) -> (u32, Ns) {
    let ended = |result: &&TrialResult| result.ended_early && result.trial.purpose != Purpose::Recover;
    search.results.iter().filter(ended).fold((0, Ns::ZERO), |(count, saved), result| {
        (count + 1, saved + Ns(result.trial.length.0.saturating_sub(result.took().0)))
    })
}

fn remarks(search: &Search, answer: &Answer) -> Vec<String> {
    let mut remarks = Vec::new();
    if search.stuck > 0 {
        let patience = search.settings.patience;
        remarks.push(format!(
            "the system did not recover at a low load within {patience}: it may stay overloaded"
        ));
    }
    if let Answer::Edge(edge) = answer {
        if edge.shape == Shape::Cliff {
            remarks.push("the edge is a cliff: just above it the target is missed by far".to_owned());
        }
        if !edge.high.is_finite() || edge.low <= 0.0 {
            remarks.push("the interval is open: there was no time to close it".to_owned());
        }
        let unseen = search.passed_over && Ceiling::of(&search.results, search.settings.scale).is_none();
        if unseen && !exact(search) {
            remarks.push("how much is done at most was not seen: the interval may reach far down".to_owned());
        }
    }
    if let (Answer::NoEdge { highest }, true) = (answer, search.left() < search.settings.shortest) {
        remarks.push(format!("the time was over at {highest:.1}, before any target gave way"));
    }
    if let Some(way) = search.extra.hysteresis().filter(|way| way.differs) {
        remarks.push(match way.down {
            down if down > 0.0 => {
                format!(
                    "after an overload the targets held again only at {down:.1}: more than that is not safe"
                )
            }
            _ => "after an overload the targets were not seen to hold again".to_owned(),
        });
    }
    remarks
}

/// Trials within half a percent of each other's load are one point.
fn curve(search: &Search) -> Vec<CurvePoint> {
    let mut trials: Vec<(f64, &[Window])> = search
        .results
        .iter()
        .filter(|result| !matches!(result.trial.purpose, Purpose::Recover | Purpose::Descend))
        .map(|result| (result.trial.load, result.counted()))
        .collect();
    trials.sort_by(|a, b| a.0.total_cmp(&b.0));
    trials.chunk_by(|a, b| b.0 <= a.0 * 1.005).map(|together| point(search, together)).collect()
}

fn point(search: &Search, trials: &[(f64, &[Window])]) -> CurvePoint {
    let windows: Vec<Window> = trials.iter().flat_map(|(_, windows)| windows.iter().cloned()).collect();
    let mut response = Histogram::default();
    windows.iter().for_each(|window| response.merge(&window.response));
    let time: Ns = windows.iter().map(|window| window.length).sum();
    let done = windows.iter().map(|window| window.done).sum::<u64>() as f64;
    let load = trials.iter().map(|(load, _)| load).sum::<f64>() / trials.len() as f64;
    let predicates = search.settings.predicates.iter().enumerate();
    CurvePoint {
        load,
        throughput: if time > Ns::ZERO { done / time.as_secs_f64() } else { 0.0 },
        p50: response.quantile(0.5),
        p95: response.quantile(0.95),
        p99: response.quantile(0.99),
        ratios: predicates.map(|(index, one)| super::trial::ratio(&windows, index, one)).collect(),
        time,
    }
}

/// The point of the throughput curve farthest above the line between its ends, on the unit square.
/// Source: Satopaa et al., "Finding a Kneedle in a Haystack", ICDCS workshops 2011.
fn knee(curve: &[CurvePoint]) -> Option<Knee> {
    let (first, last) = (curve.first()?, curve.last()?);
    let most = curve.iter().map(|point| point.throughput).fold(0.0, f64::max);
    let (wide, tall) = (last.load - first.load, most - first.throughput);
    if curve.len() < 4 || wide <= 0.0 || tall <= 0.0 {
        return None;
    }
    let above =
        |point: &CurvePoint| (point.throughput - first.throughput) / tall - (point.load - first.load) / wide;
    let point = curve.iter().max_by(|a, b| above(a).total_cmp(&above(b)))?;
    (above(point) > 0.02).then_some(Knee { load: point.load, throughput: point.throughput })
}
