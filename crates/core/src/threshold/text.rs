//! The canonical text of thresholds, exact in both directions.
//!
//! Percentages and units of time are powers of ten away from what is stored. They are made by moving the decimal
//! point of the shortest decimal form, never by arithmetic, so that `0.7%` is 0.007 and comes back as `0.7%`.

use super::{Band, Better, LimitUnit, Measure, Subject, Threshold, ValueMeasure};
use crate::{ErrorClass, Ns, units};
use std::fmt::{self, Write};
use std::str::FromStr;

/// Why a text is no threshold, as a fragment for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdError(pub String);

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ThresholdError {}

fn wrong<T>(text: impl Into<String>) -> Result<T, ThresholdError> {
    Err(ThresholdError(text.into()))
}

/// Units of time and by how many decimal places they differ from a nanosecond.
const TIME_PLACES: [(&str, i32, u64); 4] =
    [("s", 9, 1_000_000_000), ("ms", 6, 1_000_000), ("us", 3, 1_000), ("ns", 0, 1)];

/// Moves the decimal point of a plain decimal number by `places` (right if positive); no leading or trailing
/// zeros that say nothing.
fn shift_point(decimal: &str, places: i32) -> String {
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |rest| ("-", rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let mut all = format!("{whole}{part}");
    let mut point = whole.len() as i64 + i64::from(places);
    while point < 1 {
        all.insert(0, '0');
        point += 1;
    }
    while (all.len() as i64) < point {
        all.push('0');
    }
    let (whole, part) = all.split_at(point as usize);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let part = part.trim_end_matches('0');
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// A plain decimal number of at most 400 digits, its point moved by `places`; `None` for anything else.
fn parse_shifted(text: &str, places: i32) -> Option<f64> {
    let plain = text.len() <= 400
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.matches('.').count() <= 1;
    if !plain {
        return None;
    }
    shift_point(text, places).parse().ok().filter(|value: &f64| value.is_finite())
}

/// Reads `0.7%` as exactly 0.007: a share from 0 to 1. The error is a hint.
///
/// [`units::parse_share`] divides, which may miss the nearest number by one bit; a limit that is shown again must
/// not.
pub fn parse_share_exact(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let Some(number) = text.strip_suffix('%') else {
        return Err(if text.parse::<f64>().is_ok() {
            format!("write a percentage, as in {text}%")
        } else {
            "write a percentage, as in 1%".into()
        });
    };
    parse_shifted(number.trim(), -2)
        .filter(|share| *share <= 1.0)
        .ok_or_else(|| "write a percentage from 0% to 100%".into())
}

fn exact_duration(ns: f64) -> String {
    let (unit, places, _) =
        TIME_PLACES.iter().find(|(_, _, size)| ns >= *size as f64).unwrap_or(&TIME_PLACES[3]);
    format!("{}{unit}", shift_point(&ns.to_string(), -places))
}

fn exact_span(span: Ns) -> String {
    let (unit, _, size) =
        TIME_PLACES.iter().find(|(_, _, size)| span.0.is_multiple_of(*size)).unwrap_or(&TIME_PLACES[3]);
    format!("{}{unit}", span.0 / size)
}

fn parse_exact_duration(text: &str) -> Option<f64> {
    let (number, places) = TIME_PLACES.iter().find_map(|(unit, places, _)| {
        let number = text.strip_suffix(unit)?;
        number.ends_with(|c: char| c.is_ascii_digit()).then_some((number, *places))
    })?;
    parse_shifted(number, places)
}

fn parse_span(text: &str) -> Option<Ns> {
    TIME_PLACES.iter().find_map(|(unit, _, size)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Ns(count.checked_mul(*size)?))
    })
}

