//! What is said of a search: progress lines, the summary at 80 columns, JSON.

use super::load::Target;
use crucible_core::{Ns, units};
use crucible_stats::capacity::{Answer, CurvePoint, Edge, Finding, Progress, Purpose, Scale, Shape, Trial};
use serde_json::{Value, json};

/// A load as people read it.
pub(super) fn load(load: f64, scale: Scale) -> String {
    match scale {
        Scale::Rate => format!("{}/s", units::show_number(load)),
        Scale::Users if load.round() == 1.0 => "1 user".into(),
        Scale::Users => format!("{} users", load.round()),
    }
}

/// One line after each trial.
pub(super) fn progress(progress: &Progress, trial: &Trial, cut: bool, scale: Scale) -> String {
    let what = match trial.purpose {
        Purpose::Grow => "grow",
        Purpose::Narrow => "narrow",
        Purpose::Overload => "overload",
        Purpose::Measure => "measure",
        Purpose::Recover => "recover",
        Purpose::Descend => "descend",
        Purpose::Break => "break",
    };
    let (low, high) = progress.interval;
    let known = match (progress.estimate, high.is_finite()) {
        (Some(estimate), true) => {
            format!("capacity {} ({} to {})", load(estimate, scale), load(low, scale), load(high, scale))
        }
        (Some(held), false) => format!("holds at {}", load(held, scale)),
        (None, _) => "nothing known yet".into(),
    };
    let ended = if cut { ", cut short" } else { "" };
    format!(
        "trial {:>2} {what:<8} {:>12}{ended}; {known}; {} left",
        trial.number,
        load(trial.load, scale),
        Ns(progress.left.0 / 1_000_000_000 * 1_000_000_000)
    )
}

/// The summary.
pub(super) fn text(finding: &Finding, target: &Target, scale: Scale, about: &str) -> Vec<String> {
    let show = |value: f64| load(value, scale);
    let mut lines = vec![String::new()];
    match &finding.answer {
        Answer::Edge(edge) => {
            let (low, high) = (show(edge.low), show(edge.high));
            lines.push(format!("capacity of {about}: {} (95 %: {low} to {high})", show(edge.estimate)));
            lines.push(format!("  gives way    {}; {}", edge.name, shape(edge)));
        }
        Answer::NoEdge { highest } => {
            lines.push(format!(
                "capacity of {about}: not below {}; nothing gave way up to there",
                show(*highest)
            ));
        }
        Answer::NeverHeld { lowest, name } => {
            lines.push(format!("capacity of {about}: none; {name} does not hold even at {}", show(*lowest)));
        }
        Answer::Unknown { why } => lines.push(format!("capacity of {about}: not decided; {why}")),
    }
    let targets: Vec<&str> = target
        .predicates
        .iter()
        .filter(|predicate| predicate.role == crucible_stats::capacity::Role::Target)
        .map(|predicate| predicate.name.as_str())
        .collect();
    lines.push(format!("  must hold    {}", targets.join(", ")));
    if let Some(recommended) = finding.recommended {
        let headroom = units::show_share(finding.headroom);
        lines.push(format!("  recommended  at most {} ({headroom} below the safe end)", show(recommended)));
    }
    if let Some(confidence) = &finding.confidence {
        let probability = units::show_share(confidence.probability);
        lines.push(format!("  confidence   {} ({probability})", confidence.words));
    }
    if let Some(edge) = &finding.breaking {
        let (low, high) = (show(edge.low), show(edge.high));
        lines.push(format!(
            "  breaks       not {} from {} on ({low} to {high})",
            edge.name,
            show(edge.estimate)
        ));
    }
    if let Some(way) = &finding.hysteresis {
        let unlike = if way.differs { "; the way up is not safe" } else { "" };
        let again = if way.down > 0.0 {
            format!("holds again at {}", show(way.down))
        } else {
            "was not seen to hold again".into()
        };
        lines.push(format!("  way down     {again}, still fails at {}{unlike}", show(way.still_failing)));
    }
    lines.extend(recovered(finding, scale));
    if finding.cut.0 > 0 {
        let (count, saved) = (plural(finding.cut.0, "hopeless trial"), whole(finding.cut.1));
        lines.push(format!("  cut short    {count}, which saved {saved}"));
    }
    lines.push(format!("  rests on     {} trials, {} of load", finding.trials, whole(finding.spent)));
    finding.remarks.iter().for_each(|remark| lines.push(format!("  note: {remark}")));
    lines.extend(curve(finding, target, scale));
    lines
}

