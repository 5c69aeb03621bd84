//! The `thresholds` tables: subject -> measure -> limits, or subject -> list of sentences such as
//! `p95 < 300ms over any 30s`. Subjects with values (the plan's own measures, what monitors read) have figures of their
//! own, see [`values`].

mod values;

use values::About;

use crate::model::{Scenario, Step};
use crucible_core::monitor::{self, Component};
use crucible_core::threshold::{Band, Better, Measure, Subject, Threshold};
use crucible_core::{
    Diagnostics, Fields, Key, MeasureSpec, Node, NodeKind, Ns, Position, ScenarioId, fields, units,
};
use std::collections::HashMap;

/// Options that may stand among the bands of a limit.
pub(crate) const OPTION_KEYS: &[Key] = &[
    Key {
        name: "over",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Demanded of every stretch of this length, not of the whole test.",
        example: "30s",
    },
    Key {
        name: "abort",
        schema: r#"{"type": "boolean"}"#,
        doc: "End the test as soon as it is broken.",
        example: "true",
    },
    Key {
        name: "after",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Not looked at before this time into the test (with `over` or `abort`).",
        example: "10s",
    },
];

/// Name of the band of a limit that is a single value.
const TARGET: &str = "target";
/// Figures are kept for windows of a second.
const OVER_MIN: Ns = Ns::from_secs(1);
/// Most bands of one limit.
const BANDS_MAX: usize = 20;

/// A threshold and where it stands.
pub(crate) struct Placed {
    pub(crate) at: Position,
    pub(crate) path: String,
    pub(crate) threshold: Threshold,
}

/// What a subject can be called.
pub(crate) struct Names {
    steps: HashMap<String, ScenarioId>,
    scenarios: HashMap<String, ScenarioId>,
    /// The plan's own measures, with the scenarios that feed them.
    measures: HashMap<String, (MeasureSpec, Vec<ScenarioId>)>,
    /// Components that are watched, beside those that always are.
    components: Vec<String>,
}

impl Names {
    pub(crate) fn new(steps: &[Step], scenarios: &[Scenario]) -> Names {
        Names {
            steps: steps.iter().map(|step| (step.name.clone(), step.scenario)).collect(),
            scenarios: scenarios.iter().map(|scenario| (scenario.name.clone(), scenario.id)).collect(),
            measures: HashMap::new(),
            components: Vec::new(),
        }
    }

    /// With the plan's measures, which `steps` feed, and the components that are watched.
    pub(crate) fn with_values(
        mut self,
        steps: &[Step],
        measures: &[MeasureSpec],
        components: &[Component],
    ) -> Names {
        for (index, spec) in measures.iter().enumerate() {
            let feeds = |step: &&Step| step.measures.iter().any(|id| usize::from(id.0) == index);
            let fed = steps.iter().filter(feeds).map(|step| step.scenario).collect();
            self.measures.insert(spec.name.clone(), (spec.clone(), fed));
        }
        self.components = components.iter().map(|component| component.name.clone()).collect();
        self
    }

    /// What the values of a subject are; `None` for steps and scenarios.
    fn about(&self, subject: &Subject) -> Option<About> {
        match subject {
            Subject::Measure(name) => self.measures.get(name).map(|(spec, _)| About::Measure(spec.clone())),
            Subject::Series { component, name } => {
                series_of(component).iter().find(|series| series.name == name).map(About::Series)
            }
            _ => None,
        }
    }

    /// `COMPONENT.SERIES`; `None` if it is not meant.
    fn series(&self, text: &str) -> Option<Result<Subject, (String, String)>> {
        let (component, name) = text.split_once('.')?;
        let always = [monitor::HOST_NAME, monitor::GENERATOR_NAME];
        let known = always.contains(&component) || self.components.iter().any(|known| known == component);
        let rows = series_of(component);
        let found = rows.iter().any(|series| series.name == name);
        Some(match (known, found) {
            (true, true) => Ok(Subject::Series { component: component.into(), name: name.into() }),
            (true, false) => {
                let names: Vec<&str> = rows.iter().map(|series| series.name).collect();
                Err((
                    format!("nothing called {name:?} is read of {component}"),
                    fields::suggest(name, &names),
                ))
            }
            (false, true) => {
                let hint = format!("add it, as in `components: {{{component}: {{port: 8070}}}}`");
                Err((format!("there is no component {component:?}"), hint))
            }
            (false, false) => return None,
        })
    }

