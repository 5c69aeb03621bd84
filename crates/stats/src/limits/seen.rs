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
    /// Typical error of `at`, seconds: more for an answer that took unusually long.
    pub noise: f64,
    /// By how much it may have arrived late, seconds; 0 for an answer that took as long as others.
    pub late: f64,
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
/// Share of the time that an answer took longer than others of its kind by which its arrival is blurred.
const LATE: f64 = 0.6;
/// An answer is late beyond so many times the noise.
const UNUSUAL: f64 = 3.0;

impl Log {
    pub(crate) fn new(seen: &[Seen]) -> Log {
        let answered = || seen.iter().filter(|s| s.verdict != Verdict::Broken);
        let trips = sorted(answered().map(Seen::took).collect());
        let (least, most) = (at(&trips, 0.0), at(&trips, 0.8));
        let noise = BLUR.1 + BLUR.0 * least + 0.3 * (most - least).min(5.0 * least + 0.002);
        let of = |verdict| {
            let trips = answered().filter(|s| s.verdict == verdict).map(Seen::took).collect();
            at(&sorted(trips), 0.5)
        };
        let (passed, refused) = (of(Verdict::Passed), of(Verdict::Refused));
        let mut events: Vec<Event> = answered()
            .map(|s| {
                let usual = if s.verdict == Verdict::Passed { passed } else { refused };
                let late = (s.took() - usual - noise).max(0.0);
                Event {
                    // anywhere within the time that it was late
                    at: s.sent + 0.5 * (least.min(s.took()) + late),
                    key: s.key,
                    passed: s.verdict == Verdict::Passed,
                    noise: noise + LATE * late,
                    late: if late > UNUSUAL * noise { late } else { 0.0 },
                }
            })
            .collect();
        // of requests sent at once, those that passed came first
        events.sort_by(|a, b| a.at.total_cmp(&b.at).then(b.passed.cmp(&a.passed)));
        Log { events, noise }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or(0.0)
}
