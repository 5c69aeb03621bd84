//! The thread of a truth server.

use super::{Answer, Behaviour, LISTENER, RECORD_LIMIT, Served, TIMER, TruthConfig, TruthRecord};
use crate::clock::WallClock;
use crate::servers::connection::{Arrived, Connection, path};
use crate::servers::poller::{Poller, Ready};
use crucible_core::{Now, Ns, Rng};
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long before an answer is due the thread stops sleeping.
const SPIN: Ns = Ns::from_micros(20);

/// An answer, or the rest of one, that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Ns,
    /// Keeps equal instants in the order of arrival.
    number: u64,
    slot: usize,
    /// Generation of the slot: the connection may have gone and another taken its place.
    generation: u64,
    readable: Ns,
    route: u16,
    status: u16,
    /// Bytes already trickled.
    sent: usize,
}

struct Peer {
    connection: Option<Connection>,
    generation: u64,
    /// Answers of one connection keep their order.
    last_due: Ns,
    waiting: u64,
}

pub(super) struct Server {
    config: TruthConfig,
    listener: TcpListener,
    timer: OwnedFd,
    poller: Poller,
    clock: WallClock,
    rng: Rng,
    peers: Vec<Peer>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<Due>>,
    numbers: u64,
    seen: Vec<u64>,
    armed: Ns,
    record: Arc<Mutex<TruthRecord>>,
}

impl Server {
    pub(super) fn new(
        config: TruthConfig,
        listener: TcpListener,
        timer: OwnedFd,
        poller: Poller,
        record: Arc<Mutex<TruthRecord>>,
    ) -> Server {
        // 1 ns of slack instead of 50 us; without it the delays are a little longer and are recorded as they are
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        Server {
            rng: Rng::new(config.seed, "truth", 0),
            seen: vec![0; config.routes.len() + 1],
            config,
            listener,
            timer,
            poller,
            clock: WallClock::new(),
            peers: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            numbers: 0,
            armed: Ns::MAX,
            record,
        }
    }

    pub(super) fn run(mut self) {
        let mut buffer = vec![0u8; 64 * 1024];
        let mut ready = Vec::new();
        loop {
            let now = self.clock.now();
            let next = self.due.peek().map(|Reverse(due)| due.at);
            if next.is_some_and(|at| at <= now) {
                self.serve(now);
            }
            let idle = self.due.peek().is_none_or(|Reverse(due)| due.at > now + SPIN);
            // A server that has a CPU to itself never sleeps: its own wake-ups would be a delay that it cannot see.
            let block = idle && self.config.own_cpu.is_none();
            if block {
                self.arm();
            }
            if !self.poller.wait(block, &mut ready) {
                return;
            }
            for event in ready.drain(..) {
                self.handle(&event, &mut buffer);
            }
        }
    }

