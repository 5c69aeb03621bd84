//! From stored runs to slices.

use crate::exit::CliError;
use crucible_core::{Frame, Outcome};
use crucible_record::{Reading, RunEvent, RunStarted, Store, Window};
use crucible_stats::compare::{Gauge, Slice};

/// A run's windows and readings.
pub(crate) struct Series {
    pub(crate) started: RunStarted,
    windows: Vec<Window>,
    readings: Vec<Reading>,
}

/// Windows shorter than this share of the usual length are ends of phases: they scatter more than the rest.
const SHORTEST: f64 = 0.5;

impl Series {
    /// Reads a run. Damaged entries are passed over; a run without a beginning is an error.
    pub(crate) fn read(store: &Store, run: &str) -> Result<Series, CliError> {
        let failed = |why: String| CliError::usage(format!("failed to read the run {run}: {why}"));
        let events = store.events(run).map_err(|error| failed(error.to_string()))?;
        let mut series = Series { started: RunStarted::default(), windows: Vec::new(), readings: Vec::new() };
        let mut begun = false;
        for event in events {
            match event {
                Ok(RunEvent::Started(started)) => (series.started, begun) = (*started, true),
                Ok(RunEvent::Planned(planned)) => {
                    series.started.tests.extend(planned.tests);
                    series.started.phases.extend(planned.phases);
                }
                Ok(RunEvent::Window(window)) => series.windows.push(*window),
                Ok(RunEvent::Reading(reading)) => series.readings.push(*reading),
                Ok(_) => {}
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        if begun { Ok(series) } else { Err(failed("it has no readable beginning".into())) }
    }

    /// Names of the tests.
    pub(crate) fn tests(&self) -> Vec<String> {
        self.started.tests.iter().map(|test| test.name.clone()).collect()
    }

    /// The slices of a test: its windows after the first (which opens connections), ends of phases left out.
    pub(crate) fn slices(&self, test: &str, gauges: &[Gauge]) -> Vec<Slice> {
        let Some(index) = self.started.tests.iter().position(|known| known.name == test) else {
            return Vec::new();
        };
        let own: Vec<&Window> =
            self.windows.iter().filter(|window| self.test_of(window) == Some(index)).collect();
        let usual = own.iter().map(|window| window.to.since(window.from).as_secs_f64()).fold(0.0, f64::max);
        let whole = |window: &&&Window| window.to.since(window.from).as_secs_f64() >= usual * SHORTEST;
        let skip = usize::from(own.len() > 2);
        own.iter().skip(skip).filter(whole).map(|window| self.slice(window, gauges)).collect()
    }

    /// The windows of the test of this name.
    pub(crate) fn windows_of(&self, test: &str) -> Vec<Window> {
        let index = self.started.tests.iter().position(|known| known.name == test);
        let own = |window: &&Window| index.is_some() && self.test_of(window) == index;
        self.windows.iter().filter(own).cloned().collect()
    }

    fn test_of(&self, window: &Window) -> Option<usize> {
        self.started.phases.get(usize::from(window.phase)).map(|phase| usize::from(phase.test))
    }

    fn slice(&self, window: &Window, gauges: &[Gauge]) -> Slice {
        let mut slice = slice(&self.started, std::slice::from_ref(window));
        slice.readings = gauges.iter().map(|gauge| self.reading(window, gauge, slice.seconds)).collect();
        slice
    }

    /// The mean of a series in a window; `NaN` if nothing was read. CPU time is cores times seconds.
    fn reading(&self, window: &Window, gauge: &Gauge, seconds: f64) -> f64 {
        let (component, name) = gauge.name.split_once('.').unwrap_or(("", &gauge.name));
        let Some(index) = self
            .started
            .series
            .iter()
            .position(|series| series.component == component && series.name == name)
        else {
            return f64::NAN;
        };
        let inside =
            self.readings.iter().filter(|reading| reading.at > window.from && reading.at <= window.to);
        let values: Vec<f64> = inside
            .flat_map(|reading| reading.values.iter().filter(|(id, _)| usize::from(*id) == index))
            .map(|(_, value)| *value)
            .collect();
        if values.is_empty() {
            return f64::NAN;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        if name == "cpu" { mean * seconds } else { mean }
    }
}

/// Windows as one slice, requests that only look whether a job is done and spans of time left out.
pub(crate) fn slice(started: &RunStarted, windows: &[Window]) -> Slice {
    let mut all = Frame::new(0);
    for window in windows {
        let counted = |id: usize| {
            started.steps.get(id).is_none_or(|step| !matches!(step.role.as_str(), "follow" | "timed"))
        };
        let own = window.steps.iter().filter(|(id, _)| counted(usize::from(id.0)));
        own.for_each(|(_, frame)| all.merge(frame));
    }
    Slice {
        ok: all.of(Outcome::Ok),
        errors: all.errors(),
        operations: all.ended() - all.of(Outcome::Aborted),
        latency: all.response,
        seconds: windows.iter().map(|window| window.to.since(window.from).as_secs_f64()).sum(),
        readings: Vec::new(),
    }
}

/// CPU and memory of the components that were watched on both sides; the generator and the host are not the system.
pub(crate) fn gauges(a: &[Series], b: &[Series]) -> Vec<Gauge> {
    let Some(first) = a.first() else { return Vec::new() };
    let everywhere = |component: &str, name: &str| {
        let has = |run: &Series| {
            run.started.series.iter().any(|series| series.component == component && series.name == name)
        };
        a.iter().chain(b).all(has)
    };
    let own = first.started.series.iter().filter(|series| {
        !matches!(series.component.as_str(), "host" | "generator")
            && everywhere(&series.component, &series.name)
    });
    own.filter_map(|series| {
        let gauge = match series.name.as_str() {
            "cpu" => Gauge::cpu(),
            "memory" => Gauge::memory(),
            _ => return None,
        };
        Some(Gauge { name: format!("{}.{}", series.component, series.name), ..gauge })
    })
    .collect()
}
