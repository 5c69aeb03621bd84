//! What the plans of several records demand, and what became of it: tested demands with their traces, and those that no
//! record tested.

use crate::survey::{Kind, Survey, Wanted, plan_word, quoted};
use crate::{Report, found};
use crucible_analysis::requirements::{self, Demand, Untested};
use crucible_analysis::{Judgement, Verdict};
use crucible_core::units::group;
use crucible_record::TestMeta;

/// An answer to a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Yes,
    NotDecided,
    NotTested,
    No,
    Invalid,
}

impl Status {
    /// The word in documents and in JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Status::Yes => "yes",
            Status::NotDecided => "not decided",
            Status::NotTested => "not tested",
            Status::No => "no",
            Status::Invalid => "invalid",
        }
    }

    /// For terminals: what must not be overlooked is in capitals.
    pub(crate) const fn shown(self) -> &'static str {
        match self {
            Status::No => "NO",
            Status::Invalid => "INVALID",
            other => other.word(),
        }
    }

    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Status::Yes => Verdict::Pass,
            Status::NotDecided | Status::NotTested => Verdict::Inconclusive,
            Status::No => Verdict::Fail,
            Status::Invalid => Verdict::Invalid,
        }
    }

    pub(crate) const fn of(verdict: Verdict) -> Status {
        match verdict {
            Verdict::Pass => Status::Yes,
            Verdict::Inconclusive => Status::NotDecided,
            Verdict::Fail => Status::No,
            Verdict::Invalid => Status::Invalid,
        }
    }
}

/// A demand that a record tested.
#[derive(Clone, Debug)]
pub(crate) struct Tested {
    /// Index of the record.
    pub(crate) run: usize,
    pub(crate) test: String,
    pub(crate) demand: Demand,
    pub(crate) status: Status,
    /// Why the measurement cannot be trusted, if it cannot.
    pub(crate) invalid: Option<String>,
}

/// A test of a plan that no record ran.
#[derive(Clone, Debug)]
pub(crate) struct NotRun {
    pub(crate) plan: String,
    pub(crate) test: String,
    pub(crate) load: String,
    pub(crate) demands: Vec<Untested>,
    /// What would test it.
    pub(crate) command: String,
}

/// All tested demands, record by record.
pub(crate) fn tested(survey: &Survey<'_>) -> Vec<Tested> {
    let mut out = Vec::new();
    for (index, run) in survey.of(Kind::Load) {
        for (test, meta) in run.view.started.tests.iter().enumerate() {
            if survey.asked.newest_only && newer(survey, run, &meta.name) {
                continue;
            }
            let invalid = invalid(run, test);
            let begun = run.view.tests.get(test).is_some_and(|totals| totals.from.is_some());
            let judged = run.assessment.tests.get(test).map(|test| test.judgements.as_slice());
            for demand in requirements::demands(judged.unwrap_or_default()) {
                let status = match (&invalid, begun) {
                    (Some(_), true) => Status::Invalid,
                    (_, false) => Status::NotTested,
                    (None, true) => Status::of(demand.judgement.verdict),
                };
                let (test, invalid) = (meta.name.clone(), invalid.clone());
                out.push(Tested { run: index, test, demand, status, invalid });
            }
        }
    }
    out
}

/// Whether a newer record of the same plan has the test, too.
fn newer(survey: &Survey<'_>, run: &Report<'_>, test: &str) -> bool {
    let own = &run.view.started;
    survey.of(Kind::Load).any(|(_, other)| {
        let started = &other.view.started;
        let has = started.tests.iter().any(|known| known.name == test);
        started.plan == own.plan && has && started.started_unix_ms > own.started_unix_ms
    })
}

/// Why a test's figures cannot be trusted.
fn invalid(run: &Report<'_>, test: usize) -> Option<String> {
    let own = run.assessment.tests.get(test).map(|test| test.judgements.as_slice()).unwrap_or_default();
    let all = own.iter().chain(&run.assessment.run);
    all.filter(|judgement| judgement.verdict == Verdict::Invalid)
        .map(|judgement| judgement.why.clone())
        .next()
}

