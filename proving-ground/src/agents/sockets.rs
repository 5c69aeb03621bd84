//! WebSocket: live events, log lines with history, and the line to a worker.
//!
//! Close codes: 4001 no valid token, 4003 somebody else's task, 4004 no such task or worker, 1008 nonsense or too slow,
//! 1001 the server goes down. Whoever may not listen is upgraded first, because a close code needs a socket.

use super::app::{App, Shared};
use super::auth::{key_is_known, user_of_token};
use super::envelope::{Refusal, stamp_now};
use super::hub::{Gone, Inbox};
use super::logs;
use super::tasks;
use super::tokens::Claims;
use super::workers;
use crate::clock;
use crate::serve::OpenSocket;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Read and write buffers, bytes: the defaults would cost 135 KiB a connection.
const BUFFER: usize = 4_096;
/// Longest message from a client, bytes.
const LONGEST: usize = 64 * 1024;
/// How long the socket of a client may refuse to take a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two heartbeat messages.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Messages that are nonsense, after which a client is let go.
const NONSENSE: u32 = 10;

const UNAUTHORIZED: u16 = 4001;
const FORBIDDEN: u16 = 4003;
const MISSING: u16 = 4004;

/// Why a connection ends: close code and reason. `None`: the client has gone.
type End = Option<(u16, &'static str)>;

#[derive(Deserialize)]
pub(crate) struct Asked {
    token: Option<String>,
    api_key: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action: String,
    channel: Option<String>,
    task_id: Option<String>,
}

/// What a connection is for.
enum Purpose {
    Events,
    Logs(String),
    Worker(String),
}

fn token(asked: &Asked, headers: &HeaderMap) -> Option<String> {
    let bearer = || {
        let (_, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        Some(token.trim().to_owned())
    };
    asked.token.clone().or_else(bearer)
}

/// GET /ws?token=
pub(crate) async fn events(
    app: Shared,
    asked: Query<Asked>,
    headers: HeaderMap,
    ws: WebSocketUpgrade,
) -> Response {
    open(app.0, asked.0, headers, ws, Purpose::Events).await
}

/// GET /ws/tasks/{id}/logs?token=
pub(crate) async fn logs(
    app: Shared,
    Path(id): Path<String>,
    asked: Query<Asked>,
    headers: HeaderMap,
    ws: WebSocketUpgrade,
) -> Response {
    open(app.0, asked.0, headers, ws, Purpose::Logs(id)).await
}

/// GET /workers/{id}/ws, with a user's token or a worker's key (`X-Worker-API-Key` or `?api_key=`)
pub(crate) async fn worker(
    app: Shared,
    Path(id): Path<String>,
    asked: Query<Asked>,
    headers: HeaderMap,
    ws: WebSocketUpgrade,
) -> Response {
    open(app.0, asked.0, headers, ws, Purpose::Worker(id)).await
}

async fn open(
    app: Arc<App>,
    asked: Asked,
    headers: HeaderMap,
    ws: WebSocketUpgrade,
    purpose: Purpose,
) -> Response {
    let slot = if app.gate.truth.connections.per_session {
        match app.gate.slot().await {
            Ok(slot) => Some(slot),
            Err(refused) => return refused,
        }
    } else {
        None
    };
    let ws = ws
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(2 * LONGEST)
        .max_message_size(LONGEST)
        .max_frame_size(LONGEST);
    ws.on_upgrade(async move |mut socket| {
        let open = OpenSocket::new();
        let end = serve(&app, &mut socket, &asked, &headers, &purpose).await;
        if let Some((code, reason)) = end {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            // the client may have gone meanwhile
            let _ = tokio::time::timeout(PATIENCE, socket.send(Message::Close(Some(frame)))).await;
        }
        drop((open, slot));
    })
}

async fn serve(
    app: &Arc<App>,
    socket: &mut WebSocket,
    asked: &Asked,
    headers: &HeaderMap,
    purpose: &Purpose,
) -> End {
    let user = token(asked, headers).and_then(|token| user_of_token(app, &token));
    let broken = Some((close_code::ERROR, "the database does not answer"));
    let mut inbox = app.hub.join();
    let mut skip = 0;
    match (purpose, &user) {
        (Purpose::Worker(id), user) => {
            if user.is_none() {
                let header = || headers.get("x-worker-api-key")?.to_str().ok().map(str::to_owned);
                let Some(key) = asked.api_key.clone().or_else(header) else { return no_token() };
                match key_is_known(app, &key).await {
                    Ok(true) => {}
                    Ok(false) => return no_token(),
                    Err(_) => return broken,
                }
            }
            match workers::exists(app, id).await {
                Ok(true) => {}
                Ok(false) => return Some((MISSING, "there is no such worker")),
                Err(_) => return broken,
            }
            let channel = format!("worker:{id}");
            inbox.subscribe(&channel);
            if !subscribed(socket, &channel).await {
                return None;
            }
        }
        (_, None) => return no_token(),
        (Purpose::Logs(id), Some(user)) => {
            if let Err(end) = may_listen(app, user, id).await {
                return end;
            }
            // first the live lines, then the history: a line in both is recognised by its number
            inbox.subscribe(&logs::channel(id));
            skip = match history(app, socket, id).await {
                Ok(last) => last,
                Err(end) => return end,
            };
        }
        (Purpose::Events, Some(_)) => {}
    }
    let link = Link { app, user, purpose };
    link.run(socket, &mut inbox, skip).await
}

fn no_token() -> End {
    Some((UNAUTHORIZED, "a valid token is needed"))
}

async fn may_listen(app: &App, user: &Claims, task: &str) -> Result<(), End> {
    let (task, sub) = (task.to_owned(), user.sub);
    match app.readers.run(move |db| tasks::head(db, &task)).await {
        Ok(Some((owner, _))) if owner == sub => Ok(()),
        Ok(Some(_)) => Err(Some((FORBIDDEN, "this task belongs to somebody else"))),
        Ok(None) => Err(Some((MISSING, "there is no such task"))),
        Err(_) => Err(Some((close_code::ERROR, "the database does not answer"))),
    }
}

/// Sends one message; false if the client has gone or does not take it.
async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> bool {
    matches!(tokio::time::timeout(PATIENCE, socket.send(Message::Text(text))).await, Ok(Ok(())))
}

async fn tell(socket: &mut WebSocket, value: Value) -> bool {
    send(socket, value.to_string().into()).await
}

async fn subscribed(socket: &mut WebSocket, channel: &str) -> bool {
    tell(socket, json!({"type": "subscribed", "channel": channel, "timestamp": stamp_now()})).await
}

/// Sends the stored lines; the number of the last.
async fn history(app: &App, socket: &mut WebSocket, task: &str) -> Result<i64, End> {
    let lines = logs::history(app, task)
        .await
        .map_err(|_| Some((close_code::ERROR, "the database does not answer")))?;
    let gone = |there: bool| if there { Ok(()) } else { Err(None) };
    gone(subscribed(socket, &logs::channel(task)).await)?;
    gone(tell(socket, json!({"type": "history_start", "task_id": task, "count": lines.len()})).await)?;
    let mut last = 0;
    for (row, line) in lines {
        gone(tell(socket, json!({"type": "log", "history": true, "data": line})).await)?;
        last = row;
    }
    gone(tell(socket, json!({"type": "history_end", "task_id": task, "last_log_id": last})).await)?;
    Ok(last)
}

struct Link<'a> {
    app: &'a App,
    user: Option<Claims>,
    purpose: &'a Purpose,
}

impl Link<'_> {
    /// Serves until somebody ends it. Log rows up to `skip` have been sent already.
    async fn run(&self, socket: &mut WebSocket, inbox: &mut Inbox, skip: i64) -> End {
        let mut nonsense = 0;
        let mut beat = Box::pin(clock::about(HEARTBEAT));
        loop {
            tokio::select! {
                message = inbox.next() => match message {
                    Ok(message) => {
                        let new = message.log.is_none_or(|row| row > skip);
                        if new && !send(socket, message.text).await {
                            return None;
                        }
                    }
                    Err(Gone::Slow) => return Some((close_code::POLICY, "too slow: messages are waiting")),
                    Err(Gone::Closing) => return Some((close_code::AWAY, "the server goes down")),
                },
                message = socket.recv() => {
                    let text = match message {
                        Some(Ok(Message::Text(text))) => text,
                        Some(Ok(Message::Binary(_))) => return Some((close_code::POLICY, "text is spoken here")),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                        Some(Ok(Message::Close(_))) => {
                            // the answer to it, which RFC 6455 5.5.1 demands, goes out with the next read
                            let _ = tokio::time::timeout(PATIENCE, socket.recv()).await;
                            return None;
                        }
                        Some(Err(_)) | None => return None,
                    };
                    let answer = self.act(&text, inbox).await;
                    nonsense += u32::from(answer["type"] == "error");
                    if !tell(socket, answer).await {
                        return None;
                    }
                    if nonsense >= NONSENSE {
                        return Some((close_code::POLICY, "too many messages that make no sense"));
                    }
                },
                () = &mut beat => {
                    beat = Box::pin(clock::about(HEARTBEAT));
                    if !tell(socket, json!({"type": "heartbeat", "timestamp": stamp_now()})).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Does what the client asks; the answer.
    async fn act(&self, text: &Utf8Bytes, inbox: &Inbox) -> Value {
        let action: Action = match serde_json::from_str(text) {
            Ok(action) => action,
            Err(why) => return error("malformed", &why.to_string()),
        };
        match (action.action.as_str(), self.purpose) {
            ("ping", _) => json!({"type": "pong", "timestamp": stamp_now()}),
            ("heartbeat", Purpose::Worker(id)) => {
                let body = Bytes::copy_from_slice(text.as_bytes());
                match workers::beat(self.app, id.clone(), &body).await {
                    Ok(mut answer) => {
                        answer["type"] = "heartbeat".into();
                        answer
                    }
                    Err(why) => refused(&why),
                }
            }
            ("subscribe" | "unsubscribe", _) => match self.channel(&action).await {
                Ok((channel, shown)) => {
                    if action.action == "unsubscribe" {
                        inbox.unsubscribe(&channel);
                        json!({"type": "unsubscribed", "channel": shown, "timestamp": stamp_now()})
                    } else if inbox.subscribe(&channel) {
                        json!({"type": "subscribed", "channel": shown, "timestamp": stamp_now()})
                    } else {
                        error("too_many", "no further channels for this connection")
                    }
                }
                Err(answer) => answer,
            },
            (other, _) => {
                error("unknown_action", &format!("{other:?} is none of subscribe, unsubscribe, ping"))
            }
        }
    }

    /// The channel that a client means, and its name for the client.
    async fn channel(&self, action: &Action) -> Result<(String, String), Value> {
        let asked = match (&action.channel, &action.task_id) {
            (Some(channel), _) => channel.clone(),
            (None, Some(task)) => format!("task:{task}"),
            (None, None) => match self.purpose {
                Purpose::Logs(id) => logs::channel(id),
                Purpose::Worker(id) => format!("worker:{id}"),
                Purpose::Events => return Err(error("malformed", "name a channel or a task_id")),
            },
        };
        let unknown = || error("unknown_channel", "channels are tasks, workers, task:ID, logs:ID");
        match (asked.split_once(':'), &self.user) {
            (None, _) if asked == "workers" => Ok((asked.clone(), asked)),
            (None, Some(user)) if asked == "tasks" => Ok((format!("tasks:{}", user.sub), asked)),
            (Some(("task" | "logs", id)), Some(user)) => match may_listen(self.app, user, id).await {
                Ok(()) => Ok((asked.clone(), asked)),
                Err(end) => {
                    let (code, why) = end.unwrap_or((close_code::ERROR, "it cannot be listened to"));
                    Err(error(if code == FORBIDDEN { "forbidden" } else { "not_found" }, why))
                }
            },
            (Some(("worker", id)), _) if matches!(self.purpose, Purpose::Worker(own) if own == id) => {
                Ok((asked.clone(), asked))
            }
            _ => Err(unknown()),
        }
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({"type": "error", "error_code": code, "message": message, "timestamp": stamp_now()})
}

fn refused(why: &Refusal) -> Value {
    error("refused", why.message())
}
