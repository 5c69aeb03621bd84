//! Resources: their limits, leaks, and whether they were watched at all.

use super::{Answer, plan};
use crate::demanded::{self, Status, figure};
use crate::survey::{Kind, Survey, mark};
use crucible_analysis::{Judgement, Verdict};

/// Whether what monitors read kept its limits.
pub(super) fn within(survey: &Survey<'_>) -> Answer {
    let own = demanded::tested(survey).into_iter().filter(|one| one.demand.decides && one.demand.of_series);
    let own: Vec<_> = own.filter(|one| one.status != Status::NotTested).collect();
    let Some(status) = own.iter().map(|one| one.status).max() else {
        let missing = demanded::not_run(survey).into_iter().find(|test| {
            // a series has a component and a name
            test.demands.iter().any(|demand| !demand.subject.contains(' ') && demand.subject.contains('.'))
        });
        let answer = Answer::not_tested(
            "no limit on a resource was tested: name the system's processes under `components` and demand, for example, \
             `api.cpu: {avg: 70%}`",
        );
        return match missing {
            Some(test) => answer.by(test.command),
            None => answer.by(format!("crucible run {}", plan(survey))),
        };
    };
    let kept = own.iter().filter(|one| one.status == Status::Yes).count();
    let mut said = vec![format!("{kept} of {} limits kept", own.len())];
    let others = own.iter().filter(|one| one.status != Status::Yes).map(|one| {
        let judgement = &one.demand.judgement;
        let (limit, shown) = (&one.demand.limit, judgement.shown());
        format!(
            "{}: {} in {} {}, {limit}, is {shown}",
            one.status.word(),
            figure(judgement),
            mark(one.run),
            one.test
        )
    });
    said.extend(super::items::shortened(others.collect()));
    let mut runs: Vec<usize> = own.iter().map(|one| one.run).collect();
    runs.dedup();
    Answer::new(status, "readings on the run's clock", runs, said)
}

/// Whether something grows without end, where a criterion of the run says so.
pub(super) fn leaks(survey: &Survey<'_>) -> Answer {
    let mut found = Vec::new();
    for (index, run) in survey.of(Kind::Load) {
        for (test, judgement) in run.assessment.all() {
            if is_leak(judgement) {
                let test = test.unwrap_or("run");
                found.push((
                    index,
                    judgement.verdict,
                    format!("{} {test}: {}: {}", mark(index), figure(judgement), judgement.why),
                ));
            }
        }
    }
    let Some(worst) = found.iter().map(|(_, verdict, _)| *verdict).max() else {
        return Answer::not_tested("no record was judged for leaks: it takes a soak of ten minutes or more")
            .by(format!("crucible run {} TEST", plan(survey)));
    };
    let runs = found.iter().map(|(index, ..)| *index).collect();
    let said = found.iter().filter(|(_, verdict, _)| *verdict == worst).map(|(.., said)| said.clone());
    Answer::new(Status::of(worst), "trend of readings", runs, said.take(4).collect())
}

/// Whether a judgement is on growth without end: by the measure of its threshold.
fn is_leak(judgement: &Judgement) -> bool {
    let after_names =
        |text: &String| text.rsplit('"').next().is_some_and(|rest| rest.trim_start().starts_with("leak "));
    judgement.threshold.as_ref().is_some_and(after_names)
}

/// Which components were watched, and where they were not.
pub(super) fn monitoring(survey: &Survey<'_>) -> Answer {
    let mut own: Vec<(String, u64)> = Vec::new();
    let (mut runs, mut gaps) = (Vec::new(), Vec::new());
    for (index, run) in survey.runs.iter().enumerate() {
        for (meta, totals) in run.view.started.series.iter().zip(&run.view.series) {
            if matches!(meta.component.as_str(), "generator" | "host") {
                continue;
            }
            if !runs.contains(&index) {
                runs.push(index);
            }
            match own.iter_mut().find(|(name, _)| *name == meta.component) {
                Some((_, count)) => *count += totals.count,
                None => own.push((meta.component.clone(), totals.count)),
            }
        }
        let watched = run.view.gaps.iter().filter(|gap| !gap.component.is_empty());
        gaps.extend(
            watched.map(|gap| format!("{} gap from {} to {}: {}", mark(index), gap.from, gap.to, gap.text)),
        );
    }
    if own.is_empty() {
        return Answer::not_tested(
            "only the host and the generator were watched: name the system's processes under `components`",
        )
        .by(format!("crucible run {}", plan(survey)));
    }
    let blind: Vec<&str> =
        own.iter().filter(|(_, count)| *count == 0).map(|(name, _)| name.as_str()).collect();
    let seen = own.iter().filter(|(_, count)| *count > 0);
    let seen: Vec<String> = seen.map(|(name, count)| format!("{name} ({count} readings)")).collect();
    let mut said = Vec::new();
    if !seen.is_empty() {
        said.push(format!("watched: {}", seen.join(", ")));
    }
    if !blind.is_empty() {
        said.push(format!("never read: {}", blind.join(", ")));
    }
    let whole = gaps.is_empty();
    said.extend(gaps.into_iter().take(4));
    let verdict = if !blind.is_empty() {
        Verdict::Fail
    } else if whole {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    Answer::new(Status::of(verdict), "components of the plan", runs, said)
}
