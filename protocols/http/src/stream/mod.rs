//! Connections that begin as an HTTP exchange and then stay open: what sockets and streams of events have in common.
//!
//! A [`Kind`] says what its handshake asks for and how bytes become messages; everything else is here: words of a step,
//! conditions on messages, opening, waiting, messages that nobody has waited for yet, latency, idle connections.
//!
//! Invariants: an idle line owns no buffer; what a peer sends is bounded and ends in an outcome; a line on which an
//! operation was cut off is never used again.

mod condition;
mod grammar;
mod line;
mod message;
mod opening;
mod outcome;
mod part;
mod protocol;
mod request;
mod session;
mod stamp;
mod step;
mod sweep;
mod wait;

pub use crate::body::{Framing, Sink};
pub use crate::fault::{During, Fault};
pub use crate::head::{Head, values as header_values};
pub use condition::{Condition, Conditions};
pub use grammar::{Words, read_step};
pub use line::{Accepted, Codec, Kind};
pub use message::Message;
pub use part::Part;
pub use protocol::{StreamProtocol, StreamWorker};
pub use request::Content;
pub use session::StreamSession;
pub use step::{Demand, Keep, Latency, Open, Outgoing, Payload, StreamStep, Wait};
