//! The real engine in virtual time against stations of known theory.

#![allow(clippy::unwrap_used, reason = "a test may")]

use crucible_core::{Ns, Outcome, ScenarioId, StepId, StepSpec};
use crucible_engine::{Control, Job, Options, spawn_on};
use crucible_plan::{LatenessBudget, Plan, Scenario, Step, Test, Think};
use crucible_record::{Finished, RunEvent, StopReason, Window};
use crucible_schedule::{Curve, Iterations, Load, LoadPhase, Pacing, Piece, Spacing};
use crucible_testkit::Law;
use crucible_testkit::sim::{QueueConfig, Sim, SimBehaviour, SimProtocol, WakeError, theory};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

fn flat(value: f64, length: Ns) -> Curve {
    Curve { pieces: vec![Piece { length, from: value, to: value }] }
}

fn open(rate: f64, length: Ns, spacing: Spacing, max_users: u64) -> LoadPhase {
    let pacing = Pacing::Open { rate: flat(rate, length), spacing, max_users, patience: None };
    LoadPhase { name: "open".into(), length, pacing, marks: Vec::new() }
}

fn closed(users: f64, length: Ns, iterations: Option<Iterations>) -> LoadPhase {
    let pacing = Pacing::Closed { users: flat(users, length), iterations };
    LoadPhase { name: "closed".into(), length, pacing, marks: Vec::new() }
}

fn plan(phases: Vec<LoadPhase>, think: Think) -> Plan {
    let load = Load { profile: "test", start_delay: Ns::ZERO, phases, graceful_stop: Ns::from_secs(2) };
    let spec = StepSpec {
        default_name: "visit".into(),
        checks: Vec::new(),
        measures: Vec::new(),
        body: Arc::new(()),
    };
    Plan {
        name: "simulated".into(),
        seed: 7,
        scenarios: vec![Scenario { think, ..Scenario::plain(ScenarioId(0), "users", [StepId(0)]) }],
        steps: vec![Step::plain(StepId(0), ScenarioId(0), "sim", spec)],
        tests: vec![Test::plain("t", vec![ScenarioId(0)], load)],
        lateness: LatenessBudget { floor: Ns::from_millis(2), share: 0.1 },
        ..Plan::default()
    }
}

struct Told {
    windows: Vec<Window>,
    finished: Finished,
}

impl Told {
    fn total(&self) -> crucible_core::Frame {
        let mut total = crucible_core::Frame::new(0);
        self.windows.iter().flat_map(|w| &w.steps).for_each(|(_, frame)| total.merge(frame));
        total
    }

    fn iterations(&self) -> crucible_core::IterationFrame {
        let mut total = crucible_core::IterationFrame::default();
        self.windows.iter().flat_map(|w| &w.iterations).for_each(|(_, frame)| total.merge(frame));
        total
    }

    fn lag(&self) -> crucible_core::LagFrame {
        let mut total = crucible_core::LagFrame::default();
        self.windows.iter().for_each(|w| total.merge(&w.lag));
        total
    }

    /// Conservation, window by window, for steps and iterations.
    fn assert_conserved(&self) {
        let (mut in_flight, mut iterating) = (0, 0);
        for window in &self.windows {
            let planned: u64 = window.steps.iter().map(|(_, frame)| frame.planned).sum();
            let ended: u64 = window.steps.iter().map(|(_, frame)| frame.ended()).sum();
            assert_eq!(in_flight + planned, ended + window.in_flight, "steps in window {:?}", window.from);
            in_flight = window.in_flight;
            let planned: u64 = window.iterations.iter().map(|(_, frame)| frame.planned).sum();
            let ended: u64 = window.iterations.iter().map(|(_, frame)| frame.ended()).sum();
            assert_eq!(
                iterating + planned,
                ended + window.iterations_in_flight,
                "iterations in {:?}",
                window.from
            );
            iterating = window.iterations_in_flight;
        }
        assert_eq!((in_flight, iterating), (0, 0), "nothing may be under way after the end");
    }
}

fn simulate(sim: Sim, plan: Plan, protocol: SimProtocol, shards: u32, control: Control) -> Told {
    let mut sim = sim;
    let events = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&events);
    let job = Job {
        plan: Arc::new(plan),
        tests: vec![0],
        protocol: Arc::new(protocol),
        options: Options { shards, pin: false, realtime: false, early: Ns::ZERO, window: Ns::from_secs(1) },
        control,
        unix_start: Ns::ZERO,
    };
    spawn_on(&sim.clock(), job, move |event| sink.borrow_mut().push(event)).unwrap();
    sim.run_to_end();
    let mut windows = Vec::new();
    let mut finished = None;
    for event in events.take() {
        match event {
            RunEvent::Window(window) => windows.push(*window),
            RunEvent::Finished(end) => finished = Some(end),
            _ => {}
        }
    }
    Told { windows, finished: finished.expect("a run always says that it is over") }
}

fn run(plan: Plan, protocol: SimProtocol, shards: u32) -> Told {
    simulate(Sim::new(1), plan, protocol, shards, Control::new())
}

