//! A compiled expression and its evaluation.
//!
//! A tree whose leaves are constants and places in the [`Scope`]. Values that are only read are not copied, a chain of
//! `~` writes into one buffer, and arguments of functions stand on the stack.

use crate::functions::{Call, FIXED_MAX, Function, Prepared};
use crate::limits;
use crate::operators::{self, Operation, Relation};
use crate::slices;
use crucible_core::{FeederId, Outcome, Scope, Slot, Value};
use std::sync::Arc;

/// See the module text.
pub(crate) enum Node {
    Constant(Value),
    Vu,
    Iteration,
    Status,
    Ok,
    Variable(Slot, Box<str>),
    Column(FeederId, u16, Box<str>),
    /// What stands in it may be missing: then it is [`Value::Absent`] instead of a mistake.
    Maybe(Box<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Arithmetic(Operation, Box<[Node; 2]>),
    /// `a < b <= c`: all must hold.
    Compare(Box<Node>, Vec<(Relation, Node)>),
    /// `a ~ b ~ c`.
    Join(Vec<Node>),
    /// Condition, value if it holds, value if not.
    If(Box<[Node; 3]>),
    Attribute(Box<Node>, Box<str>),
    Item(Box<[Node; 2]>),
    /// Of what, and start, stop and step.
    Slice(Box<Node>, Box<[Option<Node>; 3]>),
    List(Vec<Node>),
    Table(Vec<(Node, Node)>),
    Call(Box<CallNode>),
}

/// A function and its arguments: first those with names, in the order of the function's row, then the others.
pub(crate) struct CallNode {
    pub(crate) function: &'static Function,
    pub(crate) arguments: Vec<Option<Node>>,
    pub(crate) prepared: Prepared,
}

impl Node {
    pub(crate) fn value(&self, scope: &mut Scope) -> Result<Value, String> {
        match self {
            Node::Constant(value) => Ok(value.clone()),
            Node::Vu => Ok(Value::Int(scope.vu.0 as i64)),
            Node::Iteration => Ok(Value::Int(scope.iteration as i64)),
            Node::Status => Ok(Value::Int(i64::from(scope.status))),
            Node::Ok => Ok(Value::Bool(scope.outcome == Outcome::Ok)),
            Node::Variable(slot, name) => match scope.get(*slot) {
                Value::Absent => Err(format!("`{name}` has no value: nothing has saved one yet")),
                value => Ok(value.clone()),
            },
            Node::Column(feeder, column, name) => column_of(scope, *feeder, *column)
                .ok_or_else(|| format!("`{name}` has no value: the user holds no row of it")),
            Node::Maybe(inner) => inner.value_or_absent(scope),
            Node::Not(inner) => Ok(Value::Bool(!inner.value(scope)?.holds())),
            Node::Negative(inner) => operators::negative(&inner.value(scope)?),
            Node::And(sides) => {
                let left = sides[0].value(scope)?;
                if left.holds() { sides[1].value(scope) } else { Ok(left) }
            }
            Node::Or(sides) => {
                let left = sides[0].value(scope)?;
                if left.holds() { Ok(left) } else { sides[1].value(scope) }
            }
            Node::Arithmetic(operation, sides) => {
                let left = sides[0].value(scope)?;
                operators::arithmetic(*operation, left, sides[1].value(scope)?)
            }
            Node::Compare(first, rest) => compare(first, rest, scope),
            Node::Join(parts) => {
                let mut text = String::new();
                parts.iter().try_for_each(|part| part.append(scope, &mut text))?;
                Ok(Value::Text(text.into()))
            }
            Node::If(parts) => {
                let holds = parts[0].value(scope)?.holds();
                parts[if holds { 1 } else { 2 }].value(scope)
            }
            Node::Attribute(of, name) => {
                let of = of.value(scope)?;
                slices::attribute(&of, name)?.ok_or_else(|| format!("the table has no `{name}`"))
            }
            Node::Item(sides) => {
                let of = sides[0].value(scope)?;
                let index = sides[1].value(scope)?;
                slices::item(&of, &index)?.ok_or_else(|| slices::nothing_at(&of, &index))
            }
            Node::Slice(of, bounds) => {
                let of = of.value(scope)?;
                let mut given = [None; 3];
                for (bound, given) in bounds.iter().zip(&mut given) {
                    if let Some(bound) = bound {
                        *given = Some(slices::index_of(&bound.value(scope)?)?);
                    }
                }
                slices::slice(&of, given[0], given[1], given[2].unwrap_or(1))
            }
            Node::List(items) => {
                let items: Result<Vec<Value>, String> = items.iter().map(|item| item.value(scope)).collect();
                Ok(Value::List(items?.into()))
            }
            Node::Table(entries) => {
                let entries: Result<_, String> =
                    entries.iter().map(|(name, value)| Ok((name.key(scope)?, value.value(scope)?))).collect();
                Ok(Value::Table(Arc::new(entries?)))
            }
            Node::Call(call) => call.value(scope),
        }
    }

