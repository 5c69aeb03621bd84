//! Live events to WebSocket clients.
//!
//! Every client has a bounded queue of its own. Policy for one that does not read: when its queue is full it is let
//! go, with close code 1008; it may come back and read the history. Publishing never waits.

use axum::extract::ws::Utf8Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Messages that may wait for one client.
pub(crate) const OUTBOX: usize = 256;
/// Channels that one client may listen to.
pub(crate) const CHANNELS: usize = 100;

/// One message on its way to a client.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The log row that it tells, for those who have read the history.
    pub(crate) log: Option<i64>,
    /// JSON text, shared by all clients.
    pub(crate) text: Utf8Bytes,
}

/// Why the hub let a client go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The server goes down.
    Closing,
    /// The client does not read.
    Slow,
}

struct Client {
    outbox: mpsc::Sender<Message>,
    gone: Arc<AtomicU8>,
    channels: BTreeSet<String>,
}

#[derive(Default)]
struct State {
    next: u64,
    sequence: u64,
    clients: BTreeMap<u64, Client>,
    channels: HashMap<String, BTreeSet<u64>>,
    closed: bool,
    sent: u64,
    slow: u64,
}

impl State {
    fn remove(&mut self, id: u64) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        for channel in &client.channels {
            if let Some(members) = self.channels.get_mut(channel) {
                members.remove(&id);
                if members.is_empty() {
                    self.channels.remove(channel);
                }
            }
        }
        Some(client)
    }
}

/// All clients.
#[derive(Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
}

/// A client's end. Dropping it ends the subscriptions.
pub(crate) struct Inbox {
    hub: Arc<Hub>,
    id: u64,
    gone: Arc<AtomicU8>,
    messages: mpsc::Receiver<Message>,
}

/// Figures of the hub.
pub(crate) struct HubStatus {
    /// Clients now.
    pub(crate) clients: u64,
    /// Messages put into outboxes since the start.
    pub(crate) sent: u64,
    /// Clients let go because they did not read.
    pub(crate) slow: u64,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new client, on no channel yet.
    pub(crate) fn join(self: &Arc<Hub>) -> Inbox {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let gone = Arc::new(AtomicU8::new(0));
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        if !state.closed {
            let client = Client { outbox, gone: Arc::clone(&gone), channels: BTreeSet::new() };
            state.clients.insert(id, client);
        }
        Inbox { hub: Arc::clone(self), id, gone, messages }
    }

    /// Sends an event to all who listen to `channel`: `{type, channel, seq, data, ...}`. `seq` rises with every event
    /// of the hub.
    pub(crate) fn publish(&self, channel: &str, kind: &str, data: &Value) {
        self.send(channel, kind, data, None);
    }

    /// Sends a log row.
    pub(crate) fn publish_log(&self, channel: &str, row: i64, data: &Value) {
        self.send(channel, "log", data, Some(row));
    }

    fn send(&self, channel: &str, kind: &str, data: &Value, log: Option<i64>) {
        let mut state = self.lock();
        state.sequence += 1;
        let Some(members) = state.channels.get(channel) else { return };
        // a user's own tasks are `tasks` to the user
        let shown = if channel.starts_with("tasks:") { "tasks" } else { channel };
        let body = serde_json::json!({"type": kind, "channel": shown, "seq": state.sequence, "data": data,
            "timestamp": super::envelope::stamp_now()});
        let message = Message { log, text: body.to_string().into() };
        let mut full = Vec::new();
        let mut sent = 0;
        for id in members {
            let Some(client) = state.clients.get(id) else { continue };
            match client.outbox.try_send(message.clone()) {
                Ok(()) => sent += 1,
                Err(_) => full.push(*id),
            }
        }
        state.sent += sent;
        for id in full {
            state.slow += 1;
            if let Some(client) = state.remove(id) {
                client.gone.store(1, Ordering::Release);
            }
        }
    }

    /// Lets everybody go.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.clients.clear();
        state.channels.clear();
    }

    /// Figures now.
    pub(crate) fn status(&self) -> HubStatus {
        let state = self.lock();
        HubStatus { clients: state.clients.len() as u64, sent: state.sent, slow: state.slow }
    }
}

