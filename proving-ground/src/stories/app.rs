//! Putting the platform together: state, routes, middleware.

use super::cache::Cache;
use crate::pool::{Lazy, Pool};
use super::reply::{Answer, Refusal, json_answer, json_bytes};
use super::{auth, health, library, seed, store, tales, whispers};
use crate::gate::{self, Gate, refuse};
use crate::serve::Application;
use crate::truth::Truth;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Router, middleware};
use rusqlite::Connection;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Largest request body, bytes.
const BODY_LIMIT: usize = 256 * 1024;

/// What every handler shares.
pub(crate) struct App {
    /// Counts and switches.
    pub(crate) gate: Arc<Gate>,
    /// Connections that read.
    pub(crate) readers: Pool<Connection>,
    /// The connection that writes.
    pub(crate) writer: Pool<Connection>,
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
    /// A public answer: from the cache, or read and kept.
    pub(crate) async fn cached<T: Serialize + Send + 'static>(
        &self,
        key: String,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<Option<T>> + Send + 'static,
    ) -> Answer {
        let generation = match self.cache.get(&key) {
            Ok(body) => return Ok(json_answer(StatusCode::OK, body)),
            Err(generation) => generation,
        };
        let found = self.readers.run(query).await?;
        let body = json_bytes(&found.ok_or(Refusal::NotFound("there is no such thing here"))?);
        self.cache.put(key, body.clone(), generation);
        Ok(json_answer(StatusCode::OK, body))
    }
}

/// Opens the data and builds the routes.
pub(crate) fn build(data: &Path, truth: Truth) -> Result<Application, String> {
    let path = data.join("stories.sqlite");
    let number = truth.seed;
    let writer = store::open_writer(&path, |db| seed::fill(db, number))?;
    let readers: Vec<Connection> =
        (0..truth.readers).map(|_| store::open_reader(&path)).collect::<Result<_, String>>()?;
    let lazy = Lazy::sqlite(truth.bugs.ack_before_commit);
    let draining = Arc::new(AtomicBool::new(false));
    let app = Arc::new(App {
        readers: Pool::start("db-read", readers)?,
        writer: Pool::start_lazy("db-write", vec![writer], lazy)?,
        cache: Cache::new(truth.cache),
        data: data.to_owned(),
        draining: Arc::clone(&draining),
        gate: Gate::new(truth)?,
    });
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
