//! The words of sockets in a plan.

use crate::keys;
use crate::settings::WebSocketSettings;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Key, StepGrammar, StepSpec};
use crucible_http::stream::{Words, read_step};
use std::any::Any;
use std::sync::Arc;

const WORDS: Words = Words { opener: "ws", line: "socket", sends: true };

/// The grammar of steps on sockets and, once they are open, on streams of events.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebSocketGrammar;

impl StepGrammar for WebSocketGrammar {
    fn protocol(&self) -> &'static str {
        "websocket"
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
        &keys::SETTINGS
    }

    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec> {
        read_step(fields, context, WORDS)
    }

    fn settings(&self, fields: &Fields<'_>, _context: &StepContext) -> Arc<dyn Any + Send + Sync> {
        let mut settings = WebSocketSettings::default();
        if let Some(table) = fields.table("websocket") {
            settings.compress = table.flag("compress").unwrap_or(settings.compress);
            settings.max_message = table.size("max_message").unwrap_or(settings.max_message);
            table.finish();
        }
        Arc::new(settings)
    }
}
