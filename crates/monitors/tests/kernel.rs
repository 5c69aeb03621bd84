//! Monitors against the kernel's own account of this very process, and what they cost.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use crucible_core::monitor::{Component, HOST, PROCESS, Target};
use crucible_core::{Monitor, Ns};
use crucible_monitors::open;
use rustix::time::{ClockId, clock_gettime};

fn clock(id: ClockId) -> Ns {
    let time = clock_gettime(id);
    Ns(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

fn process(target: Target) -> Box<dyn Monitor> {
    open(Some(&Component { name: "it".into(), target, limits: Vec::new() })).unwrap()
}

fn read(monitor: &mut dyn Monitor, now: Ns) -> (Vec<Option<f64>>, Result<(), String>) {
    let mut values = vec![None; monitor.series().len()];
    let result = monitor.read(now, &mut |index, value| values[index] = Some(value));
    (values, result)
}

fn place(name: &str) -> usize {
    PROCESS.iter().position(|series| series.name == name).unwrap()
}

/// Burns CPU until this process has used so much.
fn burn(cpu: Ns) {
    let end = clock(ClockId::ProcessCPUTime) + cpu;
    let mut x = 1u64;
    while clock(ClockId::ProcessCPUTime) < end {
        (0..10_000).for_each(|k| x = x.wrapping_mul(6364136223846793005).wrapping_add(k));
        std::hint::black_box(x);
    }
}

#[test]
fn cpu_is_what_the_kernel_says_it_is() {
    let mut monitor = process(Target::Itself);
    let (first, told) = read(&mut *monitor, Ns::ZERO);
    assert_eq!((first[place("cpu")], told), (None, Ok(())), "what was before is no part of any value");
    let (mut used, mut before) = (0.0, clock(ClockId::ProcessCPUTime));
    let begin = before;
    for second in 1..=20 {
        burn(Ns::from_millis(100));
        let (values, _) = read(&mut *monitor, Ns::from_secs(second));
        used += values[place("cpu")].unwrap();
        let parts = values[place("cpu_user")].unwrap() + values[place("cpu_system")].unwrap();
        assert!((parts - values[place("cpu")].unwrap()).abs() < 1e-9);
        assert!(values[place("memory")].unwrap() > 1e6);
        before = clock(ClockId::ProcessCPUTime);
    }
    let truth = before.since(begin).as_secs_f64();
    // the kernel's account has ticks of 10 ms: two of them, and 1 %
    assert!((used - truth).abs() < 0.01 * truth + 0.02, "{used} of {truth}");
}

#[test]
fn children_are_counted_also_when_they_were_never_seen() {
    use std::process::{Command, Stdio};
    let shell = |text: &str| {
        Command::new("sh").args(["-c", text]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    };
    // a shell that starts short-lived children one after the other, and says when it is done
    let work = "read go; for i in 1 2 3 4 5 6; do sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; done; echo; read end";
    let mut child = shell(work).unwrap();
    let mut monitor = process(Target::Pid(child.id()));
    let _ = read(&mut *monitor, Ns::ZERO);
    use std::io::{Read, Write};
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    to.write_all(b"go\n").unwrap();
    from.read_exact(&mut [0]).unwrap();
    let (values, _) = read(&mut *monitor, Ns::from_secs(1));
    let used = values[place("cpu")].unwrap();
    // what the shell and its ended children used, by the kernel's own account
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let rest = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect::<Vec<_>>();
    let ticks: u64 = rest[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    let truth = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    assert!(truth > 0.03, "{truth}");
    assert!((used - truth).abs() <= 0.01 * truth + 0.02, "{used} of {truth}");
    to.write_all(b"end\n").unwrap();
    child.wait().unwrap();
    let (values, told) = read(&mut *monitor, Ns::from_secs(3));
    assert!(values.iter().all(Option::is_none) && told.unwrap_err().contains("no process has the number"));
    assert_eq!(read(&mut *monitor, Ns::from_secs(9)).1, Ok(()), "told once");
}

#[test]
fn descriptors_threads_and_the_machine_are_read() {
    let mut monitor = process(Target::Itself);
    let (before, _) = read(&mut *monitor, Ns::ZERO);
    let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
    let (after, _) = read(&mut *monitor, Ns::from_secs(1));
    let more = after[place("descriptors")].unwrap() - before[place("descriptors")].unwrap();
    assert!((45.0..=60.0).contains(&more), "{more}");
    drop(files);
    assert!(after[place("threads")].unwrap() >= 1.0);
    assert!(after[place("switches_voluntary")].is_some() && after[place("memory_private")].is_none());

    let mut host = open(None).unwrap();
    let _ = read(&mut *host, Ns::ZERO);
    burn(Ns::from_millis(60));
    let (values, _) = read(&mut *host, Ns::from_secs(1));
    let of = |name: &str| values[HOST.iter().position(|series| series.name == name).unwrap()];
    assert!(of("cpu").is_some_and(|share| share > 0.0 && share <= 1.0), "{values:?}");
    assert!(of("memory_available").is_some_and(|bytes| bytes > 1e6));
    assert!(of("network_in").is_some() && of("retransmits").is_some() && of("time_wait").is_some());
}

/// Twenty targets at 10 Hz. Told by CPU time, which other work on the machine changes little.
#[test]
fn twenty_targets_at_ten_hertz_cost_less_than_a_hundredth_of_a_core() {
    let children: Vec<_> =
        (0..20).map(|_| std::process::Command::new("sleep").arg("60").spawn().unwrap()).collect();
    let mut monitors: Vec<_> = children.iter().map(|child| process(Target::Pid(child.id()))).collect();
    let mut all = |tick: u64| {
        monitors.iter_mut().for_each(|monitor| {
            let _ = read(&mut **monitor, Ns::from_millis(100 * tick));
        });
    };
    all(0);
    let begin = clock(ClockId::ThreadCPUTime);
    let seconds = 10;
    (1..=10 * seconds).for_each(&mut all);
    let share = clock(ClockId::ThreadCPUTime).since(begin).as_secs_f64() / seconds as f64;
    children.into_iter().for_each(|mut child| {
        child.kill().unwrap();
        child.wait().unwrap();
    });
    println!("{:.3} % of a core", share * 100.0);
    // an unoptimised build is several times slower
    let most = if cfg!(debug_assertions) { 0.05 } else { 0.01 };
    assert!(share < most, "{share}");
}
