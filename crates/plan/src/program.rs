//! What a user does, compiled to a flat list that the engine walks with an index: no recursion, nothing made anew while
//! the load runs.
//!
//! Jumps are relative to the operation that holds them, so that a compiled piece means the same wherever it stands.
//! Invariants: jumps stay within the list or point just behind it; loops and groups nest properly; every loop has a
//! bound.

use crate::model::Think;
use crucible_core::{Ns, Slot, StepId, Template, Value};
use std::sync::Arc;

/// See the module text. Empty programs do nothing.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The operations.
    pub ops: Vec<Op>,
}

/// One operation of a [`Program`].
#[derive(Clone, Debug)]
pub enum Op {
    /// Do a step.
    Step(StepId),
    /// Do a step, and if it is accepted follow its job to the end.
    Transaction(Box<Transaction>),
    /// Do steps at the same time.
    Parallel(Box<Parallel>),
    /// Pause before whatever comes next.
    Pause(Think),
    /// Give a variable a value.
    Set(Slot, Given),
    /// Go on elsewhere.
    Jump(i32),
    /// Go on elsewhere unless the condition holds.
    JumpUnless(Template, i32),
    /// Go on at one of several places, drawn by weight.
    Draw(Draw),
    /// Begin a loop; go on elsewhere (behind its end) if it has no round.
    LoopBegin(Rounds, i32),
    /// End of a round: go back to the operation behind the loop's begin if there is another round.
    LoopEnd(i32),
    /// A timed span begins: the row of the step table that it is counted in.
    GroupBegin(StepId),
    /// The innermost timed span ends.
    GroupEnd,
    /// The iteration ends here.
    Skip,
    /// The iteration ends here, and the user with it.
    Stop,
}

/// What a variable is given.
#[derive(Clone, Debug)]
pub enum Given {
    /// Always this.
    Value(Value),
    /// What this comes to.
    Template(Template),
}

/// How often a loop goes round.
#[derive(Clone, Debug)]
pub enum Rounds {
    /// So often.
    Times(u64),
    /// As often as a value says, at most so often.
    Value(Template, u64),
    /// As long as the condition holds before a round, at most so often.
    While(Template, u64),
    /// Once for each item of a list, at most so often; the item is put into the variable.
    Each {
        /// Gets the item.
        slot: Slot,
        /// Gives the list.
        list: Template,
        /// Further items are left out.
        most: u64,
    },
}

/// Where to go on, by weight.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Sum of the weights up to and with this place, and the place.
    pub ends: Vec<(f64, i32)>,
}

/// Steps that are done at the same time.
#[derive(Clone, Debug)]
pub struct Parallel {
    /// The steps, begun in this order.
    pub steps: Vec<StepId>,
    /// Most that are under way at once.
    pub most: u16,
}

/// A step whose work goes on after its answer, and how one learns of its end.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Hands the job over.
    pub step: StepId,
    /// Asks how far the job is (or waits for the message that says so).
    pub follow: StepId,
    /// Row of the span from the intended start of `step` to the end of the job.
    pub whole: StepId,
    /// Row of what our polling adds to that, where the answers tell the real end.
    pub delay: Option<StepId>,
    /// Spans that the answers' own timestamps tell.
    pub spans: Vec<Span>,
    /// From the making of the job to its end by the answers' own timestamps.
    pub made_to_end: Option<(Template, Template)>,
    /// Distances of the polls.
    pub every: Backoff,
    /// Longest time from the answer of `step` to the end of the job.
    pub within: Ns,
    /// The job is done when a poll is ok and this holds; a poll that is ok is enough if there is none.
    pub done: Option<Template>,
    /// The job has failed.
    pub failed: Option<Template>,
    /// The job has begun; without it a job that is late is never called stuck.
    pub begun: Option<Template>,
    /// Codes that say that the job is not known any more.
    pub lost: Vec<u16>,
    /// Read the final state again after this long.
    pub reread: Option<Reread>,
    /// Variables that the follow step saves, emptied before the first poll.
    pub forgets: Vec<Slot>,
}

