//! The words of event streams in a plan.

use crate::keys;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Key, StepGrammar, StepSpec};
use crucible_http::stream::{Words, read_step};
use std::any::Any;
use std::sync::Arc;

const WORDS: Words = Words { opener: "sse", line: "events", sends: false };

/// The grammar of steps that open a stream of events.
#[derive(Clone, Copy, Debug, Default)]
pub struct SseGrammar;

impl StepGrammar for SseGrammar {
    fn protocol(&self) -> &'static str {
        "sse"
    }

    fn openers(&self) -> &'static [Key] {
        &keys::OPENERS
    }

    fn combines(&self) -> bool {
        true
    }

    fn step_keys(&self) -> &'static [Key] {
        &keys::STEP
    }

    fn settings_keys(&self) -> &'static [Key] {
        &[]
    }

    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec> {
        read_step(fields, context, WORDS)
    }

    fn settings(&self, _fields: &Fields<'_>, _context: &StepContext) -> Arc<dyn Any + Send + Sync> {
        Arc::new(())
    }
}
