//! Rows that are held.

use crate::columns;
use crucible_core::scope::Row;
use crucible_core::{Feeder, Value};

/// See the module text.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    /// A table of rows that have a value for each column.
    pub(crate) fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Result<Table, String> {
        Table::of_rows(columns, rows.into_iter().map(Row::from).collect())
    }

    pub(crate) fn of_rows(columns: Vec<String>, rows: Vec<Row>) -> Result<Table, String> {
        columns::check(&columns)?;
        if rows.is_empty() {
            return Err("there are no rows\nadd at least one".into());
        }
        if let Some(index) = rows.iter().position(|row| row.len() != columns.len()) {
            let (found, wanted) = (rows[index].len(), columns.len());
            return Err(format!(
                "row {index} has {found} values for {wanted} columns\ngive each column a value"
            ));
        }
        Ok(Table { columns, rows })
    }
}

impl Feeder for Table {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows.len() as u64)
    }

    fn row(&self, index: u64) -> Result<Row, String> {
        let row = usize::try_from(index).ok().and_then(|index| self.rows.get(index));
        row.cloned().ok_or_else(|| format!("there is no row {index}, only {}", self.rows.len()))
    }
}