impl Measure {
    /// The word used in plans, records and reports: `p95`, `service.p99.9`, `errors.timeout`, `throughput`.
    pub fn name(&self) -> String {
        match self {
            Measure::Percentile(share) => percentile_name(*share),
            Measure::ServicePercentile(share) => format!("service.{}", percentile_name(*share)),
            Measure::Average => "avg".into(),
            Measure::Min => "min".into(),
            Measure::Max => "max".into(),
            Measure::Stddev => "stddev".into(),
            Measure::Errors => "errors".into(),
            Measure::ErrorsOf(class) => format!("errors.{}", class.name()),
            Measure::Throughput => "throughput".into(),
            Measure::Checks => "checks".into(),
            Measure::Dropped => "dropped".into(),
            Measure::Value(value, _) => value.name(),
        }
    }

    /// Reads a [`Measure::name`]; `med` and `median` stand for `p50`, `service.med` for `service.p50`. The error
    /// is a hint.
    pub fn parse(text: &str) -> Result<Measure, String> {
        if let Some(rest) = text.strip_prefix("service.") {
            return percentile(rest)
                .unwrap_or_else(|| Err("of service time there are percentiles, as in service.p95".into()))
                .map(Measure::ServicePercentile);
        }
        if let Some(class) = text.strip_prefix("errors.") {
            let classes = ErrorClass::ALL.iter().filter(|c| **c != ErrorClass::None);
            return match classes.clone().find(|c| c.name() == class) {
                Some(class) => Ok(Measure::ErrorsOf(*class)),
                None => Err(crate::fields::suggest(class, &classes.map(|c| c.name()).collect::<Vec<_>>())),
            };
        }
        if let Some(share) = percentile(text) {
            return share.map(Measure::Percentile);
        }
        Ok(match text {
            "avg" => Measure::Average,
            "min" => Measure::Min,
            "max" => Measure::Max,
            "stddev" => Measure::Stddev,
            "errors" => Measure::Errors,
            "throughput" => Measure::Throughput,
            "checks" => Measure::Checks,
            "dropped" => Measure::Dropped,
            _ => return Err(crate::fields::suggest(text, &Measure::WORDS)),
        })
    }

    /// The words that [`Measure::parse`] knows, with examples for the open families.
    pub const WORDS: [&'static str; 15] = [
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
        "med",
        "avg",
        "min",
        "max",
        "stddev",
        "errors",
        "throughput",
        "checks",
        "dropped",
        "service.p95",
    ];

    /// Reads a limit as people write it (`500ms`, `0.1%`, `100/s`) into nanoseconds, a share or operations per
    /// second. The error is a hint.
    pub fn parse_limit(&self, text: &str) -> Result<f64, String> {
        match self.unit() {
            LimitUnit::Duration => units::parse_duration(text).map(|ns| ns.0 as f64),
            LimitUnit::Share => parse_share_exact(text),
            LimitUnit::Rate => units::parse_rate(text),
            LimitUnit::Number => parse_number(&text.trim().replace('_', ""))
                .ok_or_else(|| "write a plain number, as in 12.5".into()),
        }
    }

    /// A limit for people: as they would have written it where that is short, else three digits.
    pub fn show_limit(&self, limit: f64) -> String {
        let exact = self.exact_limit(limit);
        let digits = exact.chars().filter(char::is_ascii_digit).count();
        if digits <= 5 && limit.is_finite() { exact } else { self.show_value(limit) }
    }

    /// A measured value for people, rounded: `412ms`, `0.10%`, `1,204/s`.
    pub fn show_value(&self, value: f64) -> String {
        if !value.is_finite() {
            return "-".into();
        }
        match self.unit() {
            LimitUnit::Duration => units::show_duration(Ns(value.round() as u64)),
            LimitUnit::Share => units::show_share(value),
            LimitUnit::Rate => format!("{}/s", units::show_number(value)),
            LimitUnit::Number => units::show_number(value),
        }
    }

    fn exact_limit(&self, limit: f64) -> String {
        match self.unit() {
            LimitUnit::Duration => exact_duration(limit),
            LimitUnit::Share => format!("{}%", shift_point(&limit.to_string(), 2)),
            LimitUnit::Rate => format!("{limit}/s"),
            LimitUnit::Number => limit.to_string(),
        }
    }

