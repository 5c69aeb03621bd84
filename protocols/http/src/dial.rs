//! Opening connections: name, source address, TCP or Unix socket, secure channel; each part timed apart.

use crate::connection::{Connection, Counted, Stream};
use crate::deadline::Slot;
use crate::fault::{During, Fault};
use crate::origin::Origin;
use crate::resolve::Resolver;
use crate::settings::{HttpSettings, Timeouts};
use crate::tls::{SecureChannel, TlsMaterial};
use crucible_core::{ErrorClass, Ns, Phase, Probe, WorkerContext};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::{TcpSocket, TcpStream, UnixStream};

/// What one shard needs to open connections.
pub(crate) struct Dialer {
    pub resolver: Resolver,
    pub secure: Option<SecureChannel>,
    pub local_addresses: Vec<IpAddr>,
    pub unix_socket: Option<PathBuf>,
    /// Which source address is next.
    pub turn: Cell<usize>,
}

impl Dialer {
    /// The dialler of one shard.
    pub(crate) fn new(settings: &HttpSettings, tls: Option<&TlsMaterial>, context: &WorkerContext) -> Dialer {
        let seed = context.seed ^ u64::from(context.share.index);
        Dialer {
            resolver: Resolver::new(settings.dns, settings.resolve.clone(), seed),
            secure: tls.map(TlsMaterial::channel),
            local_addresses: settings.local_addresses.clone(),
            unix_socket: settings.unix_socket.clone(),
            turn: Cell::new(context.share.index as usize),
        }
    }
}

/// The time limits of one operation while it runs: the total, and what is left of it for the part under way.
pub(crate) struct Limits<'s> {
    pub slot: &'s mut Slot,
    pub timeouts: &'s Timeouts,
    /// Whether a part has a limit of its own.
    pub parts: bool,
    /// When the operation must have ended, on the probe's clock.
    pub end: Ns,
    /// When the part under way must have ended.
    pub until: Ns,
}

