//! Targets, capacity, scaling, comparison, limits; and the places of what comes later.

use super::{Answer, plan};
use crate::demanded::{self, Status, figure};
use crate::found::{self, Answer as Found, Capacity};
use crate::growth::{over_instances, over_load};
use crate::survey::{Kind, Survey, mark};
use crucible_analysis::Verdict;
use crucible_stats::compare::{Change, Verdict as Difference};
use crucible_stats::usl::Prediction;

/// Rows of which a note tells; the rest are counted.
const TOLD: usize = 4;

/// Whether all that was tested held.
pub(super) fn targets(survey: &Survey<'_>) -> Answer {
    let tested: Vec<_> = demanded::tested(survey).into_iter().filter(|one| one.demand.decides).collect();
    let carried = demanded::carried(survey);
    if tested.is_empty() && carried.is_empty() {
        return Answer::not_tested("none of these records tests a threshold")
            .by(format!("crucible run {}", plan(survey)));
    }
    let all = tested.iter().map(|one| one.status).chain(carried.iter().map(|one| one.status));
    let statuses: Vec<Status> = all.filter(|status| *status != Status::NotTested).collect();
    let count = |wanted: Status| statuses.iter().filter(|status| **status == wanted).count();
    let mut said = vec![format!("{} of {} demands met", count(Status::Yes), statuses.len())];
    for wanted in [Status::Invalid, Status::No, Status::NotDecided] {
        let loads = carried.iter().filter(|one| one.status == wanted);
        let loads = loads.map(|one| format!("{}: {} wanted, {}", wanted.word(), one.demand, one.actual));
        let own = tested.iter().filter(|one| one.status == wanted).map(|one| {
            let judgement = &one.demand.judgement;
            let (limit, shown) = (&one.demand.limit, judgement.shown());
            format!(
                "{}: {} in {} {}, {limit}, is {shown}",
                wanted.word(),
                figure(judgement),
                mark(one.run),
                one.test
            )
        });
        said.extend(shortened(loads.chain(own).collect()));
    }
    let mut runs: Vec<usize> =
        tested.iter().map(|one| one.run).chain(carried.iter().map(|one| one.run)).collect();
    runs.sort_unstable();
    runs.dedup();
    let status = statuses.iter().copied().max().unwrap_or(Status::NotTested);
    let names: Vec<&str> = runs.iter().map(|run| survey.runs[*run].view.started.run.as_str()).collect();
    let command = format!("crucible report {} --format requirements", names.join(","));
    let answer = Answer::new(status, "bounds at 95 %", runs, said);
    if status == Status::Yes { answer } else { answer.by(command) }
}

pub(super) fn shortened(mut list: Vec<String>) -> Vec<String> {
    if list.len() > TOLD {
        let more = list.len() - TOLD;
        list.truncate(TOLD);
        list.push(format!("and {more} more"));
    }
    list
}

/// Whether nothing of the plan was left out.
pub(super) fn coverage(survey: &Survey<'_>) -> Answer {
    let missing = demanded::not_run(survey);
    let never = demanded::tested(survey).into_iter().filter(|one| one.status == Status::NotTested).count();
    let runs: Vec<usize> = survey.of(Kind::Load).map(|(index, _)| index).collect();
    if missing.is_empty() && never == 0 {
        let silent = |index: &usize| survey.runs[*index].view.started.plan_file.is_empty();
        return match runs.is_empty() {
            true => Answer::not_tested("none of these records tests a plan"),
            false if runs.iter().any(silent) => {
                let why = "a record does not say what else its plan demands: it has no plan's file, or is of an old version";
                Answer::new(Status::NotDecided, "the plan's own tests", runs, vec![why.into()])
            }
            false => Answer::new(
                Status::Yes,
                "the plan's own tests",
                runs,
                vec!["every test of the plan was run".into()],
            ),
        };
    }
    let demands: usize = missing.iter().map(|test| test.demands.len()).sum::<usize>() + never;
    let names: Vec<&str> = missing.iter().map(|test| test.test.as_str()).collect();
    let said =
        vec![format!("{demands} demands of {} tests were not tested: {}", names.len(), names.join(", "))];
    let words: Vec<String> = names.iter().map(|name| crate::survey::quoted(name)).collect();
    Answer::new(Status::NotTested, "the plan's own tests", runs, said).by(format!(
        "crucible run {} {}",
        plan(survey),
        words.join(" ")
    ))
}

