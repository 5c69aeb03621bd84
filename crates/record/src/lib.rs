//! Run events, the run store and its reader: the only bridge between the tower that drives load and the tower
//! that answers questions, and the only place that serialises.

mod beside;
pub mod error;
pub mod event;
mod id;
mod reader;
mod sql;
pub mod store;
mod wire;
mod writer;

pub use beside::Baseline;
pub use error::StoreError;
pub use event::{
    ErrorNote, Finding, Finished, Gap, Model, Note, NoteKind, PhaseMeta, PhaseStarted, Planned, Reading,
    RunEvent, RunStarted, ScenarioMeta, SeriesMeta, StepMeta, StopReason, TestMeta, Users, Window,
};
pub use id::new_run_id;
pub use reader::Events;
pub use store::{RunState, RunSummary, Store};
pub use writer::RunWriter;
