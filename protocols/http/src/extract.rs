//! What a step takes out of an answer that held: values that are saved, and values that feed measures.
//!
//! Every one that is not optional is a check of the step with a name of its own, behind the checks that the plan
//! wrote: an answer without the value is a failed operation, and reports say which value was missing.

use crate::answer::Answer;
use crate::source::Source;
use crucible_core::{MeasureKind, MeasureSpec, Scope, Slot, Template, Value};

/// A value that is saved under a name.
#[derive(Clone, Debug)]
pub(crate) struct Save {
    /// The name, for messages.
    pub name: String,
    /// Its place in the user's scope.
    pub slot: Slot,
    /// Where the value is found.
    pub source: Source,
    /// What is saved if there is none.
    pub default: Option<Value>,
    /// Whether an answer without it is good.
    pub optional: bool,
}

/// A value that feeds a measure.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// The measure.
    pub measure: MeasureSpec,
    /// Where the value is found.
    pub from: From,
    /// Whether an answer without it is good.
    pub optional: bool,
}

/// Where a measure's value is found.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// In the answer.
    Answer(Source),
    /// In what the user holds once the answer's values are saved; with its text in the plan.
    Scope(Template, String),
}

impl Save {
    /// Name of its check; `None` if it cannot fail.
    pub(crate) fn check_name(&self) -> Option<String> {
        (!self.optional && self.default.is_none())
            .then(|| format!("save {} from {}", self.name, self.source.text))
    }

    /// Saves the value; tells whether there was one.
    pub(crate) fn save(&self, answer: &Answer<'_>, scope: &mut Scope) -> bool {
        let found = answer.value(&self.source, scope);
        let there = found.is_some();
        scope.set(self.slot, found.or_else(|| self.default.clone()).unwrap_or_default());
        there
    }
}

impl Feed {
    /// Name of its check; `None` if it cannot fail.
    pub(crate) fn check_name(&self) -> Option<String> {
        let text = match &self.from {
            From::Answer(source) => &source.text,
            From::Scope(_, text) => text,
        };
        let word = if matches!(self.measure.kind, MeasureKind::Tally(_)) { "split" } else { "measure" };
        (!self.optional).then(|| format!("{word} {} by {text}", self.measure.name))
    }

    /// The value for the measure; `None` if there is none, or none that the measure can take.
    pub(crate) fn value(&self, answer: &Answer<'_>, scope: &mut Scope) -> Option<f64> {
        let value = match &self.from {
            From::Answer(source) => answer.value(source, scope)?,
            From::Scope(template, _) => template.value(scope).ok()?,
        };
        match &self.measure.kind {
            _ if value == Value::Absent => None,
            MeasureKind::Rate => Some(f64::from(u8::from(value.holds()))),
            MeasureKind::Tally(marks) => {
                let text = value.to_string();
                Some(marks.iter().position(|(mark, _)| *mark == text).unwrap_or(marks.len()) as f64)
            }
            // what adds up never goes down
            MeasureKind::Counter => value.number().filter(|number| *number >= 0.0),
            MeasureKind::Gauge | MeasureKind::Trend => value.number().filter(|number| number.is_finite()),
        }
    }
}
