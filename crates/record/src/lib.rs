//! Run events, the run store and its reader: the only bridge between the tower that drives load and the tower
//! that answers questions, and the only place that serialises.

pub mod event;

pub use event::{
    ErrorNote, Finished, Gap, Model, Note, NoteKind, PhaseMeta, PhaseStarted, RunEvent, RunStarted, ScenarioMeta,
    StepMeta, StopReason, TestMeta, Users, Window,
};
