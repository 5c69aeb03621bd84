//! What a step takes out of an answer that held: values that are saved, and values that feed measures.
//!
//! Every one that is not optional is a check of the step with a name of its own, behind the checks that the plan
//! wrote: an answer without the value is a failed operation, and reports say which value was missing.

use crate::source::Source;
use crucible_core::{Slot, Value};

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

impl Save {
    /// Name of its check; `None` if it cannot fail.
    pub(crate) fn check_name(&self) -> Option<String> {
        (!self.optional && self.default.is_none())
            .then(|| format!("save {} from {}", self.name, self.source.text))
    }
}