#[test]
fn a_queue_at_80_percent_load_comes_out_as_theory_says() {
    let phase = open(800.0, Ns::from_secs(400), Spacing::Poisson, 100_000);
    let told =
        run(plan(vec![phase], Think::None), SimProtocol::new(QueueConfig::fixed(Ns::from_millis(1))), 1);
    let total = told.total();
    let mean = total.response.mean().unwrap().as_secs_f64();
    let truth = theory::md1_mean_response(800.0, 0.001);
    assert!((mean - truth).abs() < 0.02 * truth, "{mean} for {truth}");
    assert_eq!(told.finished.reason, StopReason::Completed);
    told.assert_conserved();
}

#[test]
fn every_arrival_of_the_schedule_is_made_whatever_the_number_of_shards() {
    for shards in [1, 2, 3, 7] {
        let phase = open(1000.0, Ns::from_secs(10), Spacing::Even, 1000);
        let told = run(
            plan(vec![phase], Think::None),
            SimProtocol::new(QueueConfig::fixed(Ns::from_micros(100))),
            shards,
        );
        let total = told.total();
        assert_eq!((total.planned, total.of(Outcome::Ok)), (10_000, 10_000), "{shards} shards");
        let due: u64 = told.windows.iter().map(|w| w.due).sum();
        assert_eq!(due, 10_000);
        assert_eq!(told.windows[0].due, 1000);
        told.assert_conserved();
    }
}

fn stall() -> QueueConfig {
    QueueConfig {
        servers: 64,
        law: Law::Fixed(Ns::from_millis(5)),
        stalls: Some(crucible_testkit::Stalls { every: Ns::from_secs(10), length: Ns::from_secs(1) }),
        seed: 1,
    }
}

#[test]
fn a_stall_shows_in_response_time_whether_or_not_users_are_free() {
    for (users, in_service) in [(1, false), (2000, true)] {
        let phase = open(100.0, Ns::from_secs(60), Spacing::Even, users);
        let told = run(plan(vec![phase], Think::None), SimProtocol::new(stall()), 1);
        let total = told.total();
        let p99 = total.response.quantile(0.99).unwrap().as_secs_f64();
        assert!(p99 > 0.8 && p99 < 1.2, "{users} users: {p99}");
        let service = total.service.quantile(0.99).unwrap().as_secs_f64();
        assert_eq!(service > 0.8, in_service, "{users} users: service {service}");
        let pool = told.lag().pool.max().unwrap().as_secs_f64();
        assert_eq!(pool < 0.1, in_service, "{users} users: pool lag {pool}");
        told.assert_conserved();
    }
}

#[test]
fn a_late_timer_is_the_generators_fault_and_not_the_pools() {
    let phase = open(100.0, Ns::from_secs(20), Spacing::Even, 100);
    let sim = Sim::new(1).wake_error(WakeError::Fixed(Ns::from_millis(1)));
    let protocol = SimProtocol::new(QueueConfig::fixed(Ns::from_micros(50)));
    let told = simulate(sim, plan(vec![phase], Think::None), protocol, 1, Control::new());
    let lag = told.lag();
    let p50 = lag.generator.quantile(0.5).unwrap().as_millis_f64();
    assert!((p50 - 1.0).abs() < 0.05, "{p50}");
    assert_eq!(lag.pool.max(), Some(Ns::ZERO));
    let response = told.total().response.quantile(0.5).unwrap().as_millis_f64();
    assert!((response - 1.05).abs() < 0.05, "{response}");
}

#[test]
fn closed_users_follow_littles_law_with_think_time() {
    let phase = closed(50.0, Ns::from_secs(100), None);
    let think = Think::Constant(Ns::from_millis(90));
    let config = QueueConfig { servers: 64, law: Law::Fixed(Ns::from_millis(10)), stalls: None, seed: 1 };
    let told = run(plan(vec![phase], think), SimProtocol::new(config), 2);
    let rate = told.total().of(Outcome::Ok) as f64 / 100.0;
    assert!((rate - 500.0).abs() < 5.0, "{rate}");
    assert!(told.windows.iter().take(99).all(|w| w.users.active == 50));
    told.assert_conserved();
}

#[test]
fn counts_end_a_closed_phase_exactly() {
    let fast = || SimProtocol::new(QueueConfig::exponential(8, Ns::from_millis(3)));
    for shards in [1, 2, 3] {
        for (users, iterations, expected) in [
            (5.0, Iterations::Shared(103), 103),
            (5.0, Iterations::PerUser(7), 35),
            (1.0, Iterations::Shared(9), 9),
        ] {
            let phase = closed(users, Ns::from_secs(600), Some(iterations));
            let told = run(plan(vec![phase], Think::None), fast(), shards);
            assert_eq!(told.iterations().completed, expected, "{users} {iterations:?} {shards}");
            assert!(told.finished.at < Ns::from_secs(2), "it ends with the last iteration");
            told.assert_conserved();
        }
    }
}

