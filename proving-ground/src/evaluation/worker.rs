//! A worker as a process: leases a job, claims it, runs it in the sandbox, hands the result in, one at a time.
//!
//! Invariant: whatever fails on the way, the job is either handed back or its lease runs out. A result is kept and
//! offered again until storage takes it, for as long as the lease holds.

use super::client::Client;
use super::job::{Claim, Delivery, Ending, Outcome, QueueName, judge};
use super::part::Config;
use super::switches::strikes;
use crate::clock::{self, unix_us};
use crate::sandbox::{End, Job, Limits, Report, Sandbox};
use crate::truth::Truth;
use crucible_core::{Ns, Rng};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a question for work may stay open.
const WAIT: Duration = Duration::from_secs(5);
/// Longest pause before something is tried again.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

struct Worker {
    name: String,
    /// Tells this life of the worker from earlier ones.
    incarnation: String,
    queue: Client,
    /// For questions for work: it notices when the queue goes away.
    asking: Client,
    storage: Client,
    sandbox: Arc<Sandbox>,
    truth: Truth,
    /// Set when the process is told to stop.
    stopping: watch::Receiver<bool>,
}

/// Works until `stop`.
pub(crate) async fn run(
    name: &str,
    queue: QueueName,
    config: &Config,
    truth: &Truth,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let (stopping, told) = watch::channel(false);
    let worker = Worker {
        name: name.to_owned(),
        incarnation: format!("{}-{}", std::process::id(), unix_us()),
        queue: Client::new(config.queue(queue), &config.key),
        asking: Client::strict(config.queue(queue), &config.key),
        storage: Client::new(config.storage, &config.key),
        sandbox: Arc::new(Sandbox::new()?),
        truth: truth.clone(),
        stopping: told,
    };
    let mut work: Pin<Box<dyn Future<Output = ()>>> = Box::pin(worker.work());
    tokio::select! {
        () = &mut work => return Ok(()),
        () = stop => {}
    }
    // the worker holds the other end
    let _ = stopping.send(true);
    // what runs is stopped and handed back; a question for work that is open would only take a new job
    let _ = tokio::time::timeout(Duration::from_secs(4), work).await;
    Ok(())
}

impl Worker {
    fn stops(&self) -> bool {
        *self.stopping.borrow()
    }