/// A second look at a final state.
#[derive(Clone, Debug)]
pub struct Reread {
    /// How long after the first.
    pub after: Ns,
    /// Variables that must be the same then; beside them the job must still count as done.
    pub same: Vec<Slot>,
}

/// A span between two timestamps that answers tell.
#[derive(Clone, Debug)]
pub struct Span {
    /// The row of the step table that it is counted in.
    pub row: StepId,
    /// Its begin.
    pub from: Template,
    /// Its end.
    pub to: Template,
}

/// Distances that grow from one to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first.
    pub first: Ns,
    /// The longest.
    pub most: Ns,
    /// Each is so many times the one before; at least 1.
    pub factor: f64,
}

impl Backoff {
    /// Always the same distance.
    pub const fn constant(every: Ns) -> Backoff {
        Backoff { first: every, most: every, factor: 1.0 }
    }
}

impl Program {
    /// These steps, one behind the other.
    pub fn sequence(steps: impl IntoIterator<Item = StepId>) -> Program {
        Program { ops: steps.into_iter().map(Op::Step).collect() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Every step that it may do (rows of spans are not among them), in the order of the text.
    pub fn steps(&self) -> Vec<StepId> {
        let mut steps = Vec::new();
        for op in &self.ops {
            match op {
                Op::Step(step) => steps.push(*step),
                Op::Transaction(transaction) => steps.extend([transaction.step, transaction.follow]),
                Op::Parallel(parallel) => steps.extend(&parallel.steps),
                _ => {}
            }
        }
        steps
    }

    /// How deeply loops and groups nest at most.
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0usize, 0);
        for op in &self.ops {
            match op {
                Op::LoopBegin(..) | Op::GroupBegin(_) => depth += 1,
                Op::LoopEnd(_) | Op::GroupEnd => depth = depth.saturating_sub(1),
                Op::Transaction(_) => deepest = deepest.max(depth + 1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }
}

/// How long a user lives before another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime {
    /// So many iterations.
    Iterations(u64),
    /// So long, drawn for each user; the iteration under way then is its last.
    Time(Think),
}

/// Steps that keep a user's session good.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// Done again after this long.
    pub every: Option<Ns>,
    /// Done again after an operation with one of these codes.
    pub on: Vec<u16>,
    /// What is done.
    pub program: Program,
}

/// Who gets which row of a feeder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pick {
    /// The next one, from the first again after the last.
    #[default]
    Sequential,
    /// Any, each time anew.
    Random,
    /// The next one, each only once; then there are no more.
    Unique,
    /// The one with the user's own number.
    Once,
}

impl Pick {
    /// All ways in the order of their names in plans.
    pub const ALL: [Pick; 4] = [Pick::Sequential, Pick::Random, Pick::Unique, Pick::Once];

    /// The word used in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Pick::Sequential => "sequential",
            Pick::Random => "random",
            Pick::Unique => "unique",
            Pick::Once => "once",
        }
    }
}

/// How a source of rows is described in the plan; whoever does I/O makes a [`crucible_core::Feeder`] of it.
#[derive(Clone, Debug)]
pub struct FeederSpec {
    /// Its name, as in `${name.column}`.
    pub name: String,
    /// Kind of the source: `csv`, `json`, `jsonl`, `rows` or `generate`.
    pub kind: String,
    /// What stands under that word: a file name, rows, or a table.
    pub source: crucible_core::Node,
    /// What else stands beside it (`separator`, `columns`, ...), without `pick` and `per`.
    pub options: crucible_core::Map,
    /// Folder that relative file names start from.
    pub folder: std::path::PathBuf,
    /// Seed for generated rows.
    pub seed: u64,
}

/// Makes the feeder that a plan describes. The error is for people: what is wrong and what would be right.
pub type OpenFeeder<'a> = &'a dyn Fn(&FeederSpec) -> Result<Arc<dyn crucible_core::Feeder>, String>;

/// A feeder of a plan.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// Who gets which row.
    pub pick: Pick,
    /// Whether a user keeps its row (`per: vu`) or draws one for each iteration; by the place of use unless given.
    pub per_user: Option<bool>,
    /// The rows.
    pub source: Arc<dyn crucible_core::Feeder>,
}