    pub(crate) fn scenario(&self, name: &str) -> Option<ScenarioId> {
        self.scenarios.get(name).copied()
    }

    pub(crate) fn all_scenarios(&self) -> Vec<ScenarioId> {
        let mut all: Vec<ScenarioId> = self.scenarios.values().copied().collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn scenario_names(&self) -> Vec<&str> {
        self.scenarios.keys().map(String::as_str).collect()
    }

    /// Whether a subject can have samples in a test of these scenarios.
    pub(crate) fn takes_part(&self, subject: &Subject, scenarios: &[ScenarioId]) -> bool {
        let id = match subject {
            Subject::All | Subject::Each => return true,
            Subject::Step(name) => self.steps.get(name),
            Subject::Scenario(name) => self.scenarios.get(name),
            Subject::Series { .. } => return true,
            Subject::Measure(name) => {
                let fed = self.measures.get(name).map_or(&[][..], |(_, fed)| fed);
                return fed.is_empty() || fed.iter().any(|id| scenarios.contains(id));
            }
        };
        id.is_none_or(|id| scenarios.contains(id))
    }

    /// The subject of this name. The error is what is wrong and what would be right.
    fn subject(&self, name: &str) -> Result<Subject, (String, String)> {
        match (name, self.steps.contains_key(name), self.scenarios.contains_key(name)) {
            ("*", ..) => Ok(Subject::All),
            ("each", ..) => Ok(Subject::Each),
            (_, true, true) => {
                let message = format!("both a step and a scenario are called {name:?}");
                Err((message, "rename one of the two".into()))
            }
            (_, true, false) => Ok(Subject::Step(name.to_owned())),
            (_, false, true) => Ok(Subject::Scenario(name.to_owned())),
            (_, false, false) if self.measures.contains_key(name) => Ok(Subject::Measure(name.to_owned())),
            (_, false, false) => {
                if let Some(series) = self.series(name) {
                    return series;
                }
                let mut known = vec!["*", "each"];
                let names = self.scenarios.keys().chain(self.steps.keys()).chain(self.measures.keys());
                known.extend(names.map(String::as_str));
                known.sort_unstable();
                // a plan may have thousands of steps; a hint that lists them all helps nobody
                let hint = match fields::suggest(name, &known) {
                    hint if hint.starts_with("did you mean") || known.len() <= 12 => hint,
                    _ => "write `*`, `each`, or the name of a step or scenario of this plan".into(),
                };
                Err((format!("there is no step or scenario {name:?}"), hint))
            }
        }
    }
}

/// What is read of a component.
fn series_of(component: &str) -> &'static [monitor::Series] {
    if component == monitor::HOST_NAME { monitor::HOST } else { monitor::PROCESS }
}

/// Reads a `thresholds` table; notes every mistake.
pub(crate) fn read(node: &Node, path: &str, names: &Names, diagnostics: &Diagnostics) -> Vec<Placed> {
    let Some(table) = Fields::new(node, path, diagnostics) else { return Vec::new() };
    let mut reader = Reader { names, diagnostics, list: Vec::new() };
    for (name, at, node) in table.all() {
        let path = table.path_of(name);
        let subject = names.subject(name).map_err(|(message, hint)| {
            diagnostics.error(at, &path, message, hint);
        });
        // limits of an unknown subject are read all the same: their mistakes are told too
        let known = subject.is_ok();
        let before = reader.list.len();
        reader.subject(&subject.unwrap_or(Subject::All), node, &path);
        if !known {
            reader.list.truncate(before);
        }
    }
    reader.list
}

struct Reader<'d> {
    names: &'d Names,
    diagnostics: &'d Diagnostics,
    list: Vec<Placed>,
}