    /// Appends the value as it stands in a request.
    fn append(&self, scope: &mut Scope, out: &mut String) -> Result<(), String> {
        if let Node::Constant(Value::Text(text)) = self {
            out.push_str(text);
        } else {
            operators::append(&self.value(scope)?, out)?;
        }
        limits::size(out.len())
    }

    fn key(&self, scope: &mut Scope) -> Result<String, String> {
        match self.value(scope)? {
            Value::Text(text) => Ok((*text).to_owned()),
            number @ (Value::Int(_) | Value::Float(_)) => Ok(number.to_string()),
            other => Err(format!("names in a table are texts, not {}", other.kind_name())),
        }
    }

    fn value_or_absent(&self, scope: &mut Scope) -> Result<Value, String> {
        match self {
            Node::Variable(slot, _) => Ok(scope.get(*slot).clone()),
            Node::Column(feeder, column, _) => Ok(column_of(scope, *feeder, *column).unwrap_or_default()),
            Node::Attribute(of, name) => match of.value_or_absent(scope)? {
                Value::Absent | Value::Null => Ok(Value::Absent),
                of => Ok(slices::attribute(&of, name)?.unwrap_or_default()),
            },
            Node::Item(sides) => match sides[0].value_or_absent(scope)? {
                Value::Absent | Value::Null => Ok(Value::Absent),
                of => Ok(slices::item(&of, &sides[1].value(scope)?)?.unwrap_or_default()),
            },
            _ => self.value(scope),
        }
    }
}

impl CallNode {
    fn value(&self, scope: &mut Scope) -> Result<Value, String> {
        let call = |scope: &mut Scope, arguments: &[Value]| {
            let (function, prepared) = (self.function, &self.prepared);
            (function.call)(&mut Call { function, scope, arguments, prepared })
        };
        if self.arguments.len() <= FIXED_MAX {
            let mut values: [Value; FIXED_MAX] = Default::default();
            for (argument, value) in self.arguments.iter().zip(&mut values) {
                if let Some(argument) = argument {
                    *value = argument.value(scope)?;
                }
            }
            return call(scope, &values[..self.arguments.len()]);
        }
        let values: Result<Vec<Value>, String> = self
            .arguments
            .iter()
            .map(|argument| argument.as_ref().map_or(Ok(Value::Absent), |argument| argument.value(scope)))
            .collect();
        call(scope, &values?)
    }
}

fn column_of(scope: &Scope, feeder: FeederId, column: u16) -> Option<Value> {
    scope.row(feeder)?.get(usize::from(column)).cloned()
}

fn compare(first: &Node, rest: &[(Relation, Node)], scope: &mut Scope) -> Result<Value, String> {
    let mut left = first.value(scope)?;
    for (relation, node) in rest {
        let right = node.value(scope)?;
        if !operators::relation(*relation, &left, &right)? {
            return Ok(Value::Bool(false));
        }
        left = right;
    }
    Ok(Value::Bool(true))
}
