//! The proving bench: what the tests of the other crates stand on.
//!
//! - [`sim`]: virtual time and servers whose answer is known in closed form, so that a day of load runs in
//!   seconds and a wrong number is seen to be wrong;
//! - [`servers`]: real sockets on loopback whose behaviour is scripted and whose own record is the truth;
//! - [`conformance`]: the suite that every protocol must pass.
//!
//! Invariants: everything random is seeded; nothing here is used by a run against a real target, except that
//! `doctor` measures itself against the null server.

pub mod clock;
pub mod conformance;
pub mod law;
pub mod servers;
pub mod sim;

pub use clock::WallClock;
pub use law::{Law, Stalls};
