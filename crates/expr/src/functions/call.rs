//! What a function is, and how it reads its arguments.

use crate::limits;
use crate::node::Node;
use crate::operators;
use crucible_core::{Scope, Value, fields};
use std::borrow::Cow;

/// Most arguments that stand on the stack; a call with more allocates.
pub(crate) const FIXED_MAX: usize = 4;

/// What a function does with its arguments.
pub(crate) type Act = fn(&mut Call<'_>) -> Result<Value, String>;

/// What is made of arguments when the plan is read; those left out are `None`.
pub(crate) type Prepare = fn(&[Option<Node>]) -> Result<Prepared, String>;

/// A row of the table of functions.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its parameters: `name`, `name?` for one that may be left out, `*name` for any number of them. Those behind a `*`
    /// are given by name only.
    pub(crate) parameters: &'static [&'static str],
    /// What it gives, for the reference.
    pub(crate) doc: &'static str,
    /// An expression that uses it.
    pub(crate) example: &'static str,
    /// What the example gives, in the scope of the reference.
    pub(crate) gives: &'static str,
    /// Its first argument may be missing.
    pub(crate) lenient: bool,
    /// Makes something of the arguments that are constants, once, and refuses those that cannot be right.
    pub(crate) prepare: Option<Prepare>,
    /// What it does.
    pub(crate) call: Act,
}

/// What was made of constant arguments.
pub(crate) enum Prepared {
    Nothing,
    Pattern(regex::Regex),
    Key(super::jwt::Key),
}

/// A row without preparation.
pub(crate) const fn row(
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
    [example, gives]: [&'static str; 2],
    call: Act,
) -> Function {
    Function { name, parameters, doc, example, gives, lenient: false, prepare: None, call }
}

impl Function {
    /// How it is written, as in `replace(text, old, new)`.
    pub(crate) fn signature(&self) -> String {
        format!("{}({})", self.name, self.parameters.join(", "))
    }

    /// Puts arguments in the order of the parameters, those of `*` last. The error is a hint.
    pub(crate) fn bind(
        &self,
        positional: Vec<Node>,
        named: Vec<(&str, Node)>,
    ) -> Result<Vec<Option<Node>>, String> {
        let plain = |parameter: &'static str| parameter.trim_end_matches('?');
        let fixed: Vec<&'static str> =
            self.parameters.iter().copied().filter(|parameter| !parameter.starts_with('*')).collect();
        let star = self.parameters.iter().position(|parameter| parameter.starts_with('*'));
        let mut arguments: Vec<Option<Node>> = fixed.iter().map(|_| None).collect();
        let by_place = star.unwrap_or(fixed.len());
        let mut rest = Vec::new();
        for (index, node) in positional.into_iter().enumerate() {
            if index < by_place {
                arguments[index] = Some(node);
            } else if star.is_some() {
                rest.push(Some(node));
            } else {
                return Err(format!("too many arguments; write {}", self.signature()));
            }
        }
        for (name, node) in named {
            let Some(index) = fixed.iter().position(|parameter| plain(parameter) == name) else {
                let known: Vec<&str> = fixed.iter().map(|parameter| plain(parameter)).collect();
                let hint = if known.is_empty() { String::new() } else { fields::suggest(name, &known) };
                return Err(format!("`{}` has no argument `{name}`; {hint}", self.signature()));
            };
            if arguments[index].replace(node).is_some() {
                return Err(format!("`{name}` is given twice in {}", self.signature()));
            }
        }
        let missing =
            fixed.iter().zip(&arguments).find(|(name, given)| !name.ends_with('?') && given.is_none());
        if let Some((name, _)) = missing {
            return Err(format!("`{name}` is missing; write {}", self.signature()));
        }
        arguments.append(&mut rest);
        Ok(arguments)
    }
}

/// One call: the scope, and the arguments in the order of the function's row; those left out are absent.
pub(crate) struct Call<'a> {
    pub(crate) function: &'static Function,
    pub(crate) scope: &'a mut Scope,
    pub(crate) arguments: &'a [Value],
    pub(crate) prepared: &'a Prepared,
}

impl<'a> Call<'a> {
    pub(crate) fn rng(&mut self) -> &mut crucible_core::Rng {
        &mut self.scope.rng
    }

    pub(crate) fn get(&self, index: usize) -> &'a Value {
        const ABSENT: &Value = &Value::Absent;
        self.arguments.get(index).unwrap_or(ABSENT)
    }

    pub(crate) fn given(&self, index: usize) -> bool {
        *self.get(index) != Value::Absent
    }

    /// The error of an argument of the wrong kind.
    pub(crate) fn unfit(&self, index: usize, wanted: &str) -> String {
        format!("`{}` takes {wanted}, not {}", self.function.signature(), self.get(index).kind_name())
    }

    /// The argument as text: that of a request.
    pub(crate) fn text(&self, index: usize) -> Result<Cow<'a, str>, String> {
        match self.get(index) {
            Value::Text(text) => Ok(Cow::Borrowed(text)),
            Value::Absent => Err(self.unfit(index, "a text")),
            other => {
                let mut text = String::new();
                operators::append(other, &mut text)?;
                Ok(Cow::Owned(text))
            }
        }
    }

    pub(crate) fn text_or(&self, index: usize, default: &'a str) -> Result<Cow<'a, str>, String> {
        if self.given(index) { self.text(index) } else { Ok(Cow::Borrowed(default)) }
    }

    /// The argument as a number; a text that reads as one is one.
    pub(crate) fn float(&self, index: usize) -> Result<f64, String> {
        match self.get(index) {
            Value::Bool(_) => Err(self.unfit(index, "a number")),
            value => value.number().ok_or_else(|| self.unfit(index, "a number")),
        }
    }

    /// The argument as a whole number.
    pub(crate) fn int(&self, index: usize) -> Result<i64, String> {
        let value = self.get(index);
        match value {
            Value::Int(number) => Ok(*number),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(*number as i64),
            Value::Text(text) => text.trim().parse().map_err(|_| self.unfit(index, "a whole number")),
            Value::Float(number) => {
                Err(format!("`{}` takes a whole number, not {number}", self.function.signature()))
            }
            _ => Err(self.unfit(index, "a whole number")),
        }
    }

    /// The argument as a size in bytes or characters; drawn sizes are rounded.
    pub(crate) fn size(&self, index: usize) -> Result<usize, String> {
        let size = self.float(index)?.round();
        if size < 0.0 {
            return Err(format!("a size of {size} cannot be"));
        }
        let size = size as usize;
        limits::size(size).map(|()| size)
    }

    pub(crate) fn list(&self, index: usize) -> Result<&'a [Value], String> {
        match self.get(index) {
            Value::List(list) => Ok(list),
            _ => Err(self.unfit(index, "a list")),
        }
    }
}

/// A text as a value, unless it is too large.
pub(crate) fn text(text: impl AsRef<str>) -> Result<Value, String> {
    limits::size(text.as_ref().len())?;
    Ok(Value::text(text.as_ref()))
}

/// A list as a value, unless it is too long.
pub(crate) fn list(list: Vec<Value>) -> Result<Value, String> {
    limits::length(list.len())?;
    Ok(Value::List(list.into()))
}