    fn parse_exact_limit(&self, text: &str) -> Option<f64> {
        match self.unit() {
            LimitUnit::Duration => parse_exact_duration(text),
            LimitUnit::Share => parse_shifted(text.strip_suffix('%')?, -2),
            LimitUnit::Rate => parse_number(text.strip_suffix("/s")?),
            LimitUnit::Number => parse_number(text),
        }
    }
}

/// A plain decimal number, negative ones too.
fn parse_number(text: &str) -> Option<f64> {
    match text.strip_prefix('-') {
        Some(rest) => parse_shifted(rest, 0).map(|number| -number),
        None => parse_shifted(text, 0),
    }
}

/// `p99.9` for 0.999.
pub(super) fn percentile_name(share: f64) -> String {
    format!("p{}", shift_point(&share.to_string(), 2))
}

/// The share of `p99.9`, `med`; `None` if the text is no percentile at all, an error if it is one out of range.
pub(super) fn percentile(text: &str) -> Option<Result<f64, String>> {
    if matches!(text, "med" | "median") {
        return Some(Ok(0.5));
    }
    let share = parse_shifted(text.strip_prefix('p')?, -2)?;
    Some(if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("percentiles lie above p0 and below p100; for the ends there are min and max".into())
    })
}

fn quote(text: &str, out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if c.is_control() => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

fn is_bare(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::All => f.write_str("*"),
            Subject::Each => f.write_str("each"),
            Subject::Step(name) => quote(name, f),
            Subject::Scenario(name) => {
                f.write_str("scenario ")?;
                quote(name, f)
            }
            Subject::Measure(name) => {
                f.write_str("measure ")?;
                quote(name, f)
            }
            Subject::Series { component, name } => {
                f.write_str("series ")?;
                quote(component, f)?;
                f.write_char(' ')?;
                quote(name, f)
            }
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.subject)?;
        match &self.measure {
            Measure::Value(ValueMeasure::Mark(mark), _) => {
                f.write_str("mark ")?;
                quote(mark, f)?;
            }
            Measure::Value(ValueMeasure::Above(limit), _) => write!(f, "above {limit}")?,
            Measure::Value(ValueMeasure::Below(limit), _) => write!(f, "below {limit}")?,
            measure => f.write_str(&measure.name())?,
        }
        let sign = sign(self.measure.better());
        for band in &self.bands {
            f.write_char(' ')?;
            if is_bare(&band.name) {
                f.write_str(&band.name)?;
            } else {
                quote(&band.name, f)?;
            }
            write!(f, "{sign}{}", self.measure.exact_limit(band.limit))?;
        }
        if let Some(over) = self.over {
            write!(f, " over {}", exact_span(over))?;
        }
        if self.abort {
            f.write_str(" abort")?;
        }
        if self.after > Ns::ZERO {
            write!(f, " after {}", exact_span(self.after))?;
        }
        if self.implied {
            f.write_str(" implied")?;
        }
        Ok(())
    }
}

/// Reads canonical text from the left.
struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Everything up to the next space.
    fn word(&mut self) -> &'t str {
        self.space();
        let (word, rest) = self.rest.split_at(self.rest.find(' ').unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    /// Takes `text` if the rest begins with it.
    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn quoted(&mut self) -> Result<String, ThresholdError> {
        self.space();
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        if !matches!(chars.next(), Some((_, '"'))) {
            return wrong("a name in quotes is missing");
        }
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[index + 1..];
                    return Ok(out);
                }
                '\\' => out.push(escape(&mut chars)?),
                c => out.push(c),
            }
        }
        wrong("a quoted name has no end")
    }

    fn span(&mut self) -> Result<Ns, ThresholdError> {
        let word = self.word();
        parse_span(word).map_or_else(|| wrong(format!("{word:?} is no span of time")), Ok)
    }
}

fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Result<char, ThresholdError> {
    let unknown = || ThresholdError("an unknown escape in a quoted name".into());
    Ok(match chars.next().ok_or_else(unknown)?.1 {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        c @ ('"' | '\\') => c,
        'u' => {
            let digits: String = chars.map(|(_, c)| c).take_while(|c| *c != '}').take(8).collect();
            let code = digits.strip_prefix('{').and_then(|hex| u32::from_str_radix(hex, 16).ok());
            code.and_then(char::from_u32).ok_or_else(unknown)?
        }
        _ => return Err(unknown()),
    })
}

