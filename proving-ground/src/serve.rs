//! Running one system: socket, announcement, signals, graceful drain.

use crate::clock;
use crate::system::{Announcement, GroundOptions, System};
use crate::tls::{self, Peer, TlsListener};
use crate::truth::Truth;
use crate::with::With;
use axum::serve::ListenerExt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// How long requests under way may still take after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// How long WebSockets have for saying goodbye; to the server they are no requests.
const GOODBYE: Duration = Duration::from_secs(2);

/// WebSockets that want to close properly before the process ends.
static OPEN_SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// Counts a WebSocket while it lives.
pub(crate) struct OpenSocket(());

impl OpenSocket {
    /// One more.
    pub(crate) fn new() -> OpenSocket {
        OPEN_SOCKETS.fetch_add(1, Ordering::SeqCst);
        OpenSocket(())
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        OPEN_SOCKETS.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn sockets_closed() {
    let clock = clock::Watch::start();
    while OPEN_SOCKETS.load(Ordering::SeqCst) > 0 && Duration::from(clock.elapsed()) < GOODBYE {
        clock::about(Duration::from_millis(5)).await;
    }
}

/// A system that is ready to serve.
pub(crate) struct Application {
    /// Its routes.
    pub(crate) router: axum::Router,
    /// Set when the drain begins, for the readiness route.
    pub(crate) draining: Arc<AtomicBool>,
}

/// Runs a system that is one process.
pub(crate) fn run(
    system: &System,
    build: fn(&Path, Truth) -> Result<Application, String>,
    secure: bool,
    mut options: GroundOptions,
) -> Result<(), String> {
    let mut truth = Truth::parse(&options.truth)?;
    truth.with = With::parse(&options.with)?;
    let (data, _temporary) = data_folder(options.data.take())?;
    truth.folder.clone_from(&data);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).div_ceil(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))?;
    let given = truth.given.clone();
    let identity = if secure { Some(tls::identity(&data)?) } else { None };
    let application = build(&data, truth)?;
    let result = runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = listen(address).and_then(TcpListener::from_std);
        let listener = listener.map_err(|e| format!("cannot listen on {address}: {e}"))?;
        let address = listener.local_addr().map_err(|e| format!("cannot tell the address: {e}"))?;
        // signals are caught before anybody is told that we are here
        let stop = stop_signal()?;
        (options.announce)(&Announcement {
            system: system.name,
            address,
            url: format!("{}://{address}", if secure { "https" } else { "http" }),
            pid: std::process::id(),
            parts: Vec::new(),
            data: data.clone(),
            ca: identity.as_ref().map(|identity| identity.ca.clone()),
            truth: given,
        });
        match identity {
            Some(identity) => serve_secure(application, TlsListener::start(listener, identity)?, stop).await,
            None => serve(application, listener, stop).await,
        }
    });
    // connections that outlived the drain die with the runtime, without a further wait
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Connections that may wait to be accepted. The library's 128 would drop those of a thousand users who come at once, and
/// their second attempt, a second later, would be measured as the system's.
const WAITING: i32 = 4_096;

/// A socket that listens, for an asynchronous runtime.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    // listening again only changes how many may wait
    rustix::net::listen(&listener, WAITING)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until `stop` and then for as long as the requests under way take, ten seconds at most.
pub(crate) async fn serve(
    application: Application,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), String> {
    let Application { router, draining } = application;
    let listener = listener.tap_io(|stream| {
        // small answers must not wait for acknowledgements
        let _ = stream.set_nodelay(true);
    });
    let (stop, begun) = announced(stop, draining);
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop);
    let served = tokio::select! {
        ended = async { server.await } => ended.map_err(|e| format!("the server broke: {e}")),
        () = async { begun.notified().await; clock::about(DRAIN).await } => Ok(()),
    };
    sockets_closed().await;
    served
}

/// The same behind TLS.
async fn serve_secure(
    application: Application,
    listener: TlsListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), String> {
    let Application { router, draining } = application;
    let (stop, begun) = announced(stop, draining);
    let router = router.layer(axum::middleware::from_fn(tls::tell_peer));
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(stop);
    tokio::select! {
        ended = async { server.await } => ended.map_err(|e| format!("the server broke: {e}")),
        () = async { begun.notified().await; clock::about(DRAIN).await } => Ok(()),
    }
}

/// `stop`, which also says that the drain has begun.
fn announced(
    stop: impl Future<Output = ()> + Send + 'static,
    draining: Arc<AtomicBool>,
) -> (impl Future<Output = ()> + Send + 'static, Arc<Notify>) {
    let begun = Arc::new(Notify::new());
    let told = Arc::clone(&begun);
    let stop = async move {
        stop.await;
        draining.store(true, Ordering::Relaxed);
        told.notify_one();
    };
    (stop, begun)
}

/// Catches SIGTERM and Ctrl-C from now on; resolves at the first.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    let catch = |kind| signal(kind).map_err(|e| format!("cannot catch signals: {e}"));
    let mut terminate = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The folder for the data, and what removes it at the end if it is temporary.
pub(crate) fn data_folder(wanted: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), String> {
    match wanted {
        Some(path) => {
            std::fs::create_dir_all(&path)
                .map_err(|e| format!("cannot make the data folder {}: {e}", path.display()))?;
            Ok((path, None))
        }
        None => {
            let folder = tempfile::Builder::new()
                .prefix("crucible-ground-")
                .tempdir()
                .map_err(|e| format!("cannot make a temporary folder: {e}"))?;
            Ok((folder.path().to_owned(), Some(folder)))
        }
    }
}
