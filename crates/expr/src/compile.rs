//! From minijinja's syntax tree to a [`Node`]: names are resolved, functions bound to their arguments, constants
//! gathered, and everything that can be known to be wrong is told.

use crate::functions::{self, Prepared};
use crate::limits::{NESTING_MAX, SOURCE_MAX};
use crate::node::{CallNode, Node};
use crate::operators::{self, Operation, Relation};
use crucible_core::symbols::Meaning;
use crucible_core::{Symbols, Value, fields};
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CompareOpKind, Expr, Test, UnaryOpKind};
use minijinja::machinery::parse_expr;
use std::sync::Arc;

/// Compiles an expression. The error is a hint.
pub(crate) fn compile(text: &str, symbols: &Symbols) -> Result<Node, String> {
    if text.trim().is_empty() {
        return Err("`${}` is empty; write a name or an expression in it".into());
    }
    if text.len() > SOURCE_MAX {
        return Err(format!("an expression has at most {SOURCE_MAX} bytes; save parts of it with `set`"));
    }
    if has_run(text) {
        return Err("an expression with more than 16 signs in a row is not read".into());
    }
    let tree = parse_expr(text).map_err(|e| broken(&e))?;
    Compiler { symbols }.node(&tree, NESTING_MAX)
}

/// Whether a run of signs or openings is so long that the parser would go too deep: it recurses for each.
fn has_run(text: &str) -> bool {
    const RUN_MAX: usize = 16;
    let mut run = 0;
    text.split(|c: char| c.is_whitespace()).flat_map(str::chars).any(|c| {
        run = if c == '-' || c == '+' { run + 1 } else { 0 };
        run > RUN_MAX
    }) || text
        .split_whitespace()
        .fold((0, false), |(nots, found), word| {
            let nots = if word == "not" { nots + 1 } else { 0 };
            (nots, found || nots > RUN_MAX)
        })
        .1
        || text.matches("**").count() > RUN_MAX
}

fn broken(error: &minijinja::Error) -> String {
    let what = error.detail().unwrap_or("it cannot be read");
    let clean: String = what.chars().filter(|c| !c.is_control()).take(160).collect();
    format!("as an expression: {clean}; see the reference of expressions")
}

struct Compiler<'a> {
    symbols: &'a Symbols,
}

