//! What came back for one request.

use super::headers::Hints;

/// What an answer says about a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The limiter let it pass, whatever the server then answered.
    Passed,
    /// A limiter's refusal: 429, or another status that says when to come back.
    Refused,
    /// Neither: an error of the server or the network. Nobody knows whether it was counted.
    Broken,
}

/// One request and its answer. Instants are seconds since the probing began.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was sent.
    pub sent: f64,
    /// When the answer was complete.
    pub answered: f64,
    /// Which variant of the request: 0 is the plain one, others differ in one thing.
    pub key: u8,
    /// What the answer means.
    pub verdict: Verdict,
    /// The status; 0 if there was no answer.
    pub status: u16,
    /// What the answer's headers say about a limit.
    pub hints: Hints,
}

impl Seen {
    /// From sending to the end of the answer, seconds.
    pub fn took(&self) -> f64 {
        (self.answered - self.sent).max(0.0)
    }
}

/// One request as a model sees it: when it probably arrived, and whether it passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub at: f64,
    pub key: u8,
    pub passed: bool,
}

/// All that was seen, in the order of arrival, as far as models can use it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub events: Vec<Event>,
    /// Typical error of an arrival instant, seconds.
    pub noise: f64,
}

/// Share of the round trip, and least error, by which arrivals are blurred.
const BLUR: (f64, f64) = (0.15, 0.001);

impl Log {
    pub(crate) fn new(seen: &[Seen]) -> Log {
        let mut trips: Vec<f64> =
            seen.iter().filter(|s| s.verdict != Verdict::Broken).map(Seen::took).collect();
        trips.sort_by(f64::total_cmp);
        let at = |share: f64| trips.get((trips.len() as f64 * share) as usize).copied().unwrap_or(0.0);
        let (least, most) = (at(0.0), at(0.8));
        let noise = BLUR.1 + BLUR.0 * least + 0.3 * (most - least).min(5.0 * least + 0.002);
        let mut events: Vec<Event> = seen
            .iter()
            .filter(|s| s.verdict != Verdict::Broken)
            .map(|s| Event {
                at: s.sent + 0.5 * least.min(s.took()),
                key: s.key,
                passed: s.verdict == Verdict::Passed,
            })
            .collect();
        // of requests sent at once, those that passed came first
        events.sort_by(|a, b| a.at.total_cmp(&b.at).then(b.passed.cmp(&a.passed)));
        Log { events, noise }
    }
}
