//! Development tasks: `cargo xtask TASK`. One file a task and one row in [`TASKS`].

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a development tool talks to the developer's terminal"
)]

mod bench;
mod ci;
mod live;
mod machine;
mod serve;
mod tidy;
mod truth;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a task could not be done, or what it found: printed as it is.
type Failure = String;

struct Task {
    name: &'static str,
    about: &'static str,
    /// Flags that it knows.
    flags: &'static [&'static str],
    run: fn(&[String]) -> Result<(), Failure>,
}

const TASKS: &[Task] = &[
    Task {
        name: "ci",
        about: "the one gate, cheapest check first; --quick: without tests",
        flags: &["--quick"],
        run: ci::run,
    },
    Task {
        name: "tidy",
        about: "the laws of the house: edges, slices, sizes, words; --list",
        flags: &["--list"],
        run: tidy::run,
    },
    Task {
        name: "truth",
        about: "our numbers against known truth; --fast, --list, --no-build, or the names of claims",
        flags: &["--fast", "--list", "--here", "--no-build"],
        run: truth::run,
    },
    Task {
        name: "live",
        about: "the judging commands against real systems; --tries N, --list, --no-build, or the names of claims",
        flags: &["--tries", "--list", "--no-build"],
        run: live::run,
    },
    Task {
        name: "bench",
        about: "peers | open | scripted | sockets: beside other load generators; --rounds N, --seconds N, --no-oha",
        flags: &["--rounds", "--seconds", "--rate", "--connections", "--no-oha", "--no-locust", "--no-build"],
        run: bench::run,
    },
    Task {
        name: "serve",
        about: "null | truth: a server of the testkit, for measurements by hand; --threads N, --delay 5ms",
        flags: &["--threads", "--delay"],
        run: serve::run,
    },
];

/// What a task is given must be known before it begins: some of them take an hour.
fn unknown<'a>(task: &Task, arguments: &'a [String]) -> Option<&'a String> {
    arguments.iter().find(|word| word.starts_with('-') && !task.flags.contains(&word.as_str()))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(task) = arguments.first().and_then(|name| TASKS.iter().find(|task| task.name == name)) else {
        eprintln!("usage: cargo xtask TASK");
        for task in TASKS {
            eprintln!("  {:8} {}", task.name, task.about);
        }
        return ExitCode::from(2);
    };
    if let Some(word) = unknown(task, &arguments[1..]) {
        let help = matches!(word.as_str(), "--help" | "-h");
        if !help {
            eprintln!("cargo xtask {}: there is no {word}", task.name);
        }
        eprintln!("usage: cargo xtask {}: {}", task.name, task.about);
        return if help { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    match (task.run)(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // what a child process has said already is not said again
            if !failure.is_empty() {
                eprintln!("{failure}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Whether a flag was given.
fn flag(arguments: &[String], name: &str) -> bool {
    arguments.iter().any(|argument| argument == name)
}

/// The value behind a flag, or a default.
fn option<T: std::str::FromStr>(arguments: &[String], name: &str, default: T) -> Result<T, Failure> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(default) };
    let value = arguments.get(at + 1).ok_or_else(|| format!("{name} needs a value"))?;
    value.parse().map_err(|_| format!("{name} {value}: this is not a number"))
}
