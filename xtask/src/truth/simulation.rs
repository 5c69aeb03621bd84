//! The real engine in virtual time against a simulated station.

use crate::Failure;
use crucible_core::{Ns, Protocol, ScenarioId, Share, StepId, StepSpec, WorkerContext};
use crucible_engine::{Collector, Control, FrameSet, Meeting, Reports, ShardJob, ShardReport, run_shard};
use crucible_plan::{LatenessBudget, Plan, Scenario, Step, Test};
use crucible_record::RunEvent;
use crucible_schedule::{Curve, Load, LoadPhase, Pacing, Spacing};
use crucible_testkit::sim::{Sim, SimProtocol};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// A phase of open load at a constant rate per second.
pub(super) fn open(rate: f64, length: Ns, spacing: Spacing, max_users: u64) -> LoadPhase {
    let pacing = Pacing::Open { rate: Curve::constant(rate, length), spacing, max_users, patience: None };
    LoadPhase { name: format!("{rate}/s"), length, pacing, marks: Vec::new() }
}

/// A phase of closed load.
pub(super) fn closed(users: f64, length: Ns) -> LoadPhase {
    let pacing = Pacing::Closed { users: Curve::constant(users, length), iterations: None };
    LoadPhase { name: format!("{users} users"), length, pacing, marks: Vec::new() }
}

/// A plan of one step under these phases.
pub(super) fn plan(phases: Vec<LoadPhase>, seed: u64) -> Plan {
    let load = Load { profile: "simulated", start_delay: Ns::ZERO, phases, graceful_stop: Ns::from_secs(5) };
    let spec = StepSpec {
        default_name: "call".into(),
        checks: Vec::new(),
        measures: Vec::new(),
        body: Arc::new(()),
    };
    Plan {
        name: "simulated".into(),
        seed,
        scenarios: vec![Scenario::plain(ScenarioId(0), "simulated", [StepId(0)])],
        steps: vec![Step::plain(StepId(0), ScenarioId(0), "sim", spec)],
        tests: vec![Test::plain("test", vec![ScenarioId(0)], load)],
        lateness: LatenessBudget { floor: Ns::from_millis(2), share: 0.1 },
        ..Plan::default()
    }
}

/// Where a shard leaves its reports until the collector takes them.
#[derive(Default)]
struct Outlet {
    reports: RefCell<VecDeque<ShardReport>>,
    spares: RefCell<Vec<FrameSet>>,
}

impl Reports for Outlet {
    fn send(&self, report: ShardReport) {
        self.reports.borrow_mut().push_back(report);
    }

    fn spare(&self) -> Option<FrameSet> {
        self.spares.borrow_mut().pop()
    }
}

/// Runs the first test of `plan` on so many shards of one simulation. `at` is called each simulated second with the
/// time; `emit` gets every event.
pub(super) fn run(
    plan: Plan,
    protocol: &SimProtocol,
    shards: u32,
    control: &Control,
    mut at: impl FnMut(Ns),
    emit: &mut dyn FnMut(RunEvent),
) -> Result<(), Failure> {
    let load = &plan.tests[0].load;
    let longest = load.start_delay + load.phases.iter().map(|phase| phase.length).sum() + load.graceful_stop;
    let give_up = longest + Ns::from_secs(60);
    let plan = Arc::new(plan);
    let mut sim = Sim::new(plan.seed);
    let meeting = Arc::new(Meeting::new(shards, Ns::from_millis(5)));
    let mut outlets = Vec::new();
    for index in 0..shards {
        let share = Share { index, of: shards };
        let worker =
            protocol.worker(&WorkerContext { share, seed: plan.seed }).map_err(|error| error.to_string())?;
        let job = ShardJob {
            plan: plan.clone(),
            tests: vec![0],
            share,
            meeting: meeting.clone(),
            control: control.clone(),
            window: Ns::from_secs(1),
            unix_start: Ns::ZERO,
        };
        let outlet = Rc::new(Outlet::default());
        outlets.push(outlet.clone());
        let clock = sim.clock();
        crucible_core::Clock::spawn(&clock.clone(), run_shard(job, clock, worker, outlet));
    }
    let mut collector = Collector::new(shards);
    let mut now = Ns::ZERO;
    while !collector.is_done() {
        if now > give_up {
            return Err(format!("the simulated run has not ended at {now}"));
        }
        now += Ns::from_secs(1);
        sim.run_until(now);
        at(now);
        for (shard, outlet) in (0..).zip(&outlets) {
            while let Some(report) = take(outlet) {
                outlet.spares.borrow_mut().extend(collector.accept(shard, report, emit));
            }
        }
    }
    Ok(())
}

fn take(outlet: &Outlet) -> Option<ShardReport> {
    outlet.reports.borrow_mut().pop_front()
}
