//! A WebSocket server that gives back what it gets, made for many connections that are mostly silent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Longest head of a handshake, and longest frame, in bytes.
const LIMIT: usize = 16 << 10;

/// See the module text. Stops when dropped.
pub struct EchoServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EchoServer {
    /// Starts one on a free port of loopback, on a thread of its own.
    pub fn start() -> io::Result<EchoServer> {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        // thousands come at once
        listener.listen(8192)?;
        listener.set_nonblocking(true)?;
        let listener = std::net::TcpListener::from(listener);
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let accept = async {
                    loop {
                        match listener.accept().await {
                            Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
                            // no descriptor is free: those who leave will free some
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                };
                let mut accept = std::pin::pin!(accept);
                let mut stopped = std::pin::pin!(stopped);
                std::future::poll_fn(|cx| {
                    let _ = accept.as_mut().poll(cx);
                    stopped.as_mut().poll(cx).map(|_| ())
                })
                .await;
            });
        });
        Ok(EchoServer { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One connection; an error ends it.
async fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // empty while nobody speaks: a silent connection costs no buffer
    let mut pending = Vec::new();
    let mut greeted = false;
    loop {
        stream.readable().await?;
        let mut buffer = [0u8; 4096];
        let count = match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        pending.extend_from_slice(&buffer[..count]);
        if !greeted {
            let Some(end) = memchr::memmem::find(&pending, b"\r\n\r\n") else {
                if pending.len() > LIMIT {
                    return Ok(());
                }
                continue;
            };
            let Some(answer) = greeting(&pending[..end]) else { return Ok(()) };
            write(&stream, answer.as_bytes()).await?;
            pending.drain(..end + 4);
            greeted = true;
        }
        while let Some((length, answer, last)) = answer(&mut pending) {
            pending.drain(..length);
            write(&stream, &answer).await?;
            if last {
                return Ok(());
            }
        }
        if pending.len() > LIMIT {
            return Ok(());
        }
        if pending.is_empty() {
            pending = Vec::new();
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The answer to a handshake (RFC 6455 4.2.2).
fn greeting(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    })?;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// The first whole frame: its length, what goes back, and whether it was the last. Pings become pongs, the rest itself.
fn answer(pending: &mut [u8]) -> Option<(usize, Vec<u8>, bool)> {
    let (first, second) = (*pending.first()?, *pending.get(1)?);
    let (start, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*pending.get(2)?, *pending.get(3)?]))),
        // longer ones than the limit are not waited for
        127 => return None,
        short => (2, usize::from(short)),
    };
    let mask: [u8; 4] = pending.get(start..start + 4)?.try_into().ok()?;
    let payload = pending.get(start + 4..start + 4 + length)?;
    let opcode = first & 0x0f;
    let mut out = vec![if opcode == 9 { first & 0xf0 | 10 } else { first }];
    match length {
        0..126 => out.push(length as u8),
        _ => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    out.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index & 3]));
    Some((start + 4 + length, out, opcode == 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::Message;

    #[test]
    fn a_client_gets_back_what_it_says() {
        let server = EchoServer::start().unwrap();
        let stream = std::net::TcpStream::connect(server.addr()).unwrap();
        let (mut client, _) = tungstenite::client("ws://localhost/", stream).unwrap();
        for text in ["", "hello", &"x".repeat(3000)] {
            client.send(Message::text(text)).unwrap();
            assert_eq!(client.read().unwrap(), Message::text(text));
        }
        client.send(Message::Ping("p".into())).unwrap();
        assert_eq!(client.read().unwrap(), Message::Pong("p".into()));
        client.close(None).unwrap();
        assert!(matches!(client.read(), Ok(Message::Close(_))));
    }
}
