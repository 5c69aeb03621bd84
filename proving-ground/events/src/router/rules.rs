//! Routing rules.

use crate::event::{Event, Family, Name, Priority, Targets};

/// Where a rule sends an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To these.
    To(Targets),
    /// Nowhere.
    Discard,
}

/// One rule: all its conditions must hold; a condition that is `None` always does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of this family.
    pub family: Option<Family>,
    /// From this source.
    pub source: Option<Name>,
    /// On this topic.
    pub topic: Option<Name>,
    /// At least so urgent.
    pub at_least: Option<Priority>,
    /// Where it goes.
    pub route: Route,
}

impl Rule {
    /// A rule for everything.
    pub fn all(route: Route) -> Rule {
        Rule { family: None, source: None, topic: None, at_least: None, route }
    }

    /// Whether the event is meant.
    pub fn matches(&self, event: &Event) -> bool {
        self.family.is_none_or(|family| family == event.family)
            && self.source.is_none_or(|source| source == event.source)
            && self.topic.is_none_or(|topic| topic == event.topic)
            && self.at_least.is_none_or(|priority| event.priority >= priority)
    }
}
