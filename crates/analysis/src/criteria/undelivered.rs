//! The load that was asked for is the load that was made.
//!
//! Open load: every arrival of the schedule was begun or, where nothing was free to do it, dropped and counted as an
//! error. An arrival that is neither was lost by the generator. Closed load that ends by count: all iterations were
//! done. Phases that were cut short by a stop are not judged here.

use crate::verdict::{Judgement, Unit, Verdict};
use crate::view::RunView;
use crucible_record::{Model, StopReason};

const NAME: &str = "undelivered";

/// Share of the scheduled arrivals that may be missing, and may be too many.
const ALLOWED: f64 = 0.001;

pub(crate) fn judge(view: &RunView, test: usize) -> Vec<Judgement> {
    let completed = view.finished.as_ref().is_some_and(|f| f.reason == StopReason::Completed);
    let current = view.current_phase.unwrap_or(0);
    let mut out = Vec::new();
    for (index, meta) in view.started.phases.iter().enumerate() {
        if usize::from(meta.test) != test || (!completed && index >= current) {
            continue;
        }
        let totals = &view.phases[index];
        let made = totals.all_iterations().planned;
        let subject = format!("phase {}", meta.name);
        match meta.model {
            Model::Open => out.push(open(subject, made, meta.planned.unwrap_or(totals.due))),
            Model::Closed => out.extend(meta.planned.and_then(|asked| closed(subject, made, asked))),
        }
    }
    out
}

fn open(subject: String, made: u64, scheduled: u64) -> Judgement {
    let off = made.abs_diff(scheduled) as f64 / scheduled.max(1) as f64;
    let judgement = if off <= ALLOWED {
        let why = format!("{made} of {scheduled} scheduled arrivals were made");
        Judgement::new(NAME, subject, "arrivals", Verdict::Pass, why)
    } else if made < scheduled {
        let why = format!(
            "only {made} of {scheduled} scheduled arrivals were made: the generator did not deliver the load that \
             was asked for"
        );
        Judgement::new(NAME, subject, "arrivals", Verdict::Invalid, why)
            .remedy("ask for less, give the generator more cores, or spread it over more machines")
    } else {
        let why = format!("{made} arrivals were made where the schedule holds {scheduled}");
        Judgement::new(NAME, subject, "arrivals", Verdict::Invalid, why)
            .remedy("this is a fault of the generator: report it with the exported record")
    };
    judgement.figure(Unit::Count, made as f64, Some(scheduled as f64)).evidence(made)
}

fn closed(subject: String, made: u64, asked: u64) -> Option<Judgement> {
    (made < asked).then(|| {
        let why = format!("time was up after {made} of the {asked} iterations asked for");
        Judgement::new(NAME, subject, "iterations", Verdict::Inconclusive, why)
            .figure(Unit::Count, made as f64, Some(asked as f64))
            .evidence(made)
            .remedy("give the phase more time or ask for fewer iterations")
    })
}
