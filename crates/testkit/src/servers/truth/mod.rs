//! A server that knows exactly what it did: it imposes delays from a seeded law and writes down each delay as it
//! really was, from the moment the request could be read to the moment before the answer was written.
//!
//! One thread with epoll and a timerfd (timer slack 1 ns); the last 20 us before an answer is due are spent
//! polling, so that the thread does not oversleep. In a stall nothing is answered; requests that arrive in it are
//! still stamped when they arrive, so the record contains the stall as the clients had to suffer it.

mod serve;

use super::null::listener;
use super::poller::{Poller, Threads};
use crate::law::{Law, Stalls};
use crucible_core::Ns;
use rustix::time::{TimerfdClockId, TimerfdFlags};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

const LISTENER: u64 = u64::MAX - 1;
const TIMER: u64 = u64::MAX - 2;
/// Most answers that a record keeps one by one.
const RECORD_LIMIT: usize = 20_000_000;

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status and the body.
    Status(u16),
    /// 200 for the first requests of the route, then this status.
    After {
        /// How many are answered with 200.
        first: u64,
        /// The status of the others.
        then: u16,
    },
    /// This status for every n-th request of the route, 200 for the others.
    OneIn {
        /// The n.
        every: u64,
        /// The status.
        status: u16,
    },
    /// 200, `chunk` bytes at a time with `gap` before each.
    Trickle {
        /// Bytes at a time.
        chunk: usize,
        /// Pause.
        gap: Ns,
    },
    /// Bytes that are not HTTP, then the end.
    Garbage,
    /// A content length beyond the body, then the end.
    TooShort,
    /// A content length short of the body.
    TooLong,
    /// A reset instead of an answer.
    Reset,
    /// The end of the stream instead of an answer.
    Close,
    /// No answer, ever.
    Never,
}

/// How requests of one route are treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// Delay before the answer.
    pub law: Law,
    /// What the answer is.
    pub answer: Answer,
}

impl Behaviour {
    /// Status 200 after a delay of this law.
    pub const fn delayed(law: Law) -> Behaviour {
        Behaviour { law, answer: Answer::Status(200) }
    }

    /// An answer at once.
    pub const fn at_once(answer: Answer) -> Behaviour {
        Behaviour { law: Law::Fixed(Ns::ZERO), answer }
    }
}

/// A path and what happens there.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The path, without a query.
    pub path: String,
    /// What happens there.
    pub behaviour: Behaviour,
}

/// What a truth server is like.
#[derive(Clone, Debug, PartialEq)]
pub struct TruthConfig {
    /// Paths that have a behaviour of their own.
    pub routes: Vec<Route>,
    /// What happens on all other paths.
    pub otherwise: Behaviour,
    /// When the whole server freezes; counted from its start.
    pub stalls: Option<Stalls>,
    /// Bytes of body.
    pub body: usize,
    /// Seed of the delays.
    pub seed: u64,
    /// Stay on this CPU and poll all the time, at the highest ordinary priority that the system allows.
    pub own_cpu: Option<usize>,
    /// Answers that are expected: memory for them is set aside before the first request.
    pub expected: usize,
}

impl TruthConfig {
    /// The same behaviour on all paths; 16 bytes of body.
    pub fn of(otherwise: Behaviour) -> TruthConfig {
        TruthConfig {
            routes: Vec::new(),
            otherwise,
            stalls: None,
            body: 16,
            seed: 1,
            own_cpu: None,
            expected: 1 << 16,
        }
    }
}

/// One answer as it really was. Instants are counted from the start of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// When the request could be read.
    pub readable: Ns,
    /// Just before the answer was (first) written.
    pub written: Ns,
    /// Index of its route; the number of routes for all other paths.
    pub route: u16,
    /// Its status; 0 if it was not a proper answer.
    pub status: u16,
}

impl Served {
    /// The delay that was imposed.
    pub fn took(&self) -> Ns {
        self.written.since(self.readable)
    }
}

/// What a truth server did.
#[derive(Clone, Debug, Default)]
pub struct TruthRecord {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests whose connection was gone before the answer was due.
    pub abandoned: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Answers in the order in which they were written.
    pub served: Vec<Served>,
}

impl TruthRecord {
    /// Exact delays in rising order.
    pub fn sorted(&self) -> Vec<Ns> {
        let mut delays: Vec<Ns> = self.served.iter().map(Served::took).collect();
        delays.sort_unstable();
        delays
    }

    /// The delay that a share `p` of the answers did not exceed (nearest rank); `None` without answers.
    pub fn quantile(&self, p: f64) -> Option<Ns> {
        let delays = self.sorted();
        let rank = ((p * delays.len() as f64).ceil() as usize).clamp(1, delays.len().max(1));
        delays.get(rank - 1).copied()
    }
}

/// Keeps the calling thread on one CPU, ahead of other ordinary threads; a refusal leaves it as it was. Not `SCHED_FIFO`:
/// the kernel stops a polling thread of that class for 50 ms in every second.
fn keep_to(cpu: usize) {
    // SAFETY: an all-zero cpu_set_t is valid, the index is below its size, and the calls read their arguments and
    // change only the calling thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu % libc::CPU_SETSIZE as usize, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        libc::setpriority(libc::PRIO_PROCESS, libc::gettid() as libc::id_t, -20);
    }
}

