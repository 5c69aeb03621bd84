//! Server-sent events (WHATWG HTML, section "Server-sent events").
//!
//! Place in the flow: the plan reader learns from [`SseGrammar`] how a stream is opened; later steps on it are written as
//! those on a socket.

mod grammar;
mod keys;

pub use grammar::SseGrammar;
