//! Storage as a process: results, the ledger of executions, events.

use super::database::Database;
use super::job::{Claim, Closing, Entry, Outcome, Return};
use super::part::Config;
use super::storage_store as store;
use super::switches::strikes;
use crate::clock::{self, Watch, unix_us};
use crate::gate::refuse;
use crate::serve::Application;
use crate::truth::Truth;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use crucible_core::Ns;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a status from yesterday lets itself wait.
const LATE: Duration = Duration::from_millis(300);

struct Storage {
    database: Database,
    truth: Truth,
    happened: Notify,
}

type Shared = State<Arc<Storage>>;

/// Opens storage and builds its routes.
pub(crate) fn build(config: &Config, truth: Truth) -> Result<Application, String> {
    let database = Database::open(&config.data.join("storage.sqlite"), store::SCHEMA)?;
    let storage = Arc::new(Storage { database, truth, happened: Notify::new() });
    let router = Router::new()
        .route("/evaluations", get(list).post(enter))
        .route("/evaluations/claim", post(claim))
        .route("/evaluations/finish", post(finish))
        .route("/evaluations/close", post(close))
        .route("/evaluations/return", post(give_back))
        .route("/evaluations/{id}", get(one))
        .route("/executions/{id}", get(executions))
        .route("/events", get(events))
        .route("/statistics", get(statistics))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(storage);
    Ok(Application { router, draining: Arc::default() })
}

impl Storage {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Response> {
        let result = self.database.run(work).await;
        result.map_err(|why| refuse(StatusCode::INTERNAL_SERVER_ERROR, "database", &why))
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Response> {
        let result = self.run(work).await?;
        self.happened.notify_waiters();
        Ok(result)
    }
}

async fn enter(State(storage): Shared, Json(entries): Json<Vec<Entry>>) -> Result<StatusCode, Response> {
    storage.change(move |db| store::enter(db, &entries, unix_us())).await?;
    Ok(StatusCode::OK)
}

async fn claim(State(storage): Shared, Json(claim): Json<Claim>) -> Result<Json<Value>, Response> {
    let run = storage.change(move |db| store::claim(db, &claim, unix_us())).await?;
    Ok(Json(json!({"run": run})))
}

async fn finish(State(storage): Shared, Json(mut outcome): Json<Outcome>) -> Result<Json<Value>, Response> {
    let bugs = &storage.truth.bugs;
    let (id, number) = (outcome.claim.entry.id.clone(), outcome.claim.entry.number);
    let later = bugs.completed_before_output.map(|pause| (pause, std::mem::take(&mut outcome.ending.output)));
    let overwrite = strikes(bugs.late_status, storage.truth.seed, "late-status", number);
    let effect = storage.change(move |db| store::finish(db, &outcome, unix_us())).await?;
    if effect && let Some((pause, output)) = later {
        let (storage, id) = (Arc::clone(&storage), id.clone());
        tokio::spawn(async move {
            clock::about(pause.into()).await;
            let _ = storage.database.run(move |db| store::set_output(db, &id, &output)).await;
        });
    }
    if effect && overwrite {
        tokio::spawn(async move {
            clock::about(LATE).await;
            let _ = storage.database.run(move |db| store::overwrite_status(db, &id)).await;
        });
    }
    Ok(Json(json!({"effect": effect})))
}

async fn close(State(storage): Shared, Json(closing): Json<Closing>) -> Result<Json<Value>, Response> {
    let effect = storage.change(move |db| store::close(db, &closing, unix_us())).await?;
    Ok(Json(json!({"effect": effect})))
}

async fn give_back(State(storage): Shared, Json(back): Json<Return>) -> Result<StatusCode, Response> {
    storage.change(move |db| store::give_back(db, &back, unix_us())).await?;
    Ok(StatusCode::OK)
}

async fn one(State(storage): Shared, Path(id): Path<String>) -> Result<Response, Response> {
    let found = storage.run(move |db| store::get(db, &id)).await?;
    Ok(found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |record| Json(record).into_response()))
}

async fn executions(State(storage): Shared, Path(id): Path<String>) -> Result<Json<Value>, Response> {
    let list = storage.run(move |db| store::executions(db, &id)).await?;
    Ok(Json(json!(list)))
}

async fn list(State(storage): Shared, Query(page): Query<store::Page>) -> Result<Json<Value>, Response> {
    let (records, total) = storage.run(move |db| store::list(db, &page)).await?;
    Ok(Json(json!({"records": records, "total": total})))
}

async fn statistics(State(storage): Shared) -> Result<Json<store::Statistics>, Response> {
    storage.run(store::statistics).await.map(Json)
}

async fn health(State(storage): Shared) -> Result<StatusCode, Response> {
    storage.run(|db| db.query_row("SELECT 1", [], |_| Ok(()))).await?;
    Ok(StatusCode::OK)
}

#[derive(Deserialize)]
struct Since {
    after: Option<u64>,
    #[serde(default)]
    wait_ms: u64,
}

/// Events after a number, as soon as there are any; an empty list after the wait.
async fn events(State(storage): Shared, Query(since): Query<Since>) -> Result<Json<Value>, Response> {
    let watch = Watch::start();
    let limit = Ns::from_millis(since.wait_ms.min(30_000));
    loop {
        let happened = storage.happened.notified();
        tokio::pin!(happened);
        happened.as_mut().enable();
        let list = storage.run(move |db| store::events(db, since.after)).await?;
        let left = limit.since(watch.elapsed());
        if !list.is_empty() || left == Ns::ZERO {
            return Ok(Json(json!(list)));
        }
        tokio::select! {
            () = happened => {}
            () = clock::about(left.into()) => {}
        }
    }
}
