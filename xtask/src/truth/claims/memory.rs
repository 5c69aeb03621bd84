//! T8: memory does not grow with the run.

use crate::Failure;
use crate::machine;
use crate::truth::simulation;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::{Ns, units};
use crucible_engine::Control;
use crucible_record::RunEvent;
use crucible_schedule::Spacing;
use crucible_testkit::sim::{QueueConfig, SimProtocol};

pub(super) const CLAIM: Claim =
    Claim { id: "T8", about: "constant memory over a simulated day", needs: Needs::Quiet, rows };

const RATE: f64 = 30_000.0;
const LIMIT: u64 = 1 << 20;

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let length = if settings.fast { Ns::from_secs(180) } else { Ns::from_secs(86_400) };
    let protocol = SimProtocol::new(QueueConfig::exponential(400, Ns::from_millis(10)));
    let plan = simulation::plan(vec![simulation::open(RATE, length, Spacing::Even, 2_000)], 1);
    let (mut first_minute, mut most) = (0, 0);
    let mut operations = 0;
    let began = machine::now();
    let at = |now: Ns| {
        let resident = machine::resident();
        if now <= Ns::from_secs(60) {
            first_minute = resident;
        }
        most = resident.max(most);
        if now.0.is_multiple_of(Ns::from_secs(3600).0) {
            eprintln!("T8: {} simulated, {:.0} s", now, began.elapsed().as_secs_f64());
        }
    };
    simulation::run(plan, &protocol, 1, &Control::new(), at, &mut |event| {
        if let RunEvent::Window(window) = event {
            operations += window.steps.iter().map(|(_, frame)| frame.ended()).sum::<u64>();
        }
    })?;
    let grown = most.saturating_sub(first_minute);
    let measured = format!(
        "+{} after the first minute, {} operations, {:.0} ns each",
        units::show_bytes(grown as f64),
        units::group(operations as i64),
        began.elapsed().as_nanos() as f64 / operations as f64
    );
    let asked = (RATE * length.as_secs_f64()) as u64;
    let claim = format!("{} at 30,000/s, simulated", length);
    Ok(vec![Row::new(claim, measured, "< 1 MiB", grown < LIMIT && operations == asked)])
}
