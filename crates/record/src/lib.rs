//! Run events, the run store and its reader: the only bridge between the tower that drives load and the tower
//! that answers questions, and the only place that serialises.

pub mod error;
pub mod event;
mod id;
pub mod store;

pub use error::StoreError;
pub use event::{
    ErrorNote, Finished, Gap, Model, Note, NoteKind, PhaseMeta, PhaseStarted, RunEvent, RunStarted,
    ScenarioMeta, StepMeta, StopReason, TestMeta, Users, Window,
};
pub use id::new_run_id;
pub use store::{Events, RunState, RunSummary, RunWriter, Store};
