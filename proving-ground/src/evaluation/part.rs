//! One part as a process: how it is told what to be, and how it begins.
//!
//! The supervisor starts it as `PROGRAM ground evaluation --part NAME --config FILE`, with the listening socket,
//! if the part has one, as standard input: the socket stays open in the supervisor, so connections that are
//! made while the part is away wait for its return instead of being refused.

use super::job::QueueName;
use super::{api, queue, storage, worker};
use crate::serve::{self, Application};
use crate::truth::Truth;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;

/// What every part must know, as a JSON file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) truth: Vec<String>,
    pub(crate) api: SocketAddr,
    pub(crate) legacy: SocketAddr,
    pub(crate) broker: SocketAddr,
    pub(crate) storage: SocketAddr,
    /// What the parts show each other.
    pub(crate) key: String,
    /// Process id of the supervisor.
    pub(crate) supervisor: u32,
    /// Name, whether active, and detail of each layer of the sandbox.
    pub(crate) layers: Vec<(String, bool, String)>,
    pub(crate) python: String,
}

impl Config {
    /// Where a queue listens.
    pub(crate) fn queue(&self, queue: QueueName) -> SocketAddr {
        match queue {
            QueueName::Legacy => self.legacy,
            QueueName::Broker => self.broker,
        }
    }
}

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Api,
    Storage,
    Queue(QueueName),
    /// The n-th worker of a queue, from 1.
    Worker(QueueName, usize),
}

impl Part {
    /// Its name, as in `broker-worker-2`.
    pub(crate) fn name(self) -> String {
        match self {
            Part::Api => "api".into(),
            Part::Storage => "storage".into(),
            Part::Queue(queue) => queue.as_str().into(),
            Part::Worker(queue, number) => format!("{}-worker-{number}", queue.as_str()),
        }
    }

    fn parse(name: &str) -> Option<Part> {
        let fixed =
            [Part::Api, Part::Storage, Part::Queue(QueueName::Legacy), Part::Queue(QueueName::Broker)];
        let of_queue = |queue: QueueName| {
            let number = name.strip_prefix(queue.as_str())?.strip_prefix("-worker-")?.parse().ok()?;
            Some(Part::Worker(queue, number))
        };
        fixed
            .into_iter()
            .find(|part| part.name() == name)
            .or_else(|| QueueName::ALL.into_iter().find_map(of_queue))
    }
}

/// Arguments with which the supervisor starts a part, the program's own name left out.
pub(crate) fn arguments(part: Part, config: &Path) -> Vec<String> {
    let config = config.to_string_lossy().into_owned();
    ["ground".into(), super::SYSTEM.name.into(), "--part".into(), part.name(), "--config".into(), config]
        .into()
}

/// Runs one part of a system, if that is what the arguments of the process, its own name included, ask for;
/// `None` if they ask for something else. Blocks until the part is told to stop.
///
/// Every program that calls [`crate::System::run`] must call this first: systems of several processes start
/// the program that they run in again. The error fits "failed to run the part: ...".
pub fn run_part(arguments: &[String]) -> Option<Result<(), String>> {
    let [_, ground, system, flag, name, config_flag, config] = arguments else { return None };
    if (ground.as_str(), system.as_str(), flag.as_str()) != ("ground", super::SYSTEM.name, "--part") {
        return None;
    }
    if config_flag != "--config" {
        return Some(Err("the configuration of the part is missing".into()));
    }
    Some(begin(name, Path::new(config)))
}

fn begin(name: &str, config: &Path) -> Result<(), String> {
    let part = Part::parse(name).ok_or_else(|| format!("there is no part {name:?}"))?;
    let text = std::fs::read(config).map_err(|e| format!("cannot read {}: {e}", config.display()))?;
    let config: Config =
        serde_json::from_slice(&text).map_err(|e| format!("cannot read {name}'s settings: {e}"))?;
    // no part outlives the supervisor; one that died before this call is seen by the parent's id
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| format!("cannot follow the supervisor: {e}"))?;
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get().unsigned_abs() != config.supervisor) {
        return Ok(());
    }
    let truth = Truth::parse(&config.truth)?;
    let threads = if part == Part::Api { 2 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))?;
    let result = runtime.block_on(async {
        let stop = serve::stop_signal()?;
        let application = match part {
            Part::Worker(queue, _) => return worker::run(name, queue, &config, &truth, stop).await,
            Part::Api => api::build(&config, truth)?,
            Part::Storage => guard(storage::build(&config, truth)?, &config.key),
            Part::Queue(queue) => guard(queue::build(queue, &config, truth)?, &config.key),
        };
        serve::serve(application, listener()?, stop).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    result
}

/// The socket that the supervisor hands down.
fn listener() -> Result<TcpListener, String> {
    let told = |e: std::io::Error| format!("cannot take over the socket: {e}");
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(told)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).map_err(told)?;
    TcpListener::from_std(listener).map_err(told)
}

/// Lets only those in who show the key.
fn guard(application: Application, key: &str) -> Application {
    let key: std::sync::Arc<str> = key.into();
    let router = application.router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let shown =
            request.headers().get("x-api-key").is_some_and(|value| value.as_bytes() == key.as_bytes());
        async move { if shown { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) } }
    }));
    Application { router, ..application }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for part in
            [Part::Api, Part::Storage, Part::Queue(QueueName::Legacy), Part::Worker(QueueName::Broker, 12)]
        {
            assert_eq!(Part::parse(&part.name()), Some(part));
        }
        for wrong in ["", "worker", "broker-worker-", "broker-worker-x", "other"] {
            assert_eq!(Part::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn other_arguments_are_left_alone() {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for list in [&["crucible", "run", "plan.yaml"][..], &["crucible", "ground", "evaluation"], &[]] {
            assert!(run_part(&own(list)).is_none());
        }
        let wrong = ["crucible", "ground", "evaluation", "--part", "nothing", "--config", "none"];
        assert!(run_part(&own(&wrong)).unwrap().is_err());
    }
}
