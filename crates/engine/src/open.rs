//! Open load: the schedule decides when an iteration begins, free users take arrivals as they fall due.
//!
//! One free user, the leader, sleeps on the next arrival; when it takes it, it calls the next free user (or makes a
//! new one) to lead. So an arrival costs one timer and one wake, no queue and no dispatcher, and no user is made
//! before it is needed. When no user is free, arrivals stay in the schedule and are taken late, with the lateness
//! told as pool lag.

use crate::shard::{Shard, Stage};
use crate::user::{Start, User};
use crucible_core::{Clock, Ns, Probe, ScenarioId, Worker};
use crucible_schedule::{Arrival, ArrivalProcess};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The arrivals of one scenario on one shard in one phase, and the users that serve them.
pub(crate) struct Pool {
    scenario: ScenarioId,
    /// Start of the phase on the run's clock.
    base: Ns,
    arrivals: RefCell<Box<dyn ArrivalProcess>>,
    next: Cell<Option<Arrival>>,
    led: Cell<bool>,
    /// Places of users that wait to be called; the last to become free is called first, its connection is warm.
    idle: RefCell<Vec<usize>>,
    /// Users that exist.
    users: Cell<u64>,
    limit: u64,
    patience: Option<Ns>,
    /// Counts what is due by the schedule alone.
    due: RefCell<Box<dyn ArrivalProcess>>,
    due_next: Cell<Option<Arrival>>,
}

enum Turn {
    Take(Ns),
    Lead(Ns),
    Wait,
    End,
}

impl Pool {
    /// `arrivals` and `due` are two copies of the same process, with instants from the start of the phase.
    pub(crate) fn new(
        scenario: ScenarioId,
        base: Ns,
        mut arrivals: Box<dyn ArrivalProcess>,
        mut due: Box<dyn ArrivalProcess>,
        limit: u64,
        patience: Option<Ns>,
    ) -> Pool {
        let (next, due_next) = (arrivals.next(), due.next());
        Pool {
            scenario,
            base,
            arrivals: RefCell::new(arrivals),
            next: Cell::new(next),
            led: Cell::new(false),
            idle: RefCell::default(),
            users: Cell::new(0),
            limit,
            patience,
            due: RefCell::new(due),
            due_next: Cell::new(due_next),
        }
    }

    /// How many arrivals were due before `until` that were not counted yet.
    pub(crate) fn count_due(&self, until: Ns) -> u64 {
        let mut count = 0;
        let mut due = self.due.borrow_mut();
        while let Some(arrival) = self.due_next.get() {
            if self.base + arrival.at >= until {
                break;
            }
            count += 1;
            self.due_next.set(due.next());
        }
        count
    }

    /// Drops every arrival that is due by `now` and was not begun.
    pub(crate) fn drop_due<C: Clock, W: Worker>(&self, shard: &Shard<C, W>, now: Ns) {
        while let Some(arrival) = self.next.get() {
            let at = self.base + arrival.at;
            if at > now {
                break;
            }
            self.advance();
            shard.drop_arrival(self.scenario, at, now);
        }
    }

