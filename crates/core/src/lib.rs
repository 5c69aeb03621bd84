//! The foundation of both towers: units, identifiers, samples, histograms, diagnostics and the traits that
//! plug-ins implement.
//!
//! Invariants: no I/O, no async runtime, no clock of its own, no global randomness. Everything here can be
//! used from the simulator as from a real run.

pub mod clock;
pub mod diagnostic;
pub mod fields;
pub mod frame;
pub mod histogram;
pub mod ids;
pub mod measure;
pub mod monitor;
pub mod outcome;
pub mod probe;
pub mod protocol;
pub mod rng;
pub mod sample;
pub mod scope;
pub mod symbols;
pub mod template;
pub mod threshold;
pub mod time;
pub mod tree;
pub mod units;
pub mod value;
pub mod warmup;

pub use clock::{Clock, Now};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use fields::{Fields, Key};
pub use frame::{Frame, IterationFrame, LagFrame};
pub use histogram::Histogram;
pub use ids::{Position, ScenarioId, Share, StepId, VuId};
pub use measure::{MeasureFrame, MeasureId, MeasureKind, MeasureSpec};
pub use monitor::Monitor;
pub use outcome::{ErrorClass, Outcome};
pub use probe::{Phase, Probe};
pub use protocol::{
    Call, Protocol, Session, SessionContext, StepGrammar, StepSpec, Worker, WorkerContext, WorkerError,
};
pub use rng::Rng;
pub use sample::Sample;
pub use scope::{Feeder, FeederId, Row, Scope, Slot};
pub use symbols::{Expression, Expressions, Symbols};
pub use template::Template;
pub use time::Ns;
pub use tree::{Map, Node, NodeKind};
pub use value::Value;
pub use warmup::WarmUp;
