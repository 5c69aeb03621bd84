//! The stored forms of events: self-describing MessagePack with named fields.
//!
//! Rules that keep old and new versions together: every field has a default, so records without it still read;
//! unknown fields are skipped; enumerations are words or, where they index arrays, lists that may grow at the end.
//! Histograms are the bytes of their own compact form. Everything read is foreign: figures that no run can have are
//! refused, so that later sums cannot overflow and memory stays in proportion.

mod started;
mod window;

use crate::event::{
    ErrorNote, Finding, Finished, Gap, Note, NoteKind, PhaseStarted, Reading, RunEvent, StopReason,
};
use crucible_core::{Ns, StepId};
use serde::{Deserialize, Serialize};
use started::{PlannedForm, StartedForm};
use window::WindowForm;

/// Version of the stored forms that is written. Raised when a reader of the old version would misread, not when
/// fields are added.
pub(crate) const FORMAT: u32 = 1;

/// Most steps, scenarios, tests or phases that a record may name.
const MOST_ROWS: usize = 20_000;

/// The word under which an event is stored.
pub(crate) fn kind(event: &RunEvent) -> &'static str {
    match event {
        RunEvent::Started(_) => "started",
        RunEvent::Phase(_) => "phase",
        RunEvent::Window(_) => "window",
        RunEvent::Planned(_) => "planned",
        RunEvent::Reading(_) => "reading",
        RunEvent::Finding(_) => "finding",
        RunEvent::Note(_) => "note",
        RunEvent::Gap(_) => "gap",
        RunEvent::Finished(_) => "finished",
    }
}

/// The stored form of an event; the error is for people.
pub(crate) fn encode(event: &RunEvent) -> Result<Vec<u8>, String> {
    let bytes = match event {
        RunEvent::Started(it) => rmp_serde::to_vec_named(&StartedForm::from(&**it)),
        RunEvent::Phase(it) => rmp_serde::to_vec_named(&PhaseForm { phase: it.phase, at: it.at.0 }),
        RunEvent::Window(it) => rmp_serde::to_vec_named(&WindowForm::from(&**it)),
        RunEvent::Planned(it) => rmp_serde::to_vec_named(&PlannedForm::from(&**it)),
        RunEvent::Reading(it) => {
            rmp_serde::to_vec_named(&ReadingForm { at: it.at.0, values: it.values.clone() })
        }
        RunEvent::Finding(it) => rmp_serde::to_vec_named(&FindingForm::from(it)),
        RunEvent::Note(it) => rmp_serde::to_vec_named(&NoteForm::from(it)),
        RunEvent::Gap(it) => rmp_serde::to_vec_named(&GapForm {
            from: it.from.0,
            to: it.to.0,
            component: it.component.clone(),
            text: it.text.clone(),
        }),
        RunEvent::Finished(it) => rmp_serde::to_vec_named(&FinishedForm::from(it)),
    };
    bytes.map_err(|error| error.to_string())
}

/// Reads a stored form; the error is for people. A kind of a newer version becomes a note.
pub(crate) fn decode(kind: &str, format: u32, body: &[u8]) -> Result<RunEvent, String> {
    let event = match kind {
        "started" => read::<StartedForm>(body).and_then(StartedForm::event),
        "phase" => {
            read(body).map(|it: PhaseForm| RunEvent::Phase(PhaseStarted { phase: it.phase, at: Ns(it.at) }))
        }
        "window" => read::<WindowForm>(body).and_then(WindowForm::event),
        "planned" => read::<PlannedForm>(body).and_then(PlannedForm::event),
        "reading" => read(body).map(|it: ReadingForm| {
            let values = it.values.into_iter().filter(|(_, value)| value.is_finite()).collect();
            RunEvent::Reading(Box::new(Reading { at: Ns(it.at), values }))
        }),
        "finding" => read(body).map(|it: FindingForm| {
            let FindingForm { at, kind, body, verdict, why } = it;
            RunEvent::Finding(Finding { at: Ns(at), kind, body, verdict, why })
        }),
        "note" => read(body).map(NoteForm::event),
        "gap" => read(body).map(|it: GapForm| {
            let (from, to) = (Ns(it.from), Ns(it.to));
            RunEvent::Gap(Gap { from, to, component: it.component, text: it.text })
        }),
        "finished" => read(body).map(FinishedForm::event),
        newer => Ok(RunEvent::Note(Note {
            at: Ns::ZERO,
            kind: NoteKind::Warning,
            text: format!("an entry of the kind {newer:.40?} was skipped: it was written by a newer version"),
        })),
    };
    event.map_err(|why| {
        if format > FORMAT { format!("{why}; it has format {format}, of a newer version") } else { why }
    })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(body).map_err(|error| error.to_string())
}

