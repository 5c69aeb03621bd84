//! The process that starts the parts, starts them again when they die, and ends them in order.
//!
//! Invariants: it holds the listening sockets, so addresses never change and nothing is refused; it runs no
//! request itself; a part that dies soon after its start is started again after a growing pause. Everything
//! durable is in the parts' databases: a killed supervisor takes its parts with it, and the next one goes on.

use super::client::Client;
use super::job::QueueName;
use super::part::{self, Config, Part};
use crate::clock::{self, Watch, unix_us};
use crate::sandbox::Sandbox;
use crate::serve;
use crate::system::{Announcement, GroundOptions, System};
use crate::truth::Truth;
use crucible_core::Ns;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// First pause before a part is started again; doubled for each start that did not live for [`STEADY`].
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const STEADY: Ns = Ns::from_millis(500);
/// How long all parts together may take to become ready.
const READY: Ns = Ns::from_secs(30);
/// How long one round of parts may take to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(8);

/// One line of the list of parts, kept in a file for the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Alive {
    pub(crate) pid: u32,
    /// How often it was started again.
    pub(crate) restarts: u64,
    pub(crate) since_us: u64,
}

/// The parts that run, by name.
pub(crate) type Parts = BTreeMap<String, Alive>;

/// Where the list of parts lies.
pub(crate) fn parts_file(data: &Path) -> PathBuf {
    data.join("parts.json")
}

/// Runs all parts until SIGTERM or Ctrl-C.
pub(crate) fn run(system: &System, mut options: GroundOptions) -> Result<(), String> {
    let truth = Truth::parse(&options.truth)?;
    let (data, _temporary) = serve::data_folder(options.data.take())?;
    let data = std::fs::canonicalize(&data).map_err(|e| format!("cannot use {}: {e}", data.display()))?;
    let _lock = lock(&data)?;
    // said here, once and clearly, rather than by every worker
    let sandbox = Sandbox::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))?;
    runtime.block_on(async {
        let stop = serve::stop_signal()?;
        let sockets = Sockets::open(options.port)?;
        let config = sockets.config(&data, &truth, &sandbox)?;
        let file = data.join("config.json");
        write_whole(&file, &config)?;
        let shared = Arc::new(Shared { parts: Mutex::default(), data: data.clone(), config: file });
        let (first, first_stop) = watch::channel(false);
        let (second, second_stop) = watch::channel(false);
        let mut front = Vec::new();
        let mut back = Vec::new();
        for part in parts(truth.bugs.runners) {
            let socket = sockets.of(part)?;
            let late = matches!(part, Part::Queue(_) | Part::Storage);
            let (list, told) = if late { (&mut back, &second_stop) } else { (&mut front, &first_stop) };
            list.push(tokio::spawn(keep(part, socket, Arc::clone(&shared), told.clone())));
        }
        tokio::pin!(stop);
        let ready = tokio::select! {
            ready = wait_until_ready(&config, &shared, truth.bugs.runners) => Some(ready),
            () = &mut stop => None,
        };
        if let Some(Ok(())) = ready {
            (options.announce)(&announcement(system, &config, &shared));
            stop.await;
        }
        // those that take work end before those that keep it
        for (round, tasks) in [(first, front), (second, back)] {
            let _ = round.send(true);
            for task in tasks {
                let _ = task.await;
            }
        }
        ready.unwrap_or(Ok(()))
    })
}

