//! What is told about a run, in the order in which it happens.
//!
//! These are the in-memory forms; the versioned stored forms are this crate's private business.

use crucible_core::{
    Frame, IterationFrame, LagFrame, MeasureFrame, MeasureId, MeasureSpec, Ns, ScenarioId, StepId, WarmUp,
};

/// One entry of a run's log.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// Always the first.
    Started(Box<RunStarted>),
    /// A phase of a test begins.
    Phase(PhaseStarted),
    /// What happened in about one second.
    Window(Box<Window>),
    /// Tests and phases that were decided on while the run went on (a search for the capacity).
    Planned(Box<Planned>),
    /// What the monitors read at one instant.
    Reading(Box<Reading>),
    /// What a search or an experiment came to.
    Finding(Finding),
    /// Something that a reader of the report should know.
    Note(Note),
    /// Something that should have been observed was not.
    Gap(Gap),
    /// Always the last; missing if the run was killed.
    Finished(Finished),
}

/// Everything that is known before the first byte is sent.
#[derive(Clone, Debug, Default)]
pub struct RunStarted {
    /// The run's identifier, unique in the store, sortable by time.
    pub run: String,
    /// Version of the tool that made the record.
    pub tool: String,
    /// Start of the run's clock, milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Name of the plan.
    pub plan: String,
    /// Hash of the plan's canonical form.
    pub plan_hash: String,
    /// The plan's text, secrets masked.
    pub plan_text: String,
    /// The plan's file as it was named on the command line; empty if it had none, or in records of old versions.
    pub plan_file: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Base address of the system under test, credentials removed.
    pub target: String,
    /// Scenarios; [`ScenarioId`] is the index.
    pub scenarios: Vec<ScenarioMeta>,
    /// Steps; [`StepId`] is the index.
    pub steps: Vec<StepMeta>,
    /// Tests in the order in which they run.
    pub tests: Vec<TestMeta>,
    /// Tests of the plan that this run does not do: what they demand is not tested by it.
    pub other_tests: Vec<TestMeta>,
    /// Measures of the plan's own; [`MeasureId`] is the index.
    pub measures: Vec<MeasureSpec>,
    /// What the monitors read; a reading's numbers are indices.
    pub series: Vec<SeriesMeta>,
    /// Phases of all tests in order; the windows' `phase` is the index.
    pub phases: Vec<PhaseMeta>,
    /// Lateness p99 of the generator that is always allowed.
    pub lateness_floor: Ns,
    /// Lateness p99 that is allowed as a share of the median response time.
    pub lateness_share: f64,
    /// How the generator waits for instants (strategy and measured wake-up error), in words.
    pub pacing: String,
    /// Number of shards.
    pub shards: u32,
    /// Machine, kernel, limits, versions: name and value, for people and for comparison.
    pub environment: Vec<(String, String)>,
    /// What the run is of, by name: labels that its user gave, commit and branch. Secrets masked.
    pub labels: Vec<(String, String)>,
    /// Things that every report must mention.
    pub remarks: Vec<String>,
    /// The kind of the finding that the whole run is made for, if its tests are parts of one experiment (the trials of a
    /// search, the slices of a duet) and mean nothing alone; else empty.
    pub experiment: String,
}

/// A scenario, as far as readers need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScenarioMeta {
    /// Its name.
    pub name: String,
    /// Its weight.
    pub weight: f64,
}

/// A step, as far as readers need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepMeta {
    /// Its name.
    pub name: String,
    /// Index of its scenario.
    pub scenario: u16,
    /// `setup`, `main` or `teardown`; `follow` for requests that only look whether a job is done; `timed` for a span of
    /// time that is no operation of its own (a group, a transaction or a part of one).
    pub role: String,
    /// Its protocol.
    pub protocol: String,
    /// The run's test whose own setup or teardown it stands in, if any; a number beyond the tests if that one is not run.
    pub test: Option<u16>,
    /// Names of its checks.
    pub checks: Vec<String>,
    /// The measures that it feeds, by [`MeasureId`].
    pub measures: Vec<u16>,
}

/// A series that a monitor reads, as far as readers need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesMeta {
    /// The component that it belongs to, as in `api`.
    pub component: String,
    /// Its name within the component, as in `cpu`.
    pub name: String,
    /// Unit of its values: `cores`, `bytes`, `1/s`, `count`, ...
    pub unit: String,
    /// What the value is, for people.
    pub doc: String,
    /// What the component may have of it, by the plan: where it is exhausted.
    pub limit: Option<f64>,
}

/// Tests and phases behind those that are known already: their indices go on from there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// Further tests.
    pub tests: Vec<TestMeta>,
    /// Further phases; `test` counts over all tests.
    pub phases: Vec<PhaseMeta>,
}

