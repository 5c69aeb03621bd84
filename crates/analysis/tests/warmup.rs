//! The warm-up is left out of steady figures, of nothing else, and never in silence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Op, Run, of, started, told};
use crucible_analysis::{Assessment, How, Judgement, RunView, Verdict, settled};
use crucible_core::{Ns, Rng, WarmUp};
use crucible_record::*;

/// A test whose load is constant for `seconds` after `ramp`.
fn plan(thresholds: &[&str], warm_up: WarmUp, ramp: u64, seconds: u64) -> RunStarted {
    let mut plan = started(thresholds, &[]);
    plan.tests[0].warm_up = warm_up;
    let constant = Some((Ns::from_secs(ramp), Ns::from_secs(ramp + seconds)));
    plan.phases[0] = PhaseMeta { model: Model::Open, constant, ..plan.phases[0].clone() };
    plan
}

/// A run of operations whose response times are `level` (in ms, by second) with five percent of noise.
fn run(plan: RunStarted, seconds: u64, level: &dyn Fn(u64) -> f64, errors: u64) -> (Run, Assessment) {
    let mut rng = Rng::new(4, "warm-up", 0);
    let mut run = Run::new(plan);
    for second in 0..seconds {
        let took = |rng: &mut Rng| Op::Ok(Ns((level(second) * 1e6 * (0.05 * rng.normal()).exp()) as u64));
        let mut ops: Vec<Op> = (0..100).map(|_| took(&mut rng)).collect();
        if second < errors {
            ops.extend([Op::Fail(503); 50]);
        }
        run.second(ops);
    }
    let assessment = run.done();
    (run, assessment)
}

/// Three times as slow at first, with a time constant of 20 seconds: within 2 % of its level after 92.
fn warming(second: u64) -> f64 {
    10.0 * (1.0 + 2.0 * (-(second as f64) / 20.0).exp())
}

fn first(assessment: &Assessment) -> &Judgement {
    of(assessment, "thresholds")[0]
}

fn how(view: &RunView) -> How {
    let found = settled(view, 0);
    assert_eq!(found.len(), 1);
    found[0].how.clone()
}

#[test]
fn a_warm_up_is_found_left_out_and_told() {
    let plan = plan(&["* p95 ok<=12ms", "* avg ok<=11ms", "* max ok<=12ms"], WarmUp::Auto, 0, 180);
    let (run, assessment) = run(plan, 180, &warming, 0);
    let How::WarmedUp { found, cut, before, after, told: false } = how(&run.view) else {
        panic!("{:?}", how(&run.view))
    };
    let seconds = found.as_secs_f64();
    assert!((83.0..=101.0).contains(&seconds), "{seconds}");
    assert!(cut >= found && cut.as_secs_f64() <= seconds * 1.1 + 1.0, "{cut}");
    assert!(before.unwrap().0 > 2 * after.unwrap().0);
    let judged = of(&assessment, "thresholds");
    let verdicts: Vec<Verdict> = judged.iter().map(|j| j.verdict).collect();
    // an extreme is a fact of the whole test
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Fail]);
    insta::assert_snapshot!(judged[0].warm_up_told(), @"without the warm-up; with it: 23.1ms, fail");
    assert_eq!(judged[2].with_warm_up, None);
}

#[test]
fn an_error_in_the_warm_up_is_an_error() {
    let plan = plan(&["* errors ok<=1%", "* p95 ok<=12ms"], WarmUp::Auto, 0, 180);
    let (_, assessment) = run(plan, 180, &warming, 60);
    let judged = of(&assessment, "thresholds");
    assert_eq!((judged[0].verdict, judged[1].verdict), (Verdict::Fail, Verdict::Pass), "{judged:#?}");
    assert_eq!(judged[0].evidence, 21_000);
}

