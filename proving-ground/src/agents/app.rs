//! Putting the platform together: state, routes, admission.

use super::envelope::{Refusal, wrap};
use super::hub::Hub;
use super::tokens::Ids;
use super::{auth, health, logs, schedule, sockets, stale, store, subtasks, tasks, workers};
use crate::gate::{self, Gate};
use crate::pool::Pool;
use crate::serve::Application;
use crate::truth::Truth;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use crucible_core::Ns;
use rusqlite::Connection;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Largest request body, bytes.
const BODY: usize = 256 * 1024;
/// Places at the database unless told: the original's pool of 20 and its overflow of 40.
const PLACES: usize = 60;
/// Share of the places above which requests are refused, percent.
const FULL: u64 = 85;

/// What every handler shares.
pub(crate) struct App {
    pub(crate) gate: Arc<Gate>,
    pub(crate) readers: Pool,
    pub(crate) writer: Pool,
    pub(crate) hub: Arc<Hub>,
    pub(crate) ids: Ids,
    /// Signs access tokens; lies in the database, so that tokens survive a restart.
    pub(crate) secret: Vec<u8>,
    /// Sessions that ended, and when (Unix seconds): their access tokens are void.
    pub(crate) revoked: Mutex<HashMap<i64, u64>>,
    pub(crate) heartbeat: Ns,
    /// Places at the database, and how many are taken.
    pub(crate) places: u64,
    pub(crate) taken: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) draining: Arc<AtomicBool>,
}

/// The shared state as handlers take it.
pub(crate) type Shared = State<Arc<App>>;

/// Opens the data and builds the routes.
pub(crate) fn build(data: &Path, truth: Truth) -> Result<Application, String> {
    let path = data.join("agents.sqlite");
    let writer = store::open_writer(&path)?;
    let read = |e: rusqlite::Error| format!("cannot read the database: {e}");
    let secret = writer
        .query_row("SELECT value FROM settings WHERE name = 'secret'", [], |row| row.get(0))
        .map_err(read)?;
    let start: [u8; 8] = writer.query_row("SELECT randomblob(8)", [], |row| row.get(0)).map_err(read)?;
    let revoked = auth::revoked(&writer).map_err(read)?;
    let readers: Vec<Connection> =
        (0..truth.readers).map(|_| store::open_reader(&path)).collect::<Result<_, String>>()?;
    let draining = Arc::new(AtomicBool::new(false));
    let app = Arc::new(App {
        readers: Pool::start("db-read", readers)?,
        writer: Pool::start("db-write", vec![writer])?,
        hub: Arc::default(),
        ids: Ids::new(u64::from_le_bytes(start)),
        secret,
        revoked: Mutex::new(revoked),
        heartbeat: truth.heartbeat,
        places: truth.connections.size.unwrap_or(PLACES) as u64,
        taken: AtomicU64::new(0),
        overloaded: AtomicU64::new(0),
        draining: Arc::clone(&draining),
        gate: Gate::new(truth)?,
    });
    stale::start(&app)?;
    Ok(Application { router: routes(app), draining })
}

fn routes(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/auth/register", post(auth::register))
        .route("/auth/login", post(auth::login))
        .route("/auth/refresh", post(auth::refresh))
        .route("/auth/logout", post(auth::logout))
        .route("/auth/me", get(auth::me))
        .route("/workers/register", post(workers::register))
        .route("/workers", get(workers::list))
        .route("/workers/api-keys", post(auth::api_key))
        .route("/workers/{id}", get(workers::one))
        .route("/workers/{id}/heartbeat", post(workers::heartbeat))
        .route("/workers/{id}/unregister", post(workers::unregister))
        .route("/tasks", get(tasks::list).post(tasks::create))
        .route("/tasks/{id}", get(tasks::one))
        .route("/tasks/{id}/progress", get(tasks::progress))
        .route("/tasks/{id}/cancel", post(tasks::cancel))
        .route("/tasks/{id}/decompose", post(subtasks::decompose))
        .route("/tasks/{id}/ready-subtasks", get(subtasks::ready))
        .route("/tasks/{id}/allocate", post(schedule::allocate))
        .route("/subtasks/{id}/result", post(subtasks::result))
        .route("/subtasks/{id}/complete", post(subtasks::complete))
        .route("/subtasks/{id}/log", post(logs::append))
        .route("/scheduler/run", post(schedule::run))
        .route("/scheduler/stats", get(schedule::stats))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::store))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::pass))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), admit));
    let open = Router::new()
        .route("/health", get(health::brief))
        .route("/health/database", get(health::database))
        .route("/health/redis", get(health::broker))
        .route("/health/detailed", get(health::detailed))
        .route("/health/pools", get(health::pools))
        .route("/metrics", get(health::metrics));
    let live = Router::new()
        .route("/ws", get(sockets::events))
        .route("/ws/tasks/{id}/logs", get(sockets::logs))
        .route("/workers/{id}/ws", get(sockets::worker));
    Router::new()
        .nest("/api/v1", api.merge(open.clone()).merge(live))
        .merge(open)
        .fallback(async || Refusal::not_found("route"))
        .method_not_allowed_fallback(async || StatusCode::METHOD_NOT_ALLOWED)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), wrap))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::count))
        .with_state(app)
}

struct Place<'a>(&'a AtomicU64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Middleware for API routes: refuses above 85 % of the places.
async fn admit(State(app): Shared, request: Request, next: Next) -> Response {
    let taken = app.taken.fetch_add(1, Ordering::Relaxed) + 1;
    let _place = Place(&app.taken);
    // where there is one place, it is given
    if taken > 1 && taken * 100 > app.places * FULL {
        app.overloaded.fetch_add(1, Ordering::Relaxed);
        let why = format!("{taken} of {} places at the database are wanted; {FULL} % are given", app.places);
        return Refusal::busy(&why).into_response();
    }
    next.run(request).await
}
