//! Recommendations in the documents' own sections: horizontal, vertical, database, cache. Each follows from evidence that it
//! names; where there is none it says so and which command would bring it.

mod horizontal;
mod measured;
mod vertical;

use super::best;
use crate::found::Capacity;
use crate::growth::Growth;
use crate::page::Row;
use crate::survey::{Survey, Wanted};
use crucible_analysis::scaling::Demand;
use serde_json::{Value, json};

/// One section.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Line>,
}

/// One recommendation.
pub(super) struct Line {
    what: &'static str,
    value: String,
    from: String,
    command: Option<String>,
}

impl Line {
    fn new(what: &'static str, value: impl Into<String>, from: impl Into<String>) -> Line {
        Line { what, value: value.into(), from: from.into(), command: None }
    }

    /// What is not known, and what would tell it.
    fn unknown(what: &'static str, why: impl Into<String>) -> Line {
        Line::new(what, "not known", why)
    }

    fn by(mut self, command: impl Into<String>) -> Line {
        self.command = Some(command.into());
        self
    }

    pub(super) fn row(&self) -> Row {
        let row = Row::new([self.what.to_owned(), self.value.clone()]);
        let row = if self.from.is_empty() { row } else { row.says(&self.from) };
        Row { command: self.command.clone(), ..row }
    }
}

impl Section {
    pub(super) fn json(&self) -> Value {
        let row = |line: &Line| {
            json!({"what": line.what, "value": line.value, "known": line.value != "not known", "follows_from": line.from,
                "command": line.command})
        };
        json!({"section": self.title, "recommendations": self.rows.iter().map(row).collect::<Vec<_>>()})
    }
}

/// Share of a machine's CPU from which nothing runs undisturbed on it.
const CROWDED: f64 = 0.9;

/// What all sections look at.
struct Case<'a> {
    survey: &'a Survey<'a>,
    /// Growth over load, with what an operation costs.
    load: Option<&'a Growth>,
    instances: Option<&'a Growth>,
    /// The capacity that is planned with: the newest in the unit that is wanted.
    capacity: Option<&'a (usize, Capacity)>,
}

pub(super) fn advice(
    survey: &Survey<'_>,
    load: &[Growth],
    instances: Option<&Growth>,
    capacities: &[(usize, Capacity)],
) -> Vec<Section> {
    let users = survey.asked.wanted.map(|wanted| matches!(wanted, Wanted::Users(_)));
    let fits = |one: &&(usize, Capacity)| users.is_none_or(|users| one.1.users == users);
    let newest = |one: &&(usize, Capacity)| survey.runs[one.0].view.started.started_unix_ms;
    let fitting = || capacities.iter().filter(fits);
    // that of as many instances as there are, if it was measured
    let same =
        |one: &&(usize, Capacity)| survey.at(one.0).is_some() && survey.at(one.0) == survey.asked.instances;
    let case = Case {
        survey,
        load: best(load),
        instances,
        capacity: fitting().filter(same).max_by_key(newest).or_else(|| fitting().max_by_key(newest)),
    };
    vec![
        Section { title: "horizontal scaling", rows: horizontal::rows(&case) },
        Section { title: "vertical scaling", rows: vertical::rows(&case) },
        Section { title: "database", rows: measured::database(&case) },
        Section { title: "cache", rows: measured::cache(&case) },
    ]
}

impl Case<'_> {
    /// The component whose CPU is nearest to its limit, its limit, and the growth's record.
    fn busiest(&self) -> Option<(&Demand, f64, usize)> {
        let growth = self.load?;
        let run = *growth.runs.first()?;
        let limited =
            growth.demands.iter().filter_map(|demand| Some((demand, self.limit(run, demand)?, run)));
        // a component says more than the machine that it runs on
        limited.max_by(|a, b| {
            let own = |one: &(&Demand, f64, usize)| self.component(one.2, one.0) != "host";
            own(a).cmp(&own(b)).then((a.0.at_most.0 / a.1).total_cmp(&(b.0.at_most.0 / b.1)))
        })
    }

    /// How busy the machine as a whole was at the highest steady throughput, if it was so busy that no component's own figure
    /// says what gives way: generator and others may share it.
    fn crowded(&self) -> Option<f64> {
        let growth = self.load?;
        let series = &self.survey.runs[*growth.runs.first()?].view.started.series;
        let host = series.iter().position(|meta| meta.component == "host" && meta.name == "cpu")?;
        let levels = &growth.scaling.levels.levels;
        let top = levels.iter().max_by(|a, b| a.throughput.total_cmp(&b.throughput))?;
        top.series.get(host).copied().flatten().map(|(mean, _)| mean).filter(|mean| *mean >= CROWDED)
    }

    fn component(&self, run: usize, demand: &Demand) -> &str {
        let series = self.survey.runs[run].view.started.series.get(demand.series);
        series.map_or("", |series| &series.component)
    }

    /// What a component's CPU can be at most: all CPUs of the machine that was watched.
    fn limit(&self, run: usize, demand: &Demand) -> Option<f64> {
        let started = &self.survey.runs[run].view.started;
        match started.series.get(demand.series)?.unit.as_str() {
            "share" => Some(1.0),
            "cores" => self.cores(run),
            _ => None,
        }
    }

    fn cores(&self, run: usize) -> Option<f64> {
        let facts = &self.survey.runs[run].view.started.environment;
        let fact = facts.iter().find(|(name, _)| name == "cpus_online")?;
        crate::survey::number(&fact.1)
    }

    /// Operations a second at the recommended maximum of the capacity.
    fn recommended_throughput(&self) -> Option<f64> {
        let (_, capacity) = self.capacity?;
        capacity.throughput(capacity.recommended?)
    }
}
