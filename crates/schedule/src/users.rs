//! Closed load: when each user is active under a target curve.
//!
//! At every instant the active users are `0..n`, where `n` is the curve's value just after that instant, rounded up: a
//! ramp from 0 begins with its first user at once, and a user stops when the curve has come down to its number. The
//! highest users stop first.

use crate::{Curve, UserSpan};
use crucible_core::{Ns, Share};

/// The stretches of time in which the users of `share` are active, in rising order of (begin, user). A user that stops
/// and starts again has several; touching ones are merged.
pub fn user_spans(users: &Curve, share: Share) -> Vec<UserSpan> {
    let mut active = Active { starts: Vec::new(), spans: Vec::new(), share };
    let mut begin = Ns::ZERO;
    for piece in users.pieces.iter().filter(|piece| piece.length > Ns::ZERO) {
        let clean = |value: f64| if value > 0.0 { value.min(1e9) } else { 0.0 };
        let (from, to) = (clean(piece.from), clean(piece.to));
        let crossing = |user: u64| {
            let part = (user as f64 - from) / (to - from);
            begin + Ns((part * piece.length.0 as f64).round() as u64).min(piece.length)
        };
        if to > from {
            active.set(from as u64 + 1, begin);
            for user in from as u64 + 1..to.ceil() as u64 {
                active.set(user + 1, crossing(user));
            }
        } else {
            active.set(from.ceil() as u64, begin);
            for user in (to as u64 + 1..from.ceil() as u64).rev() {
                active.set(user, crossing(user));
            }
        }
        begin += piece.length;
    }
    active.set(0, begin);
    active.spans.sort_unstable_by_key(|span| (span.from, span.user));
    active.spans
}

/// The users that are active: a stack, since the highest stop first.
struct Active {
    starts: Vec<Ns>,
    spans: Vec<UserSpan>,
    share: Share,
}

impl Active {
    /// Makes `0..count` the active users from `at` on.
    fn set(&mut self, count: u64, at: Ns) {
        let count = count as usize;
        while self.starts.len() > count {
            let Some(from) = self.starts.pop() else { return };
            let user = self.starts.len() as u64;
            if from < at && self.share.owns(user) {
                self.spans.push(UserSpan { user, from, to: at });
            }
        }
        if self.starts.len() < count {
            self.starts.resize(count, at);
        }
    }
}
