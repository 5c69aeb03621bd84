//! The way from text to a compiled expression, and its value for one user.

use crate::node::Node;
use crate::{compile, limits};
use crucible_core::{Expression, Expressions, Scope, Symbols, Value};
use std::sync::Arc;

/// The language, for a plan's [`Symbols`].
pub fn language() -> Arc<dyn Expressions> {
    Arc::new(Language)
}

struct Language;

struct Compiled {
    text: Box<str>,
    root: Node,
}

impl Expressions for Language {
    fn compile(&self, text: &str, symbols: &Symbols) -> Result<Arc<dyn Expression>, String> {
        let root = compile::compile(text, symbols)?;
        Ok(Arc::new(Compiled { text: text.trim().into(), root }))
    }
}

impl Expression for Compiled {
    fn value(&self, scope: &mut Scope) -> Result<Value, String> {
        let value = self.root.value(scope).and_then(|value| {
            if matches!(value, Value::List(_) | Value::Table(_)) {
                limits::check(&value)?;
            }
            Ok(value)
        });
        value.map_err(|problem| format!("`${{{}}}`: {problem}", shortened(&self.text)))
    }
}

/// The text as far as a message needs it to find the place.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
