//! What the benches share: both architectures, services that read whole payloads, arguments, report files.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "each bench uses a part of it"
)]

pub mod reach;

use crucible_core::Rng;
use crucible_events::{
    CentralRouter, Coordinator, Event, EventBus, EventMix, Failure, Family, Injected, Injection, Interest,
    ServiceSpec, Settings,
};
use std::hint::black_box;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Both sides of every comparison, the old one first.
pub const ARCHITECTURES: [&str; 2] = ["coordinator", "router"];

/// Reads every byte of the payload, eight at a time.
pub fn read(event: &Event) -> Result<(), Failure> {
    let sum = event
        .payload
        .chunks_exact(8)
        .fold(0u64, |sum, eight| sum.wrapping_add(u64::from_le_bytes(eight.try_into().unwrap_or_default())));
    black_box(sum);
    Ok(())
}

/// The families are dealt out to the services in turn, so that each family has somebody.
pub fn interest(index: usize, services: usize) -> Interest {
    let wanted: Vec<Family> = Family::ALL
        .into_iter()
        .enumerate()
        .filter(|(family, _)| if services < 6 { family % services == index } else { index % 6 == *family })
        .map(|(_, family)| family)
        .collect();
    Interest::families(&wanted)
}

/// A bus without services.
pub fn start(architecture: &str, settings: Settings) -> Arc<dyn EventBus> {
    match architecture {
        "router" => Arc::new(CentralRouter::start(settings).unwrap()),
        _ => Arc::new(Coordinator::new(settings)),
    }
}

/// Registers services; of their attempts one in `failing` fails (0: none).
pub fn populate(bus: &dyn EventBus, services: usize, failing: u64) {
    for index in 0..services {
        let spec = ServiceSpec::new(format!("service-{index}"), interest(index, services));
        let handler: Box<dyn crucible_events::Handler> = match failing {
            0 => Box::new(read),
            of => Box::new(Injection::new(read, Injected::Failure, of, index as u64)),
        };
        bus.register(spec, handler).unwrap();
    }
}

/// Events with payloads of a size drawn for each from `sizes`; publishers on several threads share it.
pub fn events(seed: u64, sizes: RangeInclusive<usize>) -> Arc<Mutex<EventMix>> {
    Arc::new(Mutex::new(EventMix::new(seed, sizes)))
}

/// A whole number between the ends, each possible.
pub fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    rng.between(low, high)
}

/// How the bench was called: words choose its parts, `--quick` shortens it. Flags of cargo are passed over.
pub struct Arguments {
    pub words: Vec<String>,
    pub quick: bool,
}

pub fn arguments() -> Arguments {
    let all: Vec<String> = std::env::args().skip(1).collect();
    let quick = all.iter().any(|word| word == "--quick") || std::env::var_os("QUICK").is_some();
    Arguments { words: all.into_iter().filter(|word| !word.starts_with('-')).collect(), quick }
}

impl Arguments {
    /// Whether the part of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }
}

/// Writes a report next to those of earlier runs; prints where.
pub fn keep(name: &str, extension: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("benchmark_results");
    std::fs::create_dir_all(&folder).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let file = folder.join(format!("{name}_{}.{extension}", now.as_secs()));
    std::fs::write(&file, text).unwrap();
    println!("written: {}", file.display());
}

/// Peak of this process's resident memory, MiB.
pub fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// CPU time of this process so far, seconds; the kernel tells it in hundredths.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // the name of the program stands in brackets and may hold anything
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
