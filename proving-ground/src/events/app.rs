//! Routes of the event daemon.

use super::backlog::Backlog;
use crate::clock::unix_ms;
use crate::gate::{self, Gate, refuse};
use crate::metrics::{counter, gauge, head};
use crate::serve::Application;
use crate::truth::Truth;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use crucible_core::Ns;
use crucible_events::{
    BreakerState, CentralRouter, Coordinator, Event, EventBus, Failure, Family, Health, Interest, Name,
    Payload, Priority, Receipt, ServiceId, ServiceSpec, ServiceStatistics, Settings, Targets, WhenFull,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Largest payload, bytes.
const PAYLOAD: usize = 64 * 1024;
/// Most events in one request.
const BATCH: usize = 1_000;
/// Largest request body, bytes.
const BODY: usize = 8 * 1024 * 1024;
/// How long accepted events may take at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// Services that the daemon brings along.
const SERVICES: [&str; 10] = [
    "indexer",
    "archiver",
    "notifier",
    "toolbox",
    "supervisor",
    "collector",
    "backup",
    "audit",
    "webhooks",
    "agents",
];

struct App {
    gate: Arc<Gate>,
    bus: Arc<dyn EventBus>,
    backlog: Option<Backlog>,
    services: Vec<(&'static str, ServiceId)>,
    next_id: AtomicU64,
    draining: Arc<AtomicBool>,
}

impl App {
    fn service(&self, name: &str) -> Option<ServiceId> {
        self.services.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
    }
}

/// What the bus accepted is handled before the process ends.
impl Drop for App {
    fn drop(&mut self) {
        self.bus.drain(DRAIN);
    }
}

type Shared = State<Arc<App>>;

/// Starts the bus with its services and builds the routes.
pub(crate) fn build(_: &std::path::Path, truth: Truth) -> Result<Application, String> {
    let settings = Settings { when_full: WhenFull::Reject, seed: truth.seed, ..Settings::default() };
    let bus: Arc<dyn EventBus> = if truth.coordinator {
        Arc::new(Coordinator::new(settings))
    } else {
        Arc::new(CentralRouter::start(settings).map_err(|e| e.to_string())?)
    };
    let mut ids = Vec::new();
    for (index, name) in SERVICES.into_iter().enumerate() {
        let interest = Interest::families(&[Family::ALL[index % Family::ALL.len()]]).and(Name::of(name));
        let id = bus.register(ServiceSpec::new(name, interest), Box::new(read)).map_err(|e| e.to_string())?;
        ids.push((name, id));
    }
    let backlog = truth.unbounded_queue.map(|time| Backlog::start(time, Arc::clone(&bus))).transpose()?;
    let draining = Arc::new(AtomicBool::new(false));
    // ids of a later process do not repeat those of an earlier one
    let next_id = AtomicU64::new(unix_ms() << 20);
    let app = Arc::new(App {
        gate: Gate::new(truth)?,
        bus,
        backlog,
        services: ids,
        next_id,
        draining: Arc::clone(&draining),
    });
    let api = Router::new()
        .route("/events", post(publish))
        .route("/services/{name}/health", put(set_health))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::store))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::pass));
    let router = Router::new()
        .merge(api)
        .route("/stats", get(stats))
        .route("/services", get(services))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "not_found", "there is no such route"))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::count))
        .with_state(app);
    Ok(Application { router, draining })
}

/// What every service does: reads the payload to its end.
fn read(event: &Event) -> Result<(), Failure> {
    black_box(event.payload.iter().fold(0u64, |sum, byte| sum.wrapping_add(u64::from(*byte))));
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: Option<u64>,
    #[serde(alias = "type")]
    family: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    topic: String,
    priority: Option<String>,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    payload: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Many { events: Vec<Wanted> },
    One(Wanted),
}

fn event(app: &App, wanted: &Wanted) -> Result<Event, String> {
    let family = Family::named(&wanted.family).ok_or_else(|| {
        let known = Family::ALL.map(Family::name).join(", ");
        format!("there is no family {:?} (there are: {known})", wanted.family)
    })?;
    let priority = match wanted.priority.as_deref() {
        None => Priority::Normal,
        Some(name) => Priority::named(name).ok_or("priorities are low, normal, high and critical")?,
    };
    if wanted.payload.len() > PAYLOAD {
        return Err(format!("the payload has {} bytes; {PAYLOAD} are allowed", wanted.payload.len()));
    }
    let targets = if wanted.targets.is_empty() {
        Targets::Interested
    } else {
        let find = |name: &String| app.service(name).ok_or_else(|| format!("there is no service {name:?}"));
        Targets::Each(wanted.targets.iter().map(find).collect::<Result<Vec<_>, String>>()?.into())
    };
    let payload: Payload = Arc::from(wanted.payload.as_bytes());
    Ok(Event {
        priority,
        source: Name::of(&wanted.source),
        topic: Name::of(&wanted.topic),
        targets,
        ..Event::new(
            wanted.id.unwrap_or_else(|| app.next_id.fetch_add(1, Ordering::Relaxed)),
            family,
            payload,
        )
    })
}

fn word(receipt: Receipt) -> &'static str {
    match receipt {
        Receipt { duplicate: true, .. } => "duplicate",
        Receipt { accepted: 1.., .. } => "accepted",
        Receipt { refused: 1.., .. } => "refused",
        _ => "unrouted",
    }
}

