//! Thresholds on values: the plan's own measures, and what monitors read (`api.cpu`).
//!
//! A limit is `at most LIMIT`, `at least LIMIT` (or `<=`, `>=`), a range `LIMIT..LIMIT`, or a bare limit where only one
//! side can be meant. Limits are in the unit of the values.

use super::{OPTION_KEYS, Reader, TARGET};
use crucible_core::monitor::{self, Series};
use crucible_core::threshold::parse_share_exact;
use crucible_core::threshold::{Band, Better, LimitUnit, Measure, Subject, Threshold, ValueMeasure};
use crucible_core::{Fields, MeasureKind, MeasureSpec, Node, NodeKind, Ns, Position, fields, units};

/// What the values of a subject are.
#[derive(Clone, Debug)]
pub(super) enum About {
    Measure(MeasureSpec),
    Series(&'static Series),
}

impl About {
    /// Words of the figures that it has.
    fn words(&self) -> &'static [&'static str] {
        match self {
            About::Series(series) if !monitor::USED_UP.contains(&series.name) => {
                &["avg", "min", "max", "last", "p95", "above LIMIT", "below LIMIT"]
            }
            About::Series(_) => &["avg", "min", "max", "last", "p95", "above LIMIT", "below LIMIT", "leak"],
            About::Measure(spec) => match spec.kind {
                MeasureKind::Counter => &["total", "rate"],
                MeasureKind::Gauge => &["last", "min", "max", "avg"],
                MeasureKind::Rate => &["share"],
                MeasureKind::Trend => &["avg", "min", "max", "p50", "p95", "p99"],
                MeasureKind::Tally(_) => &["split"],
            },
        }
    }

    fn has(&self, figure: &ValueMeasure) -> bool {
        use ValueMeasure as V;
        match (self, figure) {
            (About::Series(_), V::Total | V::Rate | V::Share | V::Mark(_) | V::Split) => false,
            (About::Series(series), V::Leak) => monitor::USED_UP.contains(&series.name),
            (About::Series(_), _) => true,
            (About::Measure(spec), figure) => match spec.kind {
                MeasureKind::Counter => matches!(figure, V::Total | V::Rate),
                MeasureKind::Gauge => matches!(figure, V::Last | V::Min | V::Max | V::Average),
                MeasureKind::Rate => matches!(figure, V::Share),
                MeasureKind::Trend => matches!(figure, V::Average | V::Min | V::Max | V::Percentile(_)),
                MeasureKind::Tally(_) => matches!(figure, V::Mark(_) | V::Split),
            },
        }
    }

    /// The figure that a word means. The error is a hint.
    fn figure(&self, word: &str) -> Result<ValueMeasure, String> {
        if let About::Measure(MeasureSpec { kind: MeasureKind::Tally(marks), .. }) = self {
            let mark = word.strip_prefix("share of ").unwrap_or(word);
            if marks.iter().any(|(name, _)| name == mark) {
                return Ok(ValueMeasure::Mark(mark.to_owned()));
            }
        }
        let beyond = |rest: &str| self.value(rest, LimitUnit::Number);
        if let (Some(rest), About::Series(_)) = (word.strip_prefix("above "), self) {
            return beyond(rest).map(ValueMeasure::Above);
        }
        if let (Some(rest), About::Series(_)) = (word.strip_prefix("below "), self) {
            return beyond(rest).map(ValueMeasure::Below);
        }
        match ValueMeasure::parse(word) {
            Ok(figure) if self.has(&figure) => Ok(figure),
            _ => {
                let mut known = self.words().to_vec();
                if let About::Measure(MeasureSpec { kind: MeasureKind::Tally(marks), .. }) = self {
                    known.extend(marks.iter().map(|(name, _)| name.as_str()));
                }
                Err(fields::suggest(word, &known))
            }
        }
    }

    /// A value as people write it, in the unit of the values. The error is a hint.
    fn value(&self, text: &str, unit: LimitUnit) -> Result<f64, String> {
        let text = text.trim();
        let number = |text: &str| {
            let plain = text.trim().replace('_', "");
            let value = plain.parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| "write a number, as in 12.5".to_owned())
        };
        match (unit, self) {
            (LimitUnit::Duration, _) => units::parse_duration(text).map(|span| span.0 as f64),
            (LimitUnit::Share, _) => parse_share_exact(text),
            (LimitUnit::Rate, _) => units::parse_rate(text),
            (LimitUnit::Number, About::Measure(spec)) => {
                let bare = text.strip_suffix(spec.unit.as_str()).filter(|_| !spec.unit.is_empty());
                number(bare.unwrap_or(text)).map_err(|hint| match spec.unit.as_str() {
                    "" => hint,
                    unit => format!("write a number with or without its unit, as in 12.5{unit}"),
                })
            }
            (LimitUnit::Number, About::Series(series)) => match series.unit {
                "cores" if text.ends_with('%') => cores(text),
                "cores" => {
                    number(text).map_err(|_| "write CPUs, as in 1.5, or a share of one, as in 70%".into())
                }
                "bytes" => units::parse_size(text).map(|bytes| bytes as f64),
                "bytes/s" => match text.strip_suffix("/s") {
                    Some(size) => units::parse_size(size).map(|bytes| bytes as f64),
                    None => Err("write bytes per second, as in 10MB/s".into()),
                },
                "1/s" => units::parse_rate(text),
                "share" => parse_share_exact(text),
                _ => number(text),
            },
        }
    }

    fn example(&self, figure: &ValueMeasure) -> &'static str {
        match (figure.unit(), self) {
            _ if *figure == ValueMeasure::Leak => "none",
            (LimitUnit::Duration, _) => "5m",
            (LimitUnit::Share, _) => "45%",
            (LimitUnit::Rate, _) => "100/s",
            (LimitUnit::Number, About::Series(series)) => match series.unit {
                "cores" | "share" => "70%",
                "bytes" => "512MB",
                "bytes/s" => "10MB/s",
                "1/s" => "100/s",
                _ => "100",
            },
            (LimitUnit::Number, About::Measure(_)) => "100",
        }
    }
}

