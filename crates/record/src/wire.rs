//! The stored forms of events: self-describing MessagePack with named fields.
//!
//! Rules that keep old and new versions together: every field has a default, so records without it still read;
//! unknown fields are skipped; enumerations are words or, where they index arrays, lists that may grow at the end.
//! Histograms are the bytes of their own compact form. Everything read is foreign: figures that no run can have are
//! refused, so that later sums cannot overflow and memory stays in proportion.

use crate::event::{
    ErrorNote, Finished, Gap, Model, Note, NoteKind, PhaseMeta, PhaseStarted, RunEvent, RunStarted,
    ScenarioMeta, StepMeta, StopReason, TestMeta, Users, Window,
};
use crucible_core::frame::CODES;
use crucible_core::{
    ErrorClass, Frame, Histogram, IterationFrame, LagFrame, Ns, Outcome, Phase, ScenarioId, StepId,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Version of the stored forms that is written. Raised when a reader of the old version would misread, not when
/// fields are added.
pub(crate) const FORMAT: u32 = 1;

/// Most steps, scenarios, tests or phases that a record may name.
const MOST_ROWS: usize = 20_000;
/// Larger counts in one window are refused.
const LARGEST_COUNT: u64 = 1 << 43;

/// The word under which an event is stored.
pub(crate) fn kind(event: &RunEvent) -> &'static str {
    match event {
        RunEvent::Started(_) => "started",
        RunEvent::Phase(_) => "phase",
        RunEvent::Window(_) => "window",
        RunEvent::Note(_) => "note",
        RunEvent::Gap(_) => "gap",
        RunEvent::Finished(_) => "finished",
    }
}

/// The stored form of an event; the error is for people.
pub(crate) fn encode(event: &RunEvent) -> Result<Vec<u8>, String> {
    let bytes = match event {
        RunEvent::Started(it) => rmp_serde::to_vec_named(&StartedForm::from(&**it)),
        RunEvent::Phase(it) => rmp_serde::to_vec_named(&PhaseForm { phase: it.phase, at: it.at.0 }),
        RunEvent::Window(it) => rmp_serde::to_vec_named(&WindowForm::from(&**it)),
        RunEvent::Note(it) => rmp_serde::to_vec_named(&NoteForm::from(it)),
        RunEvent::Gap(it) => {
            rmp_serde::to_vec_named(&GapForm { from: it.from.0, to: it.to.0, text: it.text.clone() })
        }
        RunEvent::Finished(it) => rmp_serde::to_vec_named(&FinishedForm::from(it)),
    };
    bytes.map_err(|error| error.to_string())
}

/// Reads a stored form; the error is for people. A kind of a newer version becomes a note.
pub(crate) fn decode(kind: &str, format: u32, body: &[u8]) -> Result<RunEvent, String> {
    let event = match kind {
        "started" => read::<StartedForm>(body).and_then(StartedForm::event),
        "phase" => {
            read(body).map(|it: PhaseForm| RunEvent::Phase(PhaseStarted { phase: it.phase, at: Ns(it.at) }))
        }
        "window" => read::<WindowForm>(body).and_then(WindowForm::event),
        "note" => read(body).map(NoteForm::event),
        "gap" => read(body)
            .map(|it: GapForm| RunEvent::Gap(Gap { from: Ns(it.from), to: Ns(it.to), text: it.text })),
        "finished" => read(body).map(FinishedForm::event),
        newer => Ok(RunEvent::Note(Note {
            at: Ns::ZERO,
            kind: NoteKind::Warning,
            text: format!("an entry of the kind {newer:.40?} was skipped: it was written by a newer version"),
        })),
    };
    event.map_err(|why| {
        if format > FORMAT { format!("{why}; it has format {format}, of a newer version") } else { why }
    })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(body).map_err(|error| error.to_string())
}

