//! What one virtual user knows: who it is, what it has saved, the rows that it has drawn, its random stream.
//!
//! Names are resolved to places when the plan is read ([`crate::Symbols`]), so that looking a value up while the load
//! runs is an index.

use crate::{Ns, Outcome, Rng, Value, VuId};
use std::sync::Arc;

/// Place of a variable in every user's [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// Index of a feeder in the plan's table of feeders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeederId(pub u16);

/// One record of a feeder, values in the order of its columns.
pub type Row = Arc<[Value]>;

/// Where rows come from: a file, a list, a generator. Shared by all shards; the order of rows is its own, who gets which
/// is the engine's business.
pub trait Feeder: Send + Sync + std::fmt::Debug {
    /// Names of the columns.
    fn columns(&self) -> &[String];

    /// Number of rows; `None` if there is no end (generated rows).
    fn rows(&self) -> Option<u64>;

    /// Row `index`, below [`Feeder::rows`]. The error is for people (a line of a large file that is broken).
    fn row(&self, index: u64) -> Result<Row, String>;
}

/// See the module text.
#[derive(Debug)]
pub struct Scope {
    /// The virtual user.
    pub vu: VuId,
    /// Its iteration, from 0.
    pub iteration: u64,
    /// Its random stream for values in requests; nothing else draws from it.
    pub rng: Rng,
    /// Time since the Unix epoch at the start of the present operation.
    pub unix: Ns,
    /// The protocol's code of the last operation, 0 if there was none.
    pub status: u16,
    /// How the last operation ended.
    pub outcome: Outcome,
    variables: Vec<Value>,
    rows: Vec<Option<Row>>,
}

impl Scope {
    /// The scope of a user that has saved nothing yet.
    pub fn new(vu: VuId, seed: u64) -> Scope {
        Scope {
            vu,
            iteration: 0,
            rng: Rng::new(seed, "values", vu.0),
            unix: Ns::ZERO,
            status: 0,
            outcome: Outcome::Ok,
            variables: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The value of a variable; [`Value::Absent`] if none was saved.
    pub fn get(&self, slot: Slot) -> &Value {
        const ABSENT: &Value = &Value::Absent;
        self.variables.get(usize::from(slot.0)).unwrap_or(ABSENT)
    }

    /// Saves a value.
    pub fn set(&mut self, slot: Slot, value: Value) {
        let index = usize::from(slot.0);
        if self.variables.len() <= index {
            if value == Value::Absent {
                return;
            }
            self.variables.resize(index + 1, Value::Absent);
        }
        self.variables[index] = value;
    }

    /// The row that the user holds of a feeder.
    pub fn row(&self, feeder: FeederId) -> Option<&Row> {
        self.rows.get(usize::from(feeder.0))?.as_ref()
    }

    /// Gives the user a row, or takes it away.
    pub fn set_row(&mut self, feeder: FeederId, row: Option<Row>) {
        let index = usize::from(feeder.0);
        if self.rows.len() <= index {
            self.rows.resize(index + 1, None);
        }
        self.rows[index] = row;
    }

    /// A copy for a part of the user that acts at the same time; what it saves is its own. Its random stream is `lane`'s.
    pub fn split(&self, lane: u64) -> Scope {
        let mut rng = self.rng.clone();
        let seed = rng.next_u64();
        Scope {
            vu: self.vu,
            iteration: self.iteration,
            rng: Rng::new(seed, "lane", lane),
            unix: self.unix,
            status: self.status,
            outcome: self.outcome,
            variables: self.variables.clone(),
            rows: self.rows.clone(),
        }
    }
}
