//! T12: verdicts on limits: right, decided with as much evidence as they ask for, and asking for about what it takes.
//!
//! Each system's percentile is known in closed form; its limit is set 2 % above or below it. A verdict is asked for after the
//! first minute, and again after as many more seconds as it says that it needs, twice at most. Some of the systems are judged
//! twice over: by the statistics alone, and as a test is, from its windows through the criteria.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings, simulation};
use crucible_analysis::{RunView, Verdict, assess};
use crucible_core::threshold::{Band, Measure, Subject, Threshold};
use crucible_core::{Frame, Histogram, Ns, Outcome, Rng, StepId};
use crucible_engine::describe;
use crucible_record::{RunEvent, Window};
use crucible_schedule::Spacing;
use crucible_stats::processes::{Process, Source};
use crucible_stats::slo::{self, Answer, Count, Tally, judge};

pub(super) const CLAIM: Claim = Claim { id: "T12", about: "verdicts on limits", needs: Needs::Nothing, rows };

/// Seconds before the verdict is first asked for.
const BEGIN: f64 = 60.0;
const DISTANCE: f64 = 1.02;
/// How often more seconds are given when they are asked for.
const REQUESTS: u32 = 2;

struct Case {
    name: &'static str,
    process: Process,
    percentile: f64,
    rate: f64,
    /// Trials on either side of the limit in the full claim.
    trials: u64,
}

const fn case(name: &'static str, process: Process, percentile: f64, rate: f64, trials: u64) -> Case {
    Case { name, process, percentile, rate, trials }
}

const CASES: [Case; 7] = [
    case("exponential, p99", Process::Exponential, 0.99, 1_000.0, 100),
    case("exponential, p50", Process::Exponential, 0.5, 500.0, 100),
    case("log-normal, p95", Process::LogNormal(1.0), 0.95, 1_000.0, 100),
    case("bimodal, p95", Process::Bimodal(0.2), 0.95, 500.0, 100),
    case("M/M/1 at .5, p95", Process::Queue(0.5), 0.95, 1_000.0, 100),
    case("M/M/1 at .8, p90", Process::Queue(0.8), 0.9, 2_000.0, 40),
    case("AR, p95", Process::Wander(0.995), 0.95, 500.0, 100),
];

/// What the trials of a case came to.
#[derive(Default)]
struct Sums {
    made: u64,
    wrong: u64,
    /// Not decided with what was asked for.
    undecided: u64,
    /// Seconds in all that were asked for, where anything was.
    asked: Vec<f64>,
}

/// Cases that are judged as tests too.
const AS_TESTS: [usize; 2] = [0, 6];

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let alone = CASES.iter().map(|case| measure::<Tally>(case, settings));
    let as_tests = AS_TESTS.iter().map(|case| measure::<Test>(&CASES[*case], settings));
    alone.chain(as_tests).collect()
}

/// Who takes in windows and judges them.
trait Judge {
    /// Added to the name of a row.
    const HOW: &str;

    /// Of "the percentile is at most the limit".
    fn new(percentile: f64, limit: Ns) -> Result<Self, Failure>
    where
        Self: Sized;

    /// The next window of a second.
    fn window(&mut self, response: &Histogram, limit: Ns);

    /// The answer, and how many more seconds it asks for.
    fn ask(&self, percentile: f64) -> (Answer, Option<f64>);
}

impl Judge for Tally {
    const HOW: &str = "";

    fn new(_: f64, _: Ns) -> Result<Tally, Failure> {
        Ok(Tally::default())
    }

    fn window(&mut self, response: &Histogram, limit: Ns) {
        self.push(Count::latency(response, limit, 1.0));
    }

    fn ask(&self, percentile: f64) -> (Answer, Option<f64>) {
        let judged = judge(self, 1.0 - percentile, &slo::Settings::default());
        (judged.answer, judged.more.map(|more| more.seconds))
    }
}

/// A test with one threshold, as a record tells of it.
struct Test {
    view: RunView,
    second: u64,
}

impl Judge for Test {
    const HOW: &str = ", as a test";

    fn new(percentile: f64, limit: Ns) -> Result<Test, Failure> {
        let threshold = Threshold {
            subject: Subject::All,
            measure: Measure::Percentile(percentile),
            bands: vec![Band { name: "target".into(), limit: limit.0 as f64 }],
            over: None,
            abort: false,
            after: Ns::ZERO,
            implied: false,
        };
        let length = Ns::from_secs(86_400);
        let mut plan = simulation::plan(vec![simulation::open(1.0, length, Spacing::Poisson, 1)], 1);
        plan.tests[0].thresholds = vec![threshold];
        Ok(Test { view: RunView::new(describe(&plan, &[0])), second: 0 })
    }

    fn window(&mut self, response: &Histogram, _: Ns) {
        let mut frame = Frame::new(0);
        frame.planned = response.count();
        frame.outcomes[Outcome::Ok as usize] = response.count();
        frame.response.merge(response);
        frame.service.merge(response);
        let (from, to) = (Ns::from_secs(self.second), Ns::from_secs(self.second + 1));
        let window = Window { from, to, steps: vec![(StepId(0), frame)], ..Window::default() };
        self.second += 1;
        self.view.apply(&RunEvent::Window(Box::new(window)));
    }

