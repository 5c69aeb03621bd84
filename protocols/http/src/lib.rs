//! HTTP/1.1 over TCP, TLS and Unix sockets.
//!
//! Place in the flow: the plan reader learns the words of HTTP steps from [`HttpGrammar`]; the engine drives
//! [`HttpProtocol`] through the traits of `crucible_core`. What a protocol must do is stated in
//! `docs/specs/protocol.md`.
//!
//! Invariants: a small exchange on a kept connection costs one write and one read and allocates nothing; an idle
//! virtual user owns no buffer; whatever a server sends ends in an outcome, in bounded time and memory.

mod answer;
mod auth;
mod body;
mod checks;
mod connection;
mod deadline;
mod decode;
mod dial;
mod encode;
mod exchange;
mod extract;
mod fault;
mod grammar;
mod head;
mod html;
mod json;
mod operand;
mod origin;
mod outcome;
mod pattern;
mod prepare;
mod protocol;
mod redirect;
mod resolve;
mod session;
mod settings;
mod source;
mod spec;
mod status;
pub mod stream;
mod tls;
mod turn;

pub use auth::Auth;
pub use checks::{Check, JsonValues, ValueTest};
pub use grammar::HttpGrammar;
pub use operand::Operand;
pub use origin::Origin;
pub use pattern::{Form, Link, Pattern, Piece};
pub use protocol::{HttpProtocol, HttpWorker};
pub use session::HttpSession;
pub use settings::{
    AddressFamily, ConnectionPool, CookieMode, DnsSettings, HttpSettings, SelectAddress, Timeouts,
    TlsSettings,
};
pub use spec::RequestSpec;
pub use status::StatusMatch;
