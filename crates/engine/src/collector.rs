//! Merges the shards' windows into run events, on a thread (or in a simulation) of its own.

use crate::frames::{FrameSet, ShardReport, ShardWindow};
use crate::system;
use crucible_core::{MeasureId, Ns, ScenarioId, StepId};
use crucible_record::{ErrorNote, RunEvent, Users, Window};
use std::collections::BTreeMap;

/// Takes the reports of all shards and emits phases and windows in order.
pub struct Collector {
    shards: usize,
    /// Windows that wait for further shards, by phase and number.
    waiting: BTreeMap<(u16, u32), Waiting>,
    /// Per phase: number of the last window of each shard that has ended it.
    ended: BTreeMap<u16, Vec<Option<u32>>>,
    process_cpu: Ns,
    errors: Vec<ErrorNote>,
    done: usize,
}

#[derive(Default)]
struct Waiting {
    window: Window,
    reported: usize,
}

impl Collector {
    /// A collector for this number of shards.
    pub fn new(shards: u32) -> Collector {
        Collector {
            shards: shards as usize,
            waiting: BTreeMap::new(),
            ended: BTreeMap::new(),
            process_cpu: system::process_cpu(),
            errors: Vec::new(),
            done: 0,
        }
    }

    /// Takes one report of shard `shard`; gives back the cleared frames if there were any.
    pub fn accept(
        &mut self,
        shard: u32,
        report: ShardReport,
        emit: &mut dyn FnMut(RunEvent),
    ) -> Option<FrameSet> {
        match report {
            ShardReport::Phase(started) => {
                // The phase before is complete on all shards: they have met since.
                self.flush(emit);
                emit(RunEvent::Phase(started));
                None
            }
            ShardReport::Window(window) => {
                let frames = self.merge(shard, *window);
                self.flush(emit);
                Some(frames)
            }
            ShardReport::Done { errors } => {
                self.done += 1;
                for note in errors {
                    let same = |n: &&mut ErrorNote| {
                        (n.step, &n.class, &n.text) == (note.step, &note.class, &note.text)
                    };
                    match self.errors.iter_mut().find(same) {
                        Some(known) => known.times += note.times,
                        None => self.errors.push(note),
                    }
                }
                None
            }
        }
    }

    /// Whether all shards have done everything.
    pub fn is_done(&self) -> bool {
        self.done == self.shards
    }

    /// The failure texts of all shards, most frequent first.
    pub fn take_errors(&mut self) -> Vec<ErrorNote> {
        let mut errors = std::mem::take(&mut self.errors);
        errors.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.step.cmp(&b.step)));
        errors
    }

    fn merge(&mut self, shard: u32, part: ShardWindow) -> FrameSet {
        if part.last {
            let ended = self.ended.entry(part.phase).or_insert_with(|| vec![None; self.shards]);
            ended[shard as usize] = Some(part.number);
        }
        let waiting = self.waiting.entry((part.phase, part.number)).or_default();
        let window = &mut waiting.window;
        if waiting.reported == 0 {
            (window.phase, window.from) = (part.phase, part.from);
        }
        waiting.reported += 1;
        window.from = window.from.min(part.from);
        window.to = window.to.max(part.to);
        window.users.active += part.users_active;
        window.users.busy += part.users_busy;
        window.in_flight += part.in_flight;
        window.iterations_in_flight += part.users_busy;
        window.due += part.due;
        let mut frames = part.frames;
        window.lag.merge(&frames.lag);
        for (index, frame) in frames.steps.iter().enumerate().filter(|(_, frame)| !frame.is_empty()) {
            let id = StepId(index as u16);
            match window.steps.iter_mut().find(|(step, _)| *step == id) {
                Some((_, merged)) => merged.merge(frame),
                None => window.steps.push((id, frame.clone())),
            }
        }
        for (index, frame) in frames.measures.iter().enumerate().filter(|(_, frame)| frame.count > 0) {
            let id = MeasureId(index as u16);
            match window.measures.iter_mut().find(|(measure, _)| *measure == id) {
                Some((_, merged)) => merged.merge(frame),
                None => window.measures.push((id, frame.clone())),
            }
        }
        let used = |frame: &crucible_core::IterationFrame| frame.planned > 0 || frame.ended() > 0;
        for (index, frame) in frames.iterations.iter().enumerate().filter(|(_, frame)| used(frame)) {
            let id = ScenarioId(index as u16);
            match window.iterations.iter_mut().find(|(scenario, _)| *scenario == id) {
                Some((_, merged)) => merged.merge(frame),
                None => window.iterations.push((id, frame.clone())),
            }
        }
        frames.clear();
        frames
    }

    /// Emits every window to which all shards have contributed that ever will.
    fn flush(&mut self, emit: &mut dyn FnMut(RunEvent)) {
        while let Some(entry) = self.waiting.first_entry() {
            let (phase, number) = *entry.key();
            let without = self.ended.get(&phase).map_or(0, |ended| {
                ended.iter().filter(|last| last.is_some_and(|last| last < number)).count()
            });
            if entry.get().reported + without < self.shards {
                return;
            }
            let mut window = entry.remove().window;
            window.steps.sort_by_key(|(step, _)| *step);
            window.measures.sort_by_key(|(measure, _)| *measure);
            window.iterations.sort_by_key(|(scenario, _)| *scenario);
            let cpu = system::process_cpu();
            window.process_cpu = cpu.since(self.process_cpu);
            window.users = Users { active: window.users.active, busy: window.users.busy };
            self.process_cpu = cpu;
            window.process_rss = system::process_rss();
            emit(RunEvent::Window(Box::new(window)));
        }
    }
}
