//! One step on a line as the plan says it: opens, sends, waits, closes, in this order; each part may be absent.

use super::condition::{Condition, Conditions};
use super::part::Part;
use super::request::Content;
use crate::spec::RequestSpec;
use crate::status::StatusMatch;
use crucible_core::{MeasureSpec, Ns, Slot, StepSpec};
use std::sync::Arc;

/// See the module text. What [`StepSpec::body`] holds.
#[derive(Clone, Debug, Default)]
pub struct StreamStep {
    /// For reports, as in `WS /ws`.
    pub name: String,
    /// Opens a line.
    pub open: Option<Open>,
    /// Name of the line: of the one that is opened, or of the one that the step is about.
    pub line: Option<String>,
    /// Sends a message.
    pub send: Option<Outgoing>,
    /// Waits.
    pub wait: Wait,
    /// Closes with this code.
    pub close: Option<u16>,
    /// Time limit of the waiting.
    pub within: Option<Ns>,
    /// Time limit of the whole, waiting by `hold` not counted.
    pub timeout: Option<Ns>,
    /// Messages that nobody waits for are forgotten if they meet these conditions; no condition is all of them.
    pub ignore: Option<Conditions>,
    /// Demands in the order of their bits; what cannot be kept has bits behind them.
    pub demands: Vec<Demand>,
    /// Values to keep.
    pub keeps: Vec<Keep>,
    /// Where a message says when it was sent, and the index of the measure.
    pub latency: Option<Latency>,
    /// Index of the measure that counts messages.
    pub count: Option<usize>,
    /// The measures.
    pub measures: Vec<MeasureSpec>,
}

/// How a line is opened.
#[derive(Clone, Debug)]
pub struct Open {
    /// The word that opened it: `ws` or `sse`.
    pub word: &'static str,
    /// The request that it begins with.
    pub request: RequestSpec,
    /// Subprotocols to offer.
    pub subprotocols: Vec<String>,
    /// Whether compression is offered, if other than the settings say.
    pub compress: Option<bool>,
    /// Whether a later step, or one that waits, opens it again.
    pub reconnect: bool,
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its bytes.
    pub payload: Payload,
}

/// Bytes of a message.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Text, rendered for each operation.
    Text(Content),
    /// Bytes that are always the same.
    Binary(Arc<[u8]>),
}

/// What a step waits for.
#[derive(Clone, Debug, Default)]
pub enum Wait {
    /// Nothing.
    #[default]
    Nothing,
    /// A message that meets these conditions.
    Expect(Conditions),
    /// The peer's close with one of these codes; none is any code.
    Closed(Vec<u16>),
    /// So many messages.
    Receive(u64),
    /// So much time.
    Hold(Ns),
}

/// A demand with a bit of its own.
#[derive(Clone, Debug)]
pub enum Demand {
    /// On the status of the handshake; replaces the rule that only an open line is good.
    Status(StatusMatch),
    /// On a header of the handshake's answer: its name, and what must hold for its value as text.
    Header(String, Condition),
    /// On the message that was waited for.
    Message(Condition),
    /// The peer closed with one of these codes.
    Closed(Vec<u16>),
}

/// A value to keep.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Its name.
    pub name: String,
    /// Its place in the scope.
    pub slot: Slot,
    /// Where it is found: a part of the message, or else a header of the handshake's answer.
    pub from: Result<Part, String>,
    /// As the plan wrote it.
    pub text: String,
}

/// See [`StreamStep::latency`].
#[derive(Clone, Debug)]
pub struct Latency {
    /// Where the instant is.
    pub from: Part,
    /// Index of the measure, in ms.
    pub measure: usize,
}

impl Demand {
    /// Its name in records and reports.
    pub fn name(&self) -> String {
        match self {
            Demand::Status(status) => format!("status {status}"),
            Demand::Header(name, condition) => {
                format!("header.{name}{}", condition.name.trim_start_matches("text"))
            }
            Demand::Message(condition) => condition.name.clone(),
            Demand::Closed(list) if list.is_empty() => "closed".to_owned(),
            Demand::Closed(list) => {
                format!("close {}", list.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "))
            }
        }
    }
}

impl StreamStep {
    /// Names of the checks in the order of their bits.
    pub fn check_names(&self) -> Vec<String> {
        let keeps = self.keeps.iter().map(|keep| format!("save {} from {}", keep.name, keep.text));
        self.demands.iter().map(Demand::name).chain(keeps).collect()
    }

    /// Whether the answer to what is sent is waited for in the same step.
    pub(crate) fn is_round_trip(&self) -> bool {
        self.send.is_some() && matches!(self.wait, Wait::Expect(_) | Wait::Receive(_))
    }

    /// The form in which steps carry it.
    pub fn into_step(self) -> StepSpec {
        StepSpec {
            default_name: self.name.clone(),
            checks: self.check_names(),
            measures: self.measures.clone(),
            body: Arc::new(self),
        }
    }
}
