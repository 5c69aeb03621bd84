//! The language of `${...}` beyond plain names.
//!
//! Text is parsed by minijinja's parser, so it is Jinja's expression syntax that people know from Ansible, Locust
//! plans and templates; what it means is here: names become places in the user's [`Scope`](crucible_core::Scope),
//! functions become rows of one table, and evaluation walks the compiled tree over
//! [`Value`](crucible_core::Value)s.
//!
//! *Invariants:* the same seed and scope give the same value; whatever the text and the data, no panic, no
//! endless work, and no result above 16 MiB; nothing reads a clock or the environment; a name that is no
//! function, a missing argument and a pattern that cannot be read are told when the plan is read.

mod compile;
mod functions;
mod language;
mod limits;
mod node;
mod operators;
mod reference;
mod slices;

pub use language::language;
pub use reference::reference;
