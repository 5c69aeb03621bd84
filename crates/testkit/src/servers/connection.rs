//! One accepted connection: takes requests out of the bytes that arrive and puts answers into the socket.

use super::poller::Poller;
use memchr::memmem;
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Longest request head that is taken.
const HEAD_LIMIT: usize = 64 * 1024;

/// Splits a stream of bytes into requests. Pipelined requests and heads in pieces are fine; a body must have a
/// content length.
#[derive(Debug, Default)]
pub(super) struct RequestReader {
    /// Bytes of a head whose end has not arrived.
    partial: Vec<u8>,
    body_left: u64,
}

/// The peer sent what these servers do not read: the connection is to be closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl RequestReader {
    /// Takes `bytes`; calls `on_request` with the head of each request that is complete with its body.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut on_request: impl FnMut(&[u8]),
    ) -> Result<(), Unreadable> {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let taken = self.body_left.min(bytes.len() as u64);
                self.body_left -= taken;
                bytes = &bytes[taken as usize..];
                if self.body_left == 0 {
                    on_request(&std::mem::take(&mut self.partial));
                }
            } else if self.partial.is_empty() {
                let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
                    self.partial.extend_from_slice(bytes);
                    return self.within_limit();
                };
                let (head, rest) = bytes.split_at(end + 4);
                bytes = rest;
                self.body_left = body_length(head)?;
                if self.body_left == 0 {
                    on_request(head);
                } else {
                    self.partial.extend_from_slice(head);
                }
            } else {
                // the end mark may lie across the border of the pieces
                let before = self.partial.len();
                self.partial.extend_from_slice(bytes);
                let from = before.saturating_sub(3);
                let Some(end) = memmem::find(&self.partial[from..], b"\r\n\r\n") else {
                    return self.within_limit();
                };
                let end = from + end + 4;
                bytes = &bytes[end - before..];
                self.partial.truncate(end);
                self.body_left = body_length(&self.partial)?;
                if self.body_left == 0 {
                    on_request(&std::mem::take(&mut self.partial));
                }
            }
        }
        Ok(())
    }

    fn within_limit(&self) -> Result<(), Unreadable> {
        if self.partial.len() > HEAD_LIMIT { Err(Unreadable) } else { Ok(()) }
    }
}

fn body_length(head: &[u8]) -> Result<u64, Unreadable> {
    if head.starts_with(b"GET ") || head.starts_with(b"HEAD ") {
        return Ok(0);
    }
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Unreadable);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            return std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()).ok_or(Unreadable);
        }
    }
    Ok(0)
}

/// The second word of the request line, without its query: `/a` in `GET /a?b HTTP/1.1`.
pub(super) fn path(head: &[u8]) -> &[u8] {
    let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    target.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// A connection of a polled server.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) reader: RequestReader,
    /// Bytes that the socket would not take yet.
    unsent: Vec<u8>,
    token: u64,
}

/// What a read gave.
pub(super) enum Arrived {
    /// So many bytes.
    Bytes(usize),
    /// Nothing more at present.
    Nothing,
    /// The end, or an error.
    End,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, token: u64, poller: &Poller) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        poller.add(&stream, token)?;
        Ok(Connection { stream, reader: RequestReader::default(), unsent: Vec::new(), token })
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Arrived {
        match self.stream.read(buffer) {
            Ok(0) => Arrived::End,
            Ok(count) => Arrived::Bytes(count),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Arrived::Nothing
            }
            Err(_) => Arrived::End,
        }
    }

    /// Sends, or keeps what the socket does not take. An error means that the connection is gone.
    pub(super) fn send(&mut self, bytes: &[u8], poller: &Poller) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = self.write_some(bytes)?;
        if sent < bytes.len() {
            self.unsent.extend_from_slice(&bytes[sent..]);
            poller.interest(&self.stream, self.token, true)?;
        }
        Ok(())
    }

    /// The socket takes bytes again.
    pub(super) fn flush(&mut self, poller: &Poller) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.unsent);
        let sent = self.write_some(&bytes)?;
        if sent < bytes.len() {
            self.unsent = bytes[sent..].to_vec();
        } else {
            poller.interest(&self.stream, self.token, false)?;
        }
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn requests(pieces: &[&[u8]]) -> Result<Vec<String>, Unreadable> {
        let mut reader = RequestReader::default();
        let mut paths = Vec::new();
        for piece in pieces {
            reader.feed(piece, |head| paths.push(String::from_utf8_lossy(path(head)).into_owned()))?;
        }
        Ok(paths)
    }

    const STREAM: &[u8] = b"GET /a?x=1 HTTP/1.1\r\nhost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-LENGTH: 5\r\n\r\nhelloGET /c HTTP/1.1\r\n\r\n";

    proptest! {
        #[test]
        fn any_division_of_the_stream_gives_the_same_requests(mut cuts in proptest::collection::vec(0..STREAM.len(), 0..6)) {
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &STREAM[w[0]..w[1]]).collect();
            prop_assert_eq!(requests(&pieces), Ok(vec!["/a".to_owned(), "/b".to_owned(), "/c".to_owned()]));
        }

        #[test]
        fn any_bytes_are_survived(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = requests(&pieces);
        }
    }

    #[test]
    fn what_is_not_read_is_refused() {
        assert_eq!(requests(&[b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"]), Err(Unreadable));
        assert_eq!(requests(&[b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"]), Err(Unreadable));
        assert_eq!(requests(&[&[b'x'; HEAD_LIMIT + 1]]), Err(Unreadable));
    }
}
