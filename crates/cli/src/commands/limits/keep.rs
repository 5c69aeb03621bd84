//! The record of a search for limiters: what was asked of which system, and the finding. Single requests are not kept; the
//! finding tells each experiment.

use crate::conduct::{Recorder, started};
use crate::exit::CliError;
use crucible_analysis::{RunView, Verdict};
use crucible_core::{Histogram, Now};
use crucible_engine::clock::Epoch;
use crucible_engine::{Options, system};
use crucible_plan::Plan;
use crucible_record::{Finding, Finished, RunEvent, StopReason, Store};

/// The kind of the finding, and of the experiment.
const KIND: &str = "limits";

/// A record that has begun.
pub(super) struct Kept {
    recorder: Recorder,
    view: RunView,
    store: Option<Store>,
    epoch: Epoch,
}

impl Kept {
    /// Begins it; without a store nothing is kept.
    pub(super) fn begin(
        plan: &Plan,
        labels: Vec<(String, String)>,
        store: Option<Store>,
    ) -> Result<Kept, CliError> {
        let (options, files) = (Options::suited_to(plan, &[]), system::raise_file_limit());
        let mut started = started(plan, &[], &options, files, &Histogram::default());
        started.labels = labels;
        started.experiment = KIND.to_owned();
        started.pacing = "single requests, each at its instant".to_owned();
        let recorder = Recorder::begin(store.as_ref(), &started)?;
        Ok(Kept { recorder, view: RunView::new(started), store, epoch: Epoch::start() })
    }

    /// Ends it with what was found.
    pub(super) fn end(mut self, body: String, verdict: Verdict, why: String, interrupted: bool) {
        let (at, verdict) = (self.epoch.now(), verdict.name().to_owned());
        let found = Finding { at, kind: KIND.to_owned(), body, verdict, why };
        let reason = if interrupted { StopReason::Interrupted } else { StopReason::Completed };
        let finished = Finished { at, reason, errors: Vec::new() };
        for event in [RunEvent::Finding(found), RunEvent::Finished(finished)] {
            self.recorder.pass_on(&event, &mut self.view);
        }
        self.recorder.finish(self.store.as_ref(), self.view);
    }
}
