//! The `crucible` binary: the only crate that prints, reads the environment, decides the exit code, and names
//! concrete plug-ins.

#![allow(unreachable_pub, reason = "in a binary, pub marks what other modules use")]

mod args;
mod catalogue;
mod commands;
mod composite;
mod conduct;
mod conductor;
mod exit;
mod grounds;
mod kept;
mod live;
mod origin;
mod out;
mod plans;
mod requests;
mod stop;
mod stores;
mod watch;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A proving-ground system of several processes starts this binary again for each of them.
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(part) = crucible_ground::run_part(&words) {
        return match part {
            Ok(()) => ExitCode::from(exit::PASS),
            Err(why) => {
                out::note(&format!("error: failed to run the part: {why}"));
                ExitCode::from(exit::INTERNAL)
            }
        };
    }
    let result = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args),
        Command::Bench(args) => commands::bench::run(&args),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Capacity(args) => commands::capacity::run(&args),
        Command::Limits(args) => commands::limits::run(&args),
        Command::Plan(command) => commands::plan::run(&command),
        Command::Report(args) => commands::report::run(&args),
        Command::Runs(command) => commands::runs::run(&command),
        Command::Ground(args) => commands::ground::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let prefix = if error.text.starts_with("error") || error.text.starts_with("warning") {
                ""
            } else {
                "error: "
            };
            out::note(&format!("{prefix}{}", error.text));
            ExitCode::from(error.code)
        }
    }
}
