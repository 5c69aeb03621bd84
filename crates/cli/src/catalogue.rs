//! The only place that names concrete protocols.

use crucible_core::{StepGrammar, StepId};
use crucible_http::{HttpGrammar, HttpProtocol};
use crucible_plan::Plan;
use std::any::Any;
use std::sync::Arc;

/// The grammars of all protocols: one row each.
pub const GRAMMARS: &[&dyn StepGrammar] = &[&HttpGrammar];

/// The protocol of a plan, with its steps prepared. The error is the user's to mend (an unreadable certificate, ...).
pub fn protocol(plan: &Plan) -> Result<HttpProtocol, String> {
    let settings = plan.settings.get("http").cloned().ok_or("the plan has no settings for http")?;
    let steps: Vec<(StepId, Arc<dyn Any + Send + Sync>)> =
        plan.steps.iter().map(|step| (step.id, Arc::clone(&step.spec.body))).collect();
    HttpProtocol::from_specs(settings, steps)
}
