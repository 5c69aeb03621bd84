//! What a script costs: reading JSON, saving a value, checking it and sending it back, beside plain GETs of the same
//! answers, in turns. Both are plans run by the product; the target answers every request at once.

use super::{Settings, median};
use crate::truth::product::Product;
use crate::{Failure, root};
use crucible_testkit::servers::NullServer;

const USERS: u64 = 64;
/// Most CPU for 1,000 requests of the script, against plain ones.
const AIM: f64 = 1.6;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 186\r\n\r\n\
{\"id\":184467,\"status\":\"queued\",\"owner\":{\"name\":\"anna\",\"roles\":[\"author\",\"reader\"]},\
\"tags\":[\"a\",\"b\",\"c\"],\"created\":\"2026-01-01T00:00:00Z\",\"size\":1024.5,\"ok\":true,\"next\":null,\"note\":\"\"}   ";

const PLAIN: &str = "
    - {get: /items/1, check: {status: 200}}
    - {get: /items/2, check: {status: 200}}
";
const SCRIPTED: &str = "
    - {get: /items/1, check: {status: 200, json.ok: true}, save: {id: json.id, state: json.status}}
    - post: \"/items/${id}\"
      json: {id: \"${id}\", status: \"was ${state}\", n: \"${random(1, 100)}\"}
      check: {status: 200}
";

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let server =
        NullServer::answering(1, ANSWER).map_err(|error| format!("failed to start a server: {error}"))?;
    let product = Product::new(root());
    let mut turns: [Vec<f64>; 2] = Default::default();
    for round in 0..settings.rounds {
        for (index, (name, steps)) in [("plain", PLAIN), ("scripted", SCRIPTED)].iter().enumerate() {
            eprint!("\rround {}: {name:10}", round + 1);
            let (target, seconds) = (server.url(), settings.seconds);
            let plan = format!(
                "name: {name}\ntarget: {target}\nscenarios:\n  user:\n    steps:{}\ntests:\n  load: {{vus: {USERS}, hold: {seconds}s}}\n",
                steps.replace("\n    ", "\n      ")
            );
            let told = product.plan(&format!("bench-{name}"), &plan)?;
            let requests = told.figure("all/ended")?;
            if told.figure("all/outcomes/ok")? < requests {
                return Err(format!("not all requests of {name} were ok: {}", told.ended.stderr.trim()));
            }
            turns[index].push(told.ended.cpu.as_secs_f64() / requests * 1000.0);
        }
    }
    eprint!("\r{:40}\r", "");
    let [plain, scripted] = turns.map(median);
    println!(
        "{USERS} users, medians of {} turns of {} s, CPU s for 1,000 requests",
        settings.rounds, settings.seconds
    );
    println!(
        "plain GET   {plain:.5}\nscripted    {scripted:.5}\nratio       {:.2} (aim: at most {AIM})",
        scripted / plain
    );
    Ok(())
}