impl Limits<'_> {
    /// Starts the limit of a part; without one of its own, the total goes on.
    #[inline]
    pub(crate) fn part(&mut self, limit: Option<Ns>, now: Ns) {
        if self.parts {
            self.within(limit.unwrap_or(Ns::MAX), now);
        }
    }

    /// Allows what follows this long, but not beyond the total.
    pub(crate) fn within(&mut self, limit: Ns, now: Ns) {
        self.until = self.end.min(now + limit);
        self.slot.arm(self.until.since(now));
    }

    /// Whether the limit has passed. The ticks of a shard that was stalled jump, and a limit that was set in between
    /// seems to have passed with them: so the clock has the last word.
    #[inline]
    pub(crate) fn passed(&self, probe: &Probe<'_>) -> bool {
        self.slot.fired() && self.surely_passed(probe)
    }

    #[cold]
    fn surely_passed(&self, probe: &Probe<'_>) -> bool {
        let left = self.until.since(probe.now());
        if left > Ns::ZERO {
            self.slot.arm(left);
        }
        left == Ns::ZERO
    }

    /// Runs `work` until the limit.
    pub(crate) async fn bound<T>(
        &mut self,
        during: During,
        probe: &Probe<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.slot.register(cx.waker());
            match work.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Ok(value)),
                Poll::Pending if self.passed(probe) => Poll::Ready(Err(Fault::Timeout(during))),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl Dialer {
    /// Opens a connection to `origin`.
    pub(crate) async fn open(
        &self,
        origin: &Arc<Origin>,
        limits: &mut Limits<'_>,
        probe: &mut Probe<'_>,
    ) -> Result<Box<Connection>, Fault> {
        let stream = match &self.unix_socket {
            Some(path) => {
                limits.part(limits.timeouts.connect, probe.marked_at());
                probe.connections += 1;
                let opened = limits.bound(During::Connect, probe, UnixStream::connect(path)).await;
                probe.mark(Phase::Connect);
                Stream::Unix(opened?.map_err(|error| Fault::Io(During::Connect, error))?)
            }
            None => {
                let stream = self.tcp(origin, limits, probe).await?;
                if origin.secure {
                    self.secure(origin, stream, limits, probe).await?
                } else {
                    Stream::Tcp(stream)
                }
            }
        };
        Ok(Box::new(Connection { stream, origin: Arc::clone(origin), used: false }))
    }

    async fn tcp(
        &self,
        origin: &Origin,
        limits: &mut Limits<'_>,
        probe: &mut Probe<'_>,
    ) -> Result<TcpStream, Fault> {
        limits.part(limits.timeouts.resolve, probe.marked_at());
        let now = probe.marked_at();
        let found = limits
            .bound(During::Resolve, probe, self.resolver.addresses(&origin.host, origin.port, now))
            .await;
        if !matches!(&found, Ok(Ok(candidates)) if !candidates.asked) {
            probe.mark(Phase::Resolve);
        }
        let candidates = found?.map_err(|text| Fault::Told(ErrorClass::Dns, text))?;
        limits.part(limits.timeouts.connect, probe.marked_at());
        let mut tried = 0;
        let opened = loop {
            probe.connections += 1;
            let attempt =
                limits.bound(During::Connect, probe, self.connect(candidates.get(tried, origin.port))).await;
            match attempt {
                Ok(Ok(stream)) => {
                    candidates.worked(tried);
                    break Ok(stream);
                }
                Ok(Err(error)) => {
                    tried += 1;
                    let fault = Fault::Io(During::Connect, error);
                    if fault.class() == ErrorClass::Local {
                        // this fails at once, every time: whoever could free something must have a turn
                        tokio::task::yield_now().await;
                    }
                    if tried == candidates.len() || fault.class() == ErrorClass::Local {
                        break Err(fault);
                    }
                }
                Err(fault) => break Err(fault),
            }
        };
        probe.mark(Phase::Connect);
        opened
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        if !self.local_addresses.is_empty() {
            // in turn; those of the other family are passed over
            let turn = self.turn.get();
            self.turn.set(turn.wrapping_add(1));
            let count = self.local_addresses.len();
            let local = (0..count)
                .map(|step| self.local_addresses[(turn + step) % count])
                .find(|local| local.is_ipv4() == address.is_ipv4());
            if let Some(local) = local {
                bind_without_port(&socket);
                socket.bind(SocketAddr::new(local, 0))?;
            }
        }
        socket.connect(address).await
    }

    async fn secure(
        &self,
        origin: &Origin,
        stream: TcpStream,
        limits: &mut Limits<'_>,
        probe: &mut Probe<'_>,
    ) -> Result<Stream, Fault> {
        let Some(channel) = &self.secure else {
            return Err(Fault::Told(ErrorClass::Local, "the secure channel was not set up".to_owned()));
        };
        limits.part(limits.timeouts.tls, probe.marked_at());
        let counted = Counted { inner: stream, bytes_in: 0, bytes_out: 0 };
        let handshake = channel.connect(&origin.host, counted)?;
        let opened = limits.bound(During::Secure, probe, handshake.into_fallible()).await;
        probe.mark(Phase::Secure);
        match opened? {
            Ok(stream) => {
                let counted = stream.get_ref().0;
                probe.bytes_in += counted.bytes_in;
                probe.bytes_out += counted.bytes_out;
                Ok(Stream::Tls(Box::new(stream)))
            }
            Err((error, counted)) => {
                probe.bytes_in += counted.bytes_in;
                probe.bytes_out += counted.bytes_out;
                Err(channel.explain(&origin.host, error))
            }
        }
    }
}

/// Leaves the choice of the source port to `connect`, which may then share it between different targets.
/// Best effort: without it only fewer connections fit on one source address.
fn bind_without_port(socket: &TcpSocket) {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the length of the call, and the option's value is one `int` that outlives it.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}