impl Reader<'_> {
    fn subject(&mut self, subject: &Subject, node: &Node, path: &str) {
        match &node.kind {
            NodeKind::Map(_) => self.table(subject, node, path),
            NodeKind::Text(text) => self.sentence(subject, text, node.at, path),
            NodeKind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match &item.kind {
                        NodeKind::Map(_) => self.table(subject, item, &path),
                        NodeKind::Text(text) => self.sentence(subject, text, item.at, &path),
                        _ => self.no_limits(item, &path),
                    }
                }
            }
            _ => self.no_limits(node, path),
        }
    }

    fn no_limits(&self, node: &Node, path: &str) {
        let message = format!("this is {}, limits are needed", node.kind_name());
        let hint = "write `{p95: 500ms, errors: 1%}` or `[\"p95 < 500ms\", \"errors < 1%\"]`";
        self.diagnostics.error(node.at, path, message, hint);
    }

    fn table(&mut self, subject: &Subject, node: &Node, path: &str) {
        let Some(table) = Fields::new(node, path, self.diagnostics) else { return };
        let about = self.names.about(subject);
        for (word, at, node) in table.all() {
            let path = table.path_of(word);
            if let Some(about) = &about {
                self.value_entry(subject, about, (word, at, node), path);
                continue;
            }
            match Measure::parse(word) {
                Ok(measure) => self.limits(subject, measure, node, at, path),
                Err(hint) => {
                    self.diagnostics.error(at, &path, format!("`{word}` is no measure"), hint);
                }
            }
        }
    }

    fn limits(&mut self, subject: &Subject, measure: Measure, node: &Node, at: Position, path: String) {
        let mut threshold = Threshold {
            subject: subject.clone(),
            measure,
            bands: Vec::new(),
            over: None,
            abort: false,
            after: Ns::ZERO,
            implied: false,
        };
        if !matches!(node.kind, NodeKind::Map(_)) {
            if let Some(band) = self.band(&threshold.measure, TARGET, node, &path) {
                threshold.bands.push(band);
                self.keep(at, path, threshold);
            }
            return;
        }
        let Some(fields) = Fields::new(node, path.clone(), self.diagnostics) else { return };
        threshold.over = fields.duration("over");
        threshold.abort = fields.flag("abort").unwrap_or(false);
        threshold.after = fields.duration("after").unwrap_or(Ns::ZERO);
        let mut whole = true;
        let bands = fields.all().filter(|(name, _, _)| !OPTION_KEYS.iter().any(|key| key.name == *name));
        for (name, _, node) in bands {
            let path = fields.path_of(name);
            match self.band(&threshold.measure, name, node, &path) {
                Some(band) => threshold.bands.push(band),
                None => whole = false,
            }
        }
        if threshold.bands.is_empty() && whole {
            let hint = "write `{target: 500ms}`, or bands from the best to the last acceptable one";
            self.diagnostics.error(at, &path, "there is no limit in it", hint);
        }
        if threshold.bands.len() > BANDS_MAX {
            let message = format!("more than {BANDS_MAX} bands");
            self.diagnostics.error(at, &path, message, "");
            return;
        }
        if whole && !threshold.bands.is_empty() && self.ordered(&threshold, at, &path) {
            self.keep(at, path, threshold);
        }
    }

    fn band(&self, measure: &Measure, name: &str, node: &Node, path: &str) -> Option<Band> {
        let Some(text) = node.scalar() else {
            let message = format!("this is {}, a limit is needed", node.kind_name());
            self.diagnostics.error(node.at, path, message, example(measure));
            return None;
        };
        match measure.parse_limit(&text) {
            Ok(limit) => Some(Band { name: name.to_owned(), limit }),
            Err(hint) => {
                let message = format!("{text:?} is no limit of {}", measure.name());
                self.diagnostics.error(node.at, path, message, hint);
                None
            }
        }
    }

    /// Whether each band is worse than the one before; notes the first two that are not.
    fn ordered(&self, threshold: &Threshold, at: Position, path: &str) -> bool {
        let better = threshold.measure.better();
        let wrong = threshold.bands.windows(2).find(|pair| match better {
            Better::Lower => pair[0].limit >= pair[1].limit,
            Better::Higher => pair[0].limit <= pair[1].limit,
        });
        let Some([first, second]) = wrong else { return true };
        let show = |band: &Band| format!("{} ({})", band.name, threshold.measure.show_limit(band.limit));
        let message = format!("{} comes before {} but is not better", show(first), show(second));
        let hint = match better {
            Better::Lower => "bands go from the best to the last acceptable one: lower limits first",
            Better::Higher => "bands go from the best to the last acceptable one: higher limits first",
        };
        self.diagnostics.error(at, path, message, hint);
        false
    }

    fn sentence(&mut self, subject: &Subject, text: &str, at: Position, path: &str) {
        if let Some(about) = self.names.about(subject) {
            return self.value_sentence(subject, &about, text, at, path);
        }
        match sentence(subject, text) {
            Ok(threshold) => self.keep(at, path.to_owned(), threshold),
            Err(hint) => {
                self.diagnostics.error(at, path, format!("{text:?} is no threshold"), hint);
            }
        }
    }

    /// Checks what both forms share.
    fn keep(&mut self, at: Position, path: String, threshold: Threshold) {
        let error = |message: &str, hint: &str| self.diagnostics.error(at, &path, message, hint);
        if threshold.over.is_some_and(|over| over < OVER_MIN) {
            return error(
                "`over` is shorter than a second",
                "figures are kept by the second; write 1s or more",
            );
        }
        if threshold.after > Ns::ZERO && threshold.over.is_none() && !threshold.abort {
            return error(
                "`after` does nothing here",
                "it goes with `over` or `abort`; a threshold on the whole test has no begin",
            );
        }
        let same = |other: &Threshold| {
            other.subject == threshold.subject
                && other.measure == threshold.measure
                && other.over == threshold.over
        };
        if self.list.iter().any(|placed| same(&placed.threshold)) {
            return error("this is demanded twice", "keep one of the two, or give it bands");
        }
        self.list.push(Placed { at, path, threshold });
    }
}

