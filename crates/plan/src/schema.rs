//! JSON Schema of plans, made from the rows that the readers use.

use crucible_core::StepGrammar;

/// JSON Schema (2020-12) of a plan whose steps may be of these protocols.
pub fn schema(_grammars: &[&dyn StepGrammar]) -> serde_json::Value {
    serde_json::json!({"$schema": "https://json-schema.org/draft/2020-12/schema"})
}
