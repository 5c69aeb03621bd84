//! Who gets which row of a feeder.
//!
//! The shards of a process share a counter for each feeder, so that the rows taken are always the first ones, each by one
//! user, whatever the number of shards. Of several processes, process `i` of `n` takes every `n`-th row from `i` on.

use crate::shard::Shard;
use crate::user::User;
use crucible_core::{Clock, FeederId, Rng, Share, Worker, rng};
use crucible_plan::program::{Feed, Pick};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many rows of each feeder were taken, by test.
#[derive(Debug)]
pub(crate) struct Rows {
    taken: Vec<Vec<AtomicU64>>,
    share: Share,
}

impl Rows {
    /// For so many tests and feeders, of one process.
    pub(crate) fn new(tests: usize, feeders: usize) -> Rows {
        let counters = || (0..feeders).map(|_| AtomicU64::new(0)).collect();
        Rows { taken: (0..tests).map(|_| counters()).collect(), share: Share::ALL }
    }

    /// The next row that nobody has taken.
    fn take(&self, test: usize, feeder: FeederId) -> u64 {
        let counter = self.taken.get(test).and_then(|test| test.get(usize::from(feeder.0)));
        let number = counter.map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed));
        number.saturating_mul(u64::from(self.share.of)).saturating_add(u64::from(self.share.index))
    }
}

/// Why a user has no row.
#[derive(Clone, Debug)]
pub(crate) struct Lack {
    /// For people.
    pub(crate) why: String,
    /// There will be no other one.
    pub(crate) dry: bool,
}

impl<C: Clock, W: Worker> Shard<C, W> {
    /// Gives a user the rows that it draws now: those that it keeps for life, or those of an iteration. The error says
    /// what has run dry or could not be read; the other rows are dealt all the same.
    pub(crate) fn deal(&self, user: &mut User<W::Session>, for_life: bool) -> Result<(), Lack> {
        let feeds = &self.plan.scenarios[usize::from(user.scenario.0)].feeds;
        let mut dealt = Ok(());
        for (id, _) in feeds.iter().filter(|(_, kept)| *kept == for_life) {
            if let Err(lack) = self.deal_one(user, *id) {
                dealt = dealt.and(Err(lack));
            }
        }
        dealt
    }

    /// Gives a user a row of one feeder.
    pub(crate) fn deal_one(&self, user: &mut User<W::Session>, id: FeederId) -> Result<(), Lack> {
        let Some(feed) = self.plan.feeders.get(usize::from(id.0)) else { return Ok(()) };
        let number = self.number(user, feed, id).map_err(|why| Lack { why, dry: true });
        let row = number.and_then(|number| feed.source.row(number).map_err(|why| Lack { why, dry: false }));
        let (row, dealt) = match row {
            Ok(row) => (Some(row), Ok(())),
            Err(lack) => (None, Err(lack)),
        };
        user.scope.set_row(id, row);
        dealt
    }

    fn number(&self, user: &User<W::Session>, feed: &Feed, id: FeederId) -> Result<u64, String> {
        let rows = feed.source.rows();
        let dry = || format!("the data `{}` has no further row", feed.name);
        let number = match feed.pick {
            Pick::Once => user.vu.0,
            Pick::Unique => self.rows.take(self.test.get(), id),
            Pick::Sequential => match rows {
                Some(0) => return Err(dry()),
                Some(rows) => self.rows.take(self.test.get(), id) % rows,
                None => self.rows.take(self.test.get(), id),
            },
            Pick::Random => {
                let seed = rng::mix(self.plan.seed ^ u64::from(id.0));
                let mut rng = Rng::new(seed, "row", rng::mix(user.vu.0) ^ user.iteration);
                rng.between(0, rows.unwrap_or(1 << 53).saturating_sub(1))
            }
        };
        if rows.is_some_and(|rows| number >= rows) { Err(dry()) } else { Ok(number) }
    }
}
