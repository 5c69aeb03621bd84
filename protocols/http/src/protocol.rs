//! The protocol as a plan configures it, and the part of it that lives on one shard.

use crate::connection::Connection;
use crate::deadline::Deadlines;
use crate::dial::Dialer;
use crate::origin::Origin;
use crate::prepare::Prepared;
use crate::session::HttpSession;
use crate::settings::{ConnectionPool, CookieMode, HttpSettings};
use crate::spec::RequestSpec;
use crate::tls::TlsMaterial;
use crucible_core::{Protocol, SessionContext, StepId, Worker, WorkerContext, WorkerError};
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that one read may bring: shared by all sessions of a shard.
const SCRATCH: usize = 64 << 10;
/// Buffers that are kept for reuse, and the largest that is kept.
const BUFFERS: (usize, usize) = (32, 256 << 10);

/// HTTP/1.1 with every step prepared; shared by all shards.
pub struct HttpProtocol {
    settings: Arc<HttpSettings>,
    /// By step number; gaps are steps of other protocols.
    steps: Arc<Vec<Option<Prepared>>>,
    tls: Option<TlsMaterial>,
}

/// The part that lives on one shard. Cheap to clone.
#[derive(Clone)]
pub struct HttpWorker {
    shard: Rc<Shard>,
}

/// What the sessions of one shard share.
pub(crate) struct Shard {
    pub settings: Arc<HttpSettings>,
    pub steps: Arc<Vec<Option<Prepared>>>,
    pub dialer: Dialer,
    pub deadlines: Deadlines,
    pub scratch: RefCell<Box<[u8]>>,
    buffers: RefCell<Vec<Vec<u8>>>,
    #[expect(clippy::vec_box, reason = "a connection moves between here and exchanges as one pointer")]
    pool: RefCell<Vec<Box<Connection>>>,
}

impl HttpProtocol {
    /// Prepares the steps and reads the files that the settings name. The error says what is wrong.
    pub fn new(
        settings: &HttpSettings,
        steps: Vec<(StepId, Arc<RequestSpec>)>,
    ) -> Result<HttpProtocol, String> {
        let mut prepared: Vec<Option<Prepared>> = Vec::new();
        for (id, spec) in &steps {
            let index = usize::from(id.0);
            if prepared.len() <= index {
                prepared.resize_with(index + 1, || None);
            }
            let step =
                Prepared::new(spec, settings).map_err(|text| format!("{}: {text}", spec.default_name()))?;
            prepared[index] = Some(step);
        }
        // a redirect may lead from http to https
        let needed = prepared.iter().flatten().any(|step| step.origin.secure || step.redirects > 0);
        let tls = match needed || settings.tls.ca.is_some() || settings.tls.cert.is_some() {
            true => Some(TlsMaterial::read(&settings.tls)?),
            false => None,
        };
        Ok(HttpProtocol { settings: Arc::new(settings.clone()), steps: Arc::new(prepared), tls })
    }

    /// The same from the forms that a plan carries. The error says what is wrong.
    pub fn from_specs(
        settings: Arc<dyn Any + Send + Sync>,
        steps: Vec<(StepId, Arc<dyn Any + Send + Sync>)>,
    ) -> Result<HttpProtocol, String> {
        let settings =
            settings.downcast::<HttpSettings>().map_err(|_| "these are not the settings of http")?;
        let steps = steps
            .into_iter()
            .map(|(id, body)| match body.downcast::<RequestSpec>() {
                Ok(spec) => Ok((id, spec)),
                Err(_) => Err(format!("step {} is not a step of http", id.0)),
            })
            .collect::<Result<_, _>>()?;
        HttpProtocol::new(&settings, steps)
    }
}

impl Protocol for HttpProtocol {
    type Worker = HttpWorker;

    fn worker(&self, context: &WorkerContext) -> Result<HttpWorker, WorkerError> {
        let settings = &self.settings;
        let deadlines = Deadlines::new().map_err(|error| {
            WorkerError(format!("the timer of the time limits cannot be set up: {error}"))
        })?;
        let dialer = Dialer::new(settings, self.tls.as_ref(), context);
        Ok(HttpWorker {
            shard: Rc::new(Shard {
                settings: Arc::clone(settings),
                steps: Arc::clone(&self.steps),
                dialer,
                deadlines,
                scratch: RefCell::new(vec![0; SCRATCH].into()),
                buffers: RefCell::default(),
                pool: RefCell::default(),
            }),
        })
    }
}

impl Worker for HttpWorker {
    type Session = HttpSession;

    fn session(&self, context: SessionContext) -> HttpSession {
        HttpSession::new(Rc::clone(&self.shard), context)
    }
}

impl Shard {
    /// An empty buffer.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < BUFFERS.0 && (1..=BUFFERS.1).contains(&buffer.capacity()) {
            buffer.clear();
            buffers.push(buffer);
        }
    }

    /// Whether idle connections belong to the shard.
    pub(crate) fn shares(&self) -> bool {
        self.settings.pool == ConnectionPool::Shared
    }

    /// Whether cookies are looked at.
    pub(crate) fn cookies(&self) -> bool {
        self.settings.cookies != CookieMode::Off
    }

    /// The pooled connection to `origin` that was used last.
    pub(crate) fn take_pooled(&self, origin: &Origin) -> Option<Box<Connection>> {
        let mut pool = self.pool.borrow_mut();
        let index = pool.iter().rposition(|connection| *connection.origin == *origin)?;
        Some(pool.remove(index))
    }

    /// Puts an idle connection into the pool.
    pub(crate) fn pool(&self, connection: Box<Connection>) {
        self.pool.borrow_mut().push(connection);
    }
}
