//! T2: a stall under closed load is shown, with the number of arrivals that it swallowed.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::Ns;
use crucible_testkit::servers::{Behaviour, TruthConfig, TruthServer};
use crucible_testkit::{Law, Stalls};
use serde_json::Value;

pub(super) const CLAIM: Claim =
    Claim { id: "T2", about: "a stall under closed load is shown", needs: Needs::Product, rows };

const USERS: u64 = 4;
const SERVICE: Ns = Ns::from_millis(5);

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let stalls = Stalls { every: Ns::from_secs(5), length: Ns::from_secs(1) };
    let config =
        TruthConfig { stalls: Some(stalls), ..TruthConfig::of(Behaviour::delayed(Law::Fixed(SERVICE))) };
    let server = TruthServer::start(config).map_err(|error| format!("failed to start a server: {error}"))?;
    let length = if settings.fast { 8 } else { 23 };
    let count = USERS.to_string();
    let duration = format!("{length}s");
    let told = settings.product.bench(&[&server.url("/"), "-c", &count, "-d", &duration], None)?;
    let service = told.time("all/service/max_ns")?;
    let response = told.time("all/response/max_ns")?;
    let shown = service > Ns::from_millis(900) && response > Ns::from_millis(900);
    let both = format!("service max {service}, response max {response}");
    let mut rows = vec![Row::new("both times show the stall", both, "1 s in both", shown)];

    // what the users would have done in the stalls, at the pace of the server's own record outside of them
    let record = server.record();
    let median = record.quantile(0.5).ok_or("the server answered nothing")?;
    let in_stalls: f64 = record
        .served
        .iter()
        .filter(|served| served.took() > Ns::from_millis(100))
        .map(|served| served.took().as_secs_f64() / median.as_secs_f64() - 1.0)
        .sum();
    let swallowed = told.json.pointer("/tests/0/swallowed/swallowed_requests").and_then(Value::as_f64);
    let swallowed = swallowed.ok_or("the report does not say what was swallowed")?;
    let measured = format!("{swallowed:.0} swallowed, truth {in_stalls:.0}");
    let holds = (swallowed / in_stalls - 1.0).abs() < 0.1;
    rows.push(Row::new("arrivals that the stalls swallowed", measured, "within 10 %", holds));
    Ok(rows)
}
