//! The words that the parts say to each other.

use crate::sandbox::End;
use serde::{Deserialize, Serialize};

/// A queue and the half of the traffic that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueName {
    /// The old one.
    Legacy,
    /// The new one.
    Broker,
}

impl QueueName {
    /// Both, the old one first.
    pub(crate) const ALL: [QueueName; 2] = [QueueName::Legacy, QueueName::Broker];

    /// As it is written in ids, answers and names of processes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            QueueName::Legacy => "legacy",
            QueueName::Broker => "broker",
        }
    }

    /// The queue of a job, from its id.
    pub(crate) fn of(id: &str) -> Option<QueueName> {
        let (name, _) = id.split_once('-')?;
        QueueName::ALL.into_iter().find(|queue| queue.as_str() == name)
    }
}

/// A job as the API hands it to a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) timeout_ms: u64,
    pub(crate) priority: bool,
    /// The submitter's own name for the job.
    pub(crate) reference: Option<String>,
    /// When the API got it, microseconds since the Unix epoch.
    pub(crate) created_us: u64,
}

/// A job as a queue hands it to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) task: Task,
    /// Its durable number in the queue.
    pub(crate) number: u64,
    /// When the queue committed it.
    pub(crate) queued_us: u64,
    /// Counts the deliveries of this job; a later one fences off all earlier ones.
    pub(crate) attempt: u64,
    /// An effect that is to happen a second time: a bug on demand.
    pub(crate) again: bool,
}

/// What storage knows of a job before anything happens to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) reference: Option<String>,
    pub(crate) created_us: u64,
    pub(crate) queued_us: u64,
}

impl Delivery {
    /// What storage is to know of it.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            id: self.task.id.clone(),
            number: self.number,
            reference: self.task.reference.clone(),
            created_us: self.task.created_us,
            queued_us: self.queued_us,
        }
    }
}

/// A worker asks to run a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) entry: Entry,
    pub(crate) attempt: u64,
    pub(crate) worker: String,
    pub(crate) again: bool,
}

/// How a job ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// `completed`, `failed`, `timeout` or `cancelled`.
    pub(crate) status: String,
    /// Finer than the status, as in `syntax_error`.
    pub(crate) reason: String,
    pub(crate) output: String,
    pub(crate) error: String,
    pub(crate) execution_us: u64,
    pub(crate) cpu_us: u64,
    pub(crate) peak_memory: u64,
}

/// A worker hands in what came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) claim: Claim,
    pub(crate) ending: Ending,
}

/// A job ends without having been run: cancelled, or given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Closing {
    pub(crate) entry: Entry,
    pub(crate) ending: Ending,
}

/// A delivery came to nothing: the job waits again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Return {
    pub(crate) id: String,
    pub(crate) attempt: u64,
}

/// Status and reason for the end of a program.
pub(crate) fn judge(end: End) -> (&'static str, &'static str) {
    match end {
        End::Exited(0) => ("completed", "completed"),
        End::Exited(_) => ("failed", "exit_code"),
        End::Signalled(_) => ("failed", "crash"),
        End::Syntax => ("failed", "syntax_error"),
        End::Raised => ("failed", "runtime_error"),
        End::Time => ("timeout", "timeout"),
        End::Memory => ("failed", "memory"),
        End::Output => ("failed", "output_limit"),
        End::Stopped => ("cancelled", "killed"),
    }
}

/// The states that stay.
pub(crate) const FINAL: [&str; 4] = ["completed", "failed", "timeout", "cancelled"];