impl Compiler<'_> {
    fn node(&self, tree: &Expr<'_>, depth: usize) -> Result<Node, String> {
        let depth =
            depth.checked_sub(1).ok_or("the expression is nested too deep; save parts of it with `set`")?;
        let sub = |tree: &Expr<'_>| self.node(tree, depth);
        let pair = |a: &Expr<'_>, b: &Expr<'_>| Ok::<_, String>(Box::new([sub(a)?, sub(b)?]));
        Ok(match tree {
            Expr::Const(constant) => Node::Constant(constant_of(&constant.value)?),
            Expr::Var(variable) => self.name(variable.id)?,
            Expr::UnaryOp(unary) => match (&unary.op, sub(&unary.expr)?) {
                (UnaryOpKind::Neg, Node::Constant(value)) => Node::Constant(operators::negative(&value)?),
                (UnaryOpKind::Neg, inner) => Node::Negative(Box::new(inner)),
                (UnaryOpKind::Not, inner) => Node::Not(Box::new(inner)),
            },
            Expr::BinOp(binary) => match binary.op {
                BinOpKind::ScAnd => Node::And(pair(&binary.left, &binary.right)?),
                BinOpKind::ScOr => Node::Or(pair(&binary.left, &binary.right)?),
                BinOpKind::Concat => joined(sub(&binary.left)?, sub(&binary.right)?),
                op => match operation(op) {
                    Ok(operation) => Node::Arithmetic(operation, pair(&binary.left, &binary.right)?),
                    Err(relation) => {
                        let right = vec![(relation, sub(&binary.right)?)];
                        Node::Compare(Box::new(sub(&binary.left)?), right)
                    }
                },
            },
            Expr::Compare(compare) => {
                let rest: Result<Vec<_>, String> =
                    compare.ops.iter().map(|op| Ok((relation(op.op), sub(&op.expr)?))).collect();
                Node::Compare(Box::new(sub(&compare.expr)?), rest?)
            }
            Expr::IfExpr(choice) => {
                let otherwise =
                    choice.false_expr.as_ref().map_or(Ok(Node::Constant(Value::text(""))), sub)?;
                Node::If(Box::new([sub(&choice.test_expr)?, sub(&choice.true_expr)?, otherwise]))
            }
            Expr::Slice(slice) => {
                let bound = |tree: &Option<Expr<'_>>| tree.as_ref().map(sub).transpose();
                let bounds = [bound(&slice.start)?, bound(&slice.stop)?, bound(&slice.step)?];
                Node::Slice(Box::new(sub(&slice.expr)?), Box::new(bounds))
            }
            Expr::GetAttr(attribute) => match self.column(&attribute.expr, attribute.name)? {
                Some(column) => column,
                None => Node::Attribute(Box::new(sub(&attribute.expr)?), attribute.name.into()),
            },
            Expr::GetItem(item) => match self.constant_column(&item.expr, &item.subscript_expr)? {
                Some(column) => column,
                None => Node::Item(pair(&item.expr, &item.subscript_expr)?),
            },
            Expr::List(list) => listed(list.items.iter().map(sub).collect::<Result<_, _>>()?),
            Expr::Tuple(tuple) => listed(tuple.items.iter().map(sub).collect::<Result<_, _>>()?),
            Expr::Map(map) => {
                let entries = map.keys.iter().zip(&map.values);
                tabled(
                    entries
                        .map(|(key, value)| Ok((sub(key)?, sub(value)?)))
                        .collect::<Result<_, String>>()?,
                )
            }
            Expr::Filter(filter) => {
                let first = filter.expr.as_ref().ok_or("`|` has nothing on its left")?;
                self.call(filter.name, Some(first), &filter.args, depth)?
            }
            Expr::Call(call) => self.called(call, depth)?,
            Expr::Test(test) => self.test(test, depth)?,
        })
    }

    fn name(&self, name: &str) -> Result<Node, String> {
        match name {
            "vu" => return Ok(Node::Vu),
            "iteration" => return Ok(Node::Iteration),
            "status" => return Ok(Node::Status),
            "ok" => return Ok(Node::Ok),
            "uuid" => return self.call("uuid", None, &[], NESTING_MAX),
            _ => {}
        }
        match self.symbols.refer(name)? {
            Meaning::Variable(slot) => Ok(Node::Variable(slot, name.into())),
            Meaning::Feeder(_, columns) => {
                let example = columns.first().map_or("COLUMN", String::as_str);
                Err(format!("`{name}` is data with columns; write {name}.{example}"))
            }
        }
    }

    /// `feeder.column`, if the name is that of a feeder.
    fn column(&self, of: &Expr<'_>, column: &str) -> Result<Option<Node>, String> {
        let Expr::Var(feeder) = of else { return Ok(None) };
        if !self.symbols.has_feeder(feeder.id) {
            return Ok(None);
        }
        let Meaning::Feeder(id, columns) = self.symbols.refer(feeder.id)? else { return Ok(None) };
        let Some(index) = columns.iter().position(|name| name == column) else {
            let known: Vec<&str> = columns.iter().map(String::as_str).collect();
            let hint = fields::suggest(column, &known);
            return Err(format!("the data `{}` has no column `{column}`; {hint}", feeder.id));
        };
        Ok(Some(Node::Column(id, index as u16, format!("{}.{column}", feeder.id).into())))
    }

    fn constant_column(&self, of: &Expr<'_>, index: &Expr<'_>) -> Result<Option<Node>, String> {
        let Expr::Const(constant) = index else { return Ok(None) };
        constant.value.as_str().map_or(Ok(None), |column| self.column(of, column))
    }

    /// `name(...)` or `value.name(...)`: the value is then the first argument.
    fn called(&self, call: &Call<'_>, depth: usize) -> Result<Node, String> {
        match &call.expr {
            Expr::Var(function) => self.call(function.id, None, &call.args, depth),
            Expr::GetAttr(method) => self.call(method.name, Some(&method.expr), &call.args, depth),
            _ => Err("only functions can be called, as in upper(name)".into()),
        }
    }

    fn test(&self, test: &Test<'_>, depth: usize) -> Result<Node, String> {
        let name = functions::test_name(test.name).ok_or_else(|| {
            let hint = fields::suggest(test.name, &functions::test_names());
            format!("`is {}` is not known; {hint}", test.name)
        })?;
        self.call(name, Some(&test.expr), &test.args, depth)
    }

    fn call(
        &self,
        name: &str,
        first: Option<&Expr<'_>>,
        rest: &[CallArg<'_>],
        depth: usize,
    ) -> Result<Node, String> {
        let function = functions::find(name)?;
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        if let Some(first) = first {
            positional.push(self.node(first, depth)?);
        }
        for argument in rest {
            match argument {
                CallArg::Pos(value) => positional.push(self.node(value, depth)?),
                CallArg::Kwarg(name, value) => named.push((*name, self.node(value, depth)?)),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                    return Err("`*` and `**` before arguments are not known; write them out".into());
                }
            }
        }
        let mut arguments = function.bind(positional, named)?;
        if function.lenient
            && let Some(Some(first)) = arguments.first_mut()
        {
            let inner = std::mem::replace(first, Node::Vu);
            *first = Node::Maybe(Box::new(inner));
        }
        let prepared = match function.prepare {
            Some(prepare) => {
                prepare(&arguments).map_err(|problem| format!("`{}`: {problem}", function.name))?
            }
            None => Prepared::Nothing,
        };
        Ok(Node::Call(Box::new(CallNode { function, arguments, prepared })))
    }
}

