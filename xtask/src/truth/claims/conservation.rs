//! T7: planned = the sum of the outcomes, in every window, whatever happens.

use crate::Failure;
use crate::machine;
use crate::truth::product::Told;
use crate::truth::simulation;
use crate::truth::table::{Row, settle};
use crate::truth::{Claim, Needs, Settings};
use crucible_core::{Ns, Outcome};
use crucible_engine::Control;
use crucible_record::{RunEvent, StopReason, Window};
use crucible_schedule::Spacing;
use crucible_testkit::Law;
use crucible_testkit::servers::{Answer, Behaviour, TruthConfig, TruthServer};
use crucible_testkit::sim::{QueueConfig, SimBehaviour, SimProtocol};
use serde_json::Value;
use std::time::Duration;

pub(super) const CLAIM: Claim =
    Claim { id: "T7", about: "counts are conserved", needs: Needs::Product, rows };

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let usual = SimBehaviour::default();
    let gone = SimBehaviour { down: Some((Ns::from_millis(3_300), Ns::from_millis(5_700))), ..usual };
    let hasty = SimBehaviour { limit: Ns::from_millis(15), ..usual };
    let failing = SimBehaviour { fail_every: Some(7), ..usual };
    let cases = [
        ("simulated: all is well", usual, None),
        ("simulated: killed for 2.4 s", gone, None),
        ("simulated: timeouts", hasty, None),
        ("simulated: failures", failing, None),
        ("simulated: too slow, arrivals dropped", SimBehaviour { limit: Ns::from_secs(60), ..usual }, None),
        ("simulated: slow and aborted", usual, Some(Ns::from_secs(4))),
    ];
    let mut rows = Vec::new();
    for (name, behaviour, abort_at) in cases {
        let slow = if name.contains("slow") { 60 } else { 10 };
        rows.push(settle(name, simulated(name, behaviour, slow, abort_at)));
    }
    type Real = fn(&Settings) -> Result<Row, Failure>;
    let real: [(&str, Real); 5] = [
        ("server killed in the middle", killed),
        ("connections refused", refused),
        ("every connection reset", reset),
        ("no answer ever, 500 ms limit", timed_out),
        ("interrupted twice", interrupted),
    ];
    rows.extend(real.iter().map(|(claim, measure)| settle(claim, measure(settings))));
    Ok(rows)
}

/// Checks windows as they come.
#[derive(Default)]
struct Ledger {
    windows: u64,
    broken: u64,
    in_flight: u64,
    iterations_in_flight: u64,
    planned: u64,
    outcomes: [u64; 6],
}

impl Ledger {
    fn window(&mut self, window: &Window) {
        self.windows += 1;
        let planned: u64 = window.steps.iter().map(|(_, frame)| frame.planned).sum();
        let ended: u64 = window.steps.iter().map(|(_, frame)| frame.ended()).sum();
        let begun: u64 = window.iterations.iter().map(|(_, frame)| frame.planned).sum();
        let done: u64 = window.iterations.iter().map(|(_, frame)| frame.ended()).sum();
        let steps = self.in_flight + planned == ended + window.in_flight;
        let iterations = self.iterations_in_flight + begun == done + window.iterations_in_flight;
        self.broken += u64::from(!(steps && iterations));
        self.in_flight = window.in_flight;
        self.iterations_in_flight = window.iterations_in_flight;
        self.planned += planned;
        for (_, frame) in &window.steps {
            for (sum, count) in self.outcomes.iter_mut().zip(frame.outcomes) {
                *sum += count;
            }
        }
    }
}

fn simulated(
    name: &str,
    behaviour: SimBehaviour,
    mean_ms: u64,
    abort_at: Option<Ns>,
) -> Result<Row, Failure> {
    let station = QueueConfig::exponential(8, Ns::from_millis(mean_ms));
    let protocol = SimProtocol::new(station).behaving(behaviour);
    let open = simulation::open(500.0, Ns::from_secs(8), Spacing::Poisson, 300);
    let plan = simulation::plan(vec![open, simulation::closed(20.0, Ns::from_secs(4))], 3);
    let control = Control::new();
    let mut ledger = Ledger::default();
    let abort = |now: Ns| {
        if abort_at.is_some_and(|at| now >= at) {
            control.abort(StopReason::Interrupted);
        }
    };
    simulation::run(plan, &protocol, 3, &control, abort, &mut |event| {
        if let RunEvent::Window(window) = event {
            ledger.window(&window);
        }
    })?;
    let sum: u64 = ledger.outcomes.iter().sum();
    let seen: Vec<String> = Outcome::ALL
        .iter()
        .zip(ledger.outcomes)
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{count} {}", outcome.name()))
        .collect();
    let measured = format!(
        "{} = {}; {} of {} windows broken",
        ledger.planned,
        seen.join(" + "),
        ledger.broken,
        ledger.windows
    );
    let holds = ledger.broken == 0 && sum == ledger.planned && ledger.in_flight == 0 && ledger.planned > 0;
    Ok(Row::new(name, measured, "in every window", holds))
}