    fn ask(&self, _: f64) -> (Answer, Option<f64>) {
        let assessment = assess(&self.view);
        let Some((_, judgement)) = assessment.all().find(|(_, j)| j.threshold.is_some()) else {
            return (Answer::Inconclusive, None);
        };
        let answer = match judgement.verdict {
            Verdict::Pass => Answer::Pass,
            Verdict::Fail => Answer::Fail,
            _ => Answer::Inconclusive,
        };
        (answer, judgement.more_seconds)
    }
}

fn measure<J: Judge>(case: &Case, settings: &Settings) -> Result<Row, Failure> {
    let truth = case.process.quantile(case.percentile, case.rate).ok_or("there is no closed form")?;
    let trials = if settings.fast { 2 } else { case.trials };
    let (mut sums, mut near) = (Sums::default(), 0_usize);
    for (answer, limit) in [(Answer::Pass, truth * DISTANCE), (Answer::Fail, truth / DISTANCE)] {
        let mut side = Sums::default();
        for seed in 0..trials {
            trial::<J>(case, Ns((limit * 1e9) as u64), answer, seed, &mut side)?;
        }
        let needed = needed(case, limit, if settings.fast { 20 } else { 500 });
        near += side.asked.iter().filter(|asked| (0.5..=2.0).contains(&(**asked / needed))).count();
        sums.made += side.made;
        sums.wrong += side.wrong;
        sums.undecided += side.undecided;
        sums.asked.extend(side.asked);
    }
    let part = |count: u64| count as f64 / sums.made as f64;
    let predicted = near as f64 / sums.asked.len().max(1) as f64;
    let typical = sums.asked.iter().sum::<f64>() / sums.asked.len().max(1) as f64;
    let said = match sums.asked.len() {
        0 => "decided at once".to_owned(),
        // what it takes is known from the scatter between trials, and a few do not tell it
        _ if settings.fast => format!("{typical:.0} s asked for"),
        _ => format!("{typical:.0} s asked for, within 2 x in {:.0} %", 100.0 * predicted),
    };
    let measured = format!(
        "of {}: wrong {:.1} %, undecided {:.1} %; {said}",
        sums.made,
        100.0 * part(sums.wrong),
        100.0 * part(sums.undecided)
    );
    let foreseen = sums.asked.is_empty() || predicted >= 0.80 || settings.fast;
    let holds = part(sums.wrong) <= 0.01 && (part(sums.undecided) <= 0.05 || settings.fast) && foreseen;
    Ok(Row::new(
        format!("{}, 2 % from the limit{}", case.name, J::HOW),
        measured,
        "wrong <= 1 %, undecided <= 5 %",
        holds,
    ))
}

fn trial<J: Judge>(case: &Case, limit: Ns, right: Answer, seed: u64, sums: &mut Sums) -> Result<(), Failure> {
    let mut source = Source::new(case.process, case.rate, 1.0, Rng::new(seed, "limit", limit.0));
    let (mut judge, mut window) = (J::new(case.percentile, limit)?, Histogram::default());
    let mut load = |judge: &mut J, seconds: f64| {
        for _ in 0..seconds as u64 {
            window.clear();
            source.run(1.0, 1.0, |response| window.record(response));
            judge.window(&window, limit);
        }
    };
    load(&mut judge, BEGIN);
    sums.made += 1;
    let (mut answer, mut more) = judge.ask(case.percentile);
    for request in 0..REQUESTS {
        if answer != Answer::Inconclusive {
            break;
        }
        let asked = more.ok_or("an undecided verdict does not say what it needs")?;
        if request == 0 {
            sums.asked.push(BEGIN + asked);
        }
        load(&mut judge, asked);
        (answer, more) = judge.ask(case.percentile);
    }
    sums.undecided += u64::from(answer == Answer::Inconclusive);
    sums.wrong += u64::from(answer != Answer::Inconclusive && answer != right);
    Ok(())
}

/// Seconds that a test needs that knows how the share scatters, from its variance over so many first minutes, and what it is
/// in truth (one-sided errors 0.5 % and 5 %).
fn needed(case: &Case, limit: f64, minutes: u64) -> f64 {
    let shares: Vec<f64> = (0..minutes)
        .map(|seed| {
            let mut source = Source::new(case.process, case.rate, 1.0, Rng::new(seed, "scatter", 0));
            let (mut bad, mut all) = (0.0, 0.0);
            source.run(BEGIN, 1.0, |response| {
                bad += f64::from(response.as_secs_f64() > limit);
                all += 1.0;
            });
            bad / all
        })
        .collect();
    let mean = shares.iter().sum::<f64>() / minutes as f64;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (minutes as f64 - 1.0);
    let (mut low, mut high) = (0.01 * (1.0 - case.percentile), 0.99);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let at = case.process.quantile(1.0 - middle, case.rate).unwrap_or(f64::NAN);
        if at > limit { low = middle } else { high = middle }
    }
    let difference = low - (1.0 - case.percentile);
    variance * BEGIN * ((2.5758 + 1.6449) / difference).powi(2)
}
