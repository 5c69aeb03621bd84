//! The WebSocket: the state of all services every two seconds, and what happens to jobs as it happens.
//!
//! Storage is the source of the events, so a job's events come in the order in which they were committed. A
//! client that reads too slowly loses events and is told how many; it never holds anything up.

use super::api::{App, Reply, Shared};
use super::reading::time;
use super::status::services;
use super::storage_store::Event;
use crate::clock;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};

/// Events that a slow client may be behind.
const BEHIND: usize = 4_096;
/// Between two states of the services.
const BEAT: Duration = Duration::from_secs(2);
/// Buffers of a connection; the default would cost 128 KiB each.
const BUFFER: usize = 4_096;

/// Spreads events to all clients.
pub(super) struct Hub(broadcast::Sender<Utf8Bytes>);

impl Hub {
    pub(super) fn new() -> Hub {
        Hub(broadcast::channel(BEHIND).0)
    }

    /// Clients that listen.
    pub(super) fn clients(&self) -> usize {
        self.0.receiver_count()
    }
}

/// Fetches events from storage and spreads them, for ever.
pub(super) async fn pump(app: Arc<App>) {
    let mut after: Option<u64> = None;
    loop {
        let path = match after {
            None => "/events".to_owned(),
            Some(seq) => format!("/events?after={seq}&wait_ms=10000"),
        };
        let answer = app.storage.call("GET", &path, None, Duration::from_secs(15)).await;
        let Ok(list) = answer.and_then(|answer| answer.read::<Vec<Event>>()) else {
            clock::about(Duration::from_millis(50)).await;
            continue;
        };
        let first = after.is_none();
        after = list.last().map_or(Some(after.unwrap_or(0)), |event| Some(event.seq));
        // what happened before this process began has been told before
        for event in list.iter().filter(|_| !first) {
            let text = json!({"type": "event", "channel": format!("evaluation:{}", event.kind), "seq": event.seq,
                "eval_id": event.id, "timestamp": time(event.at_us)});
            // nobody listens: nothing to do
            let _ = app.hub.0.send(text.to_string().into());
        }
    }
}

/// Takes a client in.
pub(super) async fn connect(State(app): Shared, upgrade: WebSocketUpgrade) -> Reply {
    // with `slot-per-session` an open connection holds a slot of the pool
    let slot = if app.truth.connections.per_session { Some(app.gate.slot().await?) } else { None };
    let answer =
        upgrade.read_buffer_size(BUFFER).write_buffer_size(BUFFER).max_message_size(64 * 1024).on_upgrade(
            move |socket| async move {
                let _slot = slot;
                talk(app, socket).await;
            },
        );
    Ok(answer)
}

async fn talk(app: Arc<App>, mut socket: WebSocket) {
    let mut events = app.hub.0.subscribe();
    let mut beat = Box::pin(clock::about(Duration::ZERO));
    while !app.draining.load(Ordering::Relaxed) {
        let text = tokio::select! {
            () = &mut beat => {
                beat = Box::pin(clock::about(BEAT));
                let services = services(&app).await;
                let timestamp = time(clock::unix_us());
                json!({"type": "status", "timestamp": timestamp, "services": services}).to_string().into()
            }
            event = events.recv() => match event {
                Ok(text) => text,
                Err(RecvError::Lagged(lost)) => json!({"type": "lagged", "lost": lost}).to_string().into(),
                Err(RecvError::Closed) => break,
            },
            said = socket.recv() => match said {
                // pings are answered below us; nothing that a client says has a meaning
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => continue,
            },
        };
        if socket.send(Message::Text(text)).await.is_err() {
            break;
        }
    }
}