    /// Sets the timer to the next due answer, less the time that is spent polling.
    fn arm(&mut self) {
        let at = self.due.peek().map_or(Ns::MAX, |Reverse(due)| due.at);
        if at == self.armed || at == Ns::MAX {
            return;
        }
        self.armed = at;
        let wait = Duration::from(at.since(self.clock.now() + SPIN).max(Ns(1)));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let spec = Itimerspec { it_interval: zero, it_value: value };
        // fails only for a bad descriptor or a bad time, neither of which can be here
        let _ = rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec);
    }

    fn handle(&mut self, event: &Ready, buffer: &mut [u8]) {
        match event.token {
            LISTENER => self.accept(),
            TIMER => {
                let _ = rustix::io::read(&self.timer, &mut [0u8; 8]);
                self.armed = Ns::MAX;
            }
            slot => self.hear(slot as usize, event.writable, buffer),
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.peers.push(Peer { connection: None, generation: 0, last_due: Ns::ZERO, waiting: 0 });
                self.peers.len() - 1
            });
            self.note(|record| record.connections += 1);
            match Connection::new(stream, slot as u64, &self.poller) {
                Ok(connection) => self.peers[slot].connection = Some(connection),
                Err(_) => self.free.push(slot),
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut TruthRecord)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn hear(&mut self, slot: usize, writable: bool, buffer: &mut [u8]) {
        let Some(connection) = self.peers.get_mut(slot).and_then(|peer| peer.connection.as_mut()) else {
            return;
        };
        if writable && connection.flush(&self.poller).is_err() {
            return self.close(slot);
        }
        let Some(connection) = self.peers[slot].connection.as_mut() else { return };
        let readable = self.clock.now();
        let count = match connection.read(buffer) {
            Arrived::Bytes(count) => count,
            Arrived::Nothing => return,
            Arrived::End => return self.close(slot),
        };
        let routes = &self.config.routes;
        let mut asked: Vec<u16> = Vec::new();
        let fed = connection.reader.feed(&buffer[..count], |head| {
            let path = path(head);
            let route = routes.iter().position(|route| route.path.as_bytes() == path);
            asked.push(route.unwrap_or(routes.len()) as u16);
        });
        if fed.is_err() {
            return self.close(slot);
        }
        for route in asked {
            self.plan(slot, route, readable);
        }
    }

    /// Decides what becomes of a request.
    fn plan(&mut self, slot: usize, route: u16, readable: Ns) {
        let behaviour = self.behaviour(route);
        let seen = &mut self.seen[usize::from(route)];
        *seen += 1;
        let seen = *seen;
        let status = match behaviour.answer {
            Answer::Status(status) => status,
            Answer::After { first, then } => {
                if seen > first {
                    then
                } else {
                    200
                }
            }
            Answer::OneIn { every, status } => {
                if seen.is_multiple_of(every.max(1)) {
                    status
                } else {
                    200
                }
            }
            Answer::Trickle { .. } => 200,
            _ => 0,
        };
        self.note(|record| record.requests += 1);
        if behaviour.answer == Answer::Never {
            return;
        }
        let mut at = readable + behaviour.law.draw(&mut self.rng);
        if let Some(stalls) = self.config.stalls {
            at = stalls.after(at);
        }
        self.numbers += 1;
        let peer = &mut self.peers[slot];
        peer.last_due = peer.last_due.max(at);
        peer.waiting += 1;
        let due = Due {
            at: peer.last_due,
            number: self.numbers,
            slot,
            generation: peer.generation,
            readable,
            route,
            status,
            sent: 0,
        };
        self.due.push(Reverse(due));
    }

    fn behaviour(&self, route: u16) -> Behaviour {
        self.config.routes.get(usize::from(route)).map_or(self.config.otherwise, |route| route.behaviour)
    }

    /// Writes all answers that are due.
    fn serve(&mut self, now: Ns) {
        while let Some(Reverse(due)) = self.due.peek().copied() {
            if due.at > now {
                return;
            }
            self.due.pop();
            let peer = &mut self.peers[due.slot];
            if peer.generation != due.generation || peer.connection.is_none() {
                continue;
            }
            self.answer(due);
        }
    }

    fn answer(&mut self, due: Due) {
        let answer = self.behaviour(due.route).answer;
        let body = self.config.body;
        let written = self.clock.now();
        if due.sent == 0 {
            // before the answer goes out: whoever has it must find it in the record
            self.peers[due.slot].waiting -= 1;
            let served = Served { readable: due.readable, written, route: due.route, status: due.status };
            self.note(|record| {
                if record.served.len() < RECORD_LIMIT {
                    record.served.push(served);
                }
            });
        }
        let Some(connection) = self.peers[due.slot].connection.as_mut() else { return };
        let (sent, close) = match answer {
            Answer::Garbage => (connection.send(b"\x00\xffnot a protocol\r\n\r\n", &self.poller), true),
            Answer::TooShort => (connection.send(&response(200, body, body + 10), &self.poller), true),
            Answer::TooLong => (connection.send(&response(200, body + 10, body), &self.poller), false),
            Answer::Close => (Ok(()), true),
            Answer::Reset => {
                let _ = socket2::SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO));
                (Ok(()), true)
            }
            Answer::Trickle { chunk, gap } => {
                let bytes = response(200, body, body);
                let end = (due.sent + chunk.max(1)).min(bytes.len());
                let sent = connection.send(&bytes[due.sent..end], &self.poller);
                if end < bytes.len() && sent.is_ok() {
                    let next = Due { at: written + gap, sent: end, ..due };
                    self.peers[due.slot].last_due = next.at;
                    self.due.push(Reverse(next));
                }
                (sent, false)
            }
            _ => (connection.send(&response(due.status, body, body), &self.poller), false),
        };
        if close || sent.is_err() {
            self.close(due.slot);
        }
    }

    fn close(&mut self, slot: usize) {
        let peer = &mut self.peers[slot];
        if peer.connection.take().is_some() {
            let waiting = std::mem::take(&mut peer.waiting);
            peer.generation += 1;
            peer.last_due = Ns::ZERO;
            self.free.push(slot);
            self.note(|record| record.abandoned += waiting);
        }
    }
}

/// A response with `body` bytes that announces `announced`.
fn response(status: u16, body: usize, announced: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: {announced}\r\n\r\n")
            .into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes
}
