//! The timers of a simulation: a binary heap of plain entries over a slab of sleepers.
//!
//! A cancelled timer leaves a dead entry in the heap (its slot no longer carries its number); dead entries are
//! swept out when they outnumber the living, so the heap stays proportional to the sleepers alive. No timer
//! allocates once the heap and the slab have grown.

use crucible_core::Ns;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

/// Who sleeps: a task of the simulation, or something inside a task that brought its own waker.
#[derive(Debug)]
pub(super) enum Sleeper {
    Task(u32),
    Foreign(Waker),
}

/// A set timer. `number` is unique over the life of the simulation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    slot: u32,
    number: u64,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    sleeper: Option<Sleeper>,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Ns, u64, u32)>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    numbers: u64,
    dead: usize,
}

impl Timers {
    pub(super) fn set(&mut self, at: Ns, sleeper: Sleeper) -> Key {
        self.numbers += 1;
        let number = self.numbers;
        let filled = Slot { number, sleeper: Some(sleeper) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = filled;
                slot
            }
            None => {
                self.slots.push(filled);
                (self.slots.len() - 1) as u32
            }
        };
        self.heap.push(Reverse((at, number, slot)));
        Key { slot, number }
    }

    /// Whether the timer has not fired yet.
    pub(super) fn is_set(&self, key: Key) -> bool {
        let slot = &self.slots[key.slot as usize];
        slot.number == key.number && slot.sleeper.is_some()
    }

    /// Who is to be woken instead, if the future moved to another task.
    pub(super) fn sleeper_mut(&mut self, key: Key) -> Option<&mut Sleeper> {
        let slot = &mut self.slots[key.slot as usize];
        if slot.number == key.number { slot.sleeper.as_mut() } else { None }
    }

    pub(super) fn cancel(&mut self, key: Key) {
        let slot = &mut self.slots[key.slot as usize];
        if slot.number != key.number || slot.sleeper.is_none() {
            return;
        }
        slot.sleeper = None;
        self.free.push(key.slot);
        self.dead += 1;
        if self.dead > 64 && self.dead * 2 > self.heap.len() {
            let slots = &self.slots;
            self.heap.retain(|Reverse((_, number, slot))| {
                let slot = &slots[*slot as usize];
                slot.number == *number && slot.sleeper.is_some()
            });
            self.dead = 0;
        }
    }

    /// The instant of the next living timer.
    pub(super) fn next_at(&mut self) -> Option<Ns> {
        loop {
            let Reverse((at, number, slot)) = *self.heap.peek()?;
            let slot = &self.slots[slot as usize];
            if slot.number == number && slot.sleeper.is_some() {
                return Some(at);
            }
            self.heap.pop();
            self.dead = self.dead.saturating_sub(1);
        }
    }

    /// Takes the next living timer if it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Ns) -> Option<Sleeper> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse((_, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].sleeper.take()
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_instants_fire_in_the_order_of_setting_and_cancelled_ones_never() {
        let mut timers = Timers::default();
        let keys: Vec<Key> = [5u64, 3, 3, 9, 3]
            .iter()
            .zip(0..)
            .map(|(at, id)| timers.set(Ns(*at), Sleeper::Task(id)))
            .collect();
        timers.cancel(keys[2]);
        timers.cancel(keys[2]);
        let mut fired = Vec::new();
        while let Some(at) = timers.next_at() {
            while let Some(Sleeper::Task(id)) = timers.pop_due(at) {
                fired.push((at.0, id));
            }
        }
        assert_eq!(fired, [(3, 1), (3, 4), (5, 0), (9, 3)]);
        assert!(keys.iter().all(|key| !timers.is_set(*key)));
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let mut timers = Timers::default();
        let keep = timers.set(Ns(1), Sleeper::Task(0));
        for at in 0..100_000 {
            let key = timers.set(Ns(1_000_000 + at), Sleeper::Task(1));
            timers.cancel(key);
        }
        assert!(timers.entries() < 200, "{} entries", timers.entries());
        assert!(timers.is_set(keep));
    }
}
