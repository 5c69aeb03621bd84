//! What one shard counts in one window.

use crucible_core::{Frame, IterationFrame, LagFrame, MeasureFrame, Ns};
use crucible_plan::Plan;
use crucible_record::{ErrorNote, PhaseStarted};

/// All frames of a shard. Two of them exist for each shard: one being filled, one being merged.
#[derive(Debug)]
pub struct FrameSet {
    /// By step.
    pub steps: Vec<Frame>,
    /// By measure.
    pub measures: Vec<MeasureFrame>,
    /// By scenario.
    pub iterations: Vec<IterationFrame>,
    /// The shard's own lateness.
    pub lag: LagFrame,
}

impl FrameSet {
    /// Empty frames for all steps and scenarios of a plan.
    pub fn new(plan: &Plan) -> FrameSet {
        FrameSet {
            steps: plan.steps.iter().map(|step| Frame::new(step.spec.checks.len())).collect(),
            measures: plan.measures.iter().map(|measure| MeasureFrame::new(&measure.kind)).collect(),
            iterations: plan.scenarios.iter().map(|_| IterationFrame::default()).collect(),
            lag: LagFrame::default(),
        }
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.steps.iter_mut().for_each(Frame::clear);
        self.measures.iter_mut().for_each(MeasureFrame::clear);
        self.iterations.iter_mut().for_each(IterationFrame::clear);
        self.lag.clear();
    }
}

/// What a shard tells the collector: a few messages a second, none for a single operation.
#[derive(Debug)]
pub enum ShardReport {
    /// A phase begins; told by the first shard only.
    Phase(PhaseStarted),
    /// A window is over.
    Window(Box<ShardWindow>),
    /// The shard has done everything.
    Done {
        /// Failure texts that it kept.
        errors: Vec<ErrorNote>,
    },
}

/// One shard's part of a window.
#[derive(Debug)]
pub struct ShardWindow {
    /// Index of the phase over all tests.
    pub phase: u16,
    /// Number of the window in its phase.
    pub number: u32,
    /// Whether it is the last of its phase on this shard.
    pub last: bool,
    /// Begin.
    pub from: Ns,
    /// End.
    pub to: Ns,
    /// What was counted.
    pub frames: FrameSet,
    /// Users that exist.
    pub users_active: u64,
    /// Users in an iteration.
    pub users_busy: u64,
    /// Operations under way at the end.
    pub in_flight: u64,
    /// Arrivals that were due by the schedule.
    pub due: u64,
}
