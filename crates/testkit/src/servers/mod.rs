//! Real servers on loopback with known behaviour.
//!
//! Each runs on threads of its own, takes a free port of 127.0.0.1, and stops when it is dropped. They read no more
//! of HTTP/1.1 than they need: the end of a head and the length of a body.

mod connection;
mod echo;
mod null;
mod poller;
pub mod script;
pub mod truth;

pub use echo::EchoServer;
pub use null::NullServer;
pub use script::{Action, ScriptServer};
pub use truth::{Answer, Behaviour, Route, Served, TruthConfig, TruthRecord, TruthServer};
