//! The plan's words for operations of this program: `call: NAME`, with measures that the operation tells.

use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Key, MeasureKind, MeasureSpec, StepGrammar, StepSpec, fields};
use std::any::Any;
use std::sync::Arc;

/// Name of the protocol in records.
pub(crate) const NAME: &str = "call";

const OPENERS: &[Key] = &[Key {
    name: "call",
    schema: r#"{"type": "string", "minLength": 1}"#,
    doc: "The operation of the program to call.",
    example: "publish",
}];

const STEP: &[Key] = &[Key {
    name: "measure",
    schema: r#"{"type": "object"}"#,
    doc: "Values that the operation tells, by name: counter, gauge, rate or trend, with a unit if there is one.",
    example: "{delay: trend ms, dropped: counter}",
}];

/// A step as read.
pub(crate) struct CallSpec {
    pub(crate) operation: usize,
    pub(crate) measures: Vec<MeasureSpec>,
}

/// Reads steps of the operations with these names.
pub(crate) struct CallGrammar {
    pub(crate) operations: Vec<String>,
}

impl StepGrammar for CallGrammar {
    fn protocol(&self) -> &'static str {
        NAME
    }

    fn openers(&self) -> &'static [Key] {
        OPENERS
    }

    fn step_keys(&self) -> &'static [Key] {
        STEP
    }

    fn settings_keys(&self) -> &'static [Key] {
        &[]
    }

    fn step(&self, fields: &Fields<'_>, _context: &StepContext) -> Option<StepSpec> {
        let measures = measures(fields);
        let name = fields.text("call")?;
        let Some(operation) = self.operations.iter().position(|known| *known == name) else {
            let known: Vec<&str> = self.operations.iter().map(String::as_str).collect();
            fields.error(
                "call",
                format!("the program has no operation `{name}`"),
                fields::suggest(&name, &known),
            );
            return None;
        };
        let spec = CallSpec { operation, measures: measures.clone() };
        Some(StepSpec { default_name: name, checks: Vec::new(), measures, body: Arc::new(spec) })
    }

    fn settings(&self, _fields: &Fields<'_>, _context: &StepContext) -> Arc<dyn Any + Send + Sync> {
        Arc::new(())
    }
}

fn measures(fields: &Fields<'_>) -> Vec<MeasureSpec> {
    let Some(table) = fields.table("measure") else { return Vec::new() };
    let mut measures = Vec::new();
    for (name, _, node) in table.all() {
        let text = node.scalar().unwrap_or_default();
        let (word, unit) = text.split_once(' ').unwrap_or((&text, ""));
        let kind = match word {
            "counter" => MeasureKind::Counter,
            "gauge" => MeasureKind::Gauge,
            "rate" => MeasureKind::Rate,
            "trend" => MeasureKind::Trend,
            other => {
                let hint = "write counter, gauge, rate or trend, and a unit behind it if there is one";
                table.error(name, format!("{other:?} is no kind of measure"), hint);
                continue;
            }
        };
        measures.push(MeasureSpec { name: name.to_owned(), kind, unit: unit.trim().to_owned() });
    }
    measures
}
