//! Experiments: what to send, led by the answers.
//!
//! An experiment is a list of [`Act`]s. A [`Player`] turns it into requests one after the other, so that the same
//! experiment can be made over sockets, against a simulated server, and in thought by each model.

use super::seen::{Seen, Verdict};

/// A part of an experiment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// From here on, send this variant of the request.
    As(u8),
    /// Send nothing for so many seconds.
    Wait(f64),
    /// Remember this instant.
    Mark,
    /// Send nothing until so many seconds after the last mark.
    Until(f64),
    /// Send without pause until `refusals` were refused or `most` were sent; `lanes` at once, the next ones when all of
    /// these were answered.
    Burst {
        /// Most requests.
        most: u64,
        /// Refusals that end it.
        refusals: u64,
        /// Requests under way at once.
        lanes: u64,
    },
    /// Send so many, one each `every` seconds, the first at once.
    Singles {
        /// Requests.
        count: u64,
        /// Seconds between two.
        every: f64,
    },
    /// Ask again and again until one passes, for at most `longest` seconds. The pause between two is `first` or
    /// `growth` of the time that has passed, whichever is longer. Watches that follow each other are parts of one: when
    /// one passes, the others are left out.
    Watch {
        /// Shortest pause, seconds.
        first: f64,
        /// Share of the time that has passed.
        growth: f64,
        /// When it is given up, seconds.
        longest: f64,
    },
}

/// Seconds that acts take at least: their waits.
pub(crate) fn least_length(acts: &[Act]) -> f64 {
    let (mut now, mut mark) = (0.0, 0.0);
    for act in acts {
        match act {
            Act::Wait(seconds) => now += seconds,
            Act::Mark => mark = now,
            Act::Until(seconds) => now = f64::max(now, mark + seconds),
            _ => {}
        }
    }
    now
}

/// What a player wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Send `count` requests of variant `key` at `at`, then tell all their answers.
    Fire {
        /// Instant, seconds; may have passed already.
        at: f64,
        /// Requests at once.
        count: u64,
        /// Variant.
        key: u8,
    },
    /// The experiment is over.
    Done,
}

/// Broken answers in a row that end a burst.
const BROKEN: u64 = 12;

/// Plays an experiment.
#[derive(Clone, Debug)]
pub struct Player {
    acts: Vec<Act>,
    index: usize,
    key: u8,
    /// Begin of the present act.
    begun: f64,
    /// The last mark.
    mark: f64,
    /// Nothing is sent after this instant.
    end: f64,
    sent: u64,
    refused: u64,
    broken: u64,
    passed: bool,
    /// Of a watch: time after its begin at which the next one is due.
    due: f64,
}

impl Player {
    /// A player that begins at `now` and sends nothing after `end`.
    pub fn new(acts: Vec<Act>, now: f64, end: f64) -> Player {
        let mut player = Player {
            acts,
            index: 0,
            key: 0,
            begun: now,
            mark: now,
            end,
            sent: 0,
            refused: 0,
            broken: 0,
            passed: false,
            due: 0.0,
        };
        player.enter(now);
        player
    }

    fn enter(&mut self, now: f64) {
        (self.begun, self.sent, self.refused, self.broken, self.passed) = (now, 0, 0, 0, false);
        self.due = match self.acts.get(self.index) {
            Some(Act::Watch { first, .. }) => *first,
            _ => 0.0,
        };
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: f64) -> Next {
        loop {
            let Some(act) = self.acts.get(self.index).copied() else { return Next::Done };
            let mut over = now;
            let fire = match act {
                Act::As(key) => {
                    self.key = key;
                    None
                }
                Act::Wait(seconds) => {
                    // the instant is kept, so that waiting costs nobody a late wake-up
                    over = self.begun + seconds;
                    None
                }
                Act::Mark => {
                    self.mark = self.begun;
                    over = self.begun;
                    None
                }
                Act::Until(seconds) => {
                    over = self.begun.max(self.mark + seconds);
                    None
                }
                Act::Burst { most, refusals, lanes } => {
                    let more = self.sent < most && self.refused < refusals && self.broken < BROKEN;
                    more.then(|| (self.begun.max(now), lanes.clamp(1, most - self.sent)))
                }
                Act::Singles { count, every } => {
                    (self.sent < count).then_some((self.begun + self.sent as f64 * every, 1))
                }
                Act::Watch { longest, .. } => {
                    (!self.passed && self.due <= longest).then_some((self.begun + self.due, 1))
                }
            };
            match fire {
                Some((at, _)) if at > self.end => return Next::Done,
                Some((at, count)) => return Next::Fire { at, count, key: self.key },
                None => {
                    let watched = matches!(act, Act::Watch { .. }) && self.passed;
                    self.index += 1;
                    // the rest of a watch in several parts
                    while watched && matches!(self.acts.get(self.index), Some(Act::Watch { .. })) {
                        self.index += 1;
                    }
                    self.enter(over);
                }
            }
        }
    }

    /// Tells the answers to what was fired last.
    pub fn saw(&mut self, answers: &[Seen]) {
        let count = |verdict| answers.iter().filter(|seen| seen.verdict == verdict).count() as u64;
        self.sent += answers.len() as u64;
        self.refused += count(Verdict::Refused);
        self.passed |= count(Verdict::Passed) > 0;
        self.broken = if count(Verdict::Broken) == answers.len() as u64 { self.broken + 1 } else { 0 };
        if let Some(Act::Watch { first, growth, .. }) = self.acts.get(self.index) {
            let late = answers.iter().map(|seen| seen.answered - self.begun).fold(self.due, f64::max);
            self.due = (self.due + first.max(growth * self.due)).max(late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Hints;

    fn passed(at: f64) -> Seen {
        Seen {
            sent: at,
            answered: at + 0.1,
            key: 0,
            verdict: Verdict::Passed,
            status: 200,
            hints: Hints::default(),
        }
    }

    #[test]
    fn instants_after_a_mark_do_not_drift_with_answers() {
        let one = Act::Singles { count: 1, every: 0.0 };
        let acts = vec![one, Act::Mark, Act::Until(2.0), one, Act::Until(3.0), one];
        let mut player = Player::new(acts, 10.0, 100.0);
        let (mut now, mut sent) = (10.0, Vec::new());
        while let Next::Fire { at, .. } = player.next(now) {
            sent.push(at);
            player.saw(&[passed(at)]);
            now = at.max(now) + 0.1;
        }
        // marked when the first answer was there
        assert_eq!(sent, [10.0, 12.1, 13.1]);
    }

    #[test]
    fn waits_are_added_and_instants_are_not() {
        let acts = [Act::Wait(2.0), Act::Mark, Act::Until(1.0), Act::Until(4.0), Act::Wait(0.5)];
        assert_eq!(least_length(&acts), 6.5);
    }

    #[test]
    fn an_instant_that_has_passed_is_now() {
        let one = Act::Singles { count: 1, every: 0.0 };
        let mut player = Player::new(vec![Act::Mark, Act::Wait(5.0), Act::Until(2.0), one], 0.0, 100.0);
        assert_eq!(player.next(0.0), Next::Fire { at: 5.0, count: 1, key: 0 });
    }
}
