//! Database and cache: what the plan's own measures tell of them. They are known by their names, which people choose; so
//! each line says which value it rests on.

use super::{Case, Line};
use crate::growth::short;
use crate::survey::mark;
use crucible_analysis::{RunView, Totals};
use crucible_core::threshold::{Subject, Threshold};
use crucible_core::{MeasureFrame, MeasureSpec, Outcome};

/// Words in names of values that tell of places in a database's pool, of whom they are for, and that they wait. What waits for
/// something else (`programs waiting`), how long it does (`queue wait` in ms), and connections of clients are not it.
const PLACES: [&str; 3] = ["connection", "places", "pool"];
const ASKERS: [&str; 3] = ["quer", "database", "transaction"];
const WAITING: [&str; 2] = ["waiting", "queue"];
const OTHERS: [&str; 4] = ["cache", "socket", "client", "http"];

/// A measure of the plan's own in the test that did most work.
struct Seen<'a> {
    run: usize,
    test: &'a str,
    spec: &'a MeasureSpec,
    frame: &'a MeasureFrame,
    /// The last limit that the plan sets for it.
    limit: Option<f64>,
}

fn seen<'a>(case: &Case<'a>) -> Vec<Seen<'a>> {
    let mut all: Vec<Seen<'a>> = Vec::new();
    for (run, report) in case.survey.runs.iter().enumerate() {
        let view: &'a RunView = report.view;
        for (index, spec) in view.started.measures.iter().enumerate() {
            let tests = view.started.tests.iter().zip(&view.tests);
            let with = tests.filter_map(|(meta, totals)| {
                let frame = totals.measures.get(index).filter(|frame| frame.count > 0)?;
                Some((totals, meta, frame))
            });
            let busiest = with.max_by(|a, b| rate(a.0).total_cmp(&rate(b.0)));
            if let Some((_, meta, frame)) = busiest {
                // of several records the last one counts
                all.retain(|one| one.spec.name != spec.name);
                all.push(Seen { run, test: &meta.name, spec, frame, limit: limit(view, &spec.name) });
            }
        }
    }
    all
}

fn rate(totals: &Totals) -> f64 {
    let seconds = totals.covered.as_secs_f64();
    if seconds > 0.0 { totals.all.of(Outcome::Ok) as f64 / seconds } else { 0.0 }
}

fn limit(view: &RunView, name: &str) -> Option<f64> {
    let texts = view.started.tests.iter().flat_map(|test| &test.thresholds);
    let own = texts.filter_map(|text| text.parse::<Threshold>().ok());
    own.filter(|it| matches!(&it.subject, Subject::Measure(of) if of == name))
        .filter_map(|it| it.bands.last().map(|band| band.limit))
        .max_by(f64::total_cmp)
}

impl Seen<'_> {
    fn named(&self, words: &[&str]) -> bool {
        let name = self.spec.name.to_lowercase();
        words.iter().any(|word| name.contains(word))
    }

    fn show(&self, value: f64) -> String {
        let unit = &self.spec.unit;
        let blank = if unit.is_empty() || unit == "%" { "" } else { " " };
        format!("{}{blank}{unit}", short(value))
    }

    fn from(&self) -> String {
        let (name, count) = (&self.spec.name, self.frame.count);
        format!("value `{name}` in {}, {count} readings, {}", self.test, mark(self.run))
    }
}

/// What a value tells of a database's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Places that are taken.
    Used,
    /// Who waits for one.
    Waiting,
}

/// By its name and unit.
fn part(name: &str, unit: &str) -> Option<Part> {
    let name = name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if !unit.is_empty() || has(&OTHERS) {
        return None;
    }
    match (has(&PLACES), has(&ASKERS), has(&WAITING)) {
        (true, _, false) => Some(Part::Used),
        (true, _, true) | (_, true, true) => Some(Part::Waiting),
        _ => None,
    }
}