/// What a search or an experiment came to, in the form of whoever made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// When, on the run's clock.
    pub at: Ns,
    /// What it is: `capacity`, `limits`, `comparison`, ...
    pub kind: String,
    /// JSON; its shape belongs to the kind.
    pub body: String,
    /// What it means for the run as a whole: the name of a verdict; empty if nothing.
    pub verdict: String,
    /// Why, in a sentence.
    pub why: String,
}

/// What the monitors read at one instant; a series that could not be read is missing, and a [`Gap`] says why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// When, on the run's clock.
    pub at: Ns,
    /// Index of the series, value in its unit.
    pub values: Vec<(u16, f64)>,
}

/// A test, as far as readers need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestMeta {
    /// Its name.
    pub name: String,
    /// Indices of the scenarios that take part.
    pub scenarios: Vec<u16>,
    /// Thresholds in their canonical text.
    pub thresholds: Vec<String>,
    /// The load in words.
    pub load: String,
    /// What is done with its warm-up.
    pub warm_up: WarmUp,
}

/// Who decides when the next iteration begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// The schedule.
    Open,
    /// The users.
    #[default]
    Closed,
}

/// A phase, as far as readers need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseMeta {
    /// Its name.
    pub name: String,
    /// Index of its test.
    pub test: u16,
    /// Planned length.
    pub length: Ns,
    /// Open or closed.
    pub model: Model,
    /// Arrivals that the schedule holds (open), or iterations asked for (closed by count).
    pub planned: Option<u64>,
    /// Most users at once.
    pub max_users: u64,
    /// From when to when, since the begin of the phase, its load is the same all the time, with nothing before it but a
    /// rise to it; `None` if there is no such stretch.
    pub constant: Option<(Ns, Ns)>,
}

/// A phase begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseStarted {
    /// Index of the phase.
    pub phase: u16,
    /// When, on the run's clock.
    pub at: Ns,
}

/// What happened between two instants, merged over all shards.
///
/// Conservation: in every window, for the steps together and for the iterations together,
/// `in_flight before + planned = ended + in_flight after`.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Index of the phase.
    pub phase: u16,
    /// Begin, on the run's clock.
    pub from: Ns,
    /// End.
    pub to: Ns,
    /// Steps to which something happened.
    pub steps: Vec<(StepId, Frame)>,
    /// Measures to which something happened.
    pub measures: Vec<(MeasureId, MeasureFrame)>,
    /// Scenarios to which something happened.
    pub iterations: Vec<(ScenarioId, IterationFrame)>,
    /// The generator's lateness, merged over its shards.
    pub lag: LagFrame,
    /// Users.
    pub users: Users,
    /// Operations under way at the end of the window.
    pub in_flight: u64,
    /// Iterations under way at the end of the window.
    pub iterations_in_flight: u64,
    /// Arrivals whose instant lay in this window by the schedule alone (open load).
    pub due: u64,
    /// CPU time that the whole generator process used in this window.
    pub process_cpu: Ns,
    /// Resident memory of the generator process at the end of the window, bytes.
    pub process_rss: u64,
}

/// Users in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Active at the end of the window.
    pub active: u64,
    /// In an iteration at the end of the window.
    pub busy: u64,
}

/// What kind of note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// Good to know.
    Info,
    /// The reader should doubt something.
    Warning,
    /// The measurement cannot be trusted.
    Invalid,
}

/// Something that a reader of the report should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Ns,
    /// How bad.
    pub kind: NoteKind,
    /// A sentence fragment.
    pub text: String,
}

/// Something that should have been observed was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Since when.
    pub from: Ns,
    /// Until when.
    pub to: Ns,
    /// The component that a monitor could not read; empty where the run itself was not observed, which condemns it.
    pub component: String,
    /// What was not observed, and why.
    pub text: String,
}

/// Why the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Everything planned was done.
    Completed,
    /// The user stopped it.
    Interrupted,
    /// A threshold with `abort` was broken; its canonical text.
    Threshold(String),
    /// Something of ours went wrong.
    Error(String),
}

/// One distinct failure text of a step, with how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorNote {
    /// The step.
    pub step: StepId,
    /// Name of the error class.
    pub class: String,
    /// What the protocol said; foreign text, untrusted.
    pub text: String,
    /// How often it was seen (further texts beyond a fixed number of distinct ones are not kept).
    pub times: u64,
}

/// The end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// When.
    pub at: Ns,
    /// Why.
    pub reason: StopReason,
    /// Failure texts.
    pub errors: Vec<ErrorNote>,
}
