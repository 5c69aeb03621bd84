//! What requests wait for: workers, connections.

use super::{Switch, Truth, on_off, positive};
use crucible_core::Ns;
use crucible_core::units::parse_duration;

pub(super) const WORKERS: Switch = Switch {
    name: "workers",
    doc: "API requests that are worked on at once; the others wait in order of arrival",
    example: "8",
    implies: "capacity workers / mean service time; see service for the waiting time",
    set: |truth, value| {
        truth.workers = Some(positive(value)?);
        Ok(())
    },
};

pub(super) const READERS: Switch = Switch {
    name: "readers",
    doc: "database connections that read (a request waits when all are busy)",
    example: "4",
    implies: "",
    set: |truth, value| {
        truth.readers = positive(value)?;
        Ok(())
    },
};

pub(super) const CONNECTIONS: Switch = Switch {
    name: "connections",
    doc: "size of a pool of connections of which every API request takes one, in order of arrival; agents refuses \
          at once (503) what would take more than 85 % of them",
    example: "20",
    implies: "capacity connections / connection-hold",
    set: |truth, value| {
        truth.connections.size = Some(positive(value)?);
        Ok(())
    },
};

pub(super) const HOLD: Switch = Switch {
    name: "connection-hold",
    doc: "how long an API request keeps its connection before its own work, which comes on top",
    example: "10ms",
    implies: "capacity connections / connection-hold",
    set: |truth, value| {
        truth.connections.hold = time(value)?;
        Ok(())
    },
};

pub(super) const PATIENCE: Switch = Switch {
    name: "connection-wait",
    doc: "how long a request waits for a connection before it is answered 503 (30s unless told)",
    example: "30s",
    implies: "beyond capacity the waiting time jumps to this time: a cliff, not a slope",
    set: |truth, value| {
        truth.connections.patience = time(value)?;
        Ok(())
    },
};

pub(super) const SLOT_PER_SESSION: Switch = Switch {
    name: "slot-per-session",
    doc: "on: a login session or a WebSocket keeps a connection for as long as it is open (not of events, which has \
          neither)",
    example: "on",
    implies: "with as many sessions as connections, every further API request waits connection-wait, then 503",
    set: |truth, value| {
        truth.connections.per_session = on_off(value)?;
        Ok(())
    },
};

fn time(value: &str) -> Result<Ns, String> {
    let time = parse_duration(value)?;
    if time <= Ns::from_secs(600) { Ok(time) } else { Err("ten minutes are the most".into()) }
}

/// The pool of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connections {
    /// How many; `None`: there is no such pool.
    pub(crate) size: Option<usize>,
    /// How long each request keeps one.
    pub(crate) hold: Ns,
    /// How long one is waited for.
    pub(crate) patience: Ns,
    /// Whether sessions and WebSockets keep one.
    pub(crate) per_session: bool,
}

impl Default for Connections {
    fn default() -> Connections {
        Connections { size: None, hold: Ns::ZERO, patience: Ns::from_secs(30), per_session: false }
    }
}

impl Truth {
    /// Size of the pool of connections, if there is one: 20 unless told, once a session keeps one.
    pub(crate) fn pool_size(&self) -> Option<usize> {
        let wanted = self.connections.per_session || self.connections.hold > Ns::ZERO;
        self.connections.size.or(wanted.then_some(20))
    }
}