/// Whether the capacity is known, with its interval.
pub(super) fn capacity(survey: &Survey<'_>) -> Answer {
    let found: Vec<(usize, Capacity)> =
        survey.of(Kind::Capacity).filter_map(|(index, run)| Some((index, found::capacity(run)?))).collect();
    let command = format!("crucible capacity {} --within 5m", plan(survey));
    if found.is_empty() {
        return Answer::not_tested("none of these records is a search for the capacity").by(command);
    }
    let (mut status, mut said) = (Status::Yes, Vec::new());
    for (run, capacity) in &found {
        let own = match &capacity.answer {
            Found::Edge(edge) if edge.low > 0.0 && edge.high.is_finite() => Status::Yes,
            Found::NeverHeld(_) => Status::No,
            Found::Invalid(_) => Status::Invalid,
            _ => Status::NotDecided,
        };
        status = status.max(own);
        said.extend(told(capacity, &mark(*run)));
    }
    let answer = Answer::new(status, "adaptive search", found.iter().map(|(run, _)| *run).collect(), said);
    if status == Status::Yes { answer } else { answer.by(command) }
}

fn told(capacity: &Capacity, mark: &str) -> Vec<String> {
    if let Found::Invalid(why) = &capacity.answer {
        return vec![format!("{mark} is not valid: {why}")];
    }
    let interval = match &capacity.answer {
        Found::Edge(edge) => format!(
            " ({} to {} at 95 %), {} gives way first",
            capacity.show(edge.low),
            capacity.show(edge.high),
            edge.predicate
        ),
        _ => String::new(),
    };
    let breaking = capacity.breaking.as_ref().map_or("breaking point not reached".to_owned(), |edge| {
        format!("breaks at {} (not {})", capacity.show(edge.estimate), edge.predicate)
    });
    let recommended = capacity.recommended.map_or("no load recommended".to_owned(), |load| {
        format!("recommended at most {}", capacity.show(load))
    });
    let sure = match &capacity.answer {
        Found::Edge(_) => format!("confidence {}", capacity.sure()),
        _ => capacity.sure(),
    };
    vec![
        format!("{mark} max load {}{interval}; {sure}", capacity.words()),
        format!("{mark} {breaking}; {recommended}"),
    ]
}

/// Whether it is known what more load would need.
pub(super) fn scaling(survey: &Survey<'_>) -> Answer {
    let plan = plan(survey);
    if let Some(growth) = over_instances(survey) {
        let answer = |status, said: String| {
            Answer::new(status, "universal scalability law", growth.runs.clone(), vec![said])
        };
        return match (growth.scaling.lawful(), &growth.scaling.law) {
            (Some(law), _) => answer(
                Status::Yes,
                format!(
                    "efficiency {} at {} {}; contention {}, coherency {:.2e}",
                    crucible_core::units::show_share(law.efficiency(growth.scaling.largest())),
                    crate::growth::short(growth.scaling.largest()),
                    growth.scaling.levels.over.word(),
                    crucible_core::units::show_share(law.contention.value),
                    law.coherency.value
                ),
            ),
            (None, Ok(_)) => answer(
                Status::NotDecided,
                "the records lie on no curve: repeat them, on a quiet machine".into(),
            ),
            (None, Err(refusal)) => {
                answer(Status::NotDecided, format!("no law over instances: {}", refusal.why))
            }
        };
    }
    let (load, _) = over_load(survey);
    let best = super::super::scaling::best(&load).and_then(|growth| Some((growth, growth.scaling.lawful()?)));
    let command = "crucible report RUN,RUN,RUN,RUN --format scaling --at 1,2,4,8";
    match best {
        Some((growth, law)) => {
            let peak = match law.predict_peak() {
                Prediction::Throughput(most) => {
                    format!("highest throughput {}/s", crucible_core::units::show_number(most.value))
                }
                Prediction::Refused { .. } => "the highest throughput is not known".into(),
            };
            let said = format!(
                "growth with load is known ({peak}), that with instances is not: search at 1, 2, 4 and 8, then"
            );
            Answer::new(Status::NotDecided, "universal scalability law", growth.runs.clone(), vec![said])
                .by(command)
        }
        None => Answer::not_tested("no record has four steady levels of load, and none is by instances")
            .by(format!("crucible capacity {plan} --within 5m")),
    }
}

