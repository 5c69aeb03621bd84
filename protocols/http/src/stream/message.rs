//! One message of a peer, and the JSON in it, read at most once.

use crucible_core::Ns;
use serde_json::Value;
use std::cell::OnceCell;

/// A whole message as it came out of the codec.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its bytes; UTF-8 unless `binary`.
    pub data: Vec<u8>,
    /// Whether it was sent as binary.
    pub binary: bool,
    /// Name of the event (server-sent events), empty for sockets.
    pub event: String,
    /// Last event id (server-sent events), empty for sockets.
    pub id: String,
    /// When it arrived, on the probe's clock; `None` if it lay in the kernel while nobody looked.
    pub(crate) at: Option<Ns>,
    json: OnceCell<Option<Box<Value>>>,
}

impl Message {
    /// A message with these bytes.
    pub fn new(data: Vec<u8>, binary: bool) -> Message {
        Message { data, binary, ..Message::default() }
    }

    /// Bytes that it holds in memory, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Message>() + self.data.capacity() + self.event.capacity() + self.id.capacity()
    }

    /// The JSON in it; `None` if it is none.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.json.get_or_init(|| serde_json::from_slice(&self.data).ok().map(Box::new)).as_deref()
    }
}
