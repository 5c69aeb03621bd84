//! Random kills of workers, queues and storage while jobs flow: nothing acknowledged is lost, nothing has its
//! effect twice, every result is readable.

#![allow(clippy::print_stdout, reason = "the figures of a storm are for whoever reads the output")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod platform;

use crucible_core::Rng;
use platform::{Platform, signal, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Storm {
    jobs: u64,
    clients: u64,
    /// Between two kills.
    pause: Duration,
    /// Kills go on for at least as many.
    kills: u64,
    seed: u64,
    limit: Duration,
}

#[expect(clippy::disallowed_methods, reason = "the storm has a rhythm")]
fn rest(pause: Duration) {
    std::thread::sleep(pause);
}

#[expect(clippy::disallowed_methods, reason = "figures for the report")]
fn now() -> Instant {
    Instant::now()
}

impl Storm {
    fn rage(&self) {
        let (platform, _data) = Platform::fresh(&[]);
        let begun = now();
        let acknowledged: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let (next, refused, killed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let calm = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let storm = scope.spawn(|| self.kill_parts(&platform, &calm, &killed));
            let clients: Vec<_> = (0..self.clients)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= self.jobs {
                                break;
                            }
                            submit(&platform, number, &acknowledged, &refused);
                            // the jobs are spread over the storm
                            let total = self.pause * u32::try_from(self.kills).unwrap();
                            rest(
                                total * u32::try_from(self.clients).unwrap()
                                    / u32::try_from(self.jobs).unwrap(),
                            );
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            until(self.limit, "the storm", || (killed.load(Ordering::Relaxed) >= self.kills).then_some(()));
            calm.store(true, Ordering::Relaxed);
            storm.join().unwrap();
        });
        let acknowledged = acknowledged.into_inner().unwrap();
        let lost = acknowledged
            .iter()
            .filter(|(id, number)| !ended_well(&platform, id, **number, self.limit))
            .count();
        let sums = platform.get("/api/statistics");
        println!(
            "{} jobs acknowledged, {} answers lost or refused, {} kills, {} lost or wrong, {} with two effects, {} \
             executions for {} effects, {:.1} s",
            acknowledged.len(),
            refused.load(Ordering::Relaxed),
            killed.load(Ordering::Relaxed),
            lost,
            sums["duplicates"],
            sums["executions"],
            sums["effects"],
            begun.elapsed().as_secs_f64()
        );
        assert_eq!(acknowledged.len() as u64, self.jobs);
        assert_eq!((lost, &sums["duplicates"]), (0, &json!(0)), "{sums}");
        assert_eq!(sums["effects"], sums["total"], "every job that is stored had one effect: {sums}");
    }

    /// Kills a part drawn from the seed, again and again.
    fn kill_parts(&self, platform: &Platform, calm: &AtomicBool, killed: &AtomicU64) {
        let mut rng = Rng::new(self.seed, "storm", 0);
        while !calm.load(Ordering::Relaxed) {
            rest(self.pause);
            let Ok((200, text)) = platform.try_ask("GET", "/api/status", None) else { continue };
            let status: Value = serde_json::from_str(&text).unwrap();
            let parts: Vec<&Value> =
                status["parts"].as_array().unwrap().iter().filter(|part| part["name"] != "api").collect();
            if parts.is_empty() {
                continue;
            }
            let part = parts[rng.between(0, parts.len() as u64 - 1) as usize];
            signal(u32::try_from(part["pid"].as_u64().unwrap()).unwrap(), Signal::KILL);
            killed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Submits until it is acknowledged. An answer that never came may belong to a job that runs: it is counted.
fn submit(
    platform: &Platform,
    number: u64,
    acknowledged: &Mutex<BTreeMap<String, u64>>,
    refused: &AtomicU64,
) {
    // prints, and now and then pauses, so that kills strike in the middle of jobs
    let pauses = match number % 10 {
        0..6 => "",
        6..9 => "import time; time.sleep(0.1); ",
        _ => "import time; [time.sleep(0.1) for _ in range(3)]; ",
    };
    let code = format!("{pauses}print('job', {number})");
    let body = json!({"code": code, "reference": number.to_string()}).to_string();
    until(Duration::from_secs(60), "an acknowledgement", || {
        match platform.try_ask("POST", "/api/eval", Some(&body)) {
            Ok((200, text)) => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                let id = answer["eval_id"].as_str().unwrap().to_owned();
                assert!(acknowledged.lock().unwrap().insert(id, number).is_none(), "an id was given twice");
                Some(())
            }
            _ => {
                refused.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    });
}

/// Whether a job came to its right end with one effect.
fn ended_well(platform: &Platform, id: &str, number: u64, limit: Duration) -> bool {
    let job: Value = until(limit, id, || match platform.try_ask("GET", &format!("/api/eval/{id}"), None) {
        Ok((200, text)) => Some(serde_json::from_str(&text).unwrap()),
        Ok((404, _)) => Some(Value::Null),
        _ => None,
    });
    let right =
        job["status"] == "completed" && job["output"] == format!("job {number}\n") && job["effects"] == 1;
    if !right {
        println!("{id}: {job}");
    }
    right
}

#[test]
fn a_small_storm_loses_nothing_and_repeats_nothing() {
    let pause = Duration::from_millis(200);
    Storm { jobs: 100, clients: 4, pause, kills: 15, seed: 7, limit: Duration::from_secs(20) }.rage();
}

#[test]
#[ignore = "takes a minute; run it by name"]
fn a_thousand_jobs_with_a_kill_every_second() {
    let pause = Duration::from_secs(1);
    Storm { jobs: 1_000, clients: 8, pause, kills: 45, seed: 11, limit: Duration::from_secs(60) }.rage();
}

#[test]
fn a_worker_that_wakes_up_too_late_has_no_effect() {
    let (platform, _data) = Platform::fresh(&["split=0%", "lease=500ms"]);
    let id = platform.code("import time; time.sleep(0.5); print('once')");
    platform.wait_for_status(&id, "running");
    let first = platform.get(&format!("/api/eval/{id}/status"))["worker"].as_str().unwrap().to_owned();
    let pid = platform.pid_of(&first);
    signal(pid, Signal::STOP);
    let job = platform.result(&id);
    assert_eq!((&job["output"], &job["attempt"]), (&json!("once\n"), &json!(2)), "{job}");
    assert_ne!(job["worker"], first.as_str());
    signal(pid, Signal::CONT);
    // it works on after that, and what it had in hand changed nothing
    let ledger = until(Duration::from_secs(20), "work for the late worker", || {
        let other = platform.result(&platform.code("print('other')"));
        (other["worker"] == first.as_str()).then(|| platform.get(&format!("/api/eval/{id}/executions")))
    });
    let effects: Vec<bool> =
        ledger["executions"].as_array().unwrap().iter().map(|e| e["effect"].as_bool().unwrap()).collect();
    assert_eq!(effects, [false, true], "{ledger}");
    assert_eq!(platform.result(&id)["worker"], job["worker"]);
}

#[test]
fn a_job_that_always_loses_its_worker_is_given_up() {
    let (platform, _data) = Platform::fresh(&["split=0%", "runners=1"]);
    let id = platform.code("import time; time.sleep(60)");
    let mut struck = 0;
    until(Duration::from_secs(60), "a dead letter", || {
        let state = platform.get(&format!("/api/eval/{id}/status"));
        let attempt = state["attempt"].as_u64().unwrap();
        if state["status"] == "running" && attempt > struck {
            struck = attempt;
            platform.kill("legacy-worker-1");
        }
        (state["status"] == "failed").then_some(())
    });
    let job = platform.result(&id);
    assert_eq!(
        (&job["reason"], &job["executions"], &job["effects"]),
        (&json!("dead_letter"), &json!(6), &json!(0))
    );
    assert_eq!(platform.get("/api/queue-status")["dead"], 1);
    assert_eq!(platform.result(&platform.code("print('next')"))["output"], "next\n");
}

/// Figures for an idle machine.
#[test]
#[ignore = "prints figures; run it by name on an idle machine"]
fn figures_of_single_jobs() {
    let (platform, _data) = Platform::fresh(&[]);
    let mut total: Vec<f64> = Vec::new();
    let mut seen: Vec<f64> = Vec::new();
    for _ in 0..100 {
        let begun = now();
        let job = platform.result(&platform.code("print(42)"));
        seen.push(begun.elapsed().as_secs_f64() * 1e3);
        total.push(job["timings"]["total_ms"].as_f64().unwrap());
    }
    for list in [&mut total, &mut seen] {
        list.sort_by(f64::total_cmp);
    }
    let memory = platform.result(&platform.code("x = []\nwhile True: x.append(bytearray(10_000_000))"));
    let endless = platform.result(&platform.submit(&json!({"code": "while True: pass", "timeout": 1})));
    println!(
        "print job: {:.1} ms median, {:.1} ms p95 from creation to completion; {:.1} ms median as polled every 5 ms",
        total[50], total[95], seen[50]
    );
    println!("memory exhaustion: {} after {} ms", memory["reason"], memory["timings"]["total_ms"]);
    println!("endless loop of 1 s: {} after {} ms", endless["reason"], endless["timings"]["total_ms"]);
    assert!(total[50] < 150.0 && memory["reason"] == "memory" && endless["reason"] == "timeout");
}
