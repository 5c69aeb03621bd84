//! TLS for systems that stand behind it: an authority of their own, a certificate, a listener.
//!
//! Invariants: the private keys never leave the data folder, readable by its owner alone; the authority's key is
//! not kept at all; a client that never finishes its handshake costs one task for ten seconds and holds up
//! nobody.

use crate::clock;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once.
const HANDSHAKES: usize = 1_024;

/// Who a system is.
pub(crate) struct Identity {
    /// The authority's certificate, PEM.
    pub(crate) ca: PathBuf,
    config: Arc<ServerConfig>,
}

/// The identity in `folder`, made there if it is missing: `ca.pem`, `server.pem`, `server.key`.
pub(crate) fn identity(folder: &Path) -> Result<Identity, String> {
    let (ca, chain, key) = (folder.join("ca.pem"), folder.join("server.pem"), folder.join("server.key"));
    if !(ca.is_file() && chain.is_file() && key.is_file()) {
        let made = make().map_err(|e| format!("cannot make a certificate: {e}"))?;
        // the authority last: whoever sees it sees the rest, too
        for (path, text) in [(&key, made.key), (&chain, made.chain), (&ca, made.ca)] {
            write(path, &text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
    }
    let told = |path: &Path, e: String| format!("cannot use {}: {e}", path.display());
    let certificates = CertificateDer::pem_file_iter(&chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| told(&chain, e.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|e| told(&key, e.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|e| told(&chain, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { ca, config: Arc::new(config) })
}

struct Made {
    ca: String,
    chain: String,
    key: String,
}

fn make() -> Result<Made, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "proving ground authority");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let chain = server.signed_by(&key, &issuer)?.pem();
    Ok(Made { ca, chain, key: key.serialize_pem() })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mode = if path.extension().is_some_and(|e| e == "key") { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

/// Gives connections whose handshake is done.
pub(crate) struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    /// Begins to accept.
    pub(crate) fn start(listener: TcpListener, identity: Identity) -> Result<TlsListener, String> {
        let address = listener.local_addr().map_err(|e| format!("cannot tell the address: {e}"))?;
        let (done, ready) = mpsc::channel(64);
        let accepting = tokio::spawn(accept(listener, TlsAcceptor::from(identity.config), done));
        Ok(TlsListener { address, ready, accepting })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // out of descriptors, most likely: some will be closed soon
                clock::about(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let handshake = acceptor.accept(stream);
            let secured = tokio::select! {
                secured = handshake => secured.ok(),
                () = clock::about(HANDSHAKE) => None,
            };
            drop(place);
            if let Some(secured) = secured {
                // the server may have stopped meanwhile
                let _ = done.send((secured, peer)).await;
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // the accepting task never ends before this listener is dropped
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Address of the client of a TLS connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

/// Tells handlers the address in the way in which they know it from plain connections.
pub(crate) async fn tell_peer(
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(ConnectInfo(peer));
    next.run(request).await
}