/// See the module text. Stops when dropped.
pub struct TruthServer {
    addr: SocketAddr,
    record: Arc<Mutex<TruthRecord>>,
    _threads: Threads,
}

impl TruthServer {
    /// Starts it on a free port of 127.0.0.1.
    pub fn start(config: TruthConfig) -> io::Result<TruthServer> {
        TruthServer::start_at(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts it at a given address, as when a killed server comes back.
    pub fn start_at(config: TruthConfig, addr: SocketAddr) -> io::Result<TruthServer> {
        let listener = listener(addr)?;
        let addr = listener.local_addr()?;
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        poller.add(&timer, TIMER)?;
        let record = Arc::new(Mutex::new(TruthRecord {
            served: Vec::with_capacity(config.expected.min(RECORD_LIMIT)),
            ..TruthRecord::default()
        }));
        let for_thread = record.clone();
        let mut threads = Threads::new();
        let own_cpu = config.own_cpu;
        threads.start("truth-server", poller, move |poller| {
            if let Some(cpu) = own_cpu {
                keep_to(cpu);
            }
            serve::Server::new(config, listener, timer, poller, for_thread).run();
        })?;
        Ok(TruthServer { addr, record, _threads: threads })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address with this path: `http://127.0.0.1:PORT/path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.addr, path.trim_start_matches('/'))
    }

    /// What it did so far.
    pub fn record(&self) -> TruthRecord {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what it did so far, as after a warm-up.
    pub fn forget(&self) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut served = std::mem::take(&mut record.served);
        served.clear();
        *record = TruthRecord { served, ..TruthRecord::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// Sends `count` requests for `path`, each after the answer to the one before; gives the bytes that came.
    fn ask(server: &TruthServer, path: &str, count: usize) -> Vec<String> {
        let mut client = TcpStream::connect(server.addr()).unwrap();
        let mut answers = Vec::new();
        for _ in 0..count {
            client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
            let mut got = Vec::new();
            let mut byte = [0; 1];
            while !got.ends_with(b"x!") && matches!(client.read(&mut byte), Ok(1)) {
                got.push(byte[0]);
                if got.ends_with(b"\r\n\r\n") && !got.starts_with(b"\0") {
                    let head = String::from_utf8_lossy(&got).into_owned();
                    let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
                    let mut body = vec![0; length.parse().unwrap()];
                    let _ = client.read_exact(&mut body);
                    break;
                }
            }
            answers.push(String::from_utf8_lossy(&got).split("\r\n").next().unwrap().to_owned());
        }
        answers
    }

    fn route(path: &str, answer: Answer) -> Route {
        Route { path: path.into(), behaviour: Behaviour::at_once(answer) }
    }

    #[test]
    fn answers_follow_the_script_of_their_route() {
        let routes = vec![
            route("/403", Answer::Status(403)),
            route("/after", Answer::After { first: 2, then: 429 }),
            route("/in", Answer::OneIn { every: 3, status: 500 }),
            route("/trickle", Answer::Trickle { chunk: 7, gap: Ns::from_micros(50) }),
            route("/garbage", Answer::Garbage),
            route("/close", Answer::Close),
            route("/reset", Answer::Reset),
        ];
        let config = TruthConfig { routes, ..TruthConfig::of(Behaviour::at_once(Answer::Status(200))) };
        let server = TruthServer::start(config).unwrap();
        let check = |path: &str, expected: &[&str]| {
            assert_eq!(ask(&server, path, expected.len()), expected, "{path}");
        };
        check("/", &["HTTP/1.1 200 X"; 3]);
        check("/403?x=1", &["HTTP/1.1 403 X"; 2]);
        check("/after", &["HTTP/1.1 200 X", "HTTP/1.1 200 X", "HTTP/1.1 429 X", "HTTP/1.1 429 X"]);
        check("/in", &["HTTP/1.1 200 X", "HTTP/1.1 200 X", "HTTP/1.1 500 X", "HTTP/1.1 200 X"]);
        check("/trickle", &["HTTP/1.1 200 X"; 2]);
        check("/close", &[""]);
        check("/reset", &[""]);
        check("/garbage", &["\0\u{fffd}not a protocol"]);
        let record = server.record();
        assert_eq!(
            (record.requests, record.served.len(), record.abandoned, record.connections),
            (18, 18, 0, 8)
        );
    }

    #[test]
    fn imposed_delays_are_never_short_and_are_recorded() {
        let law = Law::TwoPoint { low: Ns::from_micros(200), high: Ns::from_millis(3), share: 0.2 };
        let server = TruthServer::start(TruthConfig::of(Behaviour::delayed(law))).unwrap();
        ask(&server, "/", 60);
        let record = server.record();
        assert_eq!(record.served.len(), 60);
        assert!(record.sorted()[0] >= Ns::from_micros(200));
        assert!(record.quantile(1.0).unwrap() >= Ns::from_millis(3));
        server.forget();
        assert_eq!((server.record().requests, server.record().quantile(0.5)), (0, None));
    }
}
