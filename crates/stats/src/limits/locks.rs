//! Between which two times a lock must have lasted: refused once more, then passed.
//!
//! Only what the client itself saw is used, no belief about the network: a refused request arrived after it was sent, so
//! the lock lasted at least until then; one that passed arrived before its answer came.

use super::seen::{Seen, Verdict};

/// For each lock that was seen to its end: the longest time that it lasted for sure, and the shortest that it cannot
/// have exceeded, counted from the last request that passed before it.
pub(crate) fn brackets(seen: &[Seen]) -> Vec<(f64, f64)> {
    let (mut all, mut begun, mut refused): (_, Option<&Seen>, Option<f64>) = (Vec::new(), None, None);
    for seen in seen.iter().filter(|seen| seen.key == 0) {
        match (seen.verdict, begun) {
            // of what was under way at once nobody knows which came first
            (Verdict::Refused, Some(begin)) if seen.sent >= begin.answered => {
                refused = Some(refused.map_or(seen.sent, |at| at.max(seen.sent)));
            }
            (Verdict::Passed, Some(begin)) => {
                if let Some(last) = refused.take() {
                    all.push(((last - begin.answered).max(0.0), seen.answered - begin.sent));
                }
                begun = Some(seen);
            }
            (Verdict::Passed, None) => begun = Some(seen),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Hints;

    #[test]
    fn a_lock_lies_between_the_last_refusal_and_what_passed() {
        let one = |sent: f64, answered: f64, verdict: Verdict| {
            let hints = Hints::default();
            Seen { sent, answered, key: 0, verdict, status: 0, hints }
        };
        use Verdict::{Broken, Passed, Refused};
        let seen = [
            one(0.0, 0.1, Passed),
            one(1.0, 1.5, Passed),
            one(1.2, 1.3, Refused),
            one(2.0, 2.1, Refused),
            // its answer came late, but it was sent when the lock held
            one(9.0, 12.0, Refused),
            one(12.5, 12.6, Broken),
            one(13.0, 13.5, Passed),
            one(14.0, 14.1, Refused),
        ];
        assert_eq!(brackets(&seen), [(7.5, 12.5)]);
    }
}
