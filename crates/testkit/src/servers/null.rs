//! A server that does as little as an HTTP/1.1 server can: what a load generator's own floor is measured against.

use super::connection::{Arrived, Connection};
use super::poller::{Poller, Threads};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
const LISTENER: u64 = u64::MAX - 1;
const BUFFER: usize = 64 * 1024;

/// Answers every request with 200 and two bytes, at once. Stops when dropped.
pub struct NullServer {
    addr: SocketAddr,
    _threads: Threads,
}

impl NullServer {
    /// Starts it with so many threads (at least 1) on a free port of 127.0.0.1. Connections are dealt out to the
    /// threads by the kernel.
    pub fn start(threads: usize) -> io::Result<NullServer> {
        NullServer::answering(threads, ANSWER)
    }

    /// The same with this answer, head and body, to every request.
    pub fn answering(threads: usize, bytes: &'static [u8]) -> io::Result<NullServer> {
        let first = listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..threads.max(1) {
            listeners.push(listener(addr)?);
        }
        let mut running = Threads::new();
        for listener in listeners {
            let poller = Poller::new()?;
            poller.add(&listener, LISTENER)?;
            running.start("null-server", poller, move |poller| serve(&listener, poller, bytes))?;
        }
        Ok(NullServer { addr, _threads: running })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }
}

/// A listener that shares its port with others of this kind.
pub(super) fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn serve(listener: &TcpListener, poller: Poller, bytes: &[u8]) {
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0u8; BUFFER];
    let mut ready = Vec::new();
    while poller.wait(true, &mut ready) {
        for event in ready.drain(..) {
            if event.token == LISTENER {
                accept(listener, &poller, &mut connections, &mut free);
                continue;
            }
            let slot = event.token as usize;
            let Some(connection) = connections.get_mut(slot).and_then(Option::as_mut) else { continue };
            let alive = (!event.writable || connection.flush(&poller).is_ok())
                && answer(connection, &mut buffer, &poller, bytes);
            if !alive {
                connections[slot] = None;
                free.push(slot);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poller: &Poller,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) {
    while let Ok((stream, _)) = listener.accept() {
        let slot = free.pop().unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        match Connection::new(stream, slot as u64, poller) {
            Ok(connection) => connections[slot] = Some(connection),
            Err(_) => free.push(slot),
        }
    }
}

/// Answers what has arrived. False when the connection is to be closed.
fn answer(connection: &mut Connection, buffer: &mut [u8], poller: &Poller, bytes: &[u8]) -> bool {
    let count = match connection.read(buffer) {
        Arrived::Bytes(count) => count,
        Arrived::Nothing => return true,
        Arrived::End => return false,
    };
    let mut requests = 0usize;
    let readable = connection.reader.feed(&buffer[..count], |_| requests += 1);
    let sent = match requests {
        0 => Ok(()),
        1 => connection.send(bytes, poller),
        many => connection.send(&bytes.repeat(many), poller),
    };
    readable.is_ok() && sent.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    #[test]
    fn every_request_is_answered_on_a_kept_connection() {
        let server = NullServer::start(2).unwrap();
        let mut client = TcpStream::connect(server.addr()).unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        for batch in [1, 1, 3, 50] {
            client.write_all(&request.repeat(batch)).unwrap();
            let mut got = vec![0; ANSWER.len() * batch];
            client.read_exact(&mut got).unwrap();
            assert_eq!(got, ANSWER.repeat(batch));
        }
    }

    #[test]
    fn it_stops_when_dropped() {
        let server = NullServer::start(2).unwrap();
        let addr = server.addr();
        let mut client = TcpStream::connect(addr).unwrap();
        drop(server);
        assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
        assert!(TcpStream::connect(addr).is_err());
    }
}
