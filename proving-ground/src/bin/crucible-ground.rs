//! The proving ground as a program of its own: for the tests of this crate, and for whoever wants a system without
//! the tool. `crucible-ground NAME [--port N] [--data FOLDER] [--truth KEY=VALUE]...`; tells about itself in one
//! line of JSON.

use crucible_ground::{Announcement, GroundOptions, find, run_part};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = run_part(&arguments).unwrap_or_else(|| run(&arguments));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tell_failure(&why);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let mut words = arguments.iter().skip(1);
    let name = words.next().ok_or("name a system")?;
    let system = find(name).ok_or_else(|| format!("there is no system {name:?}"))?;
    let mut options = GroundOptions {
        port: 0,
        data: None,
        truth: Vec::new(),
        with: Vec::new(),
        announce: Box::new(announce),
    };
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => options.port = value.parse().map_err(|_| format!("{value:?} is not a port"))?,
            "--data" => options.data = Some(PathBuf::from(value)),
            "--truth" => options.truth.push(value.clone()),
            _ => return Err(format!("{flag} is not known")),
        }
    }
    system.run(options)
}

#[expect(clippy::print_stdout, reason = "this is a program")]
fn announce(announcement: &Announcement) {
    let parts: serde_json::Map<String, serde_json::Value> =
        announcement.parts.iter().map(|(name, pid)| (name.clone(), (*pid).into())).collect();
    println!(
        "{}",
        serde_json::json!({"system": announcement.system, "address": announcement.address, "url": announcement.url,
            "pid": announcement.pid, "parts": parts, "data": announcement.data, "truth": announcement.truth})
    );
}

#[expect(clippy::print_stderr, reason = "this is a program")]
fn tell_failure(why: &str) {
    eprintln!("error: {why}");
}
