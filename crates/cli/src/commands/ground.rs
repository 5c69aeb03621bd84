//! `crucible ground`: a system of the proving ground in the foreground.

use crate::args::GroundArgs;
use crate::exit::{CliError, PASS};
use crate::out;
use crucible_ground::{Announcement, GroundOptions, SWITCHES, SYSTEMS};
use serde_json::json;

/// Runs the system until Ctrl-C or SIGTERM, or lists all.
pub fn run(args: &GroundArgs) -> Result<u8, CliError> {
    if args.name == "list" {
        list();
        return Ok(PASS);
    }
    let names: Vec<&str> = SYSTEMS.iter().map(|system| system.name).collect();
    let system = crucible_ground::find(&args.name).ok_or_else(|| {
        let hint = crucible_core::fields::suggest(&args.name, &names);
        CliError::usage(format!("the proving ground has no system `{}`\n  {hint}", args.name))
    })?;
    let json = args.json;
    let options = GroundOptions {
        port: args.port,
        data: args.data.clone(),
        truth: args.truth.clone(),
        with: args.with.clone(),
        announce: Box::new(move |announcement| announce(announcement, json)),
    };
    system.run(options).map_err(|why| CliError::usage(format!("failed to run the system: {why}")))?;
    Ok(PASS)
}

fn announce(announcement: &Announcement, json: bool) {
    if json {
        let line = json!({
            "system": announcement.system, "url": announcement.url, "pid": announcement.pid,
            "data": announcement.data, "truth": announcement.truth, "ca": announcement.ca,
            "parts": announcement.parts.iter().map(|(name, pid)| json!({"name": name, "pid": pid})).collect::<Vec<_>>(),
        });
        out::line(&line.to_string());
    } else {
        out::line(&format!(
            "{} listens on {} (process {})",
            announcement.system, announcement.url, announcement.pid
        ));
        if !announcement.parts.is_empty() {
            let parts: Vec<String> =
                announcement.parts.iter().map(|(name, pid)| format!("{name} {pid}")).collect();
            out::line(&format!("parts: {}", parts.join(", ")));
        }
        if let Some(ca) = &announcement.ca {
            out::line(&format!("its certificate authority: {}", ca.display()));
        }
        out::line(&format!("data in {}; Ctrl-C ends it", announcement.data.display()));
    }
}

fn list() {
    out::line("systems of the proving ground:");
    for system in SYSTEMS {
        out::line(&format!("  {:<12} {}", system.name, system.about));
    }
    out::line("\nswitches of known truth (--truth KEY=VALUE):");
    for switch in SWITCHES {
        out::line(&format!("  {}={}\n      {}", switch.name, switch.example, switch.doc));
        if !switch.implies.is_empty() {
            out::line(&format!("      implies: {}", switch.implies));
        }
    }
}
