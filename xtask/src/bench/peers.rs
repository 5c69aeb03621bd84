//! Closed load as fast as each tool can, in turns: requests/s, client CPU for 1,000 requests, peak memory.

use super::tools::{Job, TOOLS, Tool};
use super::{Settings, median};
use crate::{Failure, machine};

const CONNECTIONS: [u64; 3] = [1, 64, 256];

/// What one turn gave.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    /// CPU seconds, user and kernel, for 1,000 requests.
    cpu: f64,
    /// Kernel share of it.
    kernel: f64,
    rss: f64,
}

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let tools: Vec<&Tool> = TOOLS.iter().filter(|tool| tool.path().is_some()).collect();
    for connections in CONNECTIONS {
        let job = Job { url: &settings.url, connections, seconds: settings.seconds };
        let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); tools.len()];
        for round in 0..settings.rounds {
            // each round begins with another tool, so that no tool always follows the same one
            for offset in 0..tools.len() {
                let index = (round + offset) % tools.len();
                eprint!("\r{connections} connections, round {}: {:10}", round + 1, tools[index].name);
                turns[index].extend(turn(tools[index], &job, settings)?);
            }
        }
        eprint!("\r{:60}\r", "");
        table(connections, settings, &tools, &turns);
    }
    Ok(())
}

fn turn(tool: &Tool, job: &Job<'_>, settings: &Settings) -> Result<Option<Turn>, Failure> {
    let Some(mut command) = tool.command(job) else { return Ok(None) };
    let ended = machine::measure(&mut command, Some(settings.client_cpu))?;
    let Some(requests) = (tool.requests)(&ended).filter(|count| *count > 0.0) else {
        eprintln!("\nnote: {} gave no count (exit {}): {}", tool.name, ended.code, ended.stderr.trim());
        return Ok(None);
    };
    Ok(Some(Turn {
        per_second: requests / ended.wall.as_secs_f64().max(settings.seconds as f64),
        cpu: ended.cpu.as_secs_f64() / requests * 1000.0,
        kernel: ended.kernel.as_secs_f64() / requests * 1000.0,
        rss: ended.rss as f64,
    }))
}

fn table(connections: u64, settings: &Settings, tools: &[&Tool], turns: &[Vec<Turn>]) {
    let middle = |turns: &[Turn], of: fn(&Turn) -> f64| median(turns.iter().map(of).collect());
    let base = tools.iter().position(|tool| tool.name == "wrk").map(|index| &turns[index]);
    println!("{connections} connections, medians of {} turns of {} s", settings.rounds, settings.seconds);
    println!(
        "{:<10}{:>11}{:>7}{:>14}{:>7}{:>10}{:>10}{:>7}",
        "", "requests/s", "/wrk", "CPU s/1,000", "/wrk", "kernel", "peak MB", "/wrk"
    );
    for (tool, turns) in tools.iter().zip(turns) {
        let ratio = |of: fn(&Turn) -> f64| base.map_or(f64::NAN, |base| middle(turns, of) / middle(base, of));
        println!(
            "{:<10}{:>11.0}{:>7.2}{:>14.4}{:>7.2}{:>10.4}{:>10.1}{:>7.2}",
            tool.name,
            middle(turns, |turn| turn.per_second),
            ratio(|turn| turn.per_second),
            middle(turns, |turn| turn.cpu),
            ratio(|turn| turn.cpu),
            middle(turns, |turn| turn.kernel),
            middle(turns, |turn| turn.rss) / 1e6,
            ratio(|turn| turn.rss),
        );
    }
    println!();
}
