//! The words of HTTP steps and settings in a plan.

use crate::settings::HttpSettings;
use crate::spec::RequestSpec;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Key, StepGrammar, StepSpec};
use std::any::Any;
use std::sync::Arc;

/// The grammar of HTTP steps: `get: /path`, `post: /path`, ... and the settings that go with them.
pub struct HttpGrammar;

const OPENERS: [Key; 1] =
    [Key { name: "get", schema: r#"{"type":"string"}"#, doc: "GET this path or URL.", example: "/health" }];

impl StepGrammar for HttpGrammar {
    fn protocol(&self) -> &'static str {
        "http"
    }

    fn openers(&self) -> &'static [Key] {
        &OPENERS
    }

    fn step_keys(&self) -> &'static [Key] {
        &[]
    }

    fn settings_keys(&self) -> &'static [Key] {
        &[]
    }

    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec> {
        let path = fields.text("get")?;
        let url = format!("{}{path}", context.target.clone().unwrap_or_default());
        RequestSpec::new("GET", &url).ok().map(RequestSpec::into_step)
    }

    fn settings(&self, _fields: &Fields<'_>, _context: &StepContext) -> Arc<dyn Any + Send + Sync> {
        Arc::new(HttpSettings::default())
    }
}
