//! What names in `${...}` mean, gathered while a plan is read.
//!
//! A variable gets its place at its first mention, be it where it is saved or where it is used; when all is read, names
//! that are used and never saved are told as mistakes with their places.

use crate::scope::{FeederId, Scope, Slot};
use crate::{Position, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A compiled expression.
pub trait Expression: Send + Sync {
    /// Its value for this user. The error is for people; the operation that needed the value then fails.
    fn value(&self, scope: &mut Scope) -> Result<Value, String>;
}

/// The language of `${...}` beyond plain names.
pub trait Expressions: Send + Sync {
    /// Compiles `text`; names in it are looked up in (and made known to) `symbols`. The error is a hint.
    fn compile(&self, text: &str, symbols: &Symbols) -> Result<Arc<dyn Expression>, String>;
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A variable.
    Variable(Slot),
    /// The present row of a feeder with these columns.
    Feeder(FeederId, Arc<[String]>),
}

/// See the module text. Readers of a plan share one; it is never used while the load runs.
#[derive(Default)]
pub struct Symbols {
    language: Option<Arc<dyn Expressions>>,
    feeders: BTreeMap<String, (FeederId, Arc<[String]>)>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    names: Vec<Variable>,
    /// Feeders referred to since they were last taken.
    drawn: BTreeSet<FeederId>,
    place: (Position, String),
}

struct Variable {
    name: String,
    defined: bool,
    /// Where it is used first.
    used: Option<(Position, String)>,
}

/// A variable that is used and never saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its name.
    pub name: String,
    /// Where it is used first.
    pub at: Position,
    /// Path of the value in the plan.
    pub path: String,
}

/// Names that always have a meaning.
pub const BUILT_IN: [&str; 5] = ["vu", "iteration", "uuid", "status", "ok"];

/// Most variables in a plan: their places have 16 bits.
const VARIABLES_MAX: usize = 60_000;

impl Symbols {
    /// Symbols with this language and these feeders (name, columns), numbered in their order.
    pub fn new(language: Option<Arc<dyn Expressions>>, feeders: Vec<(String, Vec<String>)>) -> Symbols {
        let feeders = feeders.into_iter().enumerate();
        let feeders = feeders
            .map(|(index, (name, columns))| (name, (FeederId(index as u16), Arc::from(columns))))
            .collect();
        Symbols { language, feeders, state: RefCell::default() }
    }

    /// Says where the text stands that is read next, so that unknown names can be told with their place.
    pub fn reading(&self, at: Position, path: &str) {
        let mut state = self.state.borrow_mut();
        state.place.0 = at;
        state.place.1.clear();
        state.place.1.push_str(path);
    }

    /// The place of a variable that something saves (`save`, `set`, `foreach`). The error is a hint.
    pub fn define(&self, name: &str) -> Result<Slot, String> {
        check(name)?;
        if self.feeders.contains_key(name) {
            return Err(format!("`{name}` is a feeder of this plan; choose another name"));
        }
        let slot = self.slot(name)?;
        self.state.borrow_mut().names[usize::from(slot.0)].defined = true;
        Ok(slot)
    }

    /// What a name that is used stands for. The error is a hint.
    pub fn refer(&self, name: &str) -> Result<Meaning, String> {
        if let Some((id, columns)) = self.feeders.get(name) {
            self.state.borrow_mut().drawn.insert(*id);
            return Ok(Meaning::Feeder(*id, Arc::clone(columns)));
        }
        check(name)?;
        let slot = self.slot(name)?;
        let state = &mut *self.state.borrow_mut();
        let variable = &mut state.names[usize::from(slot.0)];
        if variable.used.is_none() {
            variable.used = Some(state.place.clone());
        }
        Ok(Meaning::Variable(slot))
    }

    /// Feeders that were referred to since this was last asked.
    pub fn take_drawn(&self) -> Vec<FeederId> {
        std::mem::take(&mut self.state.borrow_mut().drawn).into_iter().collect()
    }

    /// Whether a feeder has this name.
    pub fn has_feeder(&self, name: &str) -> bool {
        self.feeders.contains_key(name)
    }

    /// Whether expressions can be compiled.
    pub fn has_language(&self) -> bool {
        self.language.is_some()
    }

    /// Compiles an expression. The error is a hint.
    pub fn compile(&self, text: &str) -> Result<Arc<dyn Expression>, String> {
        match &self.language {
            Some(language) => language.compile(text, self),
            None => Err(format!("`${{{text}}}` is neither a plain name nor a known value")),
        }
    }

    /// Variables that are used and never saved, in the order of first mention.
    pub fn unknown(&self) -> Vec<Unknown> {
        let state = self.state.borrow();
        let unknown = state.names.iter().filter(|variable| !variable.defined);
        unknown
            .filter_map(|variable| {
                let (at, path) = variable.used.clone()?;
                Some(Unknown { name: variable.name.clone(), at, path })
            })
            .collect()
    }

    /// Names of all variables that something saves, and of all feeders: for hints.
    pub fn known(&self) -> Vec<String> {
        let state = self.state.borrow();
        let variables = state.names.iter().filter(|variable| variable.defined);
        variables.map(|variable| variable.name.clone()).chain(self.feeders.keys().cloned()).collect()
    }

    /// Names of all variables by place.
    pub fn names(&self) -> Vec<String> {
        self.state.borrow().names.iter().map(|variable| variable.name.clone()).collect()
    }

    fn slot(&self, name: &str) -> Result<Slot, String> {
        let names = &mut self.state.borrow_mut().names;
        if let Some(index) = names.iter().position(|variable| variable.name == name) {
            return Ok(Slot(index as u16));
        }
        if names.len() >= VARIABLES_MAX {
            return Err(format!("more than {VARIABLES_MAX} variables"));
        }
        names.push(Variable { name: name.to_owned(), defined: false, used: None });
        Ok(Slot(names.len() as u16 - 1))
    }
}

/// Whether text is a plain name: letters, digits and `_`, not beginning with a digit.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check(name: &str) -> Result<(), String> {
    if !is_name(name) {
        Err(format!("{name:?} is not a name; use letters, digits and `_`"))
    } else if BUILT_IN.contains(&name) || name == "env" {
        Err(format!("`{name}` has a meaning of its own; choose another name"))
    } else {
        Ok(())
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").field("names", &self.names()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_used_before_the_text_that_saves_it() {
        let symbols = Symbols::new(None, vec![("pupils".into(), vec!["name".into()])]);
        symbols.reading(Position { line: 3, column: 5 }, "steps[0].get");
        let Ok(Meaning::Variable(used)) = symbols.refer("token") else { panic!("a variable") };
        assert_eq!(symbols.unknown().len(), 1);
        assert_eq!(symbols.define("token"), Ok(used));
        assert_eq!(symbols.unknown(), []);
        assert!(matches!(symbols.refer("pupils"), Ok(Meaning::Feeder(FeederId(0), _))));
        assert_eq!((symbols.take_drawn(), symbols.take_drawn()), (vec![FeederId(0)], vec![]));
        assert!(symbols.define("pupils").is_err_and(|hint| hint.contains("feeder")));
        assert!(symbols.define("vu").is_err() && symbols.define("a b").is_err());
        symbols.refer("lost").unwrap();
        let unknown = symbols.unknown();
        assert_eq!((unknown[0].name.as_str(), unknown[0].at.line), ("lost", 3));
    }
}
