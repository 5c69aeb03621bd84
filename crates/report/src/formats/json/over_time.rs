//! How a test went over its time, in JSON: its warm-up, and what grows.

use crucible_analysis::{How, RunView, WithWarmUp};
use crucible_stats::trend::Leak;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct WarmUpFigures<'a> {
    phase: &'a str,
    state: &'static str,
    steady_after_ns: Option<u64>,
    left_out_ns: Option<u64>,
    left_out_p95_ns: Option<u64>,
    rest_p95_ns: Option<u64>,
    why: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct WithWarmUpFigures {
    verdict: &'static str,
    value: Option<f64>,
    judged: bool,
}

#[derive(Serialize)]
pub(super) struct GrowthFigures {
    subject: String,
    unit: &'static str,
    state: &'static str,
    per_minute: Option<f64>,
    per_minute_interval: Option<(f64, f64)>,
    limit: Option<f64>,
    exhausted_in_seconds: Option<f64>,
    undecided_seconds: Option<f64>,
    looked_at_seconds: f64,
    words: String,
}

pub(super) fn warm_up(view: &RunView, test: usize) -> Vec<WarmUpFigures<'_>> {
    crucible_analysis::settled(view, test)
        .into_iter()
        .map(|one| {
            let phase = view.started.phases.get(one.phase).map_or("", |meta| meta.name.as_str());
            let figures = |state| WarmUpFigures {
                phase,
                state,
                steady_after_ns: None,
                left_out_ns: None,
                left_out_p95_ns: None,
                rest_p95_ns: None,
                why: None,
            };
            match one.how {
                How::Steady => WarmUpFigures { steady_after_ns: Some(0), ..figures("steady") },
                How::WarmedUp { found, cut, before, after, told } => WarmUpFigures {
                    steady_after_ns: Some(found.0),
                    left_out_ns: Some(cut.0),
                    left_out_p95_ns: before.map(|ns| ns.0),
                    rest_p95_ns: after.map(|ns| ns.0),
                    ..figures(if told { "told" } else { "warmed_up" })
                },
                How::Unsteady(why) => WarmUpFigures { why: Some(why.words()), ..figures("unsteady") },
                How::TooShort => figures("too_short"),
            }
        })
        .collect()
}

pub(super) fn with_warm_up(with: &WithWarmUp) -> WithWarmUpFigures {
    WithWarmUpFigures { verdict: with.verdict.name(), value: with.value, judged: with.judged }
}

pub(super) fn growth(view: &RunView, test: usize) -> Vec<GrowthFigures> {
    crucible_analysis::growth(view, test)
        .into_iter()
        .map(|growth| {
            let mut figures = GrowthFigures {
                words: growth.words(),
                subject: growth.subject,
                unit: growth.unit.name(),
                state: "undecided",
                per_minute: None,
                per_minute_interval: None,
                limit: growth.limit,
                exhausted_in_seconds: None,
                undecided_seconds: None,
                looked_at_seconds: growth.seconds,
            };
            match growth.leak {
                Leak::Found { slope, exhausted_in } => {
                    figures.state = "grows";
                    figures.per_minute = Some(60.0 * slope.value);
                    figures.per_minute_interval = Some((60.0 * slope.low, 60.0 * slope.high));
                    figures.exhausted_in_seconds = exhausted_in;
                }
                Leak::None { like, .. } => {
                    figures.state = match like {
                        _ if !growth.rose => "flat",
                        "levels off" => "levels_off",
                        "one step" => "one_step",
                        _ => "flat",
                    }
                }
                Leak::Undecided { seconds, .. } => figures.undecided_seconds = Some(seconds),
            }
            figures
        })
        .collect()
}
