//! From several records to levels of load: the ladder of a step test or of a capacity search, or one figure for each of
//! several records by their instances or cores.

use crate::survey::{Kind, Survey, mark};
use crate::{Report, found};
use crucible_analysis::Verdict;
use crucible_analysis::scaling::{Demand, Level, Levels, Over, Scaling, demands, ladders, scaling};
use crucible_core::Outcome;
use crucible_core::units::show_number;
use crucible_record::Model;

/// How throughput grows, and what an operation costs.
pub(crate) struct Growth {
    /// Indices of the records that it rests on.
    pub(crate) runs: Vec<usize>,
    pub(crate) scaling: Scaling,
    /// CPU of the components; empty for several records.
    pub(crate) demands: Vec<Demand>,
}

/// Over load: a ladder for each step test and each search. Those with fewer than two levels say nothing, and why stands
/// beside.
pub(crate) fn over_load(survey: &Survey<'_>) -> (Vec<Growth>, Vec<String>) {
    let (mut all, mut silent) = (Vec::new(), Vec::new());
    for (index, run) in survey.runs.iter().enumerate() {
        if !matches!(run.kind(), Kind::Load | Kind::Capacity) {
            continue;
        }
        if let Some(found::Answer::Invalid(why)) = found::capacity(run).map(|capacity| capacity.answer) {
            silent.push(format!("{} is not valid: {why}", mark(index)));
            continue;
        }
        for levels in ladders(run.view) {
            if levels.levels.len() < 2 {
                let why = levels.left_out.first().map_or("one level alone", String::as_str);
                silent.push(format!("{} {}: {why}", mark(index), levels.test));
                continue;
            }
            let demands = demands(&run.view.started, &levels);
            all.push(Growth { runs: vec![index], scaling: scaling(levels), demands });
        }
    }
    (all, silent)
}

/// Over instances or cores: one figure of each record that has a number. `None` if no numbers were asked for.
pub(crate) fn over_instances(survey: &Survey<'_>) -> Option<Growth> {
    if survey.asked.by.is_none() && survey.asked.at.is_empty() {
        return None;
    }
    let word = survey.asked.by.clone().unwrap_or_else(|| "instances".into());
    let (mut runs, mut levels, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (index, run) in survey.runs.iter().enumerate() {
        let name = &run.view.started.run;
        match survey
            .at(index)
            .ok_or_else(|| format!("it has no number for {word}"))
            .and_then(|at| level(run, at))
        {
            Ok(level) => {
                runs.push(index);
                levels.push(level);
            }
            Err(why) => left_out.push(format!("{name}: {why}")),
        }
    }
    levels.sort_by(|a, b| a.load.total_cmp(&b.load));
    let levels =
        Levels { test: format!("{} records", levels.len()), over: Over::Given(word), levels, left_out };
    Some(Growth { runs, scaling: scaling(levels), demands: Vec::new() })
}

/// What a record could do: its capacity, or the highest throughput of closed load.
fn level(run: &Report<'_>, at: f64) -> Result<Level, String> {
    if at < 1.0 {
        return Err(format!("{at} is less than one"));
    }
    let seconds = run.view.tests.iter().map(|test| test.covered.as_secs_f64()).sum();
    let name = run.view.started.run.clone();
    let level = |throughput| Level {
        name,
        load: at,
        throughput,
        seconds,
        errors: 0.0,
        service: None,
        p95: None,
        series: Vec::new(),
    };
    if let Some(capacity) = found::capacity(run) {
        return match &capacity.answer {
            found::Answer::Edge(edge) if edge.estimate > 0.0 => Ok(level(edge.estimate)),
            found::Answer::NoEdge(_) => {
                Err("nothing gave way in its search: its capacity is not known".into())
            }
            found::Answer::Invalid(why) => Err(format!("its search is not valid: {why}")),
            _ => Err("its search found no capacity".into()),
        };
    }
    let invalid = run.assessment.all().find(|(_, one)| one.verdict == Verdict::Invalid);
    if let Some((_, judgement)) = invalid {
        return Err(format!("the measurement is not valid: {}", judgement.why));
    }
    let closed =
        run.view.started.phases.iter().zip(&run.view.phases).filter(|(meta, _)| meta.model == Model::Closed);
    let rates = closed
        .filter(|(_, totals)| totals.covered.as_secs_f64() >= 1.0)
        .map(|(_, totals)| totals.all.of(Outcome::Ok) as f64 / totals.covered.as_secs_f64());
    let best = rates.fold(0.0, f64::max);
    if best > 0.0 {
        return Ok(level(best));
    }
    Err("open load gives back what was asked for, not what the system can do; use crucible capacity".into())
}

/// A figure of levels as people read it: loads are counts of users or instances, or averages at once.
pub(crate) fn shown_load(over: &Over, load: f64) -> String {
    match over {
        Over::Users if load.round() == 1.0 => "1 user".into(),
        Over::Users => format!("{} users", short(load.round())),
        Over::Concurrency => format!("{} at once", show_number(load)),
        Over::Given(word) => format!("{} {word}", short(load)),
    }
}

/// Whole numbers without decimals.
pub(crate) fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 { format!("{value:.0}") } else { show_number(value) }
}
