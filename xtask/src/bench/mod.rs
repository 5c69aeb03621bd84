//! `cargo xtask bench peers|open|scripted|sockets`: beside other load generators, or beside itself, on the same machine and target, in turns.

mod nginx;
mod open;
mod peers;
mod scripted;
mod sockets;
mod tools;

use crate::machine::on_path;
use crate::{Failure, flag, root};
use std::path::PathBuf;
use std::process::Command;

/// What the benches share.
struct Settings {
    /// Turns that each tool gets; medians are taken over them.
    rounds: usize,
    /// Length of one turn.
    seconds: u64,
    /// Where the target listens.
    url: String,
    /// The CPU that clients are kept on.
    client_cpu: usize,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if arguments.first().is_some_and(|name| name == "sockets") {
        return sockets::run(arguments);
    }
    let bench = match arguments.first().map(String::as_str) {
        Some("peers") => peers::run,
        Some("open") => open::run,
        Some("scripted") => scripted::run,
        _ => {
            return Err(
                "usage: cargo xtask bench peers|open|scripted|sockets [--rounds N] [--seconds N] [--no-oha] [--no-build]"
                    .into(),
            );
        }
    };
    let alone = arguments.first().is_some_and(|name| name == "scripted");
    if !alone {
        install(flag(arguments, "--no-oha"))?;
    }
    if !flag(arguments, "--no-build") {
        crate::truth::build()?;
    }
    let client_cpu = crate::machine::cpus() - 1;
    if client_cpu == 0 {
        eprintln!("note: one CPU only: client and server share it");
    }
    let server = match alone {
        true => None,
        false => Some(nginx::Nginx::start(&root().join("target/peers/nginx"))?),
    };
    bench(&Settings {
        rounds: crate::option(arguments, "--rounds", 3)?,
        seconds: crate::option(arguments, "--seconds", 5)?,
        url: server.as_ref().map(nginx::Nginx::url).unwrap_or_default(),
        client_cpu,
    })
}

/// Where tools are installed that the system does not have.
fn folder() -> PathBuf {
    root().join("target/peers")
}

/// Gets what is missing: Debian's packages, and oha from crates.io.
fn install(without_oha: bool) -> Result<(), Failure> {
    let wanted = [("wrk", "wrk"), ("h2load", "nghttp2-client"), ("hey", "hey"), ("nginx", "nginx-light")];
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        eprintln!("installing {} ...", missing.join(", "));
        let script = format!(
            "apt-get update -qq && apt-get install -y -qq --no-install-recommends {}",
            missing.join(" ")
        );
        let done = Command::new("sh").args(["-c", &script]).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("note: could not install {}; going on without", missing.join(", "));
        }
    }
    if !on_path("nginx") {
        return Err("nginx is needed as the target: install it and try again".into());
    }
    if !without_oha && !on_path("oha") && !folder().join("bin/oha").exists() {
        eprintln!("installing oha (a few minutes; --no-oha goes without) ...");
        let done = Command::new("cargo")
            .args(["install", "--quiet", "--locked", "oha", "--root"])
            .arg(folder())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("note: could not install oha; going on without");
        }
    }
    Ok(())
}

/// The middle of the values; NaN without any.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