/// `150%` as 1.5 CPUs, exactly: the decimal point is moved.
fn cores(text: &str) -> Result<f64, String> {
    let hint = || "write CPUs, as in 1.5, or a share of one, as in 70%".to_owned();
    if let Ok(share) = parse_share_exact(text) {
        return Ok(share);
    }
    let percent: f64 = text.trim_end_matches('%').trim().parse().map_err(|_| hint())?;
    if (0.0..1e7).contains(&percent) { Ok(percent / 100.0) } else { Err(hint()) }
}

/// What a text demands.
enum Demand {
    One(Better, f64),
    Range(f64, f64),
}

/// `at least 45%`, `<= 5`, `45%..55%`, `70%`. The error is a hint.
fn demand(text: &str, figure: &ValueMeasure, about: &About) -> Result<Demand, String> {
    let value = |text: &str| about.value(text, figure.unit());
    let text = text.trim();
    if *figure == ValueMeasure::Leak {
        return if text == "none" {
            Ok(Demand::One(Better::Lower, 0.0))
        } else {
            Err("write `leak: none`".into())
        };
    }
    const SIGNS: [(&str, Better); 6] = [
        ("at most", Better::Lower),
        ("at least", Better::Higher),
        ("<=", Better::Lower),
        (">=", Better::Higher),
        ("<", Better::Lower),
        (">", Better::Higher),
    ];
    for (sign, better) in SIGNS {
        if let Some(rest) = text.strip_prefix(sign) {
            return value(rest).map(|limit| Demand::One(better, limit));
        }
    }
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (value(low)?, value(high)?);
        return if low <= high {
            Ok(Demand::Range(low, high))
        } else {
            Err("a range goes from the smaller to the larger".into())
        };
    }
    let limit = value(text)?;
    match figure.usual() {
        Some(better) => Ok(Demand::One(better, limit)),
        None => Err(format!("say which side is good: `at least {text}`, `at most {text}` or a range")),
    }
}

