//! One SQLite file per part, so written that what was committed survives a kill.

use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An open database; calls are made one after the other.
#[derive(Clone)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// Opens or makes the file and its tables.
    pub(crate) fn open(path: &Path, schema: &str) -> Result<Database, String> {
        let told = |e: rusqlite::Error| format!("cannot open the database {}: {e}", path.display());
        let connection = Connection::open(path).map_err(told)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(told)?;
        connection.set_prepared_statement_cache_capacity(64);
        // WAL with NORMAL survives the death of the process; FULL would survive the death of the machine, too
        connection.pragma_update(None, "journal_mode", "WAL").map_err(told)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(told)?;
        connection.execute_batch(schema).map_err(told)?;
        Ok(Database(Arc::new(Mutex::new(connection))))
    }

    /// Runs `work` in a transaction, on a thread that may block. An error rolls everything back.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let shared = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        match done.await {
            Ok(result) => result.map_err(|e: rusqlite::Error| e.to_string()),
            Err(broken) => Err(broken.to_string()),
        }
    }
}
