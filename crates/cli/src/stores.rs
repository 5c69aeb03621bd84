//! Where runs are kept.

use crate::exit::CliError;
use crate::out;
use crucible_analysis::{RunView, requirements};
use crucible_record::{RunEvent, Store};
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

/// A stored run and where it lies: `name` is its identifier, the begin of one, `last`, or an exported file.
pub fn locate(given: Option<&Path>, name: &str) -> Result<(Store, String), CliError> {
    let as_file = Path::new(name);
    let (store, wanted) = if as_file.is_file() {
        let store = Store::open_read_only(as_file)
            .map_err(|e| CliError::usage(format!("failed to open {name}: {e}")))?;
        (store, "last")
    } else {
        (open_to_read(given)?, name)
    };
    let id = store.find(wanted).map_err(|e| CliError::usage(format!("failed to read the run: {e}")))?;
    Ok((store, id))
}

/// The view of a run of this store.
pub fn view_of(store: &Store, id: &str) -> Result<RunView, CliError> {
    read(store, id, |event| event)
}

/// The same with each band of its thresholds judged on its own.
pub fn view_by_band(store: &Store, id: &str) -> Result<RunView, CliError> {
    read(store, id, |event| match event {
        RunEvent::Started(started) => RunEvent::Started(Box::new(requirements::by_band(&started))),
        event => event,
    })
}

fn read(store: &Store, id: &str, seen: impl Fn(RunEvent) -> RunEvent) -> Result<RunView, CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::usage(format!("failed to read the run: {e}"));
    let events = store.events(id).map_err(|e| failed(&e))?;
    RunView::from_events(events.map(|event| event.map(&seen))).map_err(|e| failed(&e))
}

/// The view of a stored run, named as in [`locate`].
pub fn view(given: Option<&Path>, name: &str) -> Result<(String, RunView), CliError> {
    let (store, id) = locate(given, name)?;
    let view = view_of(&store, &id)?;
    Ok((id, view))
}
