//! `crucible demo`: a proving-ground system as a child process, its suite's plan against it, the verdict.

use super::tell;
use crate::args::DemoArgs;
use crate::conduct::{Conduct, conduct};
use crate::exit::CliError;
use crate::live::Live;
use crate::plans::{self, PlanOverrides};
use crate::{out, stores};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

const SYSTEM: &str = "stories";
const PLAN: &str = include_str!("../../../../suites/stories/plan.yaml");

/// Starts the system, runs the plan, ends the system.
pub fn run(args: &DemoArgs) -> Result<u8, CliError> {
    let store = stores::open(args.store.store.as_deref())?;
    let (child, url) = start()?;
    out::note(&format!("started the proving ground's `{SYSTEM}` at {url}, process {}", child.0.id()));
    let overrides = PlanOverrides { target: Some(url), ..PlanOverrides::default() };
    let plan = plans::read(PLAN, "suites/stories/plan.yaml", ".".into(), &overrides)?;
    let tests = plans::choose(&plan, &[])?;
    let how = Conduct {
        store: Some(store),
        shards: args.tell.shards,
        realtime: args.tell.realtime,
        live: Live::new(args.tell.quiet),
    };
    let conducted = conduct(plan, tests, how)?;
    drop(child);
    tell::result(&conducted, &args.tell, false)?;
    if !args.tell.json && args.tell.summary.is_none() {
        out::line("");
        out::line("What now?");
        out::line("  crucible report last --format md        the same as Markdown (or json, csv, junit)");
        out::line("  crucible plan show suites/stories       what the plan asks for, before a byte is sent");
        out::line("  crucible bench http://localhost:8080/   your own system, in one line");
    }
    Ok(conducted.code(args.tell.allow.is_some()))
}

/// The system's process; ended when dropped.
struct Ground(Child);

impl Drop for Ground {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It drains on SIGTERM; if it is gone already there is nothing to end.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn start() -> Result<(Ground, String), CliError> {
    let failed = |why: String| CliError::internal(format!("failed to start the proving ground: {why}"));
    let binary = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let mut command = Command::new(binary);
    command.args(["ground", SYSTEM, "--port", "0", "--json"]).stdout(Stdio::piped()).stdin(Stdio::null());
    // Ctrl-C on the terminal is for the run, which then ends the system itself.
    command.process_group(0);
    // SAFETY: prctl is async-signal-safe and touches nothing but the child's own death signal.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong, 0, 0, 0);
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let stdout = child.stdout.take();
    let ground = Ground(child);
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line).map_err(|e| failed(e.to_string()))?;
    }
    let told: serde_json::Value =
        serde_json::from_str(&line).map_err(|_| failed("it ended before it said where it listens".into()))?;
    match told["url"].as_str() {
        Some(url) => Ok((ground, url.to_owned())),
        None => Err(failed("it did not say where it listens".into())),
    }
}
