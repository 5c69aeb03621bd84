//! The protocol as a plan configures it, and the part of it that lives on one shard.

use super::line::Kind;
use super::session::StreamSession;
use super::step::{Open, StreamStep, Wait};
use super::sweep::Lines;
use crate::deadline::Deadlines;
use crate::dial::Dialer;
use crate::prepare::Prepared;
use crate::settings::{HttpSettings, Timeouts};
use crate::tls::TlsMaterial;
use crucible_core::{Ns, Protocol, SessionContext, StepId, Worker, WorkerContext, WorkerError};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that one read may bring: shared by all sessions of a shard.
const SCRATCH: usize = 64 << 10;

/// Lines of one kind with every step prepared; shared by all shards.
pub struct StreamProtocol<K: Kind> {
    settings: Arc<HttpSettings>,
    own: K::Settings,
    steps: Arc<Vec<Option<PreparedStep>>>,
    tls: Option<TlsMaterial>,
}

/// A step as a session runs it.
pub(crate) struct PreparedStep {
    pub(crate) spec: Arc<StreamStep>,
    /// Number of the line that it opens or is about.
    pub(crate) line: u16,
    pub(crate) open: Option<PreparedOpen>,
    /// The step that opens the line, if it may be opened again.
    pub(crate) reopen: Option<StepId>,
    pub(crate) timeouts: Timeouts,
}

/// How a line is opened.
pub(crate) struct PreparedOpen {
    pub(crate) request: Prepared,
    pub(crate) spec: Open,
}

/// The part that lives on one shard. Cheap to clone.
pub struct StreamWorker<K: Kind> {
    shard: Rc<Shard<K>>,
}

impl<K: Kind> Clone for StreamWorker<K> {
    fn clone(&self) -> StreamWorker<K> {
        StreamWorker { shard: Rc::clone(&self.shard) }
    }
}

/// What the sessions of one shard share.
pub(crate) struct Shard<K: Kind> {
    pub(crate) own: K::Settings,
    pub(crate) steps: Arc<Vec<Option<PreparedStep>>>,
    pub(crate) dialer: Dialer,
    pub(crate) deadlines: Deadlines,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) local: RefCell<K::Local>,
    pub(crate) lines: Lines<K>,
}

impl<K: Kind> StreamProtocol<K> {
    /// Prepares the steps and reads the files that the settings name. Each step comes with the name of the line that it
    /// opens or is about. The error says what is wrong.
    pub fn new(
        settings: &HttpSettings,
        own: K::Settings,
        steps: Vec<(StepId, Arc<StreamStep>, String)>,
    ) -> Result<StreamProtocol<K>, String> {
        let mut names: Vec<&str> = steps.iter().map(|(_, _, line)| line.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let reopens = |line: &str| {
            let opens = |spec: &StreamStep| spec.open.as_ref().is_some_and(|open| open.reconnect);
            steps.iter().find(|(_, spec, name)| name == line && opens(spec)).map(|(id, ..)| *id)
        };
        let mut prepared: Vec<Option<PreparedStep>> = Vec::new();
        for (id, spec, line) in &steps {
            let index = usize::from(id.0);
            if prepared.len() <= index {
                prepared.resize_with(index + 1, || None);
            }
            let mut open = None;
            if let Some(spec_open) = &spec.open {
                let request = Prepared::new(&spec_open.request, settings);
                let request = request.map_err(|text| format!("{}: {text}", spec.name))?;
                open = Some(PreparedOpen { request, spec: spec_open.clone() });
            }
            prepared[index] = Some(PreparedStep {
                line: names.binary_search(&line.as_str()).unwrap_or_default() as u16,
                open,
                reopen: reopens(line),
                timeouts: timeouts(spec, settings),
                spec: Arc::clone(spec),
            });
        }
        let secure = |step: &PreparedStep| step.open.as_ref().is_some_and(|open| open.request.origin.secure);
        let tls = match prepared.iter().flatten().any(secure) {
            true => Some(TlsMaterial::read(&settings.tls)?),
            false => None,
        };
        Ok(StreamProtocol { settings: Arc::new(settings.clone()), own, steps: Arc::new(prepared), tls })
    }
}

/// The limits of a step: what it waits for on purpose does not count against the usual limit.
fn timeouts(spec: &StreamStep, settings: &HttpSettings) -> Timeouts {
    let held = if let Wait::Hold(time) = spec.wait { time } else { Ns::ZERO };
    let usual = settings.timeouts.total;
    let total = match (spec.timeout, spec.within) {
        (Some(timeout), _) => timeout + held,
        (None, Some(within)) => usual + within,
        (None, None) => usual + held,
    };
    Timeouts { total, ..settings.timeouts }
}

impl<K: Kind> Protocol for StreamProtocol<K> {
    type Worker = StreamWorker<K>;

    fn worker(&self, context: &WorkerContext) -> Result<StreamWorker<K>, WorkerError> {
        let settings = &self.settings;
        let deadlines = Deadlines::new().map_err(|error| {
            WorkerError(format!("the timer of the time limits cannot be set up: {error}"))
        })?;
        let dialer = Dialer::new(settings, self.tls.as_ref(), context);
        Ok(StreamWorker {
            shard: Rc::new(Shard {
                own: self.own.clone(),
                steps: Arc::clone(&self.steps),
                dialer,
                deadlines,
                scratch: RefCell::new(vec![0; SCRATCH].into()),
                local: RefCell::new(K::local(&self.own)),
                lines: Lines::default(),
            }),
        })
    }
}

impl<K: Kind> Worker for StreamWorker<K> {
    type Session = StreamSession<K>;

    fn session(&self, context: SessionContext) -> StreamSession<K> {
        StreamSession::new(Rc::clone(&self.shard), context)
    }
}
