//! The queue of one service: four priorities, first in first out within each.

use crate::event::{Event, Priority};
use std::collections::VecDeque;

/// A queue. Knows nothing of threads; its owner locks it.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    queues: [VecDeque<Event>; 4],
    len: usize,
    /// Places kept for this lane; those beyond come out of the shared room.
    pub(crate) reserved: usize,
    /// Whether somebody has been told that there is work and has not yet found the lane empty.
    pub(crate) scheduled: bool,
    /// Takes nothing more.
    pub(crate) closed: bool,
}

impl Lane {
    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Events beyond the reserved places.
    pub(crate) fn beyond(&self) -> usize {
        self.len.saturating_sub(self.reserved)
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.queues[event.priority as usize].push_back(event);
        self.len += 1;
    }

    /// Moves up to `most` events to `batch`, the most urgent first.
    pub(crate) fn take(&mut self, batch: &mut Vec<Event>, most: usize) {
        for queue in self.queues.iter_mut().rev() {
            let take = queue.len().min(most - batch.len());
            batch.extend(queue.drain(..take));
            self.len -= take;
        }
    }

    /// Takes out the oldest event of the least priority that is not above `limit`.
    pub(crate) fn drop_oldest(&mut self, limit: Priority) -> Option<Event> {
        let dropped = self.queues[..=limit as usize].iter_mut().find_map(VecDeque::pop_front);
        self.len -= usize::from(dropped.is_some());
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Family;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn event(id: u64, priority: Priority) -> Event {
        Event { priority, ..Event::new(id, Family::System, Arc::from([])) }
    }

    #[test]
    fn the_least_urgent_makes_room_first() {
        let mut lane = Lane::default();
        for (id, priority) in [(1, Priority::High), (2, Priority::Low), (3, Priority::Low)] {
            lane.push(event(id, priority));
        }
        let mut dropped = |limit| lane.drop_oldest(limit).map(|e| e.id);
        assert_eq!(dropped(Priority::Normal), Some(2));
        assert_eq!(dropped(Priority::Low), Some(3));
        assert_eq!(dropped(Priority::Normal), None, "what is more urgent stays");
        assert_eq!(dropped(Priority::Critical), Some(1));
        assert_eq!(lane.len(), 0);
    }

    proptest! {
        #[test]
        fn events_leave_by_priority_and_then_by_age(kinds in prop::collection::vec(0usize..4, 0..80), most in 1usize..20) {
            let mut lane = Lane::default();
            for (id, kind) in kinds.iter().enumerate() {
                lane.push(event(id as u64, Priority::ALL[*kind]));
            }
            let mut expected: Vec<(usize, u64)> = kinds.iter().enumerate().map(|(id, kind)| (3 - kind, id as u64)).collect();
            expected.sort_unstable();
            let mut left = Vec::new();
            while lane.len() > 0 {
                let mut batch = Vec::new();
                lane.take(&mut batch, most);
                prop_assert!(!batch.is_empty() && batch.len() <= most);
                left.extend(batch.iter().map(|e| e.id));
            }
            prop_assert_eq!(left, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        }
    }
}
