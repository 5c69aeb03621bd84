//! What a request costs the machine: the lock, processor time, memory, the disk.

use crate::clock::{self, Timer};
use crate::truth::{Burden, Leak, Truth};
use crucible_core::Ns;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// More is not leaked, so that a forgotten server does not take its machine down.
const LEAK_LIMIT: u64 = 4 << 30;
/// Time between two losses by the clock.
const EVERY: Ns = Ns::from_millis(500);
/// Pages are touched, so that they are resident.
const PAGE: usize = 4096;

/// See the module text.
pub(super) struct Weight {
    burden: Burden,
    lock: tokio::sync::Mutex<()>,
    lost: Arc<Lost>,
    disk: Option<Arc<Mutex<File>>>,
}

#[derive(Default)]
struct Lost {
    memory: Mutex<Vec<Box<[u8]>>>,
    bytes: AtomicU64,
}

impl Lost {
    fn lose(&self, bytes: u64) {
        if bytes == 0 || self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > LEAK_LIMIT {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let mut block = vec![0u8; usize::try_from(bytes).unwrap_or(0)].into_boxed_slice();
        for at in (0..block.len()).step_by(PAGE) {
            block[at] = 1;
        }
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }
}

/// Loses what `wanted` says of the time since the start, by the clock, until nobody has the memory any more: a busy machine
/// delays a loss, but loses none. Errors: no thread.
fn grow(name: &str, lost: &Arc<Lost>, wanted: impl Fn(Ns) -> u64 + Send + 'static) -> Result<(), String> {
    let (weak, began, mut given) = (Arc::downgrade(lost), clock::Watch::start(), 0);
    let drip = move || {
        while let Some(lost) = weak.upgrade() {
            // whole pages, so that what is resident is what was asked for
            let more = wanted(began.elapsed()).saturating_sub(given) / PAGE as u64 * PAGE as u64;
            lost.lose(more);
            given += more;
            drop(lost);
            clock::nap(EVERY.into());
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(drip).map(drop).map_err(|e| format!("cannot start a thread: {e}"))
}

impl Weight {
    /// Errors: a file that cannot be made; no thread.
    pub(super) fn new(truth: &Truth) -> Result<Weight, String> {
        let lost = Arc::new(Lost::default());
        if let Some(Leak::PerMinute { base, bytes }) = truth.burden.leak {
            lost.lose(base);
            let per_second = bytes as f64 / 60.0;
            grow("leak", &lost, move |age| (per_second * age.as_secs_f64()) as u64)?;
        }
        if let Some(fill) = truth.burden.fill {
            grow("fill", &lost, move |age| fill.at(age))?;
        }
        let disk = if truth.burden.fsync {
            let path = truth.folder.join("fsync");
            let file = File::create(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
            Some(Arc::new(Mutex::new(file)))
        } else {
            None
        };
        Ok(Weight { burden: truth.burden.clone(), lock: tokio::sync::Mutex::new(()), lost, disk })
    }

    /// Memory lost so far.
    pub(super) fn leaked(&self) -> u64 {
        self.lost.bytes.load(Ordering::Relaxed)
    }

    /// Makes one request pay.
    pub(super) async fn carry(&self, timer: &Timer, writes: bool) {
        if self.burden.lock > Ns::ZERO {
            let _held = self.lock.lock().await;
            timer.hold(self.burden.lock).await;
        }
        if self.burden.cpu > Ns::ZERO {
            clock::burn(self.burden.cpu);
        }
        if let Some(Leak::PerRequest(bytes)) = self.burden.leak {
            self.lost.lose(bytes);
        }
        if let Some(disk) = self.disk.as_ref().filter(|_| writes) {
            let disk = Arc::clone(disk);
            let flush = move || {
                let mut file = disk.lock().unwrap_or_else(PoisonError::into_inner);
                // a full disk is the real write's to tell
                let _ = file.write_all(b"x").and_then(|()| file.sync_data());
            };
            let _ = tokio::task::spawn_blocking(flush).await;
        }
    }
}
