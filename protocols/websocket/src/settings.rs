//! What holds for all sockets of a plan.

/// Settings of all sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// Whether per-message deflate is offered unless a step says otherwise.
    pub compress: bool,
    /// Largest message that is taken, in bytes, both as sent and as inflated.
    pub max_message: u64,
}

impl Default for WebSocketSettings {
    fn default() -> WebSocketSettings {
        WebSocketSettings { compress: true, max_message: 1 << 20 }
    }
}
