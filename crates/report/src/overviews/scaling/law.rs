//! The levels, the law over them, and what they say in words.

use super::number;
use crate::growth::{Growth, short, shown_load};
use crate::page::{Page, Row, Table};
use crate::survey::{Survey, mark};
use crucible_analysis::scaling::{LINEAR, Over, Scaling};
use crucible_core::units::{show_number, show_share};
use crucible_stats::usl::{Estimate, Law, Prediction};
use serde_json::{Value, json};

/// How many times the largest load measured one may be told to measure; beyond that the points say nothing of where to.
const FARTHEST: f64 = 20.0;
/// Levels in a table; of more, those with neighbouring loads are told together.
const SHOWN: usize = 16;

pub(super) fn write(growth: &Growth, page: &mut Page) {
    let scaling = &growth.scaling;
    let marks: Vec<String> = growth.runs.iter().map(|run| mark(*run)).collect();
    let what = match &scaling.levels.over {
        Over::Users => "users, their pauses included".to_owned(),
        Over::Concurrency => "operations at once (throughput times service time, Little's law)".into(),
        Over::Given(word) => word.clone(),
    };
    page.heading(format!("Growth: {} {}", scaling.levels.test, marks.join(" ")));
    page.text(format!(
        "Load is counted in {what}. Efficiency is X(N) / (N X(1)); X(1) is {}.",
        scaling.one_from
    ));
    page.table(levels(scaling));
    page.list(said(scaling));
    if !scaling.levels.left_out.is_empty() {
        let (count, first) = (scaling.levels.left_out.len(), &scaling.levels.left_out[0]);
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        page.text(format!("Left out: {first}{more}."));
    }
}

fn levels(scaling: &Scaling) -> Table {
    let all = &scaling.levels.levels;
    let each = all.len().div_ceil(SHOWN).max(1);
    let rows = all.chunks(each).zip(scaling.efficiency.chunks(each)).map(|(levels, efficiency)| {
        let time: f64 = levels.iter().map(|level| level.seconds).sum();
        let mean = |of: &dyn Fn(usize) -> f64| {
            let weighted = (0..levels.len()).map(|at| levels[at].seconds * of(at)).sum::<f64>();
            if time > 0.0 { weighted / time } else { of(0) }
        };
        let p95 = levels.iter().filter_map(|level| level.p95).max();
        Row::new([
            short(round(mean(&|at| levels[at].load))),
            show_number(mean(&|at| levels[at].throughput)),
            show_share(mean(&|at| efficiency[at])),
            p95.map_or("-".into(), |time| time.to_string()),
            format!("{time:.0}s"),
            if levels.len() == 1 { levels[0].name.clone() } else { format!("{} trials", levels.len()) },
        ])
    });
    Table {
        head: vec!["load", "ok/s", "efficiency", "p95", "time", "from"],
        right: vec![0, 1, 2, 3, 4],
        rows: rows.collect(),
        beneath: "",
    }
}

/// Three digits.
fn round(value: f64) -> f64 {
    if value.fract() == 0.0 { value } else { (value * 100.0).round() / 100.0 }
}

fn shown(estimate: &Estimate, show: &dyn Fn(f64) -> String) -> String {
    let end = |value: f64| if value.is_finite() { show(value) } else { "?".into() };
    format!("{} ({} to {})", end(estimate.value), end(estimate.low), end(estimate.high))
}

fn said(scaling: &Scaling) -> Vec<String> {
    let mut list = vec![linear(scaling)];
    match (&scaling.law, scaling.lawful()) {
        (Ok(_), Some(law)) => {
            list.extend(limits(scaling, law));
            list.push(peak(scaling, law));
        }
        (Ok(law), None) => list.push(format!(
            "no scalability law: the levels lie on no curve, they scatter by {}; measure each longer, on a machine that does \
             nothing else",
            show_share(law.noise)
        )),
        (Err(refusal), _) => list.push(format!("no scalability law: {}", refusal.why)),
    }
    list
}

/// Whether throughput is proportional to load, and up to where.
fn linear(scaling: &Scaling) -> String {
    let levels = &scaling.levels.levels;
    let over = &scaling.levels.over;
    let at = |load: f64| shown_load(over, load);
    match scaling.linear_to {
        Some(load) if load >= scaling.largest() => {
            format!("throughput is linear over all that was measured, up to {} (within 5 %)", at(load))
        }
        Some(load) => {
            let beyond = levels.iter().zip(&scaling.efficiency).find(|(level, _)| level.load > load);
            let then = beyond.map_or(String::new(), |(level, share)| {
                format!("; at {} its efficiency is {}", at(level.load), show_share(*share))
            });
            format!("throughput is linear up to {} (within 5 %){then}", at(load))
        }
        None => {
            let first = levels.iter().zip(&scaling.efficiency).find(|(_, share)| **share < LINEAR);
            first.map_or("too few levels to say whether throughput is linear".into(), |(level, share)| {
                format!(
                    "throughput is not linear: at {} its efficiency is {}",
                    at(level.load),
                    show_share(*share)
                )
            })
        }
    }
}

