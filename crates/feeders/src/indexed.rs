//! Rows of a file that is too large to hold: the offsets of some of them are kept, and a row is read from the nearest.
//!
//! The offsets of every 16th row are kept; when there are too many of them, every other is forgotten. Reading is
//! `pread`, which shares nothing, and a few blocks that were read last are kept. A shard never waits for another one:
//! where a kept block is in use, the file is read.

use crucible_core::Feeder;
use crucible_core::scope::Row;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Rows between kept offsets, to begin with.
const STRIDE: u64 = 16;

/// Number of blocks that are kept.
const BLOCKS: usize = 8;

/// Largest block that is kept, in bytes.
const BLOCK_MAX: usize = 256 << 10;

/// How a kind of file is read.
pub(crate) trait Rows: Send + Sync + std::fmt::Debug {
    /// Names of the columns; of some kinds known only after [`Rows::scan`].
    fn columns(&self) -> &[String];
    /// The file.
    fn file(&self) -> &File;
    /// Reads all, hands out the offset of each row, and tells what is broken.
    fn scan(&mut self, seen: &mut dyn FnMut(u64)) -> Result<(), String>;
    /// The row behind `skip` others in bytes that begin with a row.
    fn row(&self, bytes: &[u8], skip: usize) -> Result<Row, String>;
}

/// A block that was read: its number and its bytes.
type Block = Option<(u64, Arc<[u8]>)>;

/// See the module text.
#[derive(Debug)]
pub(crate) struct Indexed<R> {
    path: PathBuf,
    rows: R,
    count: u64,
    stride: u64,
    offsets: Vec<u64>,
    end: u64,
    kept: [Mutex<Block>; BLOCKS],
}

impl<R: Rows> Indexed<R> {
    /// Reads all rows once and keeps at most so many offsets.
    pub(crate) fn new(path: PathBuf, mut rows: R, offsets_max: usize) -> Result<Indexed<R>, String> {
        let (mut count, mut stride, mut offsets) = (0, STRIDE, Vec::new());
        rows.scan(&mut |offset| {
            if count % stride == 0 {
                if offsets.len() >= offsets_max.max(2) {
                    let mut index = 0;
                    offsets.retain(|_| {
                        index += 1;
                        index % 2 == 1
                    });
                    stride *= 2;
                }
                if count % stride == 0 {
                    offsets.push(offset);
                }
            }
            count += 1;
        })?;
        if count == 0 {
            return Err(format!("{}: there are no rows\nadd at least one", path.display()));
        }
        let end = rows.file().metadata().map_err(|e| crate::csv_rows::unreadable(&path, &e))?.len();
        Ok(Indexed { path, rows, count, stride, offsets, end, kept: Default::default() })
    }

    fn block(&self, number: u64) -> Result<Arc<[u8]>, String> {
        let place = &self.kept[(number % BLOCKS as u64) as usize];
        if let Ok(kept) = place.try_lock()
            && let Some((kept_number, bytes)) = &*kept
            && *kept_number == number
        {
            return Ok(Arc::clone(bytes));
        }
        let index = number as usize;
        let start = self.offsets[index];
        let end = self.offsets.get(index + 1).copied().unwrap_or(self.end);
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        let read = self.rows.file().read_exact_at(&mut bytes, start);
        read.map_err(|e| format!("failed to read {}: {e}", self.path.display()))?;
        let bytes: Arc<[u8]> = bytes.into();
        if bytes.len() <= BLOCK_MAX
            && let Ok(mut kept) = place.try_lock()
        {
            *kept = Some((number, Arc::clone(&bytes)));
        }
        Ok(bytes)
    }
}

impl<R: Rows> Feeder for Indexed<R> {
    fn columns(&self) -> &[String] {
        self.rows.columns()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.count)
    }

    fn row(&self, index: u64) -> Result<Row, String> {
        if index >= self.count {
            return Err(format!("there is no row {index}, only {}", self.count));
        }
        let block = self.block(index / self.stride)?;
        self.rows.row(&block, (index % self.stride) as usize)
    }
}
