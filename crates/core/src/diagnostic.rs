//! Mistakes in a plan: collected, never thrown, so that all of them are told at once.

use crate::Position;
use std::cell::RefCell;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The plan can run, but probably not as meant.
    Warning,
    /// The plan cannot run.
    Error,
}

/// One mistake: where, what, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the text.
    pub at: Position,
    /// Where in the tree, as in `scenarios.pupil.tasks[2].get`.
    pub path: String,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What would be right; may be empty.
    pub hint: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{}: {word}: ", self.at)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// Collects mistakes from readers that share it.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: RefCell<Vec<Diagnostic>>,
}

impl Diagnostics {
    /// An empty collection.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Notes an error.
    pub fn error(&self, at: Position, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, at, path, message.into(), hint.into());
    }

    /// Notes a warning.
    pub fn warning(&self, at: Position, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, at, path, message.into(), hint.into());
    }

    fn push(&self, severity: Severity, at: Position, path: &str, message: String, hint: String) {
        self.list.borrow_mut().push(Diagnostic { severity, at, path: path.to_owned(), message, hint });
    }

    /// Whether an error was noted.
    pub fn has_errors(&self) -> bool {
        self.list.borrow().iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them in the order of the text, each once.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut list = self.list.into_inner();
        list.sort_by(|a, b| (a.at, &a.path, &a.message).cmp(&(b.at, &b.path, &b.message)));
        list.dedup();
        list
    }
}