fn subject(scan: &mut Scanner<'_>) -> Result<Subject, ThresholdError> {
    scan.space();
    if scan.rest.starts_with('"') {
        return scan.quoted().map(Subject::Step);
    }
    match scan.word() {
        "*" => Ok(Subject::All),
        "each" => Ok(Subject::Each),
        "scenario" => scan.quoted().map(Subject::Scenario),
        "measure" => scan.quoted().map(Subject::Measure),
        "series" => Ok(Subject::Series { component: scan.quoted()?, name: scan.quoted()? }),
        other => wrong(format!("{other:?} is no subject")),
    }
}

fn sign(better: Better) -> &'static str {
    match better {
        Better::Lower => "<=",
        Better::Higher => ">=",
    }
}

/// What is measured of a subject; the good side of a value is not known before its first band.
fn measure(scan: &mut Scanner<'_>, subject: &Subject) -> Result<Measure, ThresholdError> {
    let word = scan.word();
    let none = |hint: String| ThresholdError(format!("{word:?} is no measure ({hint})"));
    if !matches!(subject, Subject::Measure(_) | Subject::Series { .. }) {
        return Measure::parse(word).map_err(none);
    }
    let value = match word {
        "mark" => ValueMeasure::Mark(scan.quoted()?),
        "above" | "below" => {
            let limit = scan.word();
            let number = parse_number(limit);
            let number = number.ok_or_else(|| ThresholdError(format!("{limit:?} is no number")))?;
            if word == "above" { ValueMeasure::Above(number) } else { ValueMeasure::Below(number) }
        }
        word => ValueMeasure::parse(word).map_err(none)?,
    };
    Ok(Measure::Value(value, Better::Lower))
}

/// `NAME<=LIMIT`; `None` if what follows is an option. The first band of a value says which side is good.
fn band(scan: &mut Scanner<'_>, measure: &mut Measure, first: bool) -> Result<Option<Band>, ThresholdError> {
    scan.space();
    let name = if scan.rest.starts_with('"') {
        scan.quoted()?
    } else {
        let end = scan.rest.find([' ', '<', '>']).unwrap_or(scan.rest.len());
        if scan.rest[end..].is_empty() || scan.rest[end..].starts_with(' ') {
            return Ok(None);
        }
        let (name, rest) = scan.rest.split_at(end);
        scan.rest = rest;
        name.to_owned()
    };
    if let (Measure::Value(_, better), true) = (&mut *measure, first) {
        *better = if scan.rest.starts_with('>') { Better::Higher } else { Better::Lower };
    }
    let sign = sign(measure.better());
    if !scan.take(sign) {
        return wrong(format!("{sign} is missing behind {name:?}"));
    }
    let limit = scan.word();
    match measure.parse_exact_limit(limit) {
        Some(limit) => Ok(Some(Band { name, limit })),
        None => wrong(format!("{limit:?} is no limit of {}", measure.name())),
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Threshold, ThresholdError> {
        let mut scan = Scanner { rest: text };
        let subject = subject(&mut scan)?;
        let measure = measure(&mut scan, &subject)?;
        let mut threshold = Threshold {
            subject,
            measure,
            bands: Vec::new(),
            over: None,
            abort: false,
            after: Ns::ZERO,
            implied: false,
        };
        while let Some(band) = band(&mut scan, &mut threshold.measure, threshold.bands.is_empty())? {
            threshold.bands.push(band);
        }
        if threshold.bands.is_empty() {
            return wrong("a threshold without a limit");
        }
        loop {
            match scan.word() {
                "" => return Ok(threshold),
                "over" => threshold.over = Some(scan.span()?),
                "abort" => threshold.abort = true,
                "after" => threshold.after = scan.span()?,
                "implied" => threshold.implied = true,
                other => return wrong(format!("{other:?} is no option of a threshold")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