fn row(claim: &str, told: &Told, least: &str) -> Row {
    let planned = told.number("all/planned").unwrap_or(0.0) as u64;
    let sum = told.outcomes();
    let conserved = told.json.pointer("/run/conserved").and_then(Value::as_bool).unwrap_or(false);
    let of_kind = told.number(&format!("all/outcomes/{least}")).unwrap_or(0.0);
    let measured = format!("{planned} planned, {sum} ended, {of_kind} {least}, {}", told.verdict());
    let holds = planned > 0 && planned == sum && conserved && of_kind > 0.0 && told.verdict() != "pass";
    Row::new(claim, measured, format!("equal, some {least}, no pass"), holds)
}

fn server(answer: Answer) -> Result<TruthServer, Failure> {
    let law = Law::Fixed(Ns::from_millis(20));
    TruthServer::start(TruthConfig::of(Behaviour { law, answer }))
        .map_err(|error| format!("failed to start a server: {error}"))
}

fn killed(settings: &Settings) -> Result<Row, Failure> {
    let server = server(Answer::Status(200))?;
    let url = server.url("/");
    let killer = std::thread::spawn(move || {
        machine::sleep(Duration::from_millis(1500));
        drop(server);
    });
    let told = settings.product.bench(&[&url, "-r", "500", "-d", "4s", "-c", "64"], None);
    let _ = killer.join();
    Ok(row("server killed in the middle", &told?, "failed"))
}

fn refused(settings: &Settings) -> Result<Row, Failure> {
    let url = server(Answer::Status(200))?.url("/");
    let told = settings.product.bench(&[&url, "-r", "200", "-d", "2s", "-c", "16"], None)?;
    Ok(row("connections refused", &told, "failed"))
}

fn reset(settings: &Settings) -> Result<Row, Failure> {
    let server = server(Answer::Reset)?;
    let told = settings.product.bench(&[&server.url("/"), "-r", "200", "-d", "2s", "-c", "16"], None)?;
    Ok(row("every connection reset", &told, "failed"))
}

fn timed_out(settings: &Settings) -> Result<Row, Failure> {
    let server = server(Answer::Never)?;
    let told = settings
        .product
        .bench(&[&server.url("/"), "-r", "100", "-d", "3s", "-c", "200", "-t", "500ms"], None)?;
    Ok(row("no answer ever, 500 ms limit", &told, "timed_out"))
}

/// Interrupted twice: the second time cuts off what is under way.
fn interrupted(settings: &Settings) -> Result<Row, Failure> {
    let server = server(Answer::Never)?;
    let url = server.url("/");
    let mut command = settings
        .product
        .command(&["bench", &url, "-r", "100", "-d", "20s", "-c", "500", "--json", "--quiet"]);
    let mut child = machine::start(&mut command, None)?;
    for wait in [1500, 500] {
        machine::sleep(Duration::from_millis(wait));
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    }
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        let _ = std::io::Read::read_to_string(&mut stdout, &mut text);
    }
    let code = child.wait().map_err(|error| error.to_string())?.code().unwrap_or(-1);
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let number = |path: &str| {
        json.pointer(&format!("/tests/0/totals/all/{path}")).and_then(Value::as_u64).unwrap_or(0)
    };
    let all = json.pointer("/tests/0/totals/all/outcomes").and_then(Value::as_object);
    let sum: u64 = all.map_or(0, |all| all.values().filter_map(Value::as_u64).sum());
    let (planned, aborted) = (number("planned"), number("outcomes/aborted"));
    let measured = format!("{planned} planned, {sum} ended, {aborted} aborted, exit {code}");
    let holds = planned > 0 && planned == sum && aborted > 0 && code == 130;
    Ok(Row::new("interrupted twice", measured, "equal, exit 130", holds))
}
