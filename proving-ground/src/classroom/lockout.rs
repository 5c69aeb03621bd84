//! Accounts that rest after wrong passwords, pure: time comes in as a parameter.
//!
//! Five wrong passwords lock an account for 30 s, and each further one, after the lock, for 120 s, 300 s and then
//! always 600 s (times the switch `lock-times`). A right password, or an hour without a wrong one, forgets all. Attempts during a lock are
//! answered without looking at the password and change nothing. Invariant: memory is bounded.

use crucible_core::Ns;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Wrong passwords before the first lock.
const FREE: u32 = 5;
/// Lengths of the locks, in order; the last one stays.
const LOCKS: [Ns; 4] = [Ns::from_secs(30), Ns::from_secs(120), Ns::from_secs(300), Ns::from_secs(600)];
/// After this time without a wrong password all is forgotten.
const MEMORY: Ns = Ns::from_secs(3_600);
/// Names that are remembered.
const NAMES: usize = 10_000;

#[derive(Clone, Copy, Default)]
struct Failures {
    count: u32,
    last: Ns,
    until: Ns,
}

/// Who rests.
pub(crate) struct Lockouts {
    /// The locks last this many times as long.
    scale: f64,
    by_name: Mutex<HashMap<String, Failures>>,
}

impl Default for Lockouts {
    fn default() -> Lockouts {
        Lockouts::new(1.0)
    }
}

impl Lockouts {
    /// Nobody rests; locks will last `scale` times as long as they do in the original.
    pub(crate) fn new(scale: f64) -> Lockouts {
        Lockouts { scale, by_name: Mutex::default() }
    }

    /// Time for which the account still rests, if it does.
    pub(crate) fn rest(&self, name: &str, now: Ns) -> Option<Ns> {
        let by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let left = by_name.get(name)?.until.since(now);
        (left > Ns::ZERO).then_some(left)
    }

    /// A password was wrong. Gives the rest if another attempt, made at the same time, has locked the account
    /// meanwhile: then this one is not counted, and its answer must not tell whether the password was right.
    pub(crate) fn wrong(&self, name: &str, now: Ns) -> Option<Ns> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if by_name.len() >= NAMES && !by_name.contains_key(name) {
            by_name.retain(|_, failures| failures.until > now);
            if by_name.len() >= NAMES {
                // ten thousand names at rest: somebody tries them all, and one more is not worth the memory
                return None;
            }
        }
        let failures = by_name.entry(name.to_owned()).or_default();
        let left = failures.until.since(now);
        if left > Ns::ZERO {
            return Some(left);
        }
        if now.since(failures.last) > MEMORY {
            *failures = Failures::default();
        }
        failures.count += 1;
        failures.last = now;
        if let Some(step) = failures.count.checked_sub(FREE) {
            let step = usize::try_from(step).unwrap_or(usize::MAX).min(LOCKS.len() - 1);
            failures.until = now + Ns::from_secs_f64(LOCKS[step].as_secs_f64() * self.scale);
        }
        None
    }

    /// A password was right. Gives the rest, as [`Lockouts::wrong`] does.
    pub(crate) fn right(&self, name: &str, now: Ns) -> Option<Ns> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let left = by_name.get(name)?.until.since(now);
        if left > Ns::ZERO {
            return Some(left);
        }
        by_name.remove(name);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_grow_and_a_right_password_forgets() {
        let lockouts = Lockouts::default();
        let mut now = Ns::from_secs(1_000_000);
        for _ in 0..4 {
            assert_eq!(lockouts.wrong("ann", now), None);
            assert_eq!(lockouts.rest("ann", now), None);
        }
        for expected in [30, 120, 300, 600, 600] {
            assert_eq!(lockouts.wrong("ann", now), None);
            assert_eq!(lockouts.rest("ann", now), Some(Ns::from_secs(expected)));
            // attempts at the same time neither count nor pass
            assert_eq!(lockouts.wrong("ann", now), Some(Ns::from_secs(expected)));
            assert_eq!(lockouts.right("ann", now), Some(Ns::from_secs(expected)));
            assert_eq!(lockouts.rest("ben", now), None);
            now += Ns::from_secs(expected);
            assert_eq!(lockouts.rest("ann", now), None);
        }
        assert_eq!(lockouts.right("ann", now), None);
        for _ in 0..4 {
            lockouts.wrong("ann", now);
        }
        assert_eq!(lockouts.rest("ann", now), None);
        now += MEMORY + Ns(1);
        lockouts.wrong("ann", now);
        assert_eq!(lockouts.rest("ann", now), None, "an hour later it is the first again");
    }

    #[test]
    fn locks_can_be_scaled() {
        let lockouts = Lockouts::new(0.05);
        let now = Ns::from_secs(9);
        for _ in 0..5 {
            lockouts.wrong("ann", now);
        }
        assert_eq!(lockouts.rest("ann", now), Some(Ns::from_millis(1_500)));
    }

    #[test]
    fn names_without_number_cost_bounded_memory() {
        let lockouts = Lockouts::default();
        for name in 0..NAMES + 100 {
            lockouts.wrong(&name.to_string(), Ns::from_secs(9));
        }
        assert!(lockouts.by_name.lock().unwrap().len() <= NAMES);
    }
}