fn constant_of(value: &minijinja::Value) -> Result<Value, String> {
    use minijinja::value::ValueKind;
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::String => Ok(Value::text(value.as_str().unwrap_or_default())),
        ValueKind::Number if value.is_integer() => {
            value.as_i64().map(Value::Int).ok_or_else(|| format!("{value} does not fit into 64 bits"))
        }
        ValueKind::Number => f64::try_from(value.clone())
            .map_err(|_| format!("{value} is no number"))
            .and_then(operators::finite),
        _ => Err(format!("{value} cannot stand in an expression")),
    }
}

fn joined(left: Node, right: Node) -> Node {
    let mut parts = Vec::new();
    for side in [left, right] {
        match side {
            Node::Join(inner) => parts.extend(inner),
            other => parts.push(other),
        }
    }
    Node::Join(parts)
}

/// A list; one of constants only is a constant.
fn listed(items: Vec<Node>) -> Node {
    if !items.iter().all(|item| matches!(item, Node::Constant(_))) {
        return Node::List(items);
    }
    let values = items.into_iter().filter_map(|item| match item {
        Node::Constant(value) => Some(value),
        _ => None,
    });
    Node::Constant(Value::List(values.collect()))
}

/// A table; one of constants only is a constant.
fn tabled(entries: Vec<(Node, Node)>) -> Node {
    let mut table = std::collections::BTreeMap::new();
    for entry in &entries {
        let (Node::Constant(Value::Text(name)), Node::Constant(value)) = entry else {
            return Node::Table(entries);
        };
        table.insert((**name).to_owned(), value.clone());
    }
    Node::Constant(Value::Table(Arc::new(table)))
}

/// What an operator does with two values, or says about them.
fn operation(op: BinOpKind) -> Result<Operation, Relation> {
    Ok(match op {
        BinOpKind::Add => Operation::Add,
        BinOpKind::Sub => Operation::Subtract,
        BinOpKind::Mul => Operation::Multiply,
        BinOpKind::Div => Operation::Divide,
        BinOpKind::FloorDiv => Operation::FloorDivide,
        BinOpKind::Rem => Operation::Remainder,
        BinOpKind::Pow => Operation::Power,
        BinOpKind::Ne => return Err(Relation::Unequal),
        BinOpKind::Lt => return Err(Relation::Less),
        BinOpKind::Lte => return Err(Relation::LessOrEqual),
        BinOpKind::Gt => return Err(Relation::Greater),
        BinOpKind::Gte => return Err(Relation::GreaterOrEqual),
        BinOpKind::In => return Err(Relation::In),
        // `and`, `or` and `~` have nodes of their own and do not come here
        BinOpKind::Eq | BinOpKind::ScAnd | BinOpKind::ScOr | BinOpKind::Concat => {
            return Err(Relation::Equal);
        }
    })
}

fn relation(op: CompareOpKind) -> Relation {
    match op {
        CompareOpKind::Eq => Relation::Equal,
        CompareOpKind::Ne => Relation::Unequal,
        CompareOpKind::Lt => Relation::Less,
        CompareOpKind::Lte => Relation::LessOrEqual,
        CompareOpKind::Gt => Relation::Greater,
        CompareOpKind::Gte => Relation::GreaterOrEqual,
        CompareOpKind::In => Relation::In,
        CompareOpKind::NotIn => Relation::NotIn,
    }
}
