//! WebSocket (RFC 6455) with per-message deflate (RFC 7692).
//!
//! Place in the flow: the plan reader learns the words of sockets from [`WebSocketGrammar`]; connections are opened, kept
//! and waited on by `crucible_http::stream`, this crate has the handshake and the frames.
//!
//! Invariants: an idle socket owns no buffer and no compressor; pings are answered while the user thinks; whatever a
//! server sends ends in an outcome, in bounded memory.

mod codec;
mod deflate;
mod grammar;
mod handshake;
mod keys;
mod settings;

pub use codec::SocketCodec;
pub use grammar::WebSocketGrammar;
pub use handshake::Socket;
pub use settings::WebSocketSettings;

/// Sockets as a plan configures them.
pub type WebSocketProtocol = crucible_http::stream::StreamProtocol<Socket>;
