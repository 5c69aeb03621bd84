//! Running a pupil's Python: two programs at once, the others wait in order of arrival.

use super::activity::{ACTIVITIES, LESSONS};
use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, numbered, ok, read_body};
use crate::metrics::{counter, gauge};
use crate::sandbox::{End, Job, Limits, Report, Sandbox};
use axum::body::Bytes;
use axum::http::HeaderMap;
use crucible_core::Ns;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Programs at once.
const SLOTS: usize = 2;
/// Programs that may wait.
const QUEUE: u64 = 200;
/// Longest program, bytes.
const CODE: usize = 64 * 1024;
/// Most files beside it, and the largest, bytes.
const FILES: usize = 10;
const FILE: usize = 64 * 1024;
/// Longest run.
const WALL: Ns = Ns::from_secs(5);

/// The sandbox and the queue in front of it.
pub(crate) struct Runner {
    sandbox: Result<Arc<Sandbox>, String>,
    slots: Arc<Semaphore>,
    waiting: AtomicU64,
    runs: AtomicU64,
    timeouts: AtomicU64,
    failures: AtomicU64,
}

impl Runner {
    /// Tries the sandbox out. Without one the classroom works, and programs are answered 503.
    pub(crate) fn start() -> Runner {
        Runner {
            sandbox: Sandbox::new().map(Arc::new),
            slots: Arc::new(Semaphore::new(SLOTS)),
            waiting: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Runs, timeouts and other bad ends since the start.
    pub(crate) fn figures(&self) -> (u64, u64, u64) {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        (get(&self.runs), get(&self.timeouts), get(&self.failures))
    }

    /// Appends what the runner counts.
    pub(crate) fn write(&self, out: &mut String) {
        let (runs, timeouts, failures) = self.figures();
        counter(out, "python_runs_total", "Programs run.", runs);
        counter(out, "python_timeouts_total", "Programs ended at their time limit.", timeouts);
        counter(out, "python_failures_total", "Programs that ended badly in another way.", failures);
        let busy = SLOTS.saturating_sub(self.slots.available_permits());
        gauge(out, "python_slots", "Programs that may run at once.", SLOTS as u64);
        gauge(out, "python_slots_busy", "Programs that run.", busy as u64);
        gauge(out, "python_waiting", "Programs that wait.", self.waiting.load(Ordering::Relaxed));
    }

    async fn run(&self, job: Job) -> Result<Report, Refusal> {
        let sandbox = self.sandbox.as_ref().map_err(|why| Refusal::Busy("no_runner", why.clone()))?;
        let waiting = Waiting::new(&self.waiting);
        if waiting.place > QUEUE {
            return Err(Refusal::Busy("runner_busy", "too many programs wait".into()));
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|e| Refusal::Broken(e.to_string()))?;
        drop(waiting);
        let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let (sandbox, stopped) = (Arc::clone(sandbox), Arc::clone(&stop.0));
        let done = tokio::task::spawn_blocking(move || {
            let report = sandbox.run(&job, &stopped);
            // a client that goes away frees the slot only when its program has ended
            drop(slot);
            report
        });
        let report = done.await.map_err(|e| Refusal::Broken(e.to_string()))?.map_err(Refusal::Broken)?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        match report.end {
            End::Exited(0) => {}
            End::Time => drop(self.timeouts.fetch_add(1, Ordering::Relaxed)),
            _ => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
        }
        Ok(report)
    }
}

/// A place in the queue, given back however the request ends.
struct Waiting<'a> {
    count: &'a AtomicU64,
    place: u64,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Waiting<'a> {
        let place = count.fetch_add(1, Ordering::Relaxed) + 1;
        Waiting { count, place }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends the program when the request is given up.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Deserialize)]
struct Program {
    #[serde(default)]
    lesson_id: Option<String>,
    #[serde(default)]
    activity_id: Option<String>,
    code: String,
    #[serde(default)]
    files: Vec<InFile>,
}

#[derive(Deserialize)]
struct InFile {
    #[serde(alias = "path")]
    name: String,
    content: String,
}

fn job(program: Program) -> Result<Job, Refusal> {
    if let Some(lesson) = &program.lesson_id {
        numbered(lesson, "lesson-", LESSONS)?;
    }
    if let Some(activity) = &program.activity_id {
        numbered(activity, "a", ACTIVITIES)?;
    }
    if program.code.len() > CODE {
        return Err(Refusal::Malformed(format!("a program has at most {CODE} bytes")));
    }
    if program.files.len() > FILES || program.files.iter().any(|file| file.content.len() > FILE) {
        return Err(Refusal::Malformed(format!("at most {FILES} files of at most {FILE} bytes")));
    }
    let plain = |name: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        !name.is_empty()
            && name.len() <= 64
            && !name.starts_with('.')
            && name != "main.py"
            && name.bytes().all(known)
    };
    if !program.files.iter().all(|file| plain(&file.name)) {
        return Err(Refusal::Malformed("a file has a plain name, as in data.csv, and not main.py".into()));
    }
    let limits = Limits { wall: WALL, cpu: WALL, memory: 256 << 20, output: 256 << 10, ..Limits::default() };
    let files = program.files.into_iter().map(|file| (file.name, file.content.into_bytes())).collect();
    Ok(Job { code: program.code.into_bytes(), files, limits })
}

fn told(report: Report) -> Value {
    let (exit_code, end) = match report.end {
        End::Exited(code) => (code, "exited"),
        End::Syntax => (1, "syntax"),
        End::Raised => (1, "raised"),
        End::Signalled(signal) => (128 + signal, "signalled"),
        End::Time => (124, "time"),
        End::Memory => (137, "memory"),
        End::Output => (1, "output"),
        End::Stopped => (143, "stopped"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let files: Vec<Value> = report
        .files
        .iter()
        .filter(|(name, _)| name != "main.py")
        .map(|(name, content)| json!({"name": name, "content": text(content)}))
        .collect();
    json!({
        "ok": exit_code == 0, "stdout": text(&report.stdout), "stderr": text(&report.stderr),
        "exit_code": exit_code, "timed_out": report.end == End::Time, "end": end,
        "duration_ms": report.wall.as_millis_f64(), "files": files,
    })
}

/// POST /api/python/run
pub(crate) async fn run(state: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers, true).await?;
    let job = job(read_body(&body)?)?;
    let said = state.allow(&state.limits.runs, &user.username)?;
    let report = state.runner.run(job).await?;
    Ok(state.told(ok(&told(report)), said))
}
