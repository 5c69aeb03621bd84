//! `cargo xtask truth`: every claim about our own numbers against known truth, as one table.
//!
//! A claim is one file in `claims/` and one row in its table. It makes its own servers or simulations, measures
//! through the product (the release binary with `--json`) or the real engine in virtual time, and gives rows.

mod claims;
pub(crate) mod product;
mod simulation;
pub(crate) mod table;
mod why;

use crate::{Failure, flag, machine, root};
use claims::CLAIMS;
use product::Product;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use table::Row;

/// What a claim may use.
struct Settings {
    /// The fast subset: shorter runs, fewer settings.
    fast: bool,
    /// The binary under test.
    product: Product,
}

/// What a claim wants beside a CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// The binary, and the machine for itself.
    Product,
    /// The machine for itself.
    Quiet,
    /// Nothing: it simulates, and others may do so beside it.
    Nothing,
}

/// One claim.
struct Claim {
    /// As in `T1`.
    id: &'static str,
    /// One line.
    about: &'static str,
    /// What it wants beside a CPU.
    needs: Needs,
    /// Measures it. An error is something that kept it from being measured.
    rows: fn(&Settings) -> Result<Vec<Row>, Failure>,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if flag(arguments, "--list") {
        CLAIMS.iter().for_each(|claim| println!("{:4}{}", claim.id, claim.about));
        return Ok(());
    }
    if cfg!(debug_assertions) && !flag(arguments, "--here") {
        return optimised(arguments);
    }
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) =
        named.iter().find(|name| !CLAIMS.iter().any(|claim| claim.id.eq_ignore_ascii_case(name)))
    {
        return Err(format!("no claim {unknown}; `cargo xtask truth --list` shows them"));
    }
    let chosen: Vec<&Claim> = CLAIMS
        .iter()
        .filter(|claim| named.is_empty() || named.iter().any(|name| claim.id.eq_ignore_ascii_case(name)))
        .collect();
    if chosen.iter().any(|claim| claim.needs == Needs::Product) && !flag(arguments, "--no-build") {
        build()?;
    }
    let settings = Settings { fast: flag(arguments, "--fast"), product: Product::new(root()) };
    let (together, alone): (Vec<&Claim>, Vec<&Claim>) =
        chosen.into_iter().partition(|claim| claim.needs == Needs::Nothing);
    let mut rows: Vec<(&str, Row)> = alone.into_iter().flat_map(|claim| measure(claim, &settings)).collect();
    rows.extend(side_by_side(&together, &settings));
    rows.sort_by_key(|(id, _)| id.trim_start_matches('T').parse::<u32>().unwrap_or(u32::MAX));
    print!("{}", table::render(&rows));
    let mut open: Vec<&str> = rows.iter().filter(|(_, row)| !row.holds).map(|(id, _)| *id).collect();
    let failed = open.len();
    open.dedup();
    for (id, why) in open.iter().filter_map(|id| Some((id, why::why(id)?))) {
        println!("{}", table::beside(id, why));
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} do not hold", rows.len())) }
}

fn measure<'c>(claim: &'c Claim, settings: &Settings) -> Vec<(&'c str, Row)> {
    let began = machine::now();
    eprintln!("{}: {} ...", claim.id, claim.about);
    let found = match catch_unwind(AssertUnwindSafe(|| (claim.rows)(settings))) {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => vec![Row::new(claim.about, why, "measured", false)],
        Err(_) => vec![Row::new(claim.about, "it panicked, see above", "measured", false)],
    };
    eprintln!("{}", table::ended(claim.id, &found, began.elapsed().as_secs_f64()));
    found.into_iter().map(|row| (claim.id, row)).collect()
}

/// Simulations share the CPUs: each takes the next claim when it is done with one.
fn side_by_side<'c>(claims: &[&'c Claim], settings: &Settings) -> Vec<(&'c str, Row)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = Vec::new();
        while let Some(claim) = claims.get(next.fetch_add(1, Ordering::Relaxed)) {
            rows.extend(measure(claim, settings));
        }
        rows
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..machine::cpus().min(claims.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// Does the same in a release build of this tool: its servers and simulations are to be fast and precise.
fn optimised(arguments: &[String]) -> Result<(), Failure> {
    let status = Command::new("cargo")
        .current_dir(root())
        .args(["run", "--release", "--quiet", "--package", "xtask", "--", "truth"])
        .args(arguments)
        .status()
        .map_err(|error| format!("failed to run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(String::new()) }
}

/// Builds the binary under test.
pub(crate) fn build() -> Result<(), Failure> {
    let status = Command::new("cargo")
        .current_dir(root())
        .args(["build", "--release", "--quiet", "--package", "crucible-cli"])
        .status()
        .map_err(|error| format!("failed to run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("failed to build the binary".into()) }
}
