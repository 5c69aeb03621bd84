//! The history for machines. Shapes: `docs/reference/history-json.md`.

use super::{missing, stands};
use crucible_analysis::history::{Changed, Event, Group, History, Series, Unsteady, Watched};
use serde_json::{Value, json};

/// Version of the schema.
const SCHEMA: u32 = 1;

/// Everything that is to be said.
pub fn json(history: &History) -> Value {
    let run = |run: &crucible_analysis::history::RunFigures| {
        let labels: serde_json::Map<String, Value> =
            run.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "run": run.run, "started_unix_ms": run.started_unix_ms, "plan_hash": run.plan_hash, "tool": run.tool,
            "target": run.target, "labels": labels,
        })
    };
    json!({
        "schema": SCHEMA,
        "plan": history.plan,
        "runs": history.runs.iter().map(run).collect::<Vec<_>>(),
        "left_out": {
            "invalid": history.left_out.invalid, "unfinished": history.left_out.unfinished,
            "unreadable": history.left_out.unreadable,
        },
        "alpha": history.settings.alpha,
        "margin": history.settings.margin,
        "regressed": !history.regressions().is_empty(),
        "series": history.groups.iter().map(|group| of_group(history, group)).collect::<Vec<_>>(),
    })
}

fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

fn name(history: &History, group: &Group, at: usize) -> Value {
    let run = group.runs.get(at).and_then(|index| history.runs.get(*index));
    run.map_or(Value::Null, |run| json!(run.run))
}

fn of_group(history: &History, group: &Group) -> Value {
    json!({
        "test": group.test,
        "load": group.load,
        "target": group.target,
        "machine": group.machine,
        "newest": group.newest,
        "apart": group.apart,
        "runs": (0..group.runs.len()).map(|at| name(history, group, at)).collect::<Vec<_>>(),
        "runs_missing": missing(group.runs.len()),
        "critical": number(group.critical),
        "orders": group.orders,
        "figures": group.figures.iter().map(|series| figure(history, group, series)).collect::<Vec<_>>(),
        "events": group.events.iter().map(|event| of_event(history, group, event)).collect::<Vec<_>>(),
        "thresholds": group.thresholds.iter().map(|watched| threshold(history, group, watched)).collect::<Vec<_>>(),
    })
}

fn figure(history: &History, group: &Group, series: &Series) -> Value {
    let finding = &series.finding;
    let step = |step: &crucible_stats::history::Step| {
        json!({
            "run": name(history, group, step.at),
            "between": [name(history, group, step.from), name(history, group, step.to)],
            "before": number(step.before), "after": number(step.after), "strength": number(step.strength),
            "p": step.p, "worse": series.is_worse(step.before, step.after),
            "stands": stands(history, series, step),
        })
    };
    let drift = finding.drift.map(|drift| {
        json!({
            "since": name(history, group, drift.from), "slope": number(drift.slope),
            "interval": [number(drift.low), number(drift.high)], "first": number(drift.first),
            "last": number(drift.last), "strength": number(drift.strength), "p": drift.p,
            "worse": series.is_worse(drift.first, drift.last),
        })
    });
    json!({
        "figure": series.name(),
        "subject": series.subject,
        "measure": series.measure,
        "unit": series.unit.name(),
        "better": if series.is_worse(1.0, 0.0) { "higher" } else { "lower" },
        "values": series.values.iter().map(|value| number(*value)).collect::<Vec<_>>(),
        "level": {
            "since": name(history, group, finding.level.from), "runs": finding.level.values.len(),
            "median": number(finding.level.median), "scatter": number(finding.level.scatter),
        },
        "steps": finding.steps.iter().map(step).collect::<Vec<_>>(),
        "drift": drift,
        "correlation": finding.correlation,
    })
}

fn of_event(history: &History, group: &Group, event: &Event) -> Value {
    let changed = |changed: &Changed| {
        json!({
            "run": name(history, group, changed.at), "what": changed.what, "before": changed.before,
            "after": changed.after, "times": changed.times,
        })
    };
    json!({
        "run": name(history, group, event.at),
        "between": [name(history, group, event.from), name(history, group, event.to)],
        "figures": event.steps.iter().map(|(index, _)| group.figures[*index].name()).collect::<Vec<_>>(),
        "changed": event.changed.iter().map(changed).collect::<Vec<_>>(),
    })
}

fn threshold(history: &History, group: &Group, watched: &Watched) -> Value {
    let unsteady = watched.unsteady.map(|why| match why {
        Unsteady::Flips { flips, passed, runs } => {
            json!({"kind": "flips", "flips": flips, "passed": passed, "runs": runs})
        }
        Unsteady::Tight { room, scatter, chance } => {
            json!({"kind": "tight", "room": number(room), "scatter": number(scatter), "chance": chance})
        }
    });
    json!({
        "threshold": watched.threshold,
        "subject": watched.subject,
        "measure": watched.measure,
        "limit": watched.limit,
        "since": name(history, group, watched.since),
        "verdicts": watched.verdicts.iter().map(|v| v.map(|v| v.name())).collect::<Vec<_>>(),
        "unsteady": unsteady,
    })
}