/// FNV-1a over a body, kept beside it to tell damage from content. Source: Fowler, Noll and Vo; RFC 9923.
pub(crate) fn digest(body: &[u8]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in body {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.cast_signed()
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct PhaseForm {
    phase: u16,
    at: u64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct GapForm {
    from: u64,
    to: u64,
    component: String,
    text: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ReadingForm {
    at: u64,
    values: Vec<(u16, f64)>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct FindingForm {
    at: u64,
    kind: String,
    body: String,
    verdict: String,
    why: String,
}

impl From<&Finding> for FindingForm {
    fn from(it: &Finding) -> FindingForm {
        let Finding { at, kind, body, verdict, why } = it.clone();
        FindingForm { at: at.0, kind, body, verdict, why }
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct NoteForm {
    at: u64,
    kind: String,
    text: String,
}

impl From<&Note> for NoteForm {
    fn from(it: &Note) -> NoteForm {
        let kind = match it.kind {
            NoteKind::Info => "info",
            NoteKind::Warning => "warning",
            NoteKind::Invalid => "invalid",
        };
        NoteForm { at: it.at.0, kind: kind.into(), text: it.text.clone() }
    }
}

impl NoteForm {
    fn event(self) -> RunEvent {
        let kind = match self.kind.as_str() {
            "info" => NoteKind::Info,
            "invalid" => NoteKind::Invalid,
            _ => NoteKind::Warning,
        };
        RunEvent::Note(Note { at: Ns(self.at), kind, text: self.text })
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct FinishedForm {
    at: u64,
    reason: String,
    detail: String,
    errors: Vec<ErrorForm>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ErrorForm {
    step: u16,
    class: String,
    text: String,
    times: u64,
}

impl From<&Finished> for FinishedForm {
    fn from(it: &Finished) -> FinishedForm {
        let (reason, detail) = match &it.reason {
            StopReason::Completed => ("completed", ""),
            StopReason::Interrupted => ("interrupted", ""),
            StopReason::Threshold(text) => ("threshold", text.as_str()),
            StopReason::Error(text) => ("error", text.as_str()),
        };
        let error = |e: &ErrorNote| ErrorForm {
            step: e.step.0,
            class: e.class.clone(),
            text: e.text.clone(),
            times: e.times,
        };
        FinishedForm {
            at: it.at.0,
            reason: reason.into(),
            detail: detail.into(),
            errors: it.errors.iter().map(error).collect(),
        }
    }
}

impl FinishedForm {
    fn event(self) -> RunEvent {
        let reason = match self.reason.as_str() {
            "completed" => StopReason::Completed,
            "interrupted" => StopReason::Interrupted,
            "threshold" => StopReason::Threshold(self.detail),
            "error" => StopReason::Error(self.detail),
            // a reason of a newer version: not known to be a good end
            other => StopReason::Error(format!("{other:.40}: {}", self.detail)),
        };
        let error =
            |e: ErrorForm| ErrorNote { step: StepId(e.step), class: e.class, text: e.text, times: e.times };
        RunEvent::Finished(Finished {
            at: Ns(self.at),
            reason,
            errors: self.errors.into_iter().map(error).collect(),
        })
    }
}
