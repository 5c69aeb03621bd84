//! From stored runs to slices.

use crate::exit::CliError;
use crucible_core::{Frame, Ns, Outcome};
use crucible_record::{Reading, RunEvent, RunStarted, SeriesMeta, Store, Window};
use crucible_stats::compare::{Gauge, Pair, Slice};
use std::collections::BTreeMap;

/// A run's windows and readings.
#[derive(Default)]
pub(crate) struct Series {
    pub(crate) started: RunStarted,
    pub(crate) windows: Vec<Window>,
    pub(crate) readings: Vec<Reading>,
}

/// Windows shorter than this share of the usual length are ends of phases: they scatter more than the rest.
const SHORTEST: f64 = 0.5;

impl Series {
    /// Reads a run. Damaged entries are passed over; a run without a beginning is an error.
    pub(crate) fn read(store: &Store, run: &str) -> Result<Series, CliError> {
        let failed = |why: String| CliError::usage(format!("failed to read the run {run}: {why}"));
        let events = store.events(run).map_err(|error| failed(error.to_string()))?;
        let mut series = Series::default();
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

    fn test_of(&self, window: &Window) -> Option<usize> {
        self.started.phases.get(usize::from(window.phase)).map(|phase| usize::from(phase.test))
    }

    fn slice(&self, window: &Window, gauges: &[Gauge]) -> Slice {
        let mut slice = slice(&self.started, std::slice::from_ref(window));
        let reading = |gauge: &Gauge| {
            let (component, name) = gauge.name.split_once('.').unwrap_or(("", &gauge.name));
            self.reading((window.from, window.to), component, name)
        };
        slice.readings = gauges.iter().map(reading).collect();
        slice
    }

    /// The mean of a series in a stretch of time; `NaN` if nothing was read. CPU time is cores times seconds.
    fn reading(&self, (from, to): (Ns, Ns), component: &str, name: &str) -> f64 {
        let own = |series: &SeriesMeta| series.component == component && series.name == name;
        let Some(index) = self.started.series.iter().position(own) else { return f64::NAN };
        let begin = self.readings.partition_point(|reading| reading.at <= from);
        let end = self.readings.partition_point(|reading| reading.at <= to);
        let (mut sum, mut count) = (0.0, 0.0);
        for reading in self.readings.get(begin..end).unwrap_or_default() {
            for (_, value) in reading.values.iter().filter(|(id, _)| usize::from(*id) == index) {
                (sum, count) = (sum + value, count + 1.0);
            }
        }
        let mean = if count > 0.0 { sum / count } else { f64::NAN };
        if name == "cpu" { mean * to.since(from).as_secs_f64() } else { mean }
    }

    /// The pairs of a duet, in the order of time, with what is read of both arms' own components. The first window of each
    /// slice opens connections and is left out.
    pub(crate) fn pairs(&self) -> (Vec<Gauge>, Vec<Pair>) {
        let gauges = self.gauges_of_arms();
        let slice = |test: usize, arm: &str| {
            let own: Vec<Window> =
                self.windows.iter().filter(|window| self.test_of(window) == Some(test)).cloned().collect();
            let settled = &own[usize::from(own.len() > 2)..];
            let mut slice = slice(&self.started, settled);
            let (Some(first), Some(last)) = (settled.first(), settled.last()) else { return None };
            let reading = |gauge: &Gauge| {
                let (component, name) = gauge.name.split_once('.').unwrap_or(("", &gauge.name));
                self.reading((first.from, last.to), &format!("{component}-{arm}"), name)
            };
            slice.readings = gauges.iter().map(reading).collect();
            Some(slice)
        };
        let mut halves: BTreeMap<(u32, u32), [Option<Slice>; 2]> = BTreeMap::new();
        for (test, meta) in self.started.tests.iter().enumerate() {
            let Some(named) = SliceName::read(&meta.name) else { continue };
            let half = halves.entry((named.round, named.number)).or_default();
            half[named.arm] = slice(test, ARMS[named.arm]);
        }
        let pair =
            |((round, _), [a, b]): ((u32, u32), [Option<Slice>; 2])| Some(Pair { a: a?, b: b?, round });
        let pairs = halves.into_iter().filter_map(pair).collect();
        (gauges, pairs)
    }

    /// CPU and memory of components that stand in the record as `NAME-A` and `NAME-B`.
    fn gauges_of_arms(&self) -> Vec<Gauge> {
        let has = |component: &str, name: &str| {
            self.started.series.iter().any(|series| series.component == component && series.name == name)
        };
        let of_both = |series: &SeriesMeta| {
            let base = series.component.strip_suffix("-A")?;
            has(&format!("{base}-B"), &series.name).then(|| gauge(base, &series.name)).flatten()
        };
        self.started.series.iter().filter_map(of_both).collect()
    }
}

/// Names of the arms in records.
pub(crate) const ARMS: [&str; 2] = ["A", "B"];

/// What a slice of a duet is called in records: its arm, the number of its pair and, where the systems were started more
/// than once, the number of the start, as in `A 12, start 3`.
pub(crate) struct SliceName {
    /// 0 or 1.
    pub(crate) arm: usize,
    /// From 1.
    pub(crate) number: u32,
    /// From 0.
    pub(crate) round: u32,
}

impl SliceName {
    /// The name as text; the only start of a duet goes without saying.
    pub(crate) fn text(&self, rounds: u32) -> String {
        let start = if rounds > 1 { format!(", start {}", self.round + 1) } else { String::new() };
        format!("{} {}{start}", ARMS[self.arm], self.number)
    }

    /// From text; `None` if this is no slice of a duet.
    pub(crate) fn read(text: &str) -> Option<SliceName> {
        let (arm, rest) = text.split_once(' ')?;
        let arm = ARMS.iter().position(|name| *name == arm)?;
        let (number, start) = rest.split_once(", start ").unwrap_or((rest, "1"));
        let round = start.parse::<u32>().ok()?.checked_sub(1)?;
        Some(SliceName { arm, number: number.parse().ok()?, round })
    }
}

/// The gauge of a series; `None` if it is not compared.
fn gauge(component: &str, series: &str) -> Option<Gauge> {
    let gauge = match series {
        "cpu" => Gauge::cpu(),
        "memory" => Gauge::memory(),
        _ => return None,
    };
    Some(Gauge { name: format!("{component}.{series}"), ..gauge })
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
    own.filter_map(|series| gauge(&series.component, &series.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_slices_are_read_as_they_are_written() {
        for (rounds, round) in [(1, 0), (6, 0), (6, 4)] {
            let text = SliceName { arm: 1, number: 12, round }.text(rounds);
            let read = SliceName::read(&text).unwrap();
            assert_eq!((read.arm, read.number, read.round), (1, 12, round), "{text}");
        }
        for other in ["A", "C 1", "A x", "A 1, start 0", "A 1, start", "steady load"] {
            assert!(SliceName::read(other).is_none(), "{other}");
        }
    }
}
