//! Workers that are not heard from any more, and letting WebSocket clients go when the server goes down.

use super::app::App;
use super::auth::now_ms;
use super::workers::take_off;
use crate::clock::{self, WallClock};
use crucible_core::Ns;
use rusqlite::{Connection, params};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the thread looks around.
const TICK: Duration = Duration::from_millis(100);
/// Longest time between two checks.
const LONGEST: Ns = Ns::from_secs(30);

/// Starts the checker; it ends with the application.
pub(crate) fn start(app: &Arc<App>) -> Result<(), String> {
    let app = Arc::downgrade(app);
    std::thread::Builder::new()
        .name("stale-workers".into())
        .spawn(move || watch(&app))
        .map(drop)
        .map_err(|e| format!("cannot start a thread: {e}"))
}

fn watch(app: &Weak<App>) {
    // drives one future at a time on this thread
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let clock = WallClock::start();
    let mut last = Ns::ZERO;
    loop {
        clock::nap(TICK);
        let Some(app) = app.upgrade() else { return };
        if app.draining.load(Ordering::Relaxed) {
            app.hub.close();
            return;
        }
        let every = Ns(app.heartbeat.0 / 4).min(LONGEST);
        if clock.age().since(last) >= every {
            last = clock.age();
            let (hub, timeout) = (Arc::clone(&app.hub), app.heartbeat);
            let check = app.writer.run(move |db| {
                for id in silent(db, timeout)? {
                    take_off(db, &hub, &id, "stale")?;
                }
                Ok(())
            });
            // a database that refuses is asked again at the next check
            let _ = runtime.block_on(check);
        }
    }
}

/// Workers that count as there and have been silent for longer than `timeout`.
fn silent(db: &Connection, timeout: Ns) -> rusqlite::Result<Vec<String>> {
    let before = now_ms() - i64::try_from(timeout.0 / 1_000_000).unwrap_or(i64::MAX);
    db.prepare_cached("SELECT id FROM workers WHERE status <> 'offline' AND heartbeat_ms < ?1")?
        .query_map(params![before], |row| row.get(0))?
        .collect()
}
