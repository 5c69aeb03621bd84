//! One state for each key, within bounded memory.

use super::{Decision, Rule, State};
use crucible_core::Ns;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Keys that are told apart. Further ones share one state.
pub(crate) const KEYS: usize = 50_000;
/// Time between two searches for states that may be forgotten.
const SWEEP: Ns = Ns::from_secs(1);

struct States {
    by_key: HashMap<String, State>,
    shared: State,
    swept: Ns,
}

/// A rule and what it remembers.
pub(crate) struct Limiter {
    rule: Rule,
    cost: u64,
    states: Mutex<States>,
}

impl Limiter {
    /// A limiter that has seen nothing and counts each request `cost` times.
    pub(crate) fn new(rule: Rule, cost: u64) -> Limiter {
        let states = States { by_key: HashMap::new(), shared: State::new(&rule), swept: Ns::ZERO };
        Limiter { rule, cost, states: Mutex::new(states) }
    }

    /// The rule.
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    /// One request of `key` at `now`. If it passes, [`Limiter::leave`] belongs to its end.
    pub(crate) fn ask(&self, key: &str, now: Ns) -> Decision {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let states = &mut *states;
        if let Some(state) = states.by_key.get_mut(key) {
            return state.ask(&self.rule, now, self.cost);
        }
        if states.by_key.len() >= KEYS && now >= states.swept + SWEEP {
            states.by_key.retain(|_, state| !state.is_idle(&self.rule, now));
            states.swept = now;
        }
        if states.by_key.len() >= KEYS {
            return states.shared.ask(&self.rule, now, self.cost);
        }
        let mut state = State::new(&self.rule);
        let decision = state.ask(&self.rule, now, self.cost);
        states.by_key.insert(key.to_owned(), state);
        decision
    }

    /// A request of `key` that passed has been answered.
    pub(crate) fn leave(&self, key: &str) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let states = &mut *states;
        states.by_key.get_mut(key).unwrap_or(&mut states.shared).leave(self.cost);
    }

    /// Keys that are told apart now.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.states.lock().unwrap().by_key.len()
    }
}
