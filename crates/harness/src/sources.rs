//! Where the files that a plan names are opened: data for its users, recordings that it replays.

use crucible_core::Feeder;
use crucible_plan::FeederSpec;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Largest recording that is read: days of a busy server's log.
const RECORDING_MAX: u64 = 2 << 30;

/// The text of a recording that a plan replays.
pub fn recording(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > RECORDING_MAX {
        return Err("it is larger than 2 GiB".into());
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    // a log may hold any bytes; only its times matter
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Makes the source of rows that a plan describes.
pub fn open_feeder(spec: &FeederSpec) -> Result<Arc<dyn Feeder>, String> {
    crucible_feeders::open(&crucible_feeders::Wanted {
        name: &spec.name,
        kind: &spec.kind,
        source: &spec.source,
        options: &spec.options,
        folder: &spec.folder,
        seed: spec.seed,
        language: Some(crucible_expr::language()),
    })
}