fn example(measure: &Measure) -> String {
    use crucible_core::threshold::LimitUnit;
    let limit = match measure.unit() {
        LimitUnit::Duration => "500ms",
        LimitUnit::Share => "1%",
        LimitUnit::Rate => "100/s",
        LimitUnit::Number => "100",
    };
    format!("write `{}: {limit}` or `{{target: {limit}}}`", measure.name())
}

/// Reads `MEASURE < LIMIT [over any SPAN] [abort] [after SPAN]`. The error is a hint.
fn sentence(subject: &Subject, text: &str) -> Result<Threshold, String> {
    const FORM: &str = "write it as in `p95 < 300ms over any 30s` or `errors < 1% abort after 10s`";
    let sign = text.find(['<', '>']).ok_or(FORM)?;
    let measure = Measure::parse(text[..sign].trim())?;
    let given = if text[sign..].starts_with('<') { Better::Lower } else { Better::Higher };
    let rest = &text[sign + 1..];
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    match measure.better() {
        better if better == given => {}
        Better::Lower => return Err(format!("less is better: write `{} < ...`", measure.name())),
        Better::Higher => return Err(format!("more is better: write `{} > ...`", measure.name())),
    }
    let mut words = rest.split_whitespace().peekable();
    let mut limit = String::new();
    while let Some(word) = words.next_if(|word| !matches!(*word, "over" | "abort" | "after")) {
        limit.push_str(word);
    }
    let limit = measure.parse_limit(&limit)?;
    let mut threshold = Threshold {
        subject: subject.clone(),
        measure,
        bands: vec![Band { name: TARGET.into(), limit }],
        over: None,
        abort: false,
        after: Ns::ZERO,
        implied: false,
    };
    while let Some(word) = words.next() {
        let mut span = || {
            let mut text = String::new();
            while let Some(word) = words.next_if(|word| !matches!(*word, "over" | "abort" | "after")) {
                text.push_str(word);
            }
            units::parse_duration(text.strip_prefix("any").unwrap_or(&text))
        };
        match word {
            "over" => threshold.over = Some(span()?),
            "after" => threshold.after = span()?,
            "abort" => threshold.abort = true,
            _ => return Err(FORM.into()),
        }
    }
    Ok(threshold)
}

#[cfg(test)]
mod tests;
