//! Steps at the same time: a user acts in several lanes, each with a session of its own that takes over who the user is.
//!
//! Lanes are made when a user first needs them and kept; a block of steps at the same time costs an allocation for its
//! lanes' futures, which is the only one of the loop.

use crate::shard::Shard;
use crate::user::{Actor, Start, Todo, User};
use crucible_core::{Clock, ErrorClass, Ns, Outcome, Probe, Rng, Scope, Session, SessionContext, Worker};
use crucible_plan::program::Parallel;
use std::cell::Cell;

/// A part of a user that acts beside its others.
pub(crate) struct Lane<S> {
    session: S,
    scope: Scope,
    rng: Rng,
}

/// How a block of steps at the same time ended.
pub(crate) struct Together {
    /// The first outcome that was not ok, and its class.
    pub(crate) outcome: Outcome,
    pub(crate) class: ErrorClass,
    /// When the last of them ended.
    pub(crate) finished: Ns,
    pub(crate) done: u64,
}

impl<C: Clock, W: Worker> Shard<C, W> {
    /// Does all steps of a block, at most so many at once as it says.
    pub(crate) async fn together(
        &self,
        user: &mut User<W::Session>,
        place: usize,
        block: &Parallel,
        start: Start,
    ) -> Together {
        let lanes = usize::from(block.most).min(block.steps.len());
        self.open_lanes(user, lanes);
        let next = Cell::new(0);
        let lanes = user.lanes[..lanes].iter_mut().map(|lane| self.lane(lane, &next, place, block, start));
        let ends = futures_util::future::join_all(lanes).await;
        let mut whole = Together {
            outcome: Outcome::Ok,
            class: ErrorClass::None,
            finished: start.started,
            done: block.steps.len() as u64,
        };
        for end in ends {
            whole.finished = whole.finished.max(end.finished);
            let cut = end.outcome == Outcome::Aborted;
            if cut || (whole.outcome == Outcome::Ok && end.outcome != Outcome::Ok) {
                (whole.outcome, whole.class) = (end.outcome, end.class);
            }
        }
        user.scope.outcome = whole.outcome;
        whole
    }

    fn open_lanes(&self, user: &mut User<W::Session>, lanes: usize) {
        let (vu, seed) = (user.vu, self.plan.seed);
        for index in 0..lanes {
            let scope = user.scope.split(index as u64);
            if let Some(lane) = user.lanes.get_mut(index) {
                lane.scope = scope;
            } else {
                let session = self.worker.session(SessionContext { vu, seed });
                let rng = Rng::new(seed, "lane", vu.0.wrapping_mul(64).wrapping_add(index as u64));
                user.lanes.push(Lane { session, scope, rng });
            }
            user.lanes[index].session.join(&user.session);
        }
    }

    /// One lane: takes the next step as long as there is one.
    async fn lane(
        &self,
        lane: &mut Lane<W::Session>,
        next: &Cell<usize>,
        place: usize,
        block: &Parallel,
        mut start: Start,
    ) -> Together {
        let mut probe = Probe::new(&self.clock);
        let mut end =
            Together { outcome: Outcome::Ok, class: ErrorClass::None, finished: start.started, done: 0 };
        while let Some(step) = block.steps.get(next.replace(next.get() + 1)) {
            let actor = Actor { session: &mut lane.session, scope: &mut lane.scope, rng: &mut lane.rng };
            let todo = Todo { place, step: *step, start, deadline: None };
            let (outcome, finished) = self.operation(actor, &mut probe, todo).await;
            end.finished = finished;
            if outcome == Outcome::Aborted {
                end.outcome = Outcome::Aborted;
                break;
            }
            if end.outcome == Outcome::Ok && outcome != Outcome::Ok {
                (end.outcome, end.class) = (outcome, probe.class);
            }
            start = Start::at_once(finished);
        }
        end
    }
}