/// Whether anything got worse.
pub(super) fn regression(survey: &Survey<'_>) -> Answer {
    let place = |id: &String| survey.runs.iter().position(|run| run.view.started.run == *id);
    let all: Vec<_> = survey.baselines.iter().flat_map(|one| &one.compared).collect();
    if all.is_empty() {
        return Answer::not_tested(
            "nothing was compared: two systems side by side, or with `--baseline RUN`",
        )
        .by(format!("crucible compare --duet {} --target OLD --target NEW", plan(survey)));
    }
    let (mut status, mut said) = (Status::Yes, Vec::new());
    for compared in &all {
        let rows = &compared.comparison.metrics;
        let of = |wanted: fn(&Difference) -> bool| -> Vec<String> {
            let hit = rows.iter().filter(|row| wanted(&row.verdict));
            hit.map(|row| crate::comparison::metric(compared, &row.metric)).collect()
        };
        let worse = of(|it| *it == Difference::Different(Change::Worse));
        let undecided = of(|it| matches!(it, Difference::Undecided(_)));
        let own = match (worse.is_empty(), undecided.len()) {
            (false, _) => Status::No,
            (true, 0) => Status::Yes,
            (true, _) => Status::NotDecided,
        };
        status = status.max(own);
        let words = match own {
            Status::No => format!("worse: {}", worse.join(", ")),
            Status::NotDecided => format!("undecided: {}", undecided.join(", ")),
            _ => "nothing got worse".into(),
        };
        let [a, b] = &compared.arms;
        said.push(format!("{}: {b} against {a}: {words}", compared.test));
    }
    let runs = survey.baselines.iter().flat_map(|one| one.runs.iter().filter_map(place)).collect();
    let answer = Answer::new(status, "interleaved slices or runs", runs, said);
    match status {
        Status::NotDecided => {
            answer.by(format!("crucible compare --duet {} --target OLD --target NEW --for 10m", plan(survey)))
        }
        _ => answer,
    }
}

/// Whether the limiters do what is believed of them.
pub(super) fn limits(survey: &Survey<'_>) -> Answer {
    let mut found = Vec::new();
    for (index, run) in survey.runs.iter().enumerate() {
        for finding in run.view.findings.iter().filter(|finding| finding.kind == "limits") {
            let body: serde_json::Value = serde_json::from_str(&finding.body).unwrap_or_default();
            let subject = body["subject"].as_str().unwrap_or("a request");
            let expected = &body["expected"];
            let why = match expected["text"].as_str() {
                Some(text) => {
                    format!("{subject}: expected {text}: {}", expected["why"].as_str().unwrap_or("-"))
                }
                // it is known what there is, but not whether that is what is believed
                None => format!("{subject}: {}; nothing was expected (--expect)", finding.why),
            };
            let verdict = Verdict::from_name(&finding.verdict).filter(|_| expected.is_object());
            found.push((index, verdict, why));
        }
    }
    if found.is_empty() {
        return Answer::not_tested("no record asks for rate limiters")
            .by(format!("crucible limits {} STEP --expect '100/m'", plan(survey)));
    }
    let status = |verdict: &Option<Verdict>| verdict.map_or(Status::NotDecided, Status::of);
    let worst = found.iter().map(|(_, verdict, _)| status(verdict)).max().unwrap_or(Status::NotTested);
    let runs = found.iter().map(|(index, ..)| *index).collect();
    Answer::new(worst, "probes against models", runs, found.into_iter().map(|(.., said)| said).collect())
}

/// Its place: attribution needs causes, which this version does not look for.
pub(super) fn bottlenecks(_: &Survey<'_>) -> Answer {
    Answer::not_tested("what gives way first is not attributed to a component by this version")
}

/// Its place: faults are not part of a plan yet.
pub(super) fn failures(_: &Survey<'_>) -> Answer {
    Answer::not_tested("faults are not part of a plan in this version")
}
