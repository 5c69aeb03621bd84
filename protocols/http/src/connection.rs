//! An open connection: plain, secure or local, behind one interface that a single task polls.

use crate::origin::Origin;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A connection and whom it leads to. Lives in an exchange while that is under way and in the session (or the pool)
/// between two: a cut-off exchange takes its connection with it.
pub(crate) struct Connection {
    pub stream: Stream,
    pub origin: Arc<Origin>,
    /// Whether an exchange was completed on it.
    pub used: bool,
}

/// The transport.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Counted>>),
}

/// A TCP stream that counts what passes: the secure channel adds bytes of its own.
pub(crate) struct Counted {
    pub inner: TcpStream,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Connection {
    /// Whether nothing has arrived since the last exchange: neither an end nor bytes that nobody asked for. Asks
    /// the kernel only if the runtime has already heard of something.
    #[inline]
    pub(crate) fn quiet(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let looked = match &mut self.stream {
            Stream::Tcp(stream) => stream.try_read(&mut byte),
            Stream::Unix(stream) => stream.try_read(&mut byte),
            // reading through the channel takes session tickets out of the way, which are no reason to part
            Stream::Tls(stream) => {
                let mut buffer = ReadBuf::new(&mut byte);
                return Pin::new(stream)
                    .poll_read(&mut Context::from_waker(std::task::Waker::noop()), &mut buffer)
                    .is_pending();
            }
        };
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Bytes read from and written to the wire so far, where the transport counts them.
    pub(crate) fn counted(&self) -> Option<(u64, u64)> {
        match &self.stream {
            Stream::Tls(stream) => {
                let counted = stream.get_ref().0;
                Some((counted.bytes_in, counted.bytes_out))
            }
            _ => None,
        }
    }
}

impl Stream {
    /// Reads what is there into `buffer`. A short read tells the runtime that the socket is drained, so the next
    /// poll waits without asking the kernel.
    #[inline]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    /// Writes as much as fits.
    #[inline]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Pushes out what the secure channel holds back; nothing to do for the others.
    #[inline]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Whether an answer is coming in already. Never says so for a secure channel.
    pub(crate) fn poll_incoming(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx).map(|_| ()),
            Stream::Unix(stream) => stream.poll_read_ready(cx).map(|_| ()),
            Stream::Tls(_) => Poll::Pending,
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        this.bytes_in += (buffer.filled().len() - before) as u64;
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            this.bytes_out += *written as u64;
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
