//! What this machine is and what time it is, for the record of a run.

use crucible_engine::system;
use std::fs;

/// Milliseconds since the Unix epoch, and bits that differ from run to run.
#[expect(clippy::disallowed_methods, reason = "a run's date is read once, before it begins")]
pub fn wall_clock() -> (u64, u64) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let bits = crucible_core::rng::mix(since.as_nanos() as u64 ^ (u64::from(std::process::id()) << 32));
    (since.as_millis() as u64, bits)
}

/// Name and value of everything that a later reader needs to compare two records. `files` is the limit of open
/// files that holds.
pub fn facts(files: u64) -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?.split_once(':').map(|(_, value)| value.trim().to_owned())
            })
            .unwrap_or_else(|| "unknown".into())
    };
    let cpu = read("/proc/cpuinfo");
    let memory = read("/proc/meminfo");
    let mut facts = vec![
        ("cpu", field(&cpu, "model name")),
        ("cpus_allowed", system::allowed_cpus().len().to_string()),
        ("cpus_online", cpu.lines().filter(|line| line.starts_with("processor")).count().to_string()),
        ("memory", field(&memory, "MemTotal")),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("clock_source", read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        ("open_files", files.to_string()),
        ("local_ports", read("/proc/sys/net/ipv4/ip_local_port_range").replace('\t', "-")),
        ("load_average", read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")),
        ("architecture", std::env::consts::ARCH.to_owned()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