#[test]
fn the_plan_may_keep_it_or_say_how_long_it_is() {
    let verdict = |warm_up| {
        let (_, assessment) = run(plan(&["* p95 ok<=12ms"], warm_up, 0, 180), 180, &warming, 0);
        let judgement = first(&assessment);
        (judgement.verdict, judgement.evidence, judgement.with_warm_up.is_some())
    };
    assert_eq!(verdict(WarmUp::Keep), (Verdict::Fail, 18_000, false));
    assert_eq!(verdict(WarmUp::First(Ns::from_secs(100))), (Verdict::Pass, 8_000, true));
    // all of it: nothing is left, so the whole is judged and told
    assert_eq!(verdict(WarmUp::First(Ns::from_secs(500))), (Verdict::Fail, 18_000, true));
}

#[test]
fn a_slow_down_is_a_warm_up_too_and_no_pass_hides_it() {
    let slower = |second: u64| if second < 40 { 7.0 } else { 10.0 };
    let (view, assessment) = run(plan(&["* p50 ok<=9.9ms"], WarmUp::Auto, 0, 180), 180, &slower, 0);
    assert!(matches!(how(&view.view), How::WarmedUp { .. }));
    let judgement = first(&assessment);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    assert!((13_500..=14_000).contains(&judgement.evidence), "{judgement:#?}");
    assert!(judgement.with_warm_up.is_some_and(|with| with.verdict != Verdict::Fail), "{judgement:#?}");
    insta::assert_snapshot!(judgement.warm_up_told(), @"without the warm-up; with it: 9.80ms, inconclusive");
}

#[test]
fn a_ramp_is_cut_with_the_warm_up_after_it() {
    let (view, _) = run(plan(&[], WarmUp::Auto, 30, 180), 210, &|s| warming(s.saturating_sub(30)), 0);
    let How::WarmedUp { found, .. } = how(&view.view) else { panic!("{:?}", how(&view.view)) };
    assert!((113.0..=131.0).contains(&found.as_secs_f64()), "{found}");
}

#[test]
fn what_is_steady_short_or_never_steady_is_judged_whole() {
    let check = |seconds: u64, level: &dyn Fn(u64) -> f64, expected: &dyn Fn(&How) -> bool| {
        let (run, assessment) = run(plan(&["* p95 ok<=100ms"], WarmUp::Auto, 0, seconds), seconds, level, 0);
        assert!(expected(&how(&run.view)), "{:?}", how(&run.view));
        let judgement = first(&assessment);
        assert_eq!((judgement.evidence, judgement.with_warm_up), (seconds * 100, None));
        assert_eq!(judgement.verdict, Verdict::Pass);
    };
    check(180, &|_| 10.0, &|how| *how == How::Steady);
    check(15, &warming, &|how| *how == How::TooShort);
    check(180, &|second| 10.0 + second as f64 / 10.0, &|how| matches!(how, How::Unsteady(_)));
}

#[test]
fn too_little_left_does_not_take_a_pass_away() {
    // 20 operations a second of which the whole shows p99 and the rest does not
    let mut rng = Rng::new(4, "little", 0);
    let mut run = Run::new(plan(&["* p99 ok<=50ms"], WarmUp::First(Ns::from_secs(20)), 0, 30));
    for _ in 0..30 {
        run.second((0..20).map(|_| Op::Ok(Ns((1e7 * (0.05 * rng.normal()).exp()) as u64))));
    }
    let assessment = run.done();
    let judgement = first(&assessment);
    assert_eq!((judgement.verdict, judgement.evidence), (Verdict::Pass, 600), "{}", told(judgement));
    assert_eq!(judgement.warm_up_told(), "with the warm-up, as too little is left without it");
}

#[test]
fn bursts_of_a_busy_machine_do_not_hide_a_warm_up() {
    // two seconds of each eleven take several times as long, in no order
    let burst = |second: u64| match second.wrapping_mul(2_654_435_761) % 11 {
        0 => 5.0,
        1 => 3.0,
        _ => 1.0,
    };
    let (run, _) = run(plan(&[], WarmUp::Auto, 0, 240), 240, &|second| warming(second) * burst(second), 0);
    let How::WarmedUp { found, .. } = how(&run.view) else { panic!("{:?}", how(&run.view)) };
    // within a fifth of the truth: logarithms fade a little later
    assert!((74.0..=110.0).contains(&found.as_secs_f64()), "{found}");
}
