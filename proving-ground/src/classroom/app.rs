//! Putting the classroom together: state, routes, middleware.

use super::limits::Limits;
use super::lockout::Lockouts;
use super::reply::Refusal;
use super::runner::Runner;
use super::{activity, admin, auth, health, pages, runner, seed, store, teacher};
use crate::gate::{self, Gate};
use crate::pool::{Lazy, Pool};
use crate::serve::Application;
use crate::truth::Truth;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Largest request body, bytes.
const BODY_LIMIT: usize = 512 * 1024;

/// What every handler shares.
pub(crate) struct App {
    /// Counts and switches.
    pub(super) gate: Arc<Gate>,
    /// Connections that read.
    pub(super) readers: Pool<Connection>,
    /// The connection that writes.
    pub(super) writer: Pool<Connection>,
    /// Runs programs.
    pub(super) runner: Runner,
    /// Accounts that rest after wrong passwords.
    pub(super) lockouts: Lockouts,
    /// What one user may do in a minute.
    pub(super) limits: Limits,
    /// What is counted.
    pub(super) counts: Counts,
    /// Set when the server is going down.
    pub(super) draining: Arc<AtomicBool>,
}

/// Events since the start.
#[derive(Default)]
pub(crate) struct Counts {
    pub(super) logins: AtomicU64,
    pub(super) wrong_passwords: AtomicU64,
    pub(super) locked_out: AtomicU64,
    pub(super) csrf_refused: AtomicU64,
    pub(super) saves: AtomicU64,
    pub(super) marks: AtomicU64,
    pub(super) limited: AtomicU64,
}

/// The shared state as handlers take it.
pub(crate) type Shared = axum::extract::State<Arc<App>>;

/// Opens the data and builds the routes.
pub(crate) fn build(data: &Path, truth: Truth) -> Result<Application, String> {
    let path = data.join("classroom.sqlite");
    let writer = store::open_writer(&path, seed::fill)?;
    let readers: Vec<Connection> =
        (0..truth.readers).map(|_| store::open_reader(&path)).collect::<Result<_, String>>()?;
    let draining = Arc::new(AtomicBool::new(false));
    let lazy = Lazy::sqlite(truth.bugs.ack_before_commit);
    let app = Arc::new(App {
        readers: Pool::start("db-read", readers)?,
        writer: Pool::start_lazy("db-write", vec![writer], lazy)?,
        runner: Runner::start(),
        lockouts: Lockouts::new(truth.lock_times),
        limits: Limits::new(&truth),
        counts: Counts::default(),
        draining: Arc::clone(&draining),
        gate: Gate::new(truth)?,
    });
    Ok(Application { router: routes(app), draining })
}

fn routes(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/auth/login", post(auth::login))
        .route("/api/auth/me", get(auth::me))
        .route("/api/auth/logout", post(auth::logout))
        .route("/api/activity/state/{lesson}/{activity}", get(activity::load).post(activity::save))
        .route("/api/activity/state/{lesson}/{activity}/revisions", get(activity::revisions))
        .route("/api/python/run", post(runner::run))
        .route("/api/teacher/users", get(teacher::users))
        .route("/api/teacher/overview", get(teacher::overview))
        .route("/api/teacher/stats", get(teacher::stats))
        .route("/api/teacher/attention", get(teacher::attention))
        .route("/api/teacher/pupil/{user}/lesson/{lesson}", get(teacher::lesson))
        .route("/api/teacher/mark", post(teacher::mark))
        .route("/api/admin/users", get(admin::list).post(admin::create))
        .route("/api/admin/users/{id}", get(admin::one).patch(admin::change).delete(admin::remove))
        .route("/api/admin/audit", get(admin::audit))
        .route("/api/admin/metrics", get(admin::metrics))
        .route("/api/metrics", get(admin::metrics))
        .route("/lessons/manifest.json", get(pages::manifest))
        .route("/lessons/{lesson}", get(pages::lesson))
        .route("/", get(pages::index))
        .route("/index.html", get(pages::index))
        .route("/admin-metrics.html", get(pages::admin))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::store))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::pass));
    Router::new()
        .merge(api)
        .route("/api/health", get(health::health))
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
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    gate::refuse(status, "method_not_allowed", "this route does not know the method")
}