impl Reader<'_> {
    /// `WORD: LIMITS` of a subject with values.
    pub(super) fn value_entry(
        &mut self,
        subject: &Subject,
        about: &About,
        entry: (&str, Position, &Node),
        path: String,
    ) {
        let (word, at, node) = entry;
        // `above 70% for at most 5m` may stand alone as a key
        if matches!(node.kind, NodeKind::Null) {
            return self.value_sentence(subject, about, word, at, &path);
        }
        let figure = match about.figure(word) {
            Ok(figure) => figure,
            Err(hint) => {
                let message = format!("`{word}` is no figure of {subject}");
                self.diagnostics.error(at, &path, message, hint);
                return;
            }
        };
        let inner = match (&figure, node.as_map()) {
            (ValueMeasure::Mark(_), Some(map)) => map.get("share"),
            _ => None,
        };
        self.value_limits(subject, about, &figure, (at, inner.unwrap_or(node)), path);
    }

    fn value_limits(
        &mut self,
        subject: &Subject,
        about: &About,
        figure: &ValueMeasure,
        (at, node): (Position, &Node),
        path: String,
    ) {
        if !matches!(node.kind, NodeKind::Map(_)) || *figure == ValueMeasure::Leak {
            if let Some(demand) = self.demand(figure, about, node, &path, None) {
                self.keep_demand(subject, figure, demand, (at, &path), &blank());
            }
            return;
        }
        let Some(fields) = Fields::new(node, path.clone(), self.diagnostics) else { return };
        let mut options = blank();
        if fields.has("over") {
            fields.get("over");
            let hint = "for time beyond a limit write `above 70% for at most 5m`";
            fields.error("over", "values are not judged by stretches", hint);
        }
        options.abort = fields.flag("abort").unwrap_or(false);
        options.after = fields.duration("after").unwrap_or(Ns::ZERO);
        let mut bands: Vec<(Better, Band)> = Vec::new();
        let mut found = false;
        for (name, _, node) in
            fields.all().filter(|(name, ..)| !OPTION_KEYS.iter().any(|key| key.name == *name))
        {
            found = true;
            let path = fields.path_of(name);
            let forced = match name {
                "at least" => Some(Better::Higher),
                "at most" => Some(Better::Lower),
                _ => None,
            };
            match (forced, self.demand(figure, about, node, &path, forced)) {
                (_, None) => {}
                (None, Some(Demand::One(better, limit))) => {
                    bands.push((better, Band { name: name.to_owned(), limit }));
                }
                (_, Some(demand)) => self.keep_demand(subject, figure, demand, (node.at, &path), &options),
            }
        }
        if !found {
            let hint = format!("write `{{at most: {}}}`", about.example(figure));
            self.diagnostics.error(at, &path, "there is no limit in it", hint);
        }
        let Some(better) = bands.first().map(|(better, _)| *better) else { return };
        if bands.iter().any(|(other, _)| *other != better) {
            let hint = "write all of them with `at least`, or all with `at most`";
            return self.diagnostics.error(at, &path, "the bands have different good sides", hint);
        }
        let bands = bands.into_iter().map(|(_, band)| band).collect();
        let measure = Measure::Value(figure.clone(), better);
        let threshold = Threshold { subject: subject.clone(), measure, bands, ..options };
        if self.ordered(&threshold, at, &path) {
            self.keep(at, path, threshold);
        }
    }

    fn demand(
        &self,
        figure: &ValueMeasure,
        about: &About,
        node: &Node,
        path: &str,
        forced: Option<Better>,
    ) -> Option<Demand> {
        let Some(text) = node.scalar() else {
            let message = format!("this is {}, a limit is needed", node.kind_name());
            self.diagnostics.error(node.at, path, message, format!("as in {}", about.example(figure)));
            return None;
        };
        let read = match forced {
            Some(better) => about.value(&text, figure.unit()).map(|limit| Demand::One(better, limit)),
            None => demand(&text, figure, about),
        };
        read.map_err(|hint| {
            let message = format!("{text:?} is no limit of {}", figure.name());
            self.diagnostics.error(node.at, path, message, hint);
        })
        .ok()
    }

    fn keep_demand(
        &mut self,
        subject: &Subject,
        figure: &ValueMeasure,
        demand: Demand,
        (at, path): (Position, &str),
        options: &Threshold,
    ) {
        let sides = match demand {
            Demand::One(better, limit) => vec![(better, limit)],
            Demand::Range(low, high) => vec![(Better::Higher, low), (Better::Lower, high)],
        };
        for (better, limit) in sides {
            let threshold = Threshold {
                subject: subject.clone(),
                measure: Measure::Value(figure.clone(), better),
                bands: vec![Band { name: TARGET.into(), limit }],
                ..options.clone()
            };
            self.keep(at, path.to_owned(), threshold);
        }
    }

    /// `p95 < 300 abort after 10s`, `above 70% for at most 5m`, `share of celery >= 45%`.
    pub(super) fn value_sentence(
        &mut self,
        subject: &Subject,
        about: &About,
        text: &str,
        at: Position,
        path: &str,
    ) {
        match sentence(text, about) {
            Ok((figure, demand, options)) => {
                self.keep_demand(subject, &figure, demand, (at, path), &options);
            }
            Err(hint) => self.diagnostics.error(at, path, format!("{text:?} is no threshold"), hint),
        }
    }
}

fn blank() -> Threshold {
    Threshold {
        subject: Subject::All,
        measure: Measure::Errors,
        bands: Vec::new(),
        over: None,
        abort: false,
        after: Ns::ZERO,
        implied: false,
    }
}

fn sentence(text: &str, about: &About) -> Result<(ValueMeasure, Demand, Threshold), String> {
    let mut options = blank();
    let mut text = text.trim();
    if let Some((head, span)) = text.rsplit_once(" after ") {
        options.after = units::parse_duration(span)?;
        text = head.trim_end();
    }
    if let Some(head) = text.strip_suffix(" abort") {
        options.abort = true;
        text = head.trim_end();
    }
    if text == "no leak" && about.has(&ValueMeasure::Leak) {
        return Ok((ValueMeasure::Leak, Demand::One(Better::Lower, 0.0), options));
    }
    if let Some((beyond, span)) = text.split_once(" for ") {
        let figure = about.figure(beyond.trim())?;
        if !matches!(figure, ValueMeasure::Above(_) | ValueMeasure::Below(_)) {
            return Err("write it as in `above 70% for at most 5m`".into());
        }
        let span = span.trim().strip_prefix("at most").unwrap_or(span);
        let limit = about.value(span, LimitUnit::Duration)?;
        return Ok((figure, Demand::One(Better::Lower, limit), options));
    }
    let form = || format!("write it as in `{} <= 100`", about.words()[0]);
    let sign = text.find(['<', '>']).or_else(|| text.find(" at ")).ok_or_else(form)?;
    let figure = about.figure(text[..sign].trim())?;
    let demand = demand(&text[sign..], &figure, about)?;
    Ok((figure, demand, options))
}