#[test]
fn arrivals_that_nobody_could_begin_are_dropped_and_counted() {
    // 100/s for 10 s on one user that needs 100 ms each: 10/s are done, the rest is dropped at the end.
    let phase = open(100.0, Ns::from_secs(10), Spacing::Even, 1);
    let told =
        run(plan(vec![phase], Think::None), SimProtocol::new(QueueConfig::fixed(Ns::from_millis(100))), 1);
    let total = told.total();
    assert_eq!(total.planned, 1000);
    assert!((99..=101).contains(&total.of(Outcome::Ok)), "{:?}", total.outcomes);
    assert_eq!(total.of(Outcome::Dropped), 1000 - total.of(Outcome::Ok));
    told.assert_conserved();
}

#[test]
fn patience_drops_what_is_too_late_at_once() {
    let mut phase = open(100.0, Ns::from_secs(10), Spacing::Even, 1);
    if let Pacing::Open { patience, .. } = &mut phase.pacing {
        *patience = Some(Ns::from_millis(200));
    }
    let told =
        run(plan(vec![phase], Think::None), SimProtocol::new(QueueConfig::fixed(Ns::from_millis(100))), 1);
    let worst = told.total().response.max().unwrap();
    assert!(worst <= Ns::from_millis(301), "{worst}");
    told.assert_conserved();
}

#[test]
fn operations_that_outlive_the_graceful_stop_are_aborted_not_lost() {
    let phase = open(10.0, Ns::from_secs(5), Spacing::Even, 1000);
    let config = QueueConfig { servers: 1000, law: Law::Fixed(Ns::from_secs(60)), stalls: None, seed: 1 };
    let behaviour = SimBehaviour { limit: Ns::from_secs(100), ..SimBehaviour::default() };
    let told = run(plan(vec![phase], Think::None), SimProtocol::new(config).behaving(behaviour), 2);
    let total = told.total();
    assert_eq!((total.planned, total.of(Outcome::Aborted)), (50, 50));
    assert!(total.censored.max().unwrap() >= Ns::from_secs(6));
    told.assert_conserved();
}

#[test]
fn a_target_that_dies_costs_failures_and_breaks_no_count() {
    let phase = open(500.0, Ns::from_secs(10), Spacing::Poisson, 200);
    let behaviour = SimBehaviour {
        down: Some((Ns::from_secs(4), Ns::from_secs(6))),
        fail_every: Some(10),
        ..SimBehaviour::default()
    };
    let config = QueueConfig::exponential(8, Ns::from_millis(10));
    let told = run(plan(vec![phase], Think::None), SimProtocol::new(config).behaving(behaviour), 3);
    let total = told.total();
    assert!(total.classes[crucible_core::ErrorClass::Refused as usize] > 500);
    assert!(!told.finished.errors.is_empty());
    told.assert_conserved();
}

#[test]
fn stopping_drains_and_stopping_twice_aborts() {
    for (stops, aborted) in [(1, false), (2, true)] {
        let phase = closed(20.0, Ns::from_secs(100), None);
        let control = Control::new();
        let sim = Sim::new(1);
        let (clock, handle) = (sim.clock(), control.clone());
        use crucible_core::Clock;
        clock.clone().spawn(async move {
            for number in 0..stops {
                clock.sleep_until(Ns::from_millis(3_050 + number)).await;
                handle.stop(StopReason::Interrupted);
            }
        });
        let config =
            QueueConfig { servers: 64, law: Law::Fixed(Ns::from_millis(500)), stalls: None, seed: 1 };
        let told = simulate(sim, plan(vec![phase], Think::None), SimProtocol::new(config), 2, control);
        let total = told.total();
        assert_eq!(total.of(Outcome::Aborted) > 0, aborted, "{:?}", total.outcomes);
        assert_eq!(told.finished.reason, StopReason::Interrupted);
        assert!(told.finished.at < Ns::from_secs(4), "{}", told.finished.at);
        told.assert_conserved();
    }
}

#[test]
fn phases_follow_each_other_and_users_live_through_them() {
    let phases = [5.0, 10.0, 20.0].map(|users| closed(users, Ns::from_secs(3), None)).to_vec();
    let think = Think::Uniform(Ns::from_millis(50), Ns::from_millis(150));
    let told =
        run(plan(phases, think), SimProtocol::new(QueueConfig::exponential(64, Ns::from_millis(5))), 2);
    let most = |phase| told.windows.iter().filter(|w| w.phase == phase).map(|w| w.users.active).max();
    assert_eq!((most(0), most(1), most(2)), (Some(5), Some(10), Some(20)));
    told.assert_conserved();
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let once = || {
        let phase = open(300.0, Ns::from_secs(5), Spacing::Poisson, 50);
        let told = run(
            plan(vec![phase], Think::None),
            SimProtocol::new(QueueConfig::exponential(2, Ns::from_millis(5))),
            2,
        );
        (told.total().response.encode(), told.finished.at)
    };
    assert_eq!(once(), once());
}
