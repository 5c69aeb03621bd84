//! What is published: an event of one of six families with a shared payload.

use crate::bus::ServiceId;
use crucible_core::Ns;
use crucible_core::rng::mix;
use std::sync::Arc;

/// The bytes of an event. Shared by all who receive it.
pub type Payload = Arc<[u8]>;

/// Where an event comes from in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Files created, modified, deleted, moved.
    Filesystem,
    /// Records created, read, updated, deleted.
    Database,
    /// Calls, webhooks, notifications from outside.
    External,
    /// Tool calls and resource requests.
    Mcp,
    /// Health checks and status changes of services.
    Service,
    /// Metrics and configuration changes.
    System,
}

impl Family {
    /// All families, in the order of their share.
    pub const ALL: [Family; 6] = [
        Family::Filesystem,
        Family::Database,
        Family::External,
        Family::Mcp,
        Family::Service,
        Family::System,
    ];

    /// Share of the realistic mix, percent; the shares sum to 100.
    pub const fn share(self) -> u64 {
        match self {
            Family::Filesystem => 30,
            Family::Database => 25,
            Family::External => 20,
            Family::Mcp | Family::Service => 10,
            Family::System => 5,
        }
    }

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Filesystem => "filesystem",
            Family::Database => "database",
            Family::External => "external",
            Family::Mcp => "mcp",
            Family::Service => "service",
            Family::System => "system",
        }
    }

    /// Topics of this family in the realistic mix.
    pub const fn topics(self) -> &'static [&'static str] {
        match self {
            Family::Filesystem => &["file.created", "file.modified", "file.deleted", "file.moved"],
            Family::Database => &["record.created", "record.read", "record.updated", "record.deleted"],
            Family::External => &["api.call", "webhook", "notification"],
            Family::Mcp => &["tool.call", "resource.request"],
            Family::Service => &["health.check", "status.changed"],
            Family::System => &["metrics", "config.changed"],
        }
    }

    /// The family of this name.
    pub fn named(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// How urgent an event is. More urgent ones leave a queue first; what is being handled is not interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// May wait.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// Before everything.
    Critical,
}

impl Priority {
    /// All, the least urgent first.
    pub const ALL: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }

    /// The priority of this name.
    pub fn named(name: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| priority.name() == name)
    }
}

/// The name of a source or a topic, as 64 bits of its text (FNV-1a, mixed). Two texts with the same bits are the
/// same name; among a million names the chance of one such pair is 3 in 10^8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub u64);

impl Name {
    /// The name of this text.
    pub const fn of(text: &str) -> Name {
        let bytes = text.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Name(mix(hash))
    }
}

/// Who is to receive an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Targets {
    /// Every service whose interest matches.
    #[default]
    Interested,
    /// This one.
    One(ServiceId),
    /// Each of these.
    Each(Arc<[ServiceId]>),
    /// One of these, chosen by the bus's strategy.
    OneOf(Arc<[ServiceId]>),
}

/// One event. Cloning shares the payload.
#[derive(Clone, Debug)]
pub struct Event {
    /// Identity: a second event with the same id within the deduplication window is a duplicate.
    pub id: u64,
    /// Family.
    pub family: Family,
    /// Urgency.
    pub priority: Priority,
    /// Who publishes; the unit of order.
    pub source: Name,
    /// What it is about.
    pub topic: Name,
    /// Who receives.
    pub targets: Targets,
    /// Content.
    pub payload: Payload,
    /// When the bus took it in, on the bus's clock; set by the bus.
    pub accepted_at: Ns,
}

impl Event {
    /// An event of normal priority from an unnamed source for everybody who is interested.
    pub fn new(id: u64, family: Family, payload: Payload) -> Event {
        Event {
            id,
            family,
            priority: Priority::Normal,
            source: Name::default(),
            topic: Name::default(),
            targets: Targets::Interested,
            payload,
            accepted_at: Ns::ZERO,
        }
    }
}