    /// Whether every arrival has been taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.next.get().is_none()
    }

    fn advance(&self) {
        self.next.set(self.arrivals.borrow_mut().next());
    }

    fn turn<C: Clock, W: Worker>(&self, shard: &Shard<C, W>, now: Ns) -> Turn {
        while let Some(arrival) = self.next.get() {
            let at = self.base + arrival.at;
            if at > now {
                return if self.led.replace(true) { Turn::Wait } else { Turn::Lead(at) };
            }
            self.advance();
            match self.patience {
                Some(patience) if now.since(at) > patience => shard.drop_arrival(self.scenario, at, now),
                _ => return Turn::Take(at),
            }
        }
        Turn::End
    }

    /// Sees to it that somebody takes the next arrival.
    fn call_next<C: Clock, W: Worker>(self: &Rc<Self>, shard: &Rc<Shard<C, W>>) {
        if self.led.get() || self.next.get().is_none() {
            return;
        }
        if let Some(place) = self.idle.borrow_mut().pop() {
            let mut places = shard.places.borrow_mut();
            places[place].called = true;
            if let Some(waker) = places[place].waker.take() {
                waker.wake();
            }
        } else if self.users.get() < self.limit {
            let user = self.new_user(shard);
            self.admit(shard, user);
        }
    }

    fn new_user<C: Clock, W: Worker>(&self, shard: &Shard<C, W>) -> User<W::Session> {
        shard.new_user(shard.next_vu(0), self.scenario)
    }

    /// Starts the task of a user.
    pub(crate) fn admit<C: Clock, W: Worker>(
        self: &Rc<Self>,
        shard: &Rc<Shard<C, W>>,
        user: User<W::Session>,
    ) {
        self.users.set(self.users.get() + 1);
        shard.tasks.set(shard.tasks.get() + 1);
        shard.active.set(shard.active.get() + 1);
        let place = shard.take_place();
        shard.clock.spawn(live(Rc::clone(shard), Rc::clone(self), user, place));
    }

    /// Starts with the users that were parked by the phase before, and at least `least` of them.
    pub(crate) fn open<C: Clock, W: Worker>(self: &Rc<Self>, shard: &Rc<Shard<C, W>>, least: u64) {
        let mine: Vec<u64> = {
            let parked = shard.parked.borrow();
            let mut mine: Vec<u64> =
                parked.iter().filter(|(_, user)| user.scenario == self.scenario).map(|(vu, _)| *vu).collect();
            mine.sort_unstable();
            mine
        };
        for vu in mine {
            let user = shard.parked.borrow_mut().remove(&vu);
            if let Some(user) = user {
                self.admit(shard, user);
            }
        }
        while self.users.get() < least.min(self.limit) {
            let user = self.new_user(shard);
            self.admit(shard, user);
        }
    }
}

/// A user leaves, and another one is made and set up in its place; `None` if the phase ended before.
async fn successor<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    pool: &Rc<Pool>,
    user: &mut User<W::Session>,
    probe: &mut Probe<'_>,
    place: usize,
) -> Option<User<W::Session>> {
    if shard.stage.get() > Stage::Running {
        return None;
    }
    let teardown = &shard.plan.scenarios[usize::from(pool.scenario.0)].teardown;
    shard.around(user, probe, place, teardown).await;
    // who has left has nothing to take down at the end of the test
    user.ready = false;
    let mut next = pool.new_user(shard);
    shard.set_up(&mut next, probe, place).await.then_some(next)
}

/// The life of a user under open load.
async fn live<C: Clock, W: Worker>(
    shard: Rc<Shard<C, W>>,
    pool: Rc<Pool>,
    mut user: User<W::Session>,
    place: usize,
) {
    let clock = shard.clock.clone();
    let mut probe = Probe::new(&clock);
    // A user that lives for a time is there for one arrival, which is a whole visit.
    let visits = shard.plan.scenarios[usize::from(pool.scenario.0)].lifetime.is_some();
    // A user without setup could have been there all along: what it is late by is our doing, not the pool's.
    let mut free = if user.ready { Ns::ZERO } else { Ns::MAX };
    if shard.set_up(&mut user, &mut probe, place).await {
        if free == Ns::MAX {
            free = clock.now();
        }
        let mut now = clock.now();
        while shard.stage.get() == Stage::Running {
            match pool.turn(&shard, now) {
                Turn::Take(at) => {
                    pool.call_next(&shard);
                    let start = Start { intended: at, ready: free, started: now, timed: true };
                    let ended = shard.iterate(&mut user, &mut probe, place, start, visits).await;
                    if ended.aborted {
                        break;
                    }
                    free = ended.at;
                    if (visits && !ended.dry) || ended.stop {
                        let Some(next) = successor(&shard, &pool, &mut user, &mut probe, place).await else {
                            break;
                        };
                        user = next;
                        free = clock.now();
                    }
                    now = clock.now();
                }
                Turn::Lead(at) => {
                    let came = shard.pause_exactly(place, at).await;
                    pool.led.set(false);
                    if !came {
                        break;
                    }
                    now = clock.now();
                }
                Turn::Wait => {
                    pool.idle.borrow_mut().push(place);
                    if !shard.wait_for_call(place).await {
                        break;
                    }
                    now = clock.now();
                }
                Turn::End => break,
            }
        }
    }
    shard.parked.borrow_mut().insert(user.vu.0, user);
    shard.leave_place(place);
    shard.active.set(shard.active.get() - 1);
    shard.tasks.set(shard.tasks.get() - 1);
    shard.wake_driver();
}