    async fn work(&self) {
        let mut zombie = false;
        let mut pause = Duration::from_millis(5);
        while !self.stops() {
            match self.ask(zombie).await {
                Ok(Some(delivery)) => {
                    pause = Duration::from_millis(5);
                    self.deal_with(delivery).await;
                }
                Ok(None) => pause = Duration::from_millis(5),
                Err(_) => {
                    // the queue is gone; a healthy worker asks again, a zombie only says that it is there
                    zombie |= self.truth.bugs.zombie;
                    clock::about(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Asks for a job. The question is given up when the process is told to stop.
    async fn ask(&self, zombie: bool) -> Result<Option<Delivery>, String> {
        if zombie {
            clock::about(Duration::from_millis(200)).await;
            return Ok(None);
        }
        let wait_ms = u64::try_from(WAIT.as_millis()).unwrap_or(1_000);
        let want = json!({"worker": self.name, "incarnation": self.incarnation, "wait_ms": wait_ms});
        let question = self.asking.post_within("/tasks/next", &want, WAIT * 2);
        let answer = tokio::select! {
            answer = question => answer?,
            () = self.told_to_stop() => return Ok(None),
        };
        if answer.status == 200 { answer.read().map(Some) } else { Ok(None) }
    }

    async fn told_to_stop(&self) {
        // an error means that nobody can tell us any more, which is the same
        let _ = self.stopping.clone().wait_for(|told| *told).await;
    }

    async fn deal_with(&self, delivery: Delivery) {
        let claim = Claim {
            entry: delivery.entry(),
            attempt: delivery.attempt,
            worker: self.name.clone(),
            again: delivery.again,
        };
        let Some(run) = self.insist("/evaluations/claim", &claim, "run").await else {
            return self.hand_back(&claim, Some("storage does not answer")).await;
        };
        if run {
            let report = match self.execute(&delivery).await {
                Ok(Some(report)) => report,
                // somebody else has the job now
                Ok(None) => return,
                Err(why) => return self.hand_back(&claim, Some(&why)).await,
            };
            if report.end == End::Stopped && self.stops() {
                return self.hand_back(&claim, None).await;
            }
            let outcome = Outcome { ending: self.ending(&delivery, &report), claim: claim.clone() };
            if self.insist("/evaluations/finish", &outcome, "effect").await.is_none() {
                return self.hand_back(&claim, Some("storage does not answer")).await;
            }
        }
        self.complete(&claim).await;
    }

    /// Asks storage until it answers; gives signs of life meanwhile. `None`: the lease is lost or we stop.
    async fn insist(&self, path: &str, body: &impl serde::Serialize, key: &str) -> Option<bool> {
        let claim: Value = serde_json::to_value(body).ok()?;
        let claim = if claim["claim"].is_object() { &claim["claim"] } else { &claim };
        let id = claim["entry"]["id"].as_str()?.to_owned();
        let attempt = claim["attempt"].as_u64()?;
        let mut pause = Duration::from_millis(5);
        loop {
            if let Ok(answer) = self.storage.post_within(path, body, Duration::from_secs(1)).await
                && answer.status == 200
            {
                return answer.json()[key].as_bool();
            }
            if self.stops() || !self.extend(&id, attempt).await.0 {
                return None;
            }
            clock::about(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A sign of life: whether the lease holds, and whether the job is to be stopped. A queue that is away for a
    /// moment is no reason to give a job up.
    async fn extend(&self, id: &str, attempt: u64) -> (bool, bool) {
        let path = format!("/tasks/{id}/extend");
        match self.queue.post_within(&path, &json!({"attempt": attempt}), Duration::from_secs(1)).await {
            Ok(answer) if answer.status == 200 => {
                let answer = answer.json();
                (answer["held"] == true, answer["stop"] == true)
            }
            _ => (true, false),
        }
    }

    /// Runs the program. `None`: the lease was lost meanwhile, and what came out is nobody's.
    async fn execute(&self, delivery: &Delivery) -> Result<Option<Report>, String> {
        let limit = Ns::from_millis(delivery.task.timeout_ms);
        let limits = Limits { wall: limit, cpu: limit, ..Limits::default() };
        let job = Job { code: delivery.task.code.clone().into_bytes(), limits, files: Vec::new() };
        let (sandbox, stop) = (Arc::clone(&self.sandbox), Arc::new(AtomicBool::new(false)));
        let theirs = Arc::clone(&stop);
        let mut running = tokio::task::spawn_blocking(move || sandbox.run(&job, &theirs));
        let sign = Duration::from(self.truth.bugs.lease) / 4;
        let mut since = Duration::ZERO;
        let mut lost = false;
        let tick = Duration::from_millis(50);
        loop {
            tokio::select! {
                done = &mut running => {
                    let report = done.map_err(|e| e.to_string())??;
                    return Ok((!lost).then_some(report));
                }
                () = clock::about(tick) => since += tick,
            }
            if self.stops() {
                stop.store(true, Ordering::Relaxed);
            }
            if since >= sign {
                since = Duration::ZERO;
                let (held, wish) = self.extend(&delivery.task.id, delivery.attempt).await;
                lost |= !held;
                if lost || wish {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn ending(&self, delivery: &Delivery, report: &Report) -> Ending {
        let (status, reason) = judge(report.end);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut output = text(&report.stdout);
        if strikes(self.truth.bugs.corrupt, self.truth.seed, "corrupt", delivery.number) {
            output = corrupt(&output, self.truth.seed, delivery.number);
        }
        let mut error = text(&report.stderr);
        if error.is_empty() {
            error = describe(report.end, delivery.task.timeout_ms).unwrap_or_default();
        }
        Ending {
            status: status.into(),
            reason: reason.into(),
            output,
            error,
            execution_us: report.wall.0 / 1_000,
            cpu_us: report.cpu.0 / 1_000,
            peak_memory: report.peak_memory,
        }
    }

    async fn complete(&self, claim: &Claim) {
        let path = format!("/tasks/{}/complete", claim.entry.id);
        let body = json!({"attempt": claim.attempt});
        // the result is stored: if this never arrives, the next delivery finds that there is nothing to do
        for pause in [5, 20, 80, 320, 320, 320] {
            if self
                .queue
                .post_within(&path, &body, Duration::from_secs(1))
                .await
                .is_ok_and(|a| a.status == 200)
            {
                return;
            }
            clock::about(Duration::from_millis(pause)).await;
        }
    }

    async fn hand_back(&self, claim: &Claim, why: Option<&str>) {
        let path = format!("/tasks/{}/fail", claim.entry.id);
        // if this does not arrive, the lease runs out
        let _ = self.queue.post(&path, &json!({"attempt": claim.attempt, "why": why})).await;
    }
}

/// What to say where the program said nothing.
fn describe(end: End, timeout_ms: u64) -> Option<String> {
    Some(match end {
        End::Exited(0) => return None,
        End::Exited(code) => format!("the program ended with code {code}"),
        End::Signalled(signal) => format!("the program was ended by signal {signal}"),
        End::Time => format!("the program was ended after {timeout_ms} ms"),
        End::Memory => "the program needed more memory than it may have".into(),
        End::Output => "the program wrote more than it may write".into(),
        End::Stopped => "the program was stopped".into(),
        End::Syntax | End::Raised => "the program failed".into(),
    })
}

/// One character, drawn, becomes another one.
fn corrupt(output: &str, seed: u64, number: u64) -> String {
    let mut characters: Vec<char> = output.chars().collect();
    let last = characters.len().saturating_sub(1) as u64;
    let place = Rng::new(seed, "corrupt-place", number).between(0, last) as usize;
    match characters.get_mut(place) {
        Some(character) => *character = if *character == '#' { '?' } else { '#' },
        None => characters.push('#'),
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn corruption_changes_one_character() {
        for (number, text) in ["42\n", "#", "", "grün und blau"].into_iter().enumerate() {
            let changed = super::corrupt(text, 1, number as u64);
            let pairs = text.chars().zip(changed.chars());
            assert!(changed != text && pairs.filter(|(a, b)| a != b).count() <= 1, "{text:?} {changed:?}");
        }
    }
}
