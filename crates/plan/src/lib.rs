//! Plan text to a validated [`Plan`]: the only crate that knows the syntax.

pub mod model;
pub mod read;
pub mod schema;

pub use model::{Flow, LatenessBudget, Plan, Scenario, Step, StepRole, Test, Think};
pub use read::{ReadOptions, read};
pub use schema::schema;