/// One supervisor for each folder.
fn lock(data: &Path) -> Result<File, String> {
    let told = |why: &dyn std::fmt::Display| format!("cannot take the folder {}: {why}", data.display());
    let file = File::create(data.join("lock")).map_err(|e| told(&e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(told(&"another platform runs on it")),
        Err(e) => Err(told(&e)),
    }
}

fn parts(runners: usize) -> Vec<Part> {
    let queues = QueueName::ALL;
    let mut parts = vec![Part::Storage];
    parts.extend(queues.map(Part::Queue));
    parts.push(Part::Api);
    parts.extend(
        queues.into_iter().flat_map(|queue| (1..=runners).map(move |number| Part::Worker(queue, number))),
    );
    parts
}

fn announcement(system: &System, config: &Config, shared: &Shared) -> Announcement {
    let parts = shared.parts.lock().unwrap_or_else(PoisonError::into_inner);
    Announcement {
        system: system.name,
        address: config.api,
        url: format!("http://{}", config.api),
        pid: std::process::id(),
        parts: parts.iter().map(|(name, alive)| (name.clone(), alive.pid)).collect(),
        ca: None,
        data: config.data.clone(),
        truth: config.truth.clone(),
    }
}

async fn wait_until_ready(config: &Config, shared: &Shared, runners: usize) -> Result<(), String> {
    let watch = Watch::start();
    let ask = |address| Client::new(address, &config.key);
    let clients = [(ask(config.api), "/api/status"), (ask(config.storage), "/health")];
    let queues = QueueName::ALL.map(|queue| ask(config.queue(queue)));
    let mut last = String::new();
    while watch.elapsed() < READY {
        match all_ready(&clients, &queues, runners).await {
            Ok(()) => return Ok(()),
            Err(why) => last = why,
        }
        clock::about(Duration::from_millis(5)).await;
    }
    let parts = shared.parts.lock().unwrap_or_else(PoisonError::into_inner);
    Err(format!(
        "the parts are not ready after {READY}: {last}; running: {:?}",
        parts.keys().collect::<Vec<_>>()
    ))
}

/// Asks the parts themselves: the health route may have been told to lie.
async fn all_ready(clients: &[(Client, &str)], queues: &[Client], runners: usize) -> Result<(), String> {
    for (client, path) in clients {
        let answer = client.get(path).await?;
        if answer.status != 200 {
            return Err(format!("{path} answers {}", answer.status));
        }
    }
    for queue in queues {
        let status = queue.get("/status").await?.json();
        if status["workers"].as_array().is_none_or(|workers| workers.len() < runners) {
            return Err(format!("workers are missing: {status}"));
        }
    }
    Ok(())
}

struct Shared {
    parts: Mutex<Parts>,
    data: PathBuf,
    config: PathBuf,
}

impl Shared {
    fn note(&self, name: &str, alive: Option<Alive>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match alive {
            Some(alive) => parts.insert(name.to_owned(), alive),
            None => parts.remove(name),
        };
        // a list that cannot be written is an old list, nothing worse
        let _ = write_whole(&parts_file(&self.data), &*parts);
    }
}

/// Starts one part again and again until it is told to stop.
async fn keep(part: Part, socket: Option<TcpListener>, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let name = part.name();
    let mut pause = PAUSE;
    let mut restarts = 0;
    while !*stop.borrow() {
        let watch = Watch::start();
        if let Ok(mut child) = spawn(part, socket.as_ref(), &shared.config) {
            let pid = child.id().unwrap_or(0);
            shared.note(&name, Some(Alive { pid, restarts, since_us: unix_us() }));
            tokio::select! {
                _ = child.wait() => {}
                _ = stop.changed() => end(child).await,
            }
            shared.note(&name, None);
        }
        restarts += 1;
        pause = if watch.elapsed() >= STEADY { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = clock::about(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn end(mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(DRAIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn spawn(part: Part, socket: Option<&TcpListener>, config: &Path) -> std::io::Result<Child> {
    let stdin = match socket {
        Some(socket) => Stdio::from(OwnedFd::from(socket.try_clone()?)),
        None => Stdio::null(),
    };
    // the running program itself, even if its file was replaced meanwhile
    Command::new("/proc/self/exe")
        .arg0(std::env::current_exe()?)
        .args(part::arguments(part, config))
        .stdin(stdin)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

struct Sockets {
    api: TcpListener,
    legacy: TcpListener,
    broker: TcpListener,
    storage: TcpListener,
}

impl Sockets {
    fn open(port: u16) -> Result<Sockets, String> {
        let open = |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            serve::listen(address).map_err(|e| format!("cannot listen on {address}: {e}"))
        };
        Ok(Sockets { api: open(port)?, legacy: open(0)?, broker: open(0)?, storage: open(0)? })
    }

    /// The socket of a part, if it has one.
    fn of(&self, part: Part) -> Result<Option<TcpListener>, String> {
        let socket = match part {
            Part::Api => &self.api,
            Part::Storage => &self.storage,
            Part::Queue(QueueName::Legacy) => &self.legacy,
            Part::Queue(QueueName::Broker) => &self.broker,
            Part::Worker(..) => return Ok(None),
        };
        socket.try_clone().map(Some).map_err(|e| format!("cannot hand a socket down: {e}"))
    }

    fn config(&self, data: &Path, truth: &Truth, sandbox: &Sandbox) -> Result<Config, String> {
        let address =
            |socket: &TcpListener| socket.local_addr().map_err(|e| format!("cannot tell the address: {e}"));
        let layers =
            sandbox.layers().into_iter().map(|layer| (layer.name.into(), layer.active, layer.detail));
        Ok(Config {
            data: data.to_owned(),
            truth: truth.given.clone(),
            api: address(&self.api)?,
            legacy: address(&self.legacy)?,
            broker: address(&self.broker)?,
            storage: address(&self.storage)?,
            key: format!("{:x}-{:x}", unix_us(), std::process::id()),
            supervisor: std::process::id(),
            layers: layers.collect(),
            python: sandbox.version().to_owned(),
        })
    }
}

/// Replaces a file as a whole, so that a reader never sees half of it.
fn write_whole(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let told = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
    let text = serde_json::to_vec(value).map_err(|e| e.to_string())?;
    let other = path.with_extension("new");
    std::fs::write(&other, text).map_err(told)?;
    std::fs::rename(&other, path).map_err(told)
}