/// The connection pool.
pub(super) fn database(case: &Case<'_>) -> Vec<Line> {
    const WHAT: &str = "connection pool";
    let all = seen(case);
    let waiting = all.iter().find(|one| part(&one.spec.name, &one.spec.unit) == Some(Part::Waiting));
    let used = all.iter().find(|one| part(&one.spec.name, &one.spec.unit) == Some(Part::Used));
    let mut rows = Vec::new();
    match (used, waiting) {
        (None, None) => {
            let why = "no value of the records tells of connections in use or waiting: measure them in the plan, as in \
                       `measure: {connections: {regex: ...}}`, or name the database under `components`";
            rows.push(Line::unknown(WHAT, why));
        }
        (used, waiting) => {
            if let Some(used) = used {
                let limit = used
                    .limit
                    .map_or(String::new(), |limit| format!(", the plan allows {}", used.show(limit)));
                rows.push(Line::new(
                    "in use",
                    format!("at most {}{limit}", used.show(used.frame.max)),
                    used.from(),
                ));
            }
            if let Some(waiting) = waiting {
                rows.push(Line::new(
                    "waiting",
                    format!("at most {}", waiting.show(waiting.frame.max)),
                    waiting.from(),
                ));
            }
            rows.push(pool(used, waiting));
        }
    }
    let latency =
        all.iter().filter(|one| !one.named(&OTHERS)).find(|one| one.named(&["query latency", "query time"]));
    rows.extend(latency.map(|one| Line::new("query latency", one.show(one.frame.last), one.from())));
    rows.push(Line::unknown(
        "read replicas",
        "nothing in these records tells reads from writes inside the database",
    ));
    rows
}

fn pool(used: Option<&Seen<'_>>, waiting: Option<&Seen<'_>>) -> Line {
    const WHAT: &str = "connection pool";
    if let Some(waiting) = waiting.filter(|one| one.frame.max >= 1.0) {
        let more = waiting.show(waiting.frame.max.ceil());
        let why = format!(
            "{more} waited at worst; if queries are fast, or make them faster: a larger pool moves the wait \
                           into the database where that is at its end"
        );
        return Line::new(WHAT, format!("larger, by up to {more}"), why);
    }
    match (used, waiting) {
        (Some(used), _) if used.limit.is_some_and(|limit| used.frame.max > limit) => {
            Line::new(WHAT, "larger", format!("more than the plan allows were in use, {}", mark(used.run)))
        }
        (_, Some(waiting)) => {
            Line::new(WHAT, "as it is", format!("nobody waited for a place, {}", mark(waiting.run)))
        }
        (Some(used), None) => {
            Line::new(WHAT, "as it is", format!("within what the plan allows, {}", mark(used.run)))
        }
        (None, None) => Line::unknown(WHAT, ""),
    }
}

/// Hit rate, evictions, memory.
pub(super) fn cache(case: &Case<'_>) -> Vec<Line> {
    let all = seen(case);
    let caches = all.iter().filter(|one| one.named(&["cache"]));
    let (mut rows, mut evicted) = (Vec::new(), None);
    for one in caches {
        if one.named(&["hit"]) {
            rows.push(Line::new("hit rate", one.show(one.frame.last), one.from()));
        } else if one.named(&["evict"]) {
            rows.push(Line::new("evictions", one.show(one.frame.last), one.from()));
            evicted = Some(evicted.unwrap_or(0.0_f64).max(one.frame.max));
        } else if one.named(&["memory", "bytes", "size"]) {
            rows.push(Line::new("memory in use", one.show(one.frame.max), one.from()));
        }
    }
    if rows.is_empty() {
        let why = "no value of the records is called a cache: measure hits and evictions in the plan, or name the cache \
                   under `components`";
        return vec![Line::unknown("memory", why)];
    }
    rows.push(match evicted {
        Some(count) if count >= 1.0 => {
            Line::new("memory", "more", format!("{} entries had to go", short(count)))
        }
        Some(_) => Line::new("memory", "as it is", "nothing was evicted"),
        None => Line::unknown("memory", "evictions were not measured"),
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_a_database_is_taken_for_its_pool() {
        for (name, unit, is) in [
            ("database connections", "", Some(Part::Used)),
            ("DB pool", "", Some(Part::Used)),
            ("database places", "", Some(Part::Used)),
            ("queries waiting", "", Some(Part::Waiting)),
            ("connections waiting", "", Some(Part::Waiting)),
            ("queue for the pool", "", Some(Part::Waiting)),
            ("queue wait", "ms", None),
            ("pool wait", "ms", None),
            ("programs waiting", "", None),
            ("job queue", "", None),
            ("websocket connections", "", None),
            ("cache pool", "", None),
            ("query errors", "", None),
        ] {
            assert_eq!(part(name, unit), is, "{name} [{unit}]");
        }
    }
}
