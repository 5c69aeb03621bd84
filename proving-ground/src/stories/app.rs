//! Putting the platform together: state, routes, middleware.

use super::cache::Cache;
use super::postgres::{self, Postgres};
use super::reply::{Answer, Refusal, json_answer, json_bytes};
use super::repository::{Connection, Found, Repository};
use super::sqlite::Sqlite;
use super::{auth, health, library, seed, store, tales, whispers};
use crate::gate::{self, Gate, refuse};
use crate::pool::{Lazy, Pool, PoolError};
use crate::serve::Application;
use crate::truth::Truth;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Router, middleware};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Largest request body, bytes.
const BODY_LIMIT: usize = 256 * 1024;
/// Connections that write to PostgreSQL; SQLite has one.
const PG_WRITERS: usize = 4;

/// What every handler shares.
pub(crate) struct App {
    /// Counts and switches.
    pub(crate) gate: Arc<Gate>,
    /// Connections that read.
    pub(super) readers: Pool<Connection>,
    /// The connection that writes (PostgreSQL: connections).
    pub(super) writer: Pool<Connection>,
    /// Answers kept in front of the database.
    pub(crate) cache: Cache,
    /// Where the data lies.
    pub(crate) data: PathBuf,
    /// Set when the server is going down.
    pub(crate) draining: Arc<AtomicBool>,
}

/// The shared state as handlers take it.
pub(crate) type Shared = axum::extract::State<Arc<App>>;

impl App {
    /// A public answer: from the cache, or read and kept. When the database is gone, the last one known.
    pub(super) async fn cached<T: Serialize + Send + 'static>(
        &self,
        key: String,
        query: impl FnOnce(&mut dyn Repository) -> Found<Option<T>> + Send + 'static,
    ) -> Answer {
        let missed = match self.cache.get(&key).await {
            Ok(body) => return Ok(json_answer(StatusCode::OK, body)),
            Err(missed) => missed,
        };
        let found = match self.read(query).await {
            Err(PoolError::Gone(why)) => {
                let old = self.cache.stale(&key).ok_or(PoolError::Gone(why))?;
                let mut answer = json_answer(StatusCode::OK, old);
                let warning = HeaderValue::from_static("110 - \"Response is Stale\"");
                answer.headers_mut().insert(header::WARNING, warning);
                return Ok(answer);
            }
            other => other?,
        };
        let body = json_bytes(&found.ok_or(Refusal::NotFound("there is no such thing here"))?);
        self.cache.put(key, body.clone(), missed).await;
        Ok(json_answer(StatusCode::OK, body))
    }

    /// Reads on the next free connection.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut dyn Repository) -> Found<T> + Send + 'static,
    ) -> Found<T> {
        self.readers.call(move |db| query(db.as_mut())).await
    }

    /// Writes on the next free connection.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Repository) -> Found<T> + Send + 'static,
    ) -> Found<T> {
        self.writer.call(move |db| work(db.as_mut())).await
    }
}

/// Connections that read, connections that write.
fn connect(data: &Path, truth: &Truth) -> Result<(Vec<Connection>, Vec<Connection>), String> {
    let boxed = |one: Sqlite| -> Connection { Box::new(one) };
    if let Some(url) = &truth.with.postgres {
        if truth.bugs.ack_before_commit.is_some() {
            return Err("ack-before-commit works on the embedded database only".into());
        }
        let config = postgres::config(url)?;
        postgres::prepare(&config, truth.seed)?;
        let some = |count: usize| -> Vec<Connection> {
            (0..count).map(|_| -> Connection { Box::new(Postgres::new(&config)) }).collect()
        };
        return Ok((some(truth.readers), some(PG_WRITERS)));
    }
    let path = data.join("stories.sqlite");
    let number = truth.seed;
    let writer = Sqlite::new(store::open_writer(&path, |db| seed::fill(db, number))?, &path)?;
    let readers = (0..truth.readers).map(|_| Sqlite::new(store::open_reader(&path)?, &path).map(boxed));
    Ok((readers.collect::<Result<_, String>>()?, vec![boxed(writer)]))
}

/// Opens the data and builds the routes.
pub(crate) fn build(data: &Path, truth: Truth) -> Result<Application, String> {
    let (readers, writers) = connect(data, &truth)?;
    let draining = Arc::new(AtomicBool::new(false));
    let lazy = truth.bugs.ack_before_commit.map(|every| Lazy {
        every,
        begin: |db: &mut Connection| db.begin(),
        commit: |db: &mut Connection| db.commit(),
    });
    let app = Arc::new(App {
        readers: Pool::start("db-read", readers)?,
        writer: Pool::start_lazy("db-write", writers, lazy)?,
        cache: Cache::new(truth.cache, truth.with.redis.as_deref())?,
        data: data.to_owned(),
        draining: Arc::clone(&draining),
        gate: Gate::new(truth)?,
    });
    app.gate.users.tell_by(auth::demo_user);
    Ok(Application { router: routes(app), draining })
}

fn routes(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/auth/login", post(auth::login))
        .route("/api/discovery/trending", get(tales::trending))
        .route("/api/stories", get(tales::list).post(tales::create))
        .route("/api/stories/mine", get(tales::mine))
        .route("/api/stories/{story}", get(tales::one).patch(tales::change))
        .route("/api/search/stories", get(tales::search))
        .route("/api/users/me", get(auth::me))
        .route("/api/users/{handle}", get(auth::user))
        .route("/api/library/shelves", get(library::list).post(library::create))
        .route("/api/whispers", get(whispers::list).post(whispers::create))
        .route("/api/whispers/{id}", patch(whispers::change))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::store))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::pass));
    Router::new()
        .merge(api)
        .route("/health", get(health::full))
        .route("/health/ready", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/metrics", get(health::metrics))
        .fallback(missing)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::count))
        .with_state(app)
}

async fn missing() -> Response {
    Refusal::NotFound("there is no such route").into_response()
}

async fn wrong_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not know the method")
}
