//! The stored form of a window: frames, iterations, lateness.

use super::MOST_ROWS;
use crate::event::{RunEvent, Users, Window};
use crucible_core::frame::CODES;
use crucible_core::{
    ErrorClass, Frame, Histogram, IterationFrame, LagFrame, MeasureFrame, MeasureId, Ns, Outcome, Phase,
    ScenarioId, StepId,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Larger counts in one window are refused.
const LARGEST_COUNT: u64 = 1 << 43;

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct WindowForm {
    phase: u16,
    from: u64,
    to: u64,
    steps: Vec<(u16, FrameForm)>,
    measures: Vec<(u16, MeasureForm)>,
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
struct MeasureForm {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    held: u64,
    negative: u64,
    values: ByteBuf,
    tallies: Vec<u64>,
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
            measures: it.measures.iter().map(|(id, frame)| (id.0, MeasureForm::from(frame))).collect(),
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
    pub(super) fn event(self) -> Result<RunEvent, String> {
        if [self.steps.len(), self.iterations.len(), self.measures.len()].iter().any(|rows| *rows > MOST_ROWS)
        {
            return Err(format!("it has more than {MOST_ROWS} steps, scenarios or measures"));
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
        let measures = self.measures.into_iter().map(|(id, frame)| Ok((MeasureId(id), frame.frame()?)));
        let iterations = self.iterations.into_iter().map(|(id, frame)| Ok((ScenarioId(id), frame.frame()?)));
        Ok(RunEvent::Window(Box::new(Window {
            phase: self.phase,
            from: Ns(self.from),
            to: Ns(self.to),
            steps: steps.collect::<Result<_, String>>()?,
            measures: measures.collect::<Result<_, String>>()?,
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

impl From<&MeasureFrame> for MeasureForm {
    fn from(it: &MeasureFrame) -> MeasureForm {
        MeasureForm {
            count: it.count,
            sum: it.sum,
            min: it.min,
            max: it.max,
            last: it.last,
            held: it.held,
            negative: it.negative,
            values: put(&it.values),
            tallies: it.tallies.clone(),
        }
    }
}

impl MeasureForm {
    fn frame(self) -> Result<MeasureFrame, String> {
        let figures = [self.sum, self.min, self.max, self.last];
        if figures.iter().any(|figure| !figure.is_finite()) || self.tallies.len() > MOST_ROWS {
            return Err("a measure in it cannot be read".into());
        }
        let tallies = self.tallies.into_iter().map(count).collect::<Result<_, _>>()?;
        let mut frame = MeasureFrame {
            count: count(self.count)?,
            sum: self.sum,
            min: self.min,
            max: self.max,
            last: self.last,
            held: count(self.held)?,
            negative: count(self.negative)?,
            values: Histogram::default(),
            tallies,
        };
        take(&self.values, &mut frame.values)?;
        Ok(frame)
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
