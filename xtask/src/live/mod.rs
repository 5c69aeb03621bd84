//! `cargo xtask live`: what the judging commands say of real systems over real sockets, as one table.
//!
//! Beside `truth`, which holds the statistics against simulated systems, this holds the whole binary against running ones
//! whose figures are known: the proving ground with its switches, and servers that others wrote. It takes minutes and wants
//! a quiet machine, so it is run by hand. A claim is one file in `claims/` and one row in its table.

mod claims;
mod foreign;
mod ground;

use crate::truth::product::Product;
use crate::truth::table::{self, Row};
use crate::{Failure, flag, machine, option, root, truth};
use claims::CLAIMS;

/// What a claim may use.
struct Settings {
    /// How often a claim is tried, if not as often as its goal says.
    tries: Option<usize>,
    /// The binary under test.
    product: Product,
}

/// One claim.
struct Claim {
    /// One word.
    name: &'static str,
    /// One line.
    about: &'static str,
    /// Measures it. An error is something that kept it from being measured.
    rows: fn(&Settings) -> Result<Vec<Row>, Failure>,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if flag(arguments, "--list") {
        CLAIMS.iter().for_each(|claim| println!("{:16}{}", claim.name, claim.about));
        return Ok(());
    }
    let tries = match option(arguments, "--tries", 0)? {
        0 => None,
        tries => Some(tries),
    };
    let values = ["--tries"];
    let named: Vec<&String> = arguments
        .iter()
        .enumerate()
        .filter(|(at, word)| {
            let value = *at > 0 && values.contains(&arguments[at - 1].as_str());
            !value && !word.starts_with("--")
        })
        .map(|(_, word)| word)
        .collect();
    if let Some(unknown) = named.iter().find(|name| !CLAIMS.iter().any(|claim| claim.name == name.as_str())) {
        return Err(format!("no claim {unknown}; `cargo xtask live --list` shows them"));
    }
    if !flag(arguments, "--no-build") {
        truth::build()?;
    }
    let settings = Settings { tries, product: Product::new(root()) };
    let mut rows = Vec::new();
    for claim in
        CLAIMS.iter().filter(|claim| named.is_empty() || named.iter().any(|name| *name == claim.name))
    {
        let began = machine::now();
        eprintln!("{}: {} ...", claim.name, claim.about);
        let found =
            (claim.rows)(&settings).unwrap_or_else(|why| vec![Row::new(claim.name, why, "measured", false)]);
        eprintln!("{}", table::ended(claim.name, &found, began.elapsed().as_secs_f64()));
        rows.extend(found);
    }
    let shown: Vec<(&str, Row)> = rows.into_iter().map(|row| ("", row)).collect();
    print!("{}", table::render(&shown));
    let failed = shown.iter().filter(|(_, row)| !row.holds).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} do not hold", shown.len())) }
}