async fn publish(app: Shared, body: Bytes) -> Response {
    let wanted = match serde_json::from_slice::<Body>(&body) {
        Ok(body) => body,
        Err(error) if error.is_data() => return invalid(&error.to_string()),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "malformed", &error.to_string()),
    };
    let (single, wanted) = match wanted {
        Body::One(wanted) => (true, vec![wanted]),
        Body::Many { events } => (false, events),
    };
    if wanted.len() > BATCH {
        return invalid(&format!("{} events; {BATCH} are allowed in one request", wanted.len()));
    }
    // all are read before any is published: a mistake publishes nothing
    let events: Result<Vec<Event>, String> = wanted.iter().map(|wanted| event(&app, wanted)).collect();
    let events = match events {
        Ok(events) => events,
        Err(why) => return invalid(&why),
    };
    let results: Vec<Value> = events
        .into_iter()
        .map(|event| {
            let id = event.id;
            if let Some(backlog) = &app.backlog {
                backlog.push(event);
                return json!({"id": id, "status": "accepted", "accepted_by": 0, "refused_by": 0});
            }
            let receipt = app.bus.publish(event);
            json!({"id": id, "status": word(receipt), "accepted_by": receipt.accepted, "refused_by": receipt.refused})
        })
        .collect();
    let count = |status: &str| results.iter().filter(|row| row["status"] == status).count();
    let refused = count("refused");
    let mut answer = if single {
        let status = if refused == 0 { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(results.into_iter().next().unwrap_or_default())).into_response()
    } else {
        let all = refused > 0 && refused == results.len();
        let status = if all { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::ACCEPTED };
        let body = json!({"received": results.len(), "accepted": count("accepted"), "refused": refused,
            "duplicates": count("duplicate"), "events": results});
        (status, Json(body)).into_response()
    };
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn invalid(why: &str) -> Response {
    refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why)
}

async fn set_health(app: Shared, Path(name): Path<String>, body: Bytes) -> Response {
    let told: Result<Value, _> = serde_json::from_slice(&body);
    let health = told.ok().and_then(|body| Health::named(body["health"].as_str()?));
    let Some(health) = health else {
        return invalid(r#"write {"health": "healthy"}, "degraded" or "unhealthy""#);
    };
    let id = app.service(&name);
    match id.filter(|id| app.bus.set_health(*id, health)) {
        Some(_) => Json(json!({"name": name, "health": health.name()})).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "not_found", "there is no service of this name"),
    }
}

fn row(s: &ServiceStatistics) -> Value {
    let breaker = match s.breaker {
        BreakerState::Closed(_) => "closed",
        BreakerState::Open(_) => "open",
        BreakerState::HalfOpen => "half-open",
    };
    let ms = |time: Option<Ns>| time.map(Ns::as_millis_f64);
    json!({"name": s.name, "health": s.health.name(), "breaker": breaker, "received": s.received,
        "processed": s.processed, "failed": s.failed, "dropped": s.dropped, "duplicates": s.duplicates,
        "refused": s.refused, "retried": s.retried, "expired": s.expired, "pending": s.pending,
        "latency_ms": {"mean": ms(s.latency.mean()), "p95": ms(s.latency.quantile(0.95)),
            "p99": ms(s.latency.quantile(0.99))}})
}

async fn services(app: Shared) -> Json<Value> {
    let rows: Vec<Value> = app.bus.statistics().services.iter().map(row).collect();
    Json(json!({"services": rows, "total": rows.len()}))
}

async fn stats(app: Shared) -> Json<Value> {
    let all = app.bus.statistics();
    Json(json!({"architecture": all.architecture, "received": all.received, "accepted": all.accepted,
        "refused": all.refused, "duplicates": all.duplicates, "unrouted": all.unrouted,
        "processed": all.sum(|s| s.processed), "failed": all.sum(|s| s.failed),
        "dropped": all.sum(|s| s.dropped), "pending": all.sum(|s| s.pending),
        "services": all.services.iter().map(row).collect::<Vec<_>>()}))
}

async fn health(app: Shared) -> Response {
    let all = app.bus.statistics();
    let open = all.services.iter().filter(|s| matches!(s.breaker, BreakerState::Open(_))).count();
    let (status, word) = match (app.draining.load(Ordering::Relaxed), open) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (_, 0) => (StatusCode::OK, "healthy"),
        (_, open) if open < all.services.len() => (StatusCode::OK, "degraded"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let body = json!({"status": word, "architecture": all.architecture, "services": all.services.len(),
        "open_breakers": open});
    (status, Json(body)).into_response()
}

async fn metrics(app: Shared) -> Response {
    let mut out = String::with_capacity(16 * 1024);
    app.gate.write(&mut out);
    if let Some(backlog) = &app.backlog {
        backlog.write(&mut out);
    }
    let all = app.bus.statistics();
    counter(&mut out, "events_received_total", "Events published.", all.received);
    counter(&mut out, "events_accepted_total", "Events that at least one queue took.", all.accepted);
    counter(&mut out, "events_refused_total", "Events that found no room.", all.refused);
    counter(&mut out, "events_duplicate_total", "Events whose id was known.", all.duplicates);
    counter(&mut out, "events_unrouted_total", "Events that nobody wanted.", all.unrouted);
    gauge(&mut out, "events_pending", "Deliveries queued or in hand.", all.sum(|s| s.pending));
    let mut rows = |name: &str, kind: &str, help: &str, of: fn(&ServiceStatistics) -> u64| {
        head(&mut out, name, kind, help);
        for service in &all.services {
            // writing to a String cannot fail
            let _ = writeln!(out, "{name}{{service=\"{}\"}} {}", service.name, of(service));
        }
    };
    rows("service_received_total", "counter", "Events put into the queue.", |s| s.received);
    rows("service_processed_total", "counter", "Events handled.", |s| s.processed);
    rows("service_failed_total", "counter", "Events given up.", |s| s.failed);
    rows("service_queue_length", "gauge", "Events queued or in hand.", |s| s.pending);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], out).into_response()
}
