//! WebSocket (RFC 6455) with per-message deflate (RFC 7692).
//!
//! Place in the flow: the plan reader learns the words of sockets from [`WebSocketGrammar`]; connections are opened as
//! those of HTTP are.

mod grammar;
mod keys;
mod settings;

pub use grammar::WebSocketGrammar;
pub use settings::WebSocketSettings;
