//! T5: a run whose generator was the bottleneck is invalid and says so.

use crate::Failure;
use crate::machine;
use crate::truth::product::Told;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_testkit::servers::NullServer;
use std::process::{Child, Command};

pub(super) const CLAIM: Claim =
    Claim { id: "T5", about: "a starved generator is invalid", needs: Needs::Product, rows };

const INVALID: i32 = 97;

/// Processes that do nothing but use one CPU; ended when dropped.
struct Hogs(Vec<Child>);

impl Hogs {
    fn start(count: usize, cpu: usize) -> Result<Hogs, Failure> {
        let mut hogs = Hogs(Vec::new());
        for _ in 0..count {
            hogs.0.push(machine::start(Command::new("sh").args(["-c", "while :; do :; done"]), Some(cpu))?);
        }
        Ok(hogs)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            // it may have ended already
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let server = NullServer::start(1).map_err(|error| format!("failed to start a server: {error}"))?;
    let url = server.url();
    let cpu = machine::cpus() - 1;
    let hogged = {
        let _hogs = Hogs::start(4, cpu)?;
        settings.product.bench(&[&url, "-r", "2000", "-d", "4s", "-c", "64", "--shards", "1"], Some(cpu))?
    };
    let most = settings.product.bench(&[&url, "-c", "16", "-d", "2s", "--shards", "1"], Some(cpu))?;
    let most = most.figure("all/requests_per_second")?;
    let rate = format!("{:.0}", most * 10.0);
    let asked =
        settings.product.bench(&[&url, "-r", &rate, "-d", "3s", "-c", "64", "--shards", "1"], Some(cpu))?;
    let quiet = settings.product.bench(&[&url, "-r", "200", "-d", "3s", "-c", "16"], None)?;
    Ok(vec![
        row("4 busy processes on its only core", &hogged, true),
        row(&format!("asked for {rate}/s, can do {most:.0}/s"), &asked, true),
        row("control: 200/s, nothing in its way", &quiet, false),
    ])
}

fn row(claim: &str, told: &Told, starved: bool) -> Row {
    let lag = told.time("generator/lag/p99_ns").map_or_else(|_| "?".to_owned(), |lag| lag.to_string());
    let measured = format!("{}, exit {}, lag p99 {lag}", told.verdict(), told.ended.code);
    let goal = if starved { "invalid, exit 97" } else { "not invalid" };
    Row::new(claim, measured, goal, (told.ended.code == INVALID && told.verdict() == "invalid") == starved)
}
