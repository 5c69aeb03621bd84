//! A TCP server that does exactly what it is told: bytes, waits and endings, for hostile tests.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// One thing to do on a connection. After its last action a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Waits until a request head (through an empty line) has arrived; bytes beyond it are dropped.
    ReadHead,
    /// Waits until so many bytes have arrived.
    ReadBytes(usize),
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one at a time with this pause before each.
    Trickle(Vec<u8>, Duration),
    /// Sends these bytes again and again until the peer or the server goes.
    Flood(Vec<u8>),
    /// Does nothing for so long.
    Wait(Duration),
    /// Sends no more, but keeps reading: the peer sees an end of stream.
    HalfClose,
    /// Ends with a reset: bytes under way are lost.
    Reset,
    /// Holds the connection open until the peer or the server goes.
    Hold,
}

/// A scripted server. Stops when dropped.
pub struct ScriptServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    accepted: usize,
    /// Handles on the sockets of running connections, to shut them down.
    open: Vec<(usize, TcpStream)>,
    threads: Vec<JoinHandle<()>>,
    /// Per connection: actions begun.
    progress: Vec<usize>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if the server stopped in the meantime.
    fn pause(&self, length: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), length, |state| !state.stopping);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

impl ScriptServer {
    /// Starts it. Connection `k` follows `scripts[k]`; further ones follow the last. No scripts: every connection
    /// is closed at once.
    pub fn start(scripts: Vec<Vec<Action>>) -> io::Result<ScriptServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let for_acceptor = shared.clone();
        let acceptor = std::thread::Builder::new()
            .name("script-server".into())
            .spawn(move || accept(&listener, &scripts, &for_acceptor))?;
        Ok(ScriptServer { addr, shared, acceptor: Some(acceptor) })
    }

    /// The same script for every connection.
    pub fn always(script: Vec<Action>) -> io::Result<ScriptServer> {
        ScriptServer::start(vec![script])
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.state().accepted
    }

    /// For each connection accepted so far, how many actions of its script have been begun.
    pub fn progress(&self) -> Vec<usize> {
        self.shared.state().progress.clone()
    }
}

impl Drop for ScriptServer {
    fn drop(&mut self) {
        let open = {
            let mut state = self.shared.state();
            state.stopping = true;
            std::mem::take(&mut state.open)
        };
        self.shared.changed.notify_all();
        for (_, stream) in open {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // the acceptor sits in accept: a connection wakes it
        let _ = TcpStream::connect(self.addr);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, scripts: &[Vec<Action>], shared: &Arc<Shared>) {
    for number in 0.. {
        let Ok((stream, _)) = listener.accept() else { return };
        let Ok(handle) = stream.try_clone() else { continue };
        let script = scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
        let mut state = shared.state();
        if state.stopping {
            return;
        }
        state.accepted += 1;
        state.progress.push(0);
        state.open.push((number, handle));
        let for_connection = shared.clone();
        let thread = std::thread::Builder::new()
            .name("script-connection".into())
            .spawn(move || play(number, stream, &script, &for_connection));
        match thread {
            Ok(thread) => state.threads.push(thread),
            Err(_) => return,
        }
    }
}

fn play(number: usize, mut stream: TcpStream, script: &[Action], shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut reset = false;
    for (index, action) in script.iter().enumerate() {
        shared.state().progress[number] = index + 1;
        reset = matches!(action, Action::Reset);
        if reset || !act(&mut stream, action, shared).unwrap_or(false) {
            break;
        }
    }
    // the server holds a second handle on the socket, so closing is said explicitly
    if reset {
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    } else {
        let _ = stream.shutdown(Shutdown::Both);
    }
    shared.state().open.retain(|(open, _)| *open != number);
}

/// False if the script is to end here.
fn act(stream: &mut TcpStream, action: &Action, shared: &Shared) -> io::Result<bool> {
    let mut byte = [0u8; 1];
    match action {
        Action::ReadHead => {
            let mut last = [0u8; 4];
            while last != *b"\r\n\r\n" {
                stream.read_exact(&mut byte)?;
                last.rotate_left(1);
                last[3] = byte[0];
            }
        }
        Action::ReadBytes(count) => {
            for _ in 0..*count {
                stream.read_exact(&mut byte)?;
            }
        }
        Action::Send(bytes) => stream.write_all(bytes)?,
        Action::Trickle(bytes, pause) => {
            for byte in bytes {
                if !shared.pause(*pause) {
                    return Ok(false);
                }
                stream.write_all(&[*byte])?;
            }
        }
        Action::Flood(bytes) => loop {
            stream.write_all(bytes)?;
        },
        Action::Wait(length) => return Ok(shared.pause(*length)),
        Action::HalfClose => stream.shutdown(Shutdown::Write)?,
        Action::Reset => {}
        Action::Hold => {
            let mut sink = [0u8; 4096];
            while stream.read(&mut sink)? > 0 {}
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(script: Vec<Action>) -> (Vec<u8>, Option<io::ErrorKind>) {
        let server = ScriptServer::always(script).unwrap();
        let mut client = TcpStream::connect(server.addr()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut got = Vec::new();
        let end = client.read_to_end(&mut got);
        (got, end.err().map(|e| e.kind()))
    }

    #[test]
    fn scripts_are_followed() {
        let send = |text: &str| Action::Send(text.into());
        assert_eq!(talk(vec![Action::ReadHead, send("one "), send("two")]), (b"one two".to_vec(), None));
        let slow = Action::Trickle(b"abc".to_vec(), Duration::from_millis(1));
        assert_eq!(talk(vec![Action::ReadBytes(18), slow, Action::HalfClose]), (b"abc".to_vec(), None));
        let (got, error) = talk(vec![Action::ReadHead, Action::Reset]);
        assert_eq!((got.as_slice(), error), (&b""[..], Some(io::ErrorKind::ConnectionReset)));
    }

    #[test]
    fn connections_follow_their_own_scripts_and_a_held_one_ends_with_the_server() {
        let send = |text: &str| vec![Action::Send(text.into())];
        let server = ScriptServer::start(vec![send("first"), vec![Action::Hold]]).unwrap();
        let mut got = Vec::new();
        TcpStream::connect(server.addr()).unwrap().read_to_end(&mut got).unwrap();
        assert_eq!(got, b"first");
        let mut held = TcpStream::connect(server.addr()).unwrap();
        held.write_all(b"anything").unwrap();
        drop(server);
        assert!(matches!(held.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
}
