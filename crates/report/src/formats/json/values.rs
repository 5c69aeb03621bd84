//! The plan's own measures and what monitors read, in JSON.

use crate::values;
use crucible_analysis::{RunView, Totals};
use crucible_core::MeasureKind;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct MeasureFigures<'a> {
    name: &'a str,
    kind: &'static str,
    unit: &'a str,
    count: u64,
    sum: f64,
    sum_per_second: f64,
    min: f64,
    mean: f64,
    max: f64,
    last: f64,
    held_share: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    marks: Vec<Mark>,
    other_marks: u64,
}

#[derive(Serialize)]
struct Mark {
    name: String,
    count: u64,
    share: f64,
    expected_share: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct ReadingFigures<'a> {
    component: &'a str,
    series: &'a str,
    unit: &'a str,
    count: u64,
    min: f64,
    mean: f64,
    max: f64,
    last: f64,
}

pub(super) fn measures<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<MeasureFigures<'a>> {
    values::measures(view, totals)
        .into_iter()
        .map(|measured| {
            let frame = measured.frame;
            let at = |share| frame.quantile(share);
            let mark = |(name, expected_share, count): (&str, Option<f64>, u64)| Mark {
                name: name.to_owned(),
                count,
                share: count as f64 / frame.count as f64,
                expected_share,
            };
            MeasureFigures {
                name: &measured.spec.name,
                kind: measured.spec.kind.name(),
                unit: &measured.spec.unit,
                count: frame.count,
                sum: frame.sum,
                sum_per_second: measured.rate(),
                min: frame.min,
                mean: measured.mean(),
                max: frame.max,
                last: frame.last,
                held_share: matches!(measured.spec.kind, MeasureKind::Rate).then(|| measured.held_share()),
                p50: at(0.5),
                p90: at(0.9),
                p95: at(0.95),
                p99: at(0.99),
                marks: measured.marks().map(mark).collect(),
                other_marks: measured.other(),
            }
        })
        .collect()
}

pub(super) fn readings<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<ReadingFigures<'a>> {
    values::readings(view, totals)
        .into_iter()
        .map(|read| ReadingFigures {
            component: &read.meta.component,
            series: &read.meta.name,
            unit: &read.meta.unit,
            count: read.totals.count,
            min: read.totals.min,
            mean: read.mean(),
            max: read.totals.max,
            last: read.totals.last,
        })
        .collect()
}
