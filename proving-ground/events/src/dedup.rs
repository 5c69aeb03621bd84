//! Remembering ids for a while, in bounded memory.

use crucible_core::Ns;
use crucible_core::rng::mix;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// Ids are numbers; mixing them is hash enough. Not for ids that an enemy chooses to collide: the mix is known.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }
    fn write_u64(&mut self, id: u64) {
        self.0 = mix(id);
    }
}

/// Ids seen within a window. Invariant: at most `most` ids are held; one forgotten for want of room before its time
/// is counted in [`Dedup::forgotten_early`].
#[derive(Debug)]
pub struct Dedup {
    window: Ns,
    most: usize,
    order: VecDeque<(Ns, u64)>,
    seen: HashMap<u64, Ns, BuildHasherDefault<IdHasher>>,
    early: u64,
}

impl Dedup {
    /// Remembers ids for `window`, `most` (at least 1) of them.
    pub fn new(window: Ns, most: usize) -> Dedup {
        Dedup { window, most: most.max(1), order: VecDeque::new(), seen: HashMap::default(), early: 0 }
    }

    /// Whether `id` is new at `now` (which never goes backwards); remembers it if so. A duplicate does not lengthen
    /// the memory of the first.
    pub fn is_new(&mut self, id: u64, now: Ns) -> bool {
        while let Some((at, _)) = self.order.front()
            && now.since(*at) >= self.window
        {
            self.pop();
        }
        let Entry::Vacant(place) = self.seen.entry(id) else { return false };
        place.insert(now);
        if self.order.len() >= self.most {
            self.early += u64::from(self.pop());
        }
        self.order.push_back((now, id));
        true
    }

    /// Forgets an id that was not accepted after all.
    pub fn forget(&mut self, id: u64) {
        self.seen.remove(&id);
    }

    /// Ids that were forgotten before their time.
    pub fn forgotten_early(&self) -> u64 {
        self.early
    }

    /// Takes the oldest entry out; whether it still stood for its id.
    fn pop(&mut self) -> bool {
        let Some((at, id)) = self.order.pop_front() else { return false };
        match self.seen.entry(id) {
            Entry::Occupied(place) if *place.get() == at => {
                place.remove();
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn room_is_bounded_and_what_it_costs_is_counted() {
        let mut dedup = Dedup::new(Ns::from_secs(60), 3);
        for id in 0..5 {
            assert!(dedup.is_new(id, Ns::ZERO));
        }
        assert_eq!(dedup.forgotten_early(), 2);
        assert!(!dedup.is_new(4, Ns::ZERO));
        assert!(dedup.is_new(0, Ns::ZERO), "forgotten");
        dedup.forget(0);
        assert!(dedup.is_new(0, Ns::ZERO));
    }

    proptest! {
        #[test]
        fn it_says_what_a_full_history_says(steps in prop::collection::vec((0u64..8, 0u64..30), 0..200)) {
            let mut dedup = Dedup::new(Ns(100), 10_000);
            let mut history: HashMap<u64, u64> = HashMap::new();
            let mut now = 0;
            for (id, wait) in steps {
                now += wait;
                let expected = history.get(&id).is_none_or(|at| now - at >= 100);
                if expected {
                    history.insert(id, now);
                }
                prop_assert_eq!(dedup.is_new(id, Ns(now)), expected);
            }
            prop_assert_eq!(dedup.forgotten_early(), 0);
        }
    }
}
