//! The words of HTTP steps and settings in a plan, and what they mean.

mod auth;
mod check;
mod keys;
mod measure;
mod payload;
mod save;
mod settings;
mod source;
mod step;
mod text;

pub(crate) use auth::Said;
pub(crate) use payload::{read_content, read_text};
pub(crate) use step::read_get;

use crate::settings::HttpSettings;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Key, StepGrammar, StepSpec};
use std::any::Any;
use std::sync::Arc;

/// The grammar of HTTP steps: `get: /path`, `post: /path`, ... and the settings that go with them.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpGrammar;

impl StepGrammar for HttpGrammar {
    fn protocol(&self) -> &'static str {
        "http"
    }

    fn openers(&self) -> &'static [Key] {
        &keys::OPENERS
    }

    fn step_keys(&self) -> &'static [Key] {
        &keys::STEP
    }

    fn settings_keys(&self) -> &'static [Key] {
        &keys::SETTINGS
    }

    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec> {
        step::read(fields, context).map(crate::spec::RequestSpec::into_step)
    }

    fn settings(&self, fields: &Fields<'_>, context: &StepContext) -> Arc<dyn Any + Send + Sync> {
        Arc::new(settings::read(fields, context))
    }

    fn remarks(&self, settings: &(dyn Any + Send + Sync)) -> Vec<String> {
        settings.downcast_ref::<HttpSettings>().map(HttpSettings::remarks).unwrap_or_default()
    }
}
