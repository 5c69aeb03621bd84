//! By what a run is judged: one file and one row for each criterion.

mod conservation;
mod ending;
mod evidence;
mod experiment;
pub(crate) mod lateness;
mod local;
mod record;
pub(crate) mod thresholds;
mod undelivered;

use crate::verdict::Judgement;
use crate::view::RunView;

/// What a criterion looks at.
#[derive(Clone, Copy)]
pub enum Scope {
    /// Each test on its own (index into the view's tests).
    Test(fn(&RunView, usize) -> Vec<Judgement>),
    /// The run as a whole.
    Run(fn(&RunView) -> Vec<Judgement>),
}

/// One criterion.
#[derive(Clone, Copy)]
pub struct Criterion {
    /// Its name, as it stands in judgements.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// How it judges.
    pub scope: Scope,
}

/// All criteria, in the order in which their judgements are told.
pub const CRITERIA: &[Criterion] = &[
    Criterion {
        name: "thresholds",
        doc: "what the plan demands, decided only on enough evidence",
        scope: Scope::Test(thresholds::judge),
    },
    Criterion {
        name: "evidence",
        doc: "every step and every check of the plan was seen to work at least once",
        scope: Scope::Test(evidence::judge),
    },
    Criterion {
        name: "lateness",
        doc: "the generator itself was not late against what it measured",
        scope: Scope::Test(lateness::judge),
    },
    Criterion {
        name: "undelivered",
        doc: "the load that was asked for is the load that was made",
        scope: Scope::Test(undelivered::judge),
    },
    Criterion {
        name: "local",
        doc: "no operation failed for want of something on the generator's machine",
        scope: Scope::Test(local::judge),
    },
    Criterion {
        name: "conservation",
        doc: "planned work equals ended work and work under way, in every window",
        scope: Scope::Run(conservation::judge),
    },
    Criterion {
        name: "record",
        doc: "the record is whole: no gaps, no damage, an end",
        scope: Scope::Run(record::judge),
    },
    Criterion {
        name: "experiment",
        doc: "what a search or a duet came to, in place of its single trials or slices",
        scope: Scope::Run(experiment::judge),
    },
    Criterion { name: "ending", doc: "the run did all that was planned", scope: Scope::Run(ending::judge) },
];