/// FNV-1a over a body, kept beside it to tell damage from content. Source: Fowler, Noll and Vo; RFC 9923.
pub(crate) fn digest(body: &[u8]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in body {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.cast_signed()
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StartedForm {
    run: String,
    tool: String,
    started_unix_ms: u64,
    plan: String,
    plan_hash: String,
    plan_text: String,
    seed: u64,
    target: String,
    scenarios: Vec<ScenarioForm>,
    steps: Vec<StepForm>,
    tests: Vec<TestForm>,
    phases: Vec<PhaseMetaForm>,
    lateness_floor: u64,
    lateness_share: f64,
    pacing: String,
    shards: u32,
    environment: Vec<(String, String)>,
    remarks: Vec<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ScenarioForm {
    name: String,
    weight: f64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StepForm {
    name: String,
    scenario: u16,
    role: String,
    protocol: String,
    checks: Vec<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct TestForm {
    name: String,
    scenarios: Vec<u16>,
    thresholds: Vec<String>,
    load: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct PhaseMetaForm {
    name: String,
    test: u16,
    length: u64,
    model: String,
    planned: Option<u64>,
    max_users: u64,
}

impl From<&RunStarted> for StartedForm {
    fn from(it: &RunStarted) -> StartedForm {
        let step = |s: &StepMeta| StepForm {
            name: s.name.clone(),
            scenario: s.scenario,
            role: s.role.clone(),
            protocol: s.protocol.clone(),
            checks: s.checks.clone(),
        };
        let test = |t: &TestMeta| TestForm {
            name: t.name.clone(),
            scenarios: t.scenarios.clone(),
            thresholds: t.thresholds.clone(),
            load: t.load.clone(),
        };
        let phase = |p: &PhaseMeta| PhaseMetaForm {
            name: p.name.clone(),
            test: p.test,
            length: p.length.0,
            model: if p.model == Model::Open { "open" } else { "closed" }.into(),
            planned: p.planned,
            max_users: p.max_users,
        };
        StartedForm {
            run: it.run.clone(),
            tool: it.tool.clone(),
            started_unix_ms: it.started_unix_ms,
            plan: it.plan.clone(),
            plan_hash: it.plan_hash.clone(),
            plan_text: it.plan_text.clone(),
            seed: it.seed,
            target: it.target.clone(),
            scenarios: it
                .scenarios
                .iter()
                .map(|s| ScenarioForm { name: s.name.clone(), weight: s.weight })
                .collect(),
            steps: it.steps.iter().map(step).collect(),
            tests: it.tests.iter().map(test).collect(),
            phases: it.phases.iter().map(phase).collect(),
            lateness_floor: it.lateness_floor.0,
            lateness_share: it.lateness_share,
            pacing: it.pacing.clone(),
            shards: it.shards,
            environment: it.environment.clone(),
            remarks: it.remarks.clone(),
        }
    }
}

impl StartedForm {
    fn event(self) -> Result<RunEvent, String> {
        let largest = [self.scenarios.len(), self.steps.len(), self.tests.len(), self.phases.len()];
        if largest.into_iter().any(|rows| rows > MOST_ROWS) {
            return Err(format!("it names more than {MOST_ROWS} steps, scenarios, tests or phases"));
        }
        let step = |s: StepForm| StepMeta {
            name: s.name,
            scenario: s.scenario,
            role: s.role,
            protocol: s.protocol,
            checks: s.checks,
        };
        let test = |t: TestForm| TestMeta {
            name: t.name,
            scenarios: t.scenarios,
            thresholds: t.thresholds,
            load: t.load,
        };
        let phase = |p: PhaseMetaForm| PhaseMeta {
            name: p.name,
            test: p.test,
            length: Ns(p.length),
            model: if p.model == "open" { Model::Open } else { Model::Closed },
            planned: p.planned,
            max_users: p.max_users,
        };
        Ok(RunEvent::Started(Box::new(RunStarted {
            run: self.run,
            tool: self.tool,
            started_unix_ms: self.started_unix_ms,
            plan: self.plan,
            plan_hash: self.plan_hash,
            plan_text: self.plan_text,
            seed: self.seed,
            target: self.target,
            scenarios: self
                .scenarios
                .into_iter()
                .map(|s| ScenarioMeta { name: s.name, weight: s.weight })
                .collect(),
            steps: self.steps.into_iter().map(step).collect(),
            tests: self.tests.into_iter().map(test).collect(),
            phases: self.phases.into_iter().map(phase).collect(),
            lateness_floor: Ns(self.lateness_floor),
            lateness_share: self.lateness_share,
            pacing: self.pacing,
            shards: self.shards,
            environment: self.environment,
            remarks: self.remarks,
        })))
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct PhaseForm {
    phase: u16,
    at: u64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct GapForm {
    from: u64,
    to: u64,
    text: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct NoteForm {
    at: u64,
    kind: String,
    text: String,
}

impl From<&Note> for NoteForm {
    fn from(it: &Note) -> NoteForm {
        let kind = match it.kind {
            NoteKind::Info => "info",
            NoteKind::Warning => "warning",
            NoteKind::Invalid => "invalid",
        };
        NoteForm { at: it.at.0, kind: kind.into(), text: it.text.clone() }
    }
}

impl NoteForm {
    fn event(self) -> RunEvent {
        let kind = match self.kind.as_str() {
            "info" => NoteKind::Info,
            "invalid" => NoteKind::Invalid,
            _ => NoteKind::Warning,
        };
        RunEvent::Note(Note { at: Ns(self.at), kind, text: self.text })
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct FinishedForm {
    at: u64,
    reason: String,
    detail: String,
    errors: Vec<ErrorForm>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ErrorForm {
    step: u16,
    class: String,
    text: String,
    times: u64,
}

impl From<&Finished> for FinishedForm {
    fn from(it: &Finished) -> FinishedForm {
        let (reason, detail) = match &it.reason {
            StopReason::Completed => ("completed", ""),
            StopReason::Interrupted => ("interrupted", ""),
            StopReason::Threshold(text) => ("threshold", text.as_str()),
            StopReason::Error(text) => ("error", text.as_str()),
        };
        let error = |e: &ErrorNote| ErrorForm {
            step: e.step.0,
            class: e.class.clone(),
            text: e.text.clone(),
            times: e.times,
        };
        FinishedForm {
            at: it.at.0,
            reason: reason.into(),
            detail: detail.into(),
            errors: it.errors.iter().map(error).collect(),
        }
    }
}

impl FinishedForm {
    fn event(self) -> RunEvent {
        let reason = match self.reason.as_str() {
            "completed" => StopReason::Completed,
            "interrupted" => StopReason::Interrupted,
            "threshold" => StopReason::Threshold(self.detail),
            "error" => StopReason::Error(self.detail),
            // a reason of a newer version: not known to be a good end
            other => StopReason::Error(format!("{other:.40}: {}", self.detail)),
        };
        let error =
            |e: ErrorForm| ErrorNote { step: StepId(e.step), class: e.class, text: e.text, times: e.times };
        RunEvent::Finished(Finished {
            at: Ns(self.at),
            reason,
            errors: self.errors.into_iter().map(error).collect(),
        })
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct WindowForm {
    phase: u16,
    from: u64,
    to: u64,
    steps: Vec<(u16, FrameForm)>,
    iterations: Vec<(u16, IterationForm)>,
    lag: LagForm,
    users_active: u64,
    users_busy: u64,
    in_flight: u64,
    iterations_in_flight: u64,
    due: u64,
    process_cpu: u64,
    process_rss: u64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct FrameForm {
    planned: u64,
    outcomes: Vec<u64>,
    classes: Vec<u64>,
    codes: Vec<(u16, u64)>,
    other_codes: u64,
    response: ByteBuf,
    service: ByteBuf,
    censored: ByteBuf,
    failed: ByteBuf,
    phases: Vec<ByteBuf>,
    hops: ByteBuf,
    bytes_in: u64,
    bytes_out: u64,
    connections: u64,
    checks: Vec<(u64, u64)>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct IterationForm {
    planned: u64,
    completed: u64,
    failed: u64,
    dropped: u64,
    aborted: u64,
    duration: ByteBuf,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct LagForm {
    generator: ByteBuf,
    pool: ByteBuf,
    heartbeat: ByteBuf,
    cpu: u64,
    cpu_wait: u64,
    wall: u64,
}

fn put(histogram: &Histogram) -> ByteBuf {
    ByteBuf::from(histogram.encode())
}

/// Reads a histogram into `slot`; absent bytes leave it as it is.
fn take(bytes: &ByteBuf, slot: &mut Histogram) -> Result<(), String> {
    if bytes.is_empty() {
        return Ok(());
    }
    let read = Histogram::decode(bytes).ok_or("a histogram in it cannot be read")?;
    let (count, sum) = (u128::from(count(read.count())?), read.sum());
    if let (Some(min), Some(max)) = (read.min(), read.max())
        && (sum < u128::from(min.0) * count || sum > u128::from(max.0) * count)
    {
        return Err("a histogram in it contradicts itself".into());
    }
    if count > 0 {
        *slot = read;
    }
    Ok(())
}

fn count(value: u64) -> Result<u64, String> {
    if value > LARGEST_COUNT { Err(format!("a count in it is beyond reason: {value}")) } else { Ok(value) }
}

impl From<&Window> for WindowForm {
    fn from(it: &Window) -> WindowForm {
        WindowForm {
            phase: it.phase,
            from: it.from.0,
            to: it.to.0,
            steps: it.steps.iter().map(|(id, frame)| (id.0, FrameForm::from(frame))).collect(),
            iterations: it.iterations.iter().map(|(id, frame)| (id.0, IterationForm::from(frame))).collect(),
            lag: LagForm {
                generator: put(&it.lag.generator),
                pool: put(&it.lag.pool),
                heartbeat: put(&it.lag.heartbeat),
                cpu: it.lag.cpu.0,
                cpu_wait: it.lag.cpu_wait.0,
                wall: it.lag.wall.0,
            },
            users_active: it.users.active,
            users_busy: it.users.busy,
            in_flight: it.in_flight,
            iterations_in_flight: it.iterations_in_flight,
            due: it.due,
            process_cpu: it.process_cpu.0,
            process_rss: it.process_rss,
        }
    }
}

impl WindowForm {
    fn event(self) -> Result<RunEvent, String> {
        if self.steps.len() > MOST_ROWS || self.iterations.len() > MOST_ROWS {
            return Err(format!("it has more than {MOST_ROWS} steps or scenarios"));
        }
        let mut lag = LagFrame {
            cpu: Ns(self.lag.cpu),
            cpu_wait: Ns(self.lag.cpu_wait),
            wall: Ns(self.lag.wall),
            ..LagFrame::default()
        };
        take(&self.lag.generator, &mut lag.generator)?;
        take(&self.lag.pool, &mut lag.pool)?;
        take(&self.lag.heartbeat, &mut lag.heartbeat)?;
        let steps = self.steps.into_iter().map(|(id, frame)| Ok((StepId(id), frame.frame()?)));
        let iterations = self.iterations.into_iter().map(|(id, frame)| Ok((ScenarioId(id), frame.frame()?)));
        Ok(RunEvent::Window(Box::new(Window {
            phase: self.phase,
            from: Ns(self.from),
            to: Ns(self.to),
            steps: steps.collect::<Result<_, String>>()?,
            iterations: iterations.collect::<Result<_, String>>()?,
            lag,
            users: Users { active: count(self.users_active)?, busy: count(self.users_busy)? },
            in_flight: count(self.in_flight)?,
            iterations_in_flight: count(self.iterations_in_flight)?,
            due: count(self.due)?,
            process_cpu: Ns(self.process_cpu),
            process_rss: self.process_rss,
        })))
    }
}

impl From<&Frame> for FrameForm {
    fn from(it: &Frame) -> FrameForm {
        FrameForm {
            planned: it.planned,
            outcomes: it.outcomes.to_vec(),
            classes: it.classes.to_vec(),
            codes: it.codes.clone(),
            other_codes: it.other_codes,
            response: put(&it.response),
            service: put(&it.service),
            censored: put(&it.censored),
            failed: put(&it.failed),
            phases: it.phases.iter().map(put).collect(),
            hops: put(&it.hops),
            bytes_in: it.bytes_in,
            bytes_out: it.bytes_out,
            connections: it.connections,
            checks: it.checks.clone(),
        }
    }
}

impl FrameForm {
    fn frame(self) -> Result<Frame, String> {
        if self.outcomes.len() > Outcome::ALL.len()
            || self.classes.len() > ErrorClass::COUNT
            || self.phases.len() > Phase::COUNT
        {
            return Err("it counts outcomes, error classes or phases that this version does not know".into());
        }
        if self.codes.len() > CODES || self.checks.len() > MOST_ROWS {
            return Err("it counts more result codes or checks than a step can have".into());
        }
        let mut frame = Frame::new(0);
        frame.planned = count(self.planned)?;
        for (slot, value) in frame.outcomes.iter_mut().zip(&self.outcomes) {
            *slot = count(*value)?;
        }
        for (slot, value) in frame.classes.iter_mut().zip(&self.classes) {
            *slot = count(*value)?;
        }
        for (_, times) in &self.codes {
            count(*times)?;
        }
        for (held, failed) in &self.checks {
            count(*held)?;
            count(*failed)?;
        }
        frame.codes.extend(self.codes);
        frame.checks = self.checks;
        frame.other_codes = count(self.other_codes)?;
        take(&self.response, &mut frame.response)?;
        take(&self.service, &mut frame.service)?;
        take(&self.censored, &mut frame.censored)?;
        take(&self.failed, &mut frame.failed)?;
        for (bytes, slot) in self.phases.iter().zip(&mut frame.phases) {
            take(bytes, slot)?;
        }
        take(&self.hops, &mut frame.hops)?;
        frame.bytes_in = count(self.bytes_in)?;
        frame.bytes_out = count(self.bytes_out)?;
        frame.connections = count(self.connections)?;
        Ok(frame)
    }
}

impl From<&IterationFrame> for IterationForm {
    fn from(it: &IterationFrame) -> IterationForm {
        IterationForm {
            planned: it.planned,
            completed: it.completed,
            failed: it.failed,
            dropped: it.dropped,
            aborted: it.aborted,
            duration: put(&it.duration),
        }
    }
}

impl IterationForm {
    fn frame(self) -> Result<IterationFrame, String> {
        let mut frame = IterationFrame {
            planned: count(self.planned)?,
            completed: count(self.completed)?,
            failed: count(self.failed)?,
            dropped: count(self.dropped)?,
            aborted: count(self.aborted)?,
            ..IterationFrame::default()
        };
        take(&self.duration, &mut frame.duration)?;
        Ok(frame)
    }
}