/// What limits, and by how much.
fn limits(scaling: &Scaling, law: &Law) -> Vec<String> {
    let n = scaling.largest();
    let (a, b) = (law.contention, law.coherency);
    let (waits, agrees) = (a.value * (n - 1.0), b.value * n * (n - 1.0));
    let which = match (a.low > 0.0, b.low > 0.0) {
        (true, true) if waits >= agrees => {
            "contention limits most: work waits for other work (a lock, a pool, a queue)"
        }
        (true, true) => "coherency limits most: work is spent on agreement between what runs at once",
        (true, false) => "contention limits: work waits for other work (a lock, a pool, a queue)",
        (false, true) => "coherency limits: work is spent on agreement between what runs at once",
        (false, false) if law.efficiency(n) < LINEAR - law.noise => {
            "something limits, but the levels scatter too much to tell contention from coherency"
        }
        (false, false) => "nothing that limits was shown up to the highest load measured",
    };
    let costs = match a.low > 0.0 || b.low > 0.0 || law.efficiency(n) < LINEAR - law.noise {
        true => format!(
            "; at {} it costs {}",
            shown_load(&scaling.levels.over, n),
            show_share(1.0 - law.efficiency(n))
        ),
        false => String::new(),
    };
    let tiny = |value: f64| if value == 0.0 { "0".into() } else { format!("{value:.2e}") };
    vec![
        format!(
            "contention {} of the work, coherency {}, at 95 %; points scatter by {}",
            shown(&a, &show_share),
            shown(&b, &tiny),
            show_share(law.noise)
        ),
        format!("{which}{costs}"),
    ]
}

/// Where the highest throughput lies, or that the points do not carry the answer.
fn peak(scaling: &Scaling, law: &Law) -> String {
    let over = &scaling.levels.over;
    let rate = |value: f64| show_number(value);
    match law.predict_peak() {
        Prediction::Throughput(most) => {
            let place = law.peak.map_or(String::new(), |peak| {
                let load = |value: f64| short(round(value));
                format!(" at {} {}", shown(&peak.load, &load), over.word())
            });
            format!("highest throughput {}{place}", shown(&most, &rate))
        }
        Prediction::Refused { load_to, .. } => {
            let remedy = if load_to <= FARTHEST * scaling.largest() {
                format!("measure up to {}", shown_load(over, load_to.ceil()))
            } else {
                "measure until throughput no longer grows".into()
            };
            format!("highest throughput: refused, it would err by more than 20 %; {remedy}")
        }
    }
}

fn estimate(value: &Estimate) -> Value {
    json!({"value": number(value.value), "low": number(value.low), "high": number(value.high)})
}

/// For machines.
pub(super) fn json(growth: &Growth, survey: &Survey<'_>) -> Value {
    let scaling = &growth.scaling;
    let level = |(level, share): (&crucible_analysis::scaling::Level, &f64)| {
        json!({
            "name": level.name, "load": number(level.load), "ok_per_second": number(level.throughput),
            "efficiency": number(*share), "seconds": number(level.seconds), "error_share": number(level.errors),
            "service_mean_ns": level.service.map(|time| time.0), "p95_ns": level.p95.map(|time| time.0),
        })
    };
    let law = match &scaling.law {
        Err(refusal) => json!({"refused": refusal.why}),
        Ok(law) => {
            let peak = match law.predict_peak() {
                Prediction::Throughput(most) => {
                    json!({"throughput": estimate(&most), "load": law.peak.map(|peak| estimate(&peak.load))})
                }
                Prediction::Refused { load_to, .. } => {
                    json!({"refused": true, "measure_up_to": number(load_to)})
                }
            };
            json!({
                "one": estimate(&law.one), "contention": estimate(&law.contention), "coherency": estimate(&law.coherency),
                "noise_share": number(law.noise), "peak": peak,
            })
        }
    };
    let cost = |demand: &crucible_analysis::scaling::Demand| {
        let meta =
            growth.runs.first().and_then(|run| survey.runs[*run].view.started.series.get(demand.series));
        json!({
            "component": meta.map(|meta| &meta.component), "unit": meta.map(|meta| &meta.unit),
            "cpu_seconds_each": number(demand.each),
            "interval": demand.interval.map(|(low, high)| json!([number(low), number(high)])),
            "idle": number(demand.idle), "at_most_throughput": number(demand.throughput),
        })
    };
    json!({
        "runs": growth.runs.iter().map(|run| &survey.runs[*run].view.started.run).collect::<Vec<_>>(),
        "test": scaling.levels.test, "load_counts": scaling.levels.over.word(),
        "one_per_second": scaling.one.map(number), "one_from": scaling.one_from,
        "linear_to": scaling.linear_to.map(number), "law": law,
        "levels": scaling.levels.levels.iter().zip(&scaling.efficiency).map(level).collect::<Vec<_>>(),
        "left_out": scaling.levels.left_out, "demands": growth.demands.iter().map(cost).collect::<Vec<_>>(),
    })
}
