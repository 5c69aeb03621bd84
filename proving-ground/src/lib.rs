//! The proving ground: runnable stand-ins for real systems, with switches of known truth.
//!
//! They speak the routes, payloads and status codes of the originals over real sockets, keep their data in a
//! real database, and can be told to behave in ways whose effect on latency and errors is known in closed form.
//! What the tool claims about a system is tested against them; the quick start and the suites run on them.
//!
//! Place in the flow: outside both towers. The command line starts a system as a child process; nothing else
//! of the project depends on this crate.

mod agents;
mod classroom;
mod clock;
mod evaluation;
mod events;
mod gate;
mod limit;
mod metrics;
mod pool;
mod sandbox;
mod serve;
mod stories;
mod system;
mod tls;
mod truth;
mod with;

pub use evaluation::run_part;
pub use system::{Announcement, GroundOptions, SYSTEMS, System, find};
pub use truth::{SWITCHES, Switch};
