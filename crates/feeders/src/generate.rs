//! Rows that are made up when they are asked for: the same seed and index give the same row.

use crucible_core::scope::Row;
use crucible_core::{Expressions, Feeder, Rng, Scope, Slot, Symbols, Template, Value, VuId};
use std::sync::Arc;

/// Rows made of a template for each column.
#[derive(Debug)]
pub struct Generated {
    names: Vec<String>,
    columns: Vec<(Slot, Template)>,
    row: Slot,
    purpose: String,
    seed: u64,
    count: Option<u64>,
}

/// Symbols for the templates of generated rows: `row` is the row's number, from 0.
pub(crate) fn symbols(language: Option<Arc<dyn Expressions>>) -> Symbols {
    let symbols = Symbols::new(language, Vec::new());
    // the first name of all, and a good one
    let _ = symbols.define("row");
    symbols
}

/// Makes a column known to those after it, once its own template was read. The error is a hint.
pub(crate) fn column(name: &str, symbols: &Symbols) -> Result<Slot, String> {
    if let Some(unknown) = symbols.unknown().first() {
        let known = symbols.known().join(", ");
        return Err(format!(
            "`{}` is not known here; known are `row` and columns before it: {known}",
            unknown.name
        ));
    }
    match name {
        "row" => Err("`row` is the number of the row; choose another name".into()),
        name => symbols.define(name),
    }
}

impl Generated {
    /// Rows of these columns, by the places that their symbols have given them; without end if there is no `count`.
    pub(crate) fn new(
        name: &str,
        seed: u64,
        count: Option<u64>,
        symbols: &Symbols,
        columns: Vec<(Slot, Template)>,
    ) -> Generated {
        let names = symbols.names();
        let named = columns.iter().map(|(slot, _)| names[usize::from(slot.0)].clone());
        Generated {
            names: named.collect(),
            columns,
            row: Slot(0),
            purpose: format!("rows of {name}"),
            seed,
            count,
        }
    }
}

impl Feeder for Generated {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn rows(&self) -> Option<u64> {
        self.count
    }

    fn row(&self, index: u64) -> Result<Row, String> {
        let mut scope = Scope::new(VuId(index), self.seed);
        scope.iteration = index;
        scope.rng = Rng::new(self.seed, &self.purpose, index);
        scope.set(self.row, Value::Int(index as i64));
        let mut row = Vec::with_capacity(self.columns.len());
        for (slot, template) in &self.columns {
            let value = template.value(&mut scope)?;
            scope.set(*slot, value.clone());
            row.push(value);
        }
        Ok(row.into())
    }
}
