//! Server-sent events (WHATWG HTML, section "Server-sent events").
//!
//! Place in the flow: the plan reader learns from [`SseGrammar`] how a stream is opened; later steps on it are written as
//! those on a socket. Streams are opened, kept and waited on by `crucible_http::stream`; this crate reads events.
//!
//! Invariant: whatever a server sends ends in an outcome, in bounded memory.

mod grammar;
mod keys;
mod kind;
mod parser;

pub use grammar::SseGrammar;
pub use kind::{EventCodec, Events};

/// Streams of events as a plan configures them.
pub type SseProtocol = crucible_http::stream::StreamProtocol<Events>;
