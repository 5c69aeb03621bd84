//! The secure channel: who is trusted, who is not, and what is said about it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Rig, Seen};
use crucible_core::{ErrorClass, Ns, Outcome};
use crucible_http::{HttpSettings, RequestSpec, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Authority { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
}

impl Authority {
    /// A certificate for `name` that ends in `year`.
    fn issue(&self, name: &str, year: i32) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 2, 28);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server for `name` that answers any number of requests on any number of connections.
    fn serve(&self, name: &str, year: i32, clients: Option<&Authority>) -> SocketAddr {
        let (certificate, key) = self.issue(name, year);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.der.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                std::thread::spawn(move || answer_all(rustls::StreamOwned::new(connection, stream)));
            }
        });
        address
    }
}

/// Answers until the client leaves.
fn answer_all(mut stream: rustls::StreamOwned<ServerConnection, std::net::TcpStream>) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..count]);
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        Files { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    }
}

fn rig(address: SocketAddr, tls: TlsSettings) -> Rig {
    let url = format!("https://localhost:{}/", address.port());
    let spec = RequestSpec::new("GET", &url).unwrap().timeout(Ns::from_secs(20));
    let resolve = vec![("localhost".to_owned(), address.ip())];
    Rig::new(&HttpSettings { tls, resolve, ..HttpSettings::default() }, vec![spec])
}

fn refused(seen: &Seen, words: &[&str]) {
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Tls), "{seen:?}");
    for part in words {
        assert!(seen.detail.contains(part), "{part:?} is missing: {seen:?}");
    }
}

#[test]
fn an_own_authority_is_trusted_and_the_connection_kept() {
    let (ca, files) = (authority(), Files::new());
    let address = ca.serve("localhost", 2100, None);
    let mut rig = rig(address, TlsSettings { ca: files.write("ca.pem", &ca.pem), ..TlsSettings::default() });
    let first = rig.call(0);
    assert_eq!(
        (first.outcome, first.code, first.connections, first.secured),
        (Outcome::Ok, 200, 1, true),
        "{first:?}"
    );
    let second = rig.call(0);
    assert_eq!((second.outcome, second.connections, second.secured), (Outcome::Ok, 0, false), "{second:?}");
    // a TLS 1.3 record adds 22 bytes; the handshake belongs to the first call
    assert!(second.bytes_in > 40 && second.bytes_in < 100, "{second:?}");
    assert!(first.bytes_in > second.bytes_in + 500 && first.bytes_out > second.bytes_out, "{first:?}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_the_remedy() {
    let (ca, other, files) = (authority(), authority(), Files::new());
    let trusted = || TlsSettings { ca: files.write("ca.pem", &ca.pem), ..TlsSettings::default() };
    let good = ca.serve("localhost", 2100, None);
    let seen = rig(good, TlsSettings::default()).call(0);
    refused(&seen, &["unknown issuer", "tls: {ca: ./ca.pem}"]);
    let seen = rig(other.serve("localhost", 2100, None), trusted()).call(0);
    refused(&seen, &["not issued by the authority in tls.ca"]);
    let seen = rig(ca.serve("localhost", 2020, None), trusted()).call(0);
    refused(&seen, &["expired on 2020-02-28"]);
    let elsewhere = ca.serve("example.org", 2100, None);
    refused(&rig(elsewhere, trusted()).call(0), &["not for localhost", "server_name"]);
    let named = TlsSettings { server_name: Some("example.org".into()), ..trusted() };
    assert_eq!(rig(elsewhere, named).call(0).outcome, Outcome::Ok);
}

#[test]
fn without_verification_anything_goes_and_is_remarked() {
    let address = authority().serve("example.org", 2020, None);
    let tls = TlsSettings { verify: false, ..TlsSettings::default() };
    let settings = HttpSettings { tls: tls.clone(), ..HttpSettings::default() };
    assert_eq!(settings.remarks().len(), 1);
    assert_eq!(rig(address, tls).call(0).outcome, Outcome::Ok);
}

#[test]
fn a_client_certificate_is_shown_when_there_is_one() {
    let (ca, clients, files) = (authority(), authority(), Files::new());
    let address = ca.serve("localhost", 2100, Some(&clients));
    let trusted = TlsSettings { ca: files.write("ca.pem", &ca.pem), ..TlsSettings::default() };
    let seen = rig(address, trusted.clone()).call(0);
    refused(&seen, &["wants a client certificate", "tls: {cert"]);
    let (certificate, key) = clients.issue("client", 2100);
    let shown = TlsSettings {
        cert: files.write("cert.pem", &certificate.pem()),
        key: files.write("key.pem", &key.serialize_pem()),
        ..trusted
    };
    assert_eq!(rig(address, shown).call(0).outcome, Outcome::Ok);
}

#[test]
fn a_server_without_tls_is_named() {
    use crucible_testkit::servers::{Action, ScriptServer};
    let server =
        ScriptServer::always(vec![Action::Send(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec()), Action::Hold]).unwrap();
    refused(&rig(server.addr(), TlsSettings::default()).call(0), &["does not speak TLS", "http://"]);
    let server = ScriptServer::always(vec![]).unwrap();
    let seen = rig(server.addr(), TlsSettings::default()).call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Tls), "{seen:?}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let spec = RequestSpec::new("GET", &url).unwrap().timeout(Ns::from_millis(200));
    let seen = Rig::new(&HttpSettings::default(), vec![spec]).call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::TimedOut, ErrorClass::Timeout), "{seen:?}");
    assert!(seen.detail.contains("setting up TLS"), "{seen:?}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let check = |tls: TlsSettings, words: &str| {
        let spec = RequestSpec::new("GET", "https://localhost/").unwrap();
        let settings = HttpSettings { tls, ..HttpSettings::default() };
        let made =
            crucible_http::HttpProtocol::new(&settings, vec![(crucible_core::StepId(0), Arc::new(spec))]);
        let error = made.err().unwrap();
        assert!(error.contains(words), "{error}");
    };
    let usual = TlsSettings::default();
    check(TlsSettings { ca: Some("nowhere.pem".into()), ..usual.clone() }, "nowhere.pem cannot be read");
    check(TlsSettings { ca: files.write("empty.pem", ""), ..usual.clone() }, "holds no certificate");
    check(TlsSettings { cert: files.write("c.pem", "x"), ..usual.clone() }, "needs tls.key");
    check(TlsSettings { server_name: Some("not a name".into()), ..usual }, "is not a host name");
}