fn plural(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// How the system came back from what it could not bear.
fn recovered(finding: &Finding, scale: Scale) -> Option<String> {
    let slowest = finding.recoveries.iter().max_by_key(|one| one.took.unwrap_or(Ns(u64::MAX)))?;
    let (after, at) = (load(slowest.after, scale), load(slowest.at, scale));
    Some(match slowest.took {
        Some(took) => {
            let times = finding.recoveries.len() as u32;
            format!("  recovers     seen {}; at most {took} at {at}, after {after}", plural(times, "time"))
        }
        None => format!("  recovers     not seen: still unwell at {at}, after {after}"),
    })
}

fn shape(edge: &Edge) -> &'static str {
    match edge.shape {
        Shape::Slope => "a slope: a little more load costs a little more",
        Shape::Cliff => "a cliff: well up to the edge, broken just above it",
    }
}

fn whole(time: Ns) -> Ns {
    Ns((time.0 + 500_000_000) / 1_000_000_000 * 1_000_000_000)
}

fn curve(finding: &Finding, target: &Target, scale: Scale) -> Vec<String> {
    if finding.curve.is_empty() {
        return Vec::new();
    }
    let worst = |point: &CurvePoint| {
        let ratios = point.ratios.iter().enumerate().filter_map(|(index, ratio)| Some((index, (*ratio)?)));
        let worst = ratios
            .filter(|(index, _)| target.predicates[*index].role == crucible_stats::capacity::Role::Target)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        worst.map_or("-".to_owned(), |(_, ratio)| format!("{ratio:.2}"))
    };
    let time = |value: Option<Ns>| value.map_or("-".to_owned(), |value| value.to_string());
    let mut lines = vec![
        String::new(),
        format!(
            "  {:>14} {:>12} {:>10} {:>10} {:>10} {:>8} {:>6}",
            "load", "ok/s", "p50", "p95", "p99", "of limit", "time"
        ),
    ];
    for point in &finding.curve {
        let at_knee = finding.knee.is_some_and(|knee| knee.load == point.load);
        lines.push(format!(
            "  {:>14} {:>12} {:>10} {:>10} {:>10} {:>8} {:>6}{}",
            load(point.load, scale),
            format!("{:.1}", point.throughput),
            time(point.p50),
            time(point.p95),
            time(point.p99),
            worst(point),
            whole(point.time).to_string(),
            if at_knee { "  knee" } else { "" }
        ));
    }
    lines
}

/// The finding for machines. Shapes: `docs/reference/capacity-json.md`.
pub(super) fn json(finding: &Finding, target: &Target, scale: Scale) -> Value {
    let edge = |edge: &Edge| {
        json!({
            "estimate": edge.estimate, "low": edge.low, "high": edge.high, "predicate": edge.name,
            "shape": match edge.shape { Shape::Slope => "slope", Shape::Cliff => "cliff" },
        })
    };
    let answer = match &finding.answer {
        Answer::Edge(found) => json!({"kind": "edge", "edge": edge(found)}),
        Answer::NoEdge { highest } => json!({"kind": "no_edge", "highest": highest}),
        Answer::NeverHeld { lowest, name } => {
            json!({"kind": "never_held", "lowest": lowest, "predicate": name})
        }
        Answer::Unknown { why } => json!({"kind": "unknown", "why": why}),
    };
    let nanos = |value: Option<Ns>| value.map(|value| value.0);
    let point = |point: &CurvePoint| {
        json!({
            "load": point.load, "throughput": point.throughput, "p50_ns": nanos(point.p50),
            "p95_ns": nanos(point.p95), "p99_ns": nanos(point.p99), "of_limit": point.ratios,
            "time_ns": point.time.0,
        })
    };
    json!({
        "unit": match scale { Scale::Rate => "arrivals per second", Scale::Users => "users" },
        "answer": answer,
        "predicates": target.predicates.iter().map(|predicate| &predicate.name).collect::<Vec<_>>(),
        "recommended": finding.recommended,
        "headroom": finding.headroom,
        "confidence": finding.confidence.as_ref().map(|sure| json!({"probability": sure.probability, "words": sure.words})),
        "breaking": finding.breaking.as_ref().map(edge),
        "hysteresis": finding.hysteresis.as_ref().map(|way| {
            json!({"down": way.down, "still_failing": way.still_failing, "differs": way.differs})
        }),
        "recoveries": finding.recoveries.iter().map(|one| {
            json!({"after": one.after, "at": one.at, "took_ns": one.took.map(|took| took.0)})
        }).collect::<Vec<_>>(),
        "cut": {"trials": finding.cut.0, "saved_ns": finding.cut.1.0},
        "curve": finding.curve.iter().map(point).collect::<Vec<_>>(),
        "knee": finding.knee.map(|knee| json!({"load": knee.load, "throughput": knee.throughput})),
        "spent_ns": finding.spent.0,
        "trials": finding.trials,
        "remarks": finding.remarks,
    })
}
