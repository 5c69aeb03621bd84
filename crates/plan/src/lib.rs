//! Plan text to a validated [`Plan`]: the only crate that knows the syntax.

pub mod model;

pub use model::{Flow, LatenessBudget, Plan, Scenario, Step, StepRole, Test, Think};
