//! All protocols behind one: a user may send requests, talk on sockets and listen to events.
//!
//! Which protocol a step belongs to is settled when the plan is read, so an operation costs one look at a table, and a plan
//! of requests alone one look at an empty pointer. What a user holds for sockets and events is made with the first step
//! that needs it.

use crucible_core::{
    Call, ErrorClass, Outcome, Probe, Protocol, Session, SessionContext, StepId, Worker, WorkerContext,
    WorkerError,
};
use crucible_http::stream::{StreamSession, StreamWorker};
use crucible_http::{HttpProtocol, HttpSession, HttpWorker};
use crucible_sse::{Events, SseProtocol};
use crucible_websocket::{Socket, WebSocketProtocol};
use std::rc::Rc;
use std::sync::Arc;

/// The protocol that does a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Requests.
    Http,
    /// Sockets.
    WebSocket,
    /// Streams of events.
    Sse,
}

/// See the module text.
pub struct Composite {
    http: HttpProtocol,
    /// What a plan of requests alone does not have.
    lines: Option<Lines>,
}

/// The protocols of lines, and which step is whose, by step number.
pub struct Lines {
    /// Sockets.
    pub websocket: WebSocketProtocol,
    /// Streams of events.
    pub sse: SseProtocol,
    /// By step number.
    pub via: Arc<[Via]>,
}

/// The part that lives on one shard.
pub struct CompositeWorker {
    http: HttpWorker,
    lines: Option<Rc<LineWorkers>>,
}

struct LineWorkers {
    websocket: StreamWorker<Socket>,
    sse: StreamWorker<Events>,
    via: Arc<[Via]>,
}

/// What one user holds.
pub struct CompositeSession {
    http: HttpSession,
    lines: Option<Box<LineSessions>>,
}

struct LineSessions {
    workers: Rc<LineWorkers>,
    context: SessionContext,
    websocket: Option<StreamSession<Socket>>,
    sse: Option<StreamSession<Events>>,
}

impl Composite {
    /// The protocols of a plan.
    pub fn new(http: HttpProtocol, lines: Option<Lines>) -> Composite {
        Composite { http, lines }
    }
}

impl Protocol for Composite {
    type Worker = CompositeWorker;

    fn worker(&self, context: &WorkerContext) -> Result<CompositeWorker, WorkerError> {
        let lines = match &self.lines {
            None => None,
            Some(lines) => Some(Rc::new(LineWorkers {
                websocket: lines.websocket.worker(context)?,
                sse: lines.sse.worker(context)?,
                via: Arc::clone(&lines.via),
            })),
        };
        Ok(CompositeWorker { http: self.http.worker(context)?, lines })
    }
}

impl Worker for CompositeWorker {
    type Session = CompositeSession;

    fn session(&self, context: SessionContext) -> CompositeSession {
        let lines = self.lines.as_ref().map(|workers| {
            Box::new(LineSessions { workers: Rc::clone(workers), context, websocket: None, sse: None })
        });
        CompositeSession { http: self.http.session(context), lines }
    }
}

impl LineSessions {
    fn via(&self, step: StepId) -> Via {
        self.workers.via.get(usize::from(step.0)).copied().unwrap_or(Via::Http)
    }

    /// Boxed: the place of such an operation is not held by users of requests.
    async fn run(&mut self, via: Via, call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let LineSessions { workers, context, websocket, sse } = self;
        match via {
            Via::WebSocket => {
                let socket = websocket.get_or_insert_with(|| workers.websocket.session(*context));
                socket.run(call, probe).await
            }
            Via::Sse => {
                let stream = sse.get_or_insert_with(|| workers.sse.session(*context));
                stream.run(call, probe).await
            }
            Via::Http => {
                probe.fail(ErrorClass::Local, || format!("step {} is no step on a line", call.step.0));
                Outcome::Failed
            }
        }
    }
}

impl Session for CompositeSession {
    async fn run(&mut self, call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        if let Some(lines) = &mut self.lines {
            let via = lines.via(call.step);
            if via != Via::Http {
                return Box::pin(lines.run(via, call, probe)).await;
            }
        }
        self.http.run(call, probe).await
    }

    fn iteration(&mut self, iteration: u64) {
        self.http.iteration(iteration);
        if let Some(lines) = &mut self.lines {
            lines.websocket.iter_mut().for_each(|session| session.iteration(iteration));
            lines.sse.iter_mut().for_each(|session| session.iteration(iteration));
        }
    }

    fn join(&mut self, main: &CompositeSession) {
        self.http.join(&main.http);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_requests_alone_pays_one_pointer() {
        assert_eq!(size_of::<CompositeSession>(), size_of::<HttpSession>() + size_of::<usize>());
    }
}
