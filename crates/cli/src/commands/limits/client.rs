//! Experiments over sockets: one shooter for each variant of the request, all on one clock and one thread.

use super::variants::Variant;
use crate::exit::CliError;
use crucible_core::{Now, Ns, Outcome, Protocol, Share, StepId, WorkerContext};
use crucible_engine::clock::Epoch;
use crucible_engine::{Control, RealClock, Shooter, Shot, Signal};
use crucible_http::{HttpProtocol, HttpSession, HttpWorker, StatusMatch};
use crucible_stats::limits::{Experiment, Hints, Next, Player, Seen, Verdict};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// What statuses mean, beside 429 and a 503 that says when to come back.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// These passed; if none is named, all below 400 did.
    pub passed: Vec<StatusMatch>,
    /// These are refusals.
    pub refused: Vec<StatusMatch>,
}

impl Reading {
    fn verdict(&self, status: u16, hints: &Hints) -> Verdict {
        let named = |list: &[StatusMatch]| list.iter().any(|one| one.contains(status));
        match status {
            429 => Verdict::Refused,
            503 if hints.retry_after.is_some() => Verdict::Refused,
            _ if named(&self.refused) => Verdict::Refused,
            _ if named(&self.passed) => Verdict::Passed,
            100..=399 if self.passed.is_empty() => Verdict::Passed,
            _ => Verdict::Broken,
        }
    }
}

/// Longest sleep between two looks at whether somebody wants to stop.
const LOOK: Ns = Ns::from_millis(200);
/// Polling for the last part of a wait.
const EARLY: Ns = Ns::from_micros(100);

/// See the module text.
pub(super) struct Client {
    runtime: Runtime,
    local: LocalSet,
    epoch: Epoch,
    clock: RealClock,
    shooters: Vec<(Shooter<RealClock, HttpWorker>, StepId)>,
    reading: Reading,
    /// Time since the Unix epoch at the clock's zero, seconds.
    unix: f64,
    trouble: Vec<String>,
}

impl Client {
    /// Prepares everything; sends nothing yet.
    pub(super) fn open(variants: &[Variant], seed: u64, reading: Reading) -> Result<Client, CliError> {
        let failed =
            |what: &str, e: &dyn std::fmt::Display| CliError::internal(format!("failed to {what}: {e}"));
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|e| failed("make a runtime", &e))?;
        let local = LocalSet::new();
        let epoch = Epoch::start();
        let unix = jiff::Timestamp::now().as_duration().as_secs_f64();
        let (clock, shooters) = local.block_on(&runtime, async {
            let clock = RealClock::new(epoch, EARLY).map_err(|e| failed("make a clock", &e))?;
            let mut shooters = Vec::new();
            for variant in variants {
                let steps = variant.steps.iter().map(|(id, spec)| (*id, Arc::clone(spec))).collect();
                let protocol = HttpProtocol::new(&variant.settings, steps)
                    .map_err(|why| CliError::usage(format!("failed to prepare the request: {why}")))?;
                let worker = protocol
                    .worker(&WorkerContext { share: Share::ALL, seed })
                    .map_err(|e| failed("prepare the requests", &e))?;
                let setup = variant.setup.clone();
                let shooter = Shooter::new(clock.clone(), worker, seed, Ns::from_secs_f64(unix), setup);
                shooters.push((shooter, variant.step));
            }
            Ok::<_, CliError>((clock, shooters))
        })?;
        Ok(Client { runtime, local, epoch, clock, shooters, reading, unix, trouble: Vec::new() })
    }

    /// Seconds since it was opened.
    pub(super) fn now(&self) -> f64 {
        self.epoch.now().as_secs_f64()
    }

    /// Why requests found no answer, in few lines.
    pub(super) fn trouble(&self) -> Vec<String> {
        self.trouble.clone()
    }

    /// Makes an experiment; ends early if somebody wants to stop.
    pub(super) fn play(&mut self, experiment: &Experiment, control: &Control) -> Vec<Seen> {
        let (mut player, mut all) =
            (Player::new(experiment.acts.clone(), self.now(), experiment.end), Vec::new());
        let Client { runtime, local, epoch, clock, shooters, reading, unix, trouble } = self;
        let now = || epoch.now().as_secs_f64();
        local.block_on(runtime, async {
            while let Next::Fire { at, count, key } = player.next(now()) {
                let at = Ns::from_secs_f64(at);
                while at.since(clock.now()) > LOOK && control.signal() == Signal::Run {
                    use crucible_core::Clock;
                    clock.sleep_until(clock.now() + LOOK).await;
                }
                let Some((shooter, step)) = shooters.get_mut(usize::from(key)) else { break };
                if control.signal() != Signal::Run {
                    break;
                }
                let offset = *unix;
                let read = |session: &HttpSession| Hints::read(session.last_head(), offset + now());
                let shots = shooter.fire(at, *step, count as usize, read).await;
                for shot in shots.iter().filter(|shot| shot.outcome == Outcome::Failed && shot.code == 0) {
                    if trouble.len() < 8 && !trouble.contains(&shot.detail) {
                        trouble.push(shot.detail.clone());
                    }
                }
                let answers: Vec<Seen> = shots.into_iter().map(|shot| seen(shot, key, reading)).collect();
                player.saw(&answers);
                all.extend(answers);
                let unprepared = shooter.trouble().map(|why| format!("the setup failed: {why}"));
                trouble.extend(unprepared.filter(|why| !trouble.contains(why)));
            }
        });
        all
    }
}

fn seen(shot: Shot<Hints>, key: u8, reading: &Reading) -> Seen {
    // what did not come to its end is no answer, whatever its status was
    let whole = !matches!(shot.outcome, Outcome::TimedOut | Outcome::Aborted | Outcome::Dropped);
    let status = if whole { shot.code } else { 0 };
    Seen {
        sent: shot.sent.as_secs_f64(),
        answered: shot.finished.as_secs_f64(),
        key,
        verdict: reading.verdict(status, &shot.extra),
        status,
        hints: shot.extra,
    }
}
