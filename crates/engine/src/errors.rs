//! The few failure texts that a shard keeps for people. Counting by class happens in the frames; this is only the
//! "what did it say" beside the numbers, so it is bounded in every direction.

use crucible_core::{ErrorClass, StepId};
use crucible_record::ErrorNote;

const DISTINCT: usize = 64;
const FORMATTED: u32 = 10_000;

#[derive(Default)]
pub(crate) struct ErrorBook {
    notes: Vec<ErrorNote>,
    formatted: u32,
}

impl ErrorBook {
    /// Whether a further text is worth making.
    pub(crate) fn wants(&self) -> bool {
        self.formatted < FORMATTED
    }

    pub(crate) fn note(&mut self, step: StepId, class: ErrorClass, text: &str) {
        self.formatted += 1;
        let room = self.notes.len() < DISTINCT;
        let known =
            self.notes.iter_mut().find(|n| n.step == step && n.class == class.name() && n.text == text);
        match known {
            Some(note) => note.times += 1,
            None if room => {
                self.notes.push(ErrorNote { step, class: class.name().into(), text: text.into(), times: 1 });
            }
            None => {}
        }
    }

    /// The text that was met last for the first time.
    pub(crate) fn last(&self) -> Option<&str> {
        self.notes.last().map(|note| note.text.as_str())
    }

    pub(crate) fn take(&mut self) -> Vec<ErrorNote> {
        std::mem::take(&mut self.notes)
    }
}