/// Tests that stand in a plan and in no record of it. A short form, `load (quick)` or `load-quick`, is
/// tested where `load` is.
pub(crate) fn not_run(survey: &Survey<'_>) -> Vec<NotRun> {
    let mut out: Vec<NotRun> = Vec::new();
    let run_of = |plan: &str, test: &str| {
        let of_plan = survey.of(Kind::Load).filter(|(_, run)| run.view.started.plan == plan);
        let mut tests = of_plan.flat_map(|(_, run)| run.view.started.tests.iter());
        tests.any(|known| known.name == test || known.name == whole(test))
    };
    // the newest record of a plan says what the plan is
    let mut newest: Vec<&Report<'_>> = survey.runs.iter().collect();
    newest.sort_by_key(|run| std::cmp::Reverse(run.view.started.started_unix_ms));
    let mut seen: Vec<&str> = Vec::new();
    for run in newest {
        let started = &run.view.started;
        if seen.contains(&started.plan.as_str()) {
            continue;
        }
        seen.push(&started.plan);
        let missing = started.other_tests.iter().filter(|test| !run_of(&started.plan, &test.name));
        // where the whole is missing, too, the short form is not named
        let short = |test: &&TestMeta| {
            whole(&test.name) != test.name
                && started.other_tests.iter().any(|it| it.name == whole(&test.name))
        };
        for test in missing.filter(|test| !short(test)) {
            let demands = requirements::untested(started, test);
            out.push(NotRun {
                plan: started.plan.clone(),
                test: test.name.clone(),
                load: test.load.clone(),
                demands,
                command: format!("crucible run {} {}", plan_word(started), quoted(&test.name)),
            });
        }
    }
    out
}

/// The test that one is a short form of; itself if it is none.
fn whole(test: &str) -> &str {
    let whole = test.rsplit_once(" (").map_or(test, |(whole, _)| whole);
    whole.strip_suffix("-quick").unwrap_or(whole)
}

/// Whether a wanted load is carried, by each capacity that is known.
pub(crate) struct Carried {
    pub(crate) run: usize,
    pub(crate) status: Status,
    pub(crate) demand: String,
    pub(crate) actual: String,
    pub(crate) said: String,
}

/// See [`Carried`]; empty where nothing was wanted. Without a capacity in that unit it is one line that says so.
pub(crate) fn carried(survey: &Survey<'_>) -> Vec<Carried> {
    let Some(wanted) = survey.asked.wanted else { return Vec::new() };
    let (load, users) = match wanted {
        Wanted::Rate(rate) => (rate, false),
        Wanted::Users(users) => (users, true),
    };
    let all = survey.of(Kind::Capacity).filter_map(|(index, run)| Some((index, found::capacity(run)?)));
    let one = |(run, capacity): (usize, found::Capacity)| {
        let status = match capacity.bounds() {
            Some((low, _)) if low >= load => Status::Yes,
            Some((_, high)) if high < load => Status::No,
            None if matches!(capacity.answer, found::Answer::Invalid(_)) => Status::Invalid,
            _ => Status::NotDecided,
        };
        let bounds = capacity.bounds().map_or(String::new(), |(low, high)| {
            format!("{} to {} at 95 %; ", capacity.show(low), capacity.show(high))
        });
        Carried {
            run,
            status,
            demand: capacity.show(load),
            actual: capacity.words(),
            said: format!("{bounds}{} trials; while {}", group(capacity.trials as i64), capacity.targets()),
        }
    };
    all.filter(|(_, capacity)| capacity.users == users).map(one).collect()
}

/// The figure with its interval and what it rests on.
pub(crate) fn rests_on(judgement: &Judgement) -> String {
    let mut parts = Vec::new();
    if let Some((low, high)) = judgement.interval.filter(|(low, high)| low != high) {
        parts.push(format!("{} to {} at 95 % each way", judgement.unit.show(low), judgement.unit.show(high)));
    }
    if judgement.evidence > 0 {
        parts.push(format!("{} samples", group(judgement.evidence as i64)));
    }
    if parts.is_empty() { "no samples".into() } else { parts.join(", ") }
}

/// `p95 of all steps`, `avg of api.cpu`.
pub(crate) fn figure(judgement: &Judgement) -> String {
    format!("{} of {}", judgement.measure, judgement.subject)
}
