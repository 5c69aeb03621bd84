//! The realistic mix: events of the six families in their proportions, from a seed.

use crate::event::{Event, Family, Name, Payload, Priority, Targets};
use crucible_core::{Ns, Rng};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Largest payload, bytes.
const LARGEST: usize = 64 * 1024;

/// An endless, seeded stream of events. Each payload is made anew and begins with the event's id, so that
/// a handler that reads it reads what was written for it.
#[derive(Debug)]
pub struct EventMix {
    rng: Rng,
    next: u64,
    step: u64,
    payload: RangeInclusive<usize>,
    bytes: Vec<u8>,
    names: Vec<(Family, Vec<Name>, Name)>,
}

impl EventMix {
    /// Events with payloads of `payload` bytes (512 to 65,536 in the seed's scenarios; 8 at least, cut to 65,536).
    pub fn new(seed: u64, payload: RangeInclusive<usize>) -> EventMix {
        EventMix::share(seed, payload, 0, 1)
    }

    /// Share `index` of `of`: the shares' ids do not overlap, so that several publishers work at once.
    pub fn share(seed: u64, payload: RangeInclusive<usize>, index: u64, of: u64) -> EventMix {
        let mut fill = Rng::new(seed, "payload", 0);
        let mut bytes = vec![0; LARGEST];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&fill.next_u64().to_le_bytes());
        }
        let low = (*payload.start()).clamp(8, LARGEST);
        let high = (*payload.end()).clamp(low, LARGEST);
        let names = Family::ALL
            .into_iter()
            .map(|family| {
                let topics = family.topics().iter().map(|topic| Name::of(topic)).collect();
                (family, topics, Name::of(family.name()))
            })
            .collect();
        EventMix {
            rng: Rng::new(seed, "events", index),
            next: index + 1,
            step: of.max(1),
            payload: low..=high,
            bytes,
            names,
        }
    }

    /// The next event.
    pub fn draw(&mut self) -> Event {
        let id = self.next;
        self.next += self.step;
        let mut point = self.rng.between(0, 99);
        let mut kind = 0;
        while point >= self.names[kind].0.share() {
            point -= self.names[kind].0.share();
            kind += 1;
        }
        let (family, topics, source) = &self.names[kind];
        let drawn = self.rng.next_u64();
        let topic = topics[drawn as usize % topics.len()];
        // one event in twenty is urgent, one in a hundred critical
        let priority = match (drawn >> 32) % 100 {
            0 => Priority::Critical,
            1..=5 => Priority::High,
            6..=15 => Priority::Low,
            _ => Priority::Normal,
        };
        let (low, high) = (*self.payload.start() as u64, *self.payload.end() as u64);
        let size = if low == high { low } else { self.rng.between(low, high) };
        self.bytes[..8].copy_from_slice(&id.to_le_bytes());
        let payload: Payload = Arc::from(&self.bytes[..size as usize]);
        Event {
            id,
            family: *family,
            priority,
            source: *source,
            topic,
            targets: Targets::Interested,
            payload,
            accepted_at: Ns::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_in_their_proportions_and_payloads_in_their_range() {
        let mut mix = EventMix::new(7, 512..=65_536);
        let mut seen = [0u64; 6];
        let total = 20_000;
        for expected in 1..=total {
            let event = mix.draw();
            assert_eq!(event.id, expected);
            assert_eq!(event.payload[..8], expected.to_le_bytes());
            assert!((512..=65_536).contains(&event.payload.len()));
            seen[event.family as usize] += 1;
        }
        for family in Family::ALL {
            let share = seen[family as usize] as f64 / total as f64;
            // standard error of a share of .3: .0032
            assert!((share - family.share() as f64 / 100.0).abs() < 0.015, "{}: {share}", family.name());
        }
        assert_eq!(Family::ALL.iter().map(|f| f.share()).sum::<u64>(), 100);
    }

    #[test]
    fn shares_do_not_overlap_and_the_seed_decides() {
        let ids = |index| {
            let mut mix = EventMix::share(1, 8..=8, index, 2);
            (0..3).map(|_| mix.draw().id).collect::<Vec<_>>()
        };
        assert_eq!((ids(0), ids(1)), (vec![1, 3, 5], vec![2, 4, 6]));
        let draw = |seed| {
            let mut mix = EventMix::new(seed, 8..=900);
            (0..50).map(|_| (mix.draw().family, mix.draw().payload.len())).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
