//! Where runs are kept.

use crate::exit::CliError;
use crate::out;
use crucible_analysis::RunView;
use crucible_record::Store;
use etcetera::BaseStrategy;
use std::path::{Path, PathBuf};

/// The store named on the command line, by `CRUCIBLE_STORE`, or in the user's data folder.
pub fn path(given: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = out::plain_environment("CRUCIBLE_STORE") {
        return Ok(path.into());
    }
    let base = etcetera::choose_base_strategy().map_err(|e| {
        CliError::usage(format!("failed to find the data folder: {e}\n  give one with --store FILE"))
    })?;
    Ok(base.data_dir().join("crucible").join("runs.db"))
}

/// Opens the store for writing.
pub fn open(given: Option<&Path>) -> Result<Store, CliError> {
    let path = path(given)?;
    Store::open(&path).map_err(|e| {
        CliError::usage(format!("failed to open the run store: {e}\n  choose another with --store FILE"))
    })
}

/// Opens the store for reading.
pub fn open_to_read(given: Option<&Path>) -> Result<Store, CliError> {
    let path = path(given)?;
    Store::open_read_only(&path).map_err(|e| CliError::usage(format!("failed to open the run store: {e}")))
}

/// The identifier of a stored run by its name, the begin of it, or `last`.
pub fn find(store: &Store, name: &str) -> Result<String, CliError> {
    store.find(name).map_err(|e| CliError::usage(format!("failed to find the run: {e}")))
}

/// The view of a stored run: `name` is a run's identifier, the begin of one, `last`, or an exported file.
pub fn view(given: Option<&Path>, name: &str) -> Result<(String, RunView), CliError> {
    let as_file = Path::new(name);
    let (store, wanted) = if as_file.is_file() {
        let store = Store::open_read_only(as_file)
            .map_err(|e| CliError::usage(format!("failed to open {name}: {e}")))?;
        (store, "last")
    } else {
        (open_to_read(given)?, name)
    };
    let failed = |e: &dyn std::fmt::Display| CliError::usage(format!("failed to read the run: {e}"));
    let id = store.find(wanted).map_err(|e| failed(&e))?;
    let view = RunView::from_events(store.events(&id).map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
    Ok((id, view))
}