impl Inbox {
    /// Listens to a channel from now on; false if it listens to too many.
    pub(crate) fn subscribe(&self, channel: &str) -> bool {
        let mut state = self.hub.lock();
        let Some(client) = state.clients.get_mut(&self.id) else { return true };
        if client.channels.len() >= CHANNELS && !client.channels.contains(channel) {
            return false;
        }
        client.channels.insert(channel.to_owned());
        state.channels.entry(channel.to_owned()).or_default().insert(self.id);
        true
    }

    /// Listens to it no more.
    pub(crate) fn unsubscribe(&self, channel: &str) {
        let mut state = self.hub.lock();
        let Some(client) = state.clients.get_mut(&self.id) else { return };
        if client.channels.remove(channel)
            && let Some(members) = state.channels.get_mut(channel)
        {
            members.remove(&self.id);
            if members.is_empty() {
                state.channels.remove(channel);
            }
        }
    }

    /// The next message; why there are no more once the hub has let the client go and all before has been read.
    pub(crate) async fn next(&mut self) -> Result<Message, Gone> {
        match self.messages.recv().await {
            Some(message) => Ok(message),
            None if self.gone.load(Ordering::Acquire) == 1 => Err(Gone::Slow),
            None => Err(Gone::Closing),
        }
    }

    /// A message that is there already.
    #[cfg(test)]
    pub(crate) fn ready(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.hub.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn waiting(inbox: &mut Inbox) -> Vec<Value> {
        std::iter::from_fn(|| inbox.ready()).map(|m| serde_json::from_str(&m.text).unwrap()).collect()
    }

    #[test]
    fn each_listener_gets_each_event_once_and_in_order() {
        let hub = Arc::new(Hub::default());
        let mut inboxes: Vec<Inbox> = (0..3).map(|_| hub.join()).collect();
        assert!(inboxes[0].subscribe("a") && inboxes[1].subscribe("a") && inboxes[1].subscribe("b"));
        for number in 0..100 {
            hub.publish(if number % 2 == 0 { "a" } else { "b" }, "event", &json!(number));
        }
        let numbers = |inbox: &mut Inbox| -> Vec<u64> {
            waiting(inbox).iter().map(|m| m["data"].as_u64().unwrap()).collect()
        };
        assert_eq!(numbers(&mut inboxes[0]), (0..100).step_by(2).collect::<Vec<_>>());
        assert_eq!(numbers(&mut inboxes[1]), (0..100).collect::<Vec<_>>());
        assert_eq!(numbers(&mut inboxes[2]), [0u64; 0]);
        inboxes[1].unsubscribe("a");
        hub.publish("a", "event", &json!(1));
        assert_eq!(waiting(&mut inboxes[1]).len(), 0);
        drop(inboxes);
        let state = hub.lock();
        assert!(state.clients.is_empty() && state.channels.is_empty(), "nothing is left of who has gone");
    }

    #[tokio::test]
    async fn who_does_not_read_is_let_go_and_stops_nobody() {
        let hub = Arc::new(Hub::default());
        let (mut slow, mut quick) = (hub.join(), hub.join());
        assert!(slow.subscribe("a") && quick.subscribe("a"));
        let mut got = 0;
        for number in 0..2 * OUTBOX {
            hub.publish("a", "event", &json!(number));
            got += waiting(&mut quick).len();
        }
        assert_eq!(got, 2 * OUTBOX);
        for _ in 0..OUTBOX {
            assert!(slow.next().await.is_ok(), "what was in its queue it still gets");
        }
        assert_eq!(slow.next().await.unwrap_err(), Gone::Slow);
        hub.close();
        assert_eq!(quick.next().await.unwrap_err(), Gone::Closing);
        assert_eq!(hub.status().slow, 1);
    }

    #[test]
    fn channels_are_bounded() {
        let hub = Arc::new(Hub::default());
        let inbox = hub.join();
        assert!((0..CHANNELS).all(|number| inbox.subscribe(&number.to_string())));
        assert!(!inbox.subscribe("one more"));
        assert!(inbox.subscribe("7"), "this one it has");
    }
}
