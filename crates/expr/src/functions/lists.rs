//! Lists, tables and JSON.

use super::call::{Function, list, row, text};
use crate::limits;
use crate::operators::{self, equal, order};
use crate::slices;
use crucible_core::Value;
use std::cmp::Ordering;
use std::sync::Arc;

pub(super) const ROWS: &[Function] = &[
    row(
        "length",
        &["value"],
        "Number of characters, items or names.",
        ["length('añb') + length([1, 2])", "5"],
        |call| {
            let length = match call.get(0) {
                Value::List(list) => list.len(),
                Value::Table(table) => table.len(),
                _ => call.text(0)?.chars().count(),
            };
            Ok(Value::Int(length as i64))
        },
    ),
    row("first", &["list"], "Its first item; null if it is empty.", ["first([1, 2])", "1"], |call| {
        Ok(call.list(0)?.first().cloned().unwrap_or(Value::Null))
    }),
    row("last", &["list"], "Its last item; null if it is empty.", ["last(['a', 'b'])", "b"], |call| {
        Ok(call.list(0)?.last().cloned().unwrap_or(Value::Null))
    }),
    row(
        "join",
        &["list", "separator?"],
        "Its items as one text.",
        ["join([1, 2, 3], '-')", "1-2-3"],
        |call| {
            let (items, separator) = (call.list(0)?, call.text_or(1, "")?);
            let mut made = String::new();
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    made.push_str(&separator);
                }
                operators::append(item, &mut made)?;
                limits::size(made.len())?;
            }
            text(made)
        },
    ),
    row("reverse", &["value"], "A list or text backwards.", ["reverse('abc')", "cba"], |call| {
        slices::slice(call.get(0), None, None, -1)
    }),
    row(
        "sort",
        &["list"],
        "In order; the items are all numbers or all texts.",
        ["sort([3, 1, 2])", "[1,2,3]"],
        |call| {
            let mut items = call.list(0)?.to_vec();
            if items.windows(2).any(|pair| order(&pair[0], &pair[1]).is_none()) {
                return Err("the items have no order: they are not of one kind".into());
            }
            items.sort_by(|a, b| order(a, b).unwrap_or(Ordering::Equal));
            list(items)
        },
    ),
    row(
        "unique",
        &["list"],
        "Without what was there before; lists of at most 10,000 items.",
        ["unique([1, 2, 1])", "[1,2]"],
        |call| {
            let items = call.list(0)?;
            if items.len() > 10_000 {
                return Err(format!("the list has {} items, 10,000 are the most", items.len()));
            }
            let mut seen: Vec<Value> = Vec::new();
            for item in items {
                if !seen.iter().any(|other| equal(other, item)) {
                    seen.push(item.clone());
                }
            }
            list(seen)
        },
    ),
    row(
        "range",
        &["from", "to?"],
        "Whole numbers from 0 to below the one given, or from the first to below the second.",
        ["range(2, 5)", "[2,3,4]"],
        |call| {
            let (from, to) = if call.given(1) { (call.int(0)?, call.int(1)?) } else { (0, call.int(0)?) };
            limits::length(usize::try_from(to.saturating_sub(from)).unwrap_or(0))?;
            list((from..to).map(Value::Int).collect())
        },
    ),
    row(
        "pluck",
        &["list", "name"],
        "The part with this name of every table in a list; null where there is none.",
        ["pluck([{'id': 1}, {'id': 2}], 'id')", "[1,2]"],
        |call| {
            let (items, name) = (call.list(0)?, call.text(1)?);
            let part = |item: &Value| match item {
                Value::Table(table) => table.get(&*name).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            };
            list(items.iter().map(part).collect())
        },
    ),
    row(
        "where",
        &["list", "name", "value?"],
        "The tables in a list whose part with this name equals `value`, or holds if no value is given.",
        ["where([{'id': 1}, {'id': 2}], 'id', 2)", r#"[{"id":2}]"#],
        |call| {
            let (items, name) = (call.list(0)?, call.text(1)?);
            let fits = |item: &&Value| match item {
                Value::Table(table) => table
                    .get(&*name)
                    .is_some_and(|part| if call.given(2) { equal(part, call.get(2)) } else { part.holds() }),
                _ => false,
            };
            list(items.iter().filter(fits).cloned().collect())
        },
    ),
    row("keys", &["table"], "Its names, in order.", ["keys({'b': 1, 'a': 2})", r#"["a","b"]"#], |call| {
        match call.get(0) {
            Value::Table(table) => list(table.keys().map(|name| Value::text(name)).collect()),
            _ => Err(call.unfit(0, "a table")),
        }
    }),
    row(
        "values",
        &["table"],
        "Its values, in the order of their names.",
        ["values({'b': 1, 'a': 2})", "[2,1]"],
        |call| match call.get(0) {
            Value::Table(table) => list(table.values().cloned().collect()),
            _ => Err(call.unfit(0, "a table")),
        },
    ),
    row(
        "merge",
        &["table", "other"],
        "Both together; where they have the same name, the second wins.",
        ["merge({'a': 1, 'b': 1}, {'b': 2})", r#"{"a":1,"b":2}"#],
        |call| match (call.get(0), call.get(1)) {
            (Value::Table(table), Value::Table(other)) => {
                let mut both = (**table).clone();
                both.extend(other.iter().map(|(name, value)| (name.clone(), value.clone())));
                Ok(Value::Table(Arc::new(both)))
            }
            (Value::Table(_), _) => Err(call.unfit(1, "a table")),
            _ => Err(call.unfit(0, "a table")),
        },
    ),
    Function {
        lenient: true,
        ..row(
            "default",
            &["value", "otherwise"],
            "The value, or the other one if it is missing or null.",
            ["default(nobody.name, 'eve')", "eve"],
            |call| match call.get(0) {
                Value::Absent | Value::Null => Ok(call.get(1).clone()),
                value => Ok(value.clone()),
            },
        )
    },
    row("json", &["text"], "What a text of JSON holds.", [r#"json('{"a": [1, 2]}').a[1]"#, "2"], |call| {
        let all = call.text(0)?;
        let parsed: serde_json::Value =
            serde_json::from_str(&all).map_err(|e| format!("the text is no JSON: {e}"))?;
        Ok(Value::from_json(&parsed))
    }),
    row(
        "tojson",
        &["value"],
        "As a text of JSON: texts in quotes, lists and tables written out.",
        ["tojson({'a': 'x\"y'})", r#"{"a":"x\"y"}"#],
        |call| {
            limits::check(call.get(0))?;
            text(call.get(0).to_json().to_string())
        },
    ),
];
