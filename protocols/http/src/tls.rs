//! The secure channel: whom to trust, what to show, and errors that say what to do.

use crate::connection::Counted;
use crate::fault::{During, Fault};
use crate::settings::TlsSettings;
use crucible_core::ErrorClass;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Trust and identity as read from files; shared by all shards.
#[derive(Clone)]
pub(crate) struct TlsMaterial {
    config: ClientConfig,
    server_name: Option<ServerName<'static>>,
    own_ca: bool,
}

/// The secure channel of one shard: sessions resumed here are its own.
pub(crate) struct SecureChannel {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
    own_ca: bool,
}

impl TlsMaterial {
    /// Reads the files. The error names the file and what is wrong with it.
    pub(crate) fn read(settings: &TlsSettings) -> Result<TlsMaterial, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let builder = if settings.verify {
            builder.with_root_certificates(roots(settings.ca.as_deref())?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAll::new(&provider)))
        };
        let mut config = match (&settings.cert, &settings.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("tls.key: {} holds no private key: {error}", key.display()))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| format!("tls.cert and tls.key do not fit together: {error}"))?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err("tls.cert needs tls.key beside it".to_owned()),
            (None, Some(_)) => return Err("tls.key needs tls.cert beside it".to_owned()),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server_name = match &settings.server_name {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| format!("tls.server_name: {name:?} is not a host name"))?,
            ),
            None => None,
        };
        Ok(TlsMaterial { config, server_name, own_ca: settings.ca.is_some() })
    }

    /// The channel of one shard.
    pub(crate) fn channel(&self) -> SecureChannel {
        let mut config = self.config.clone();
        config.resumption = rustls::client::Resumption::in_memory_sessions(256);
        SecureChannel {
            connector: TlsConnector::from(Arc::new(config)),
            server_name: self.server_name.clone(),
            own_ca: self.own_ca,
        }
    }
}

impl SecureChannel {
    /// Begins a handshake.
    pub(crate) fn connect(
        &self,
        host: &str,
        stream: Counted,
    ) -> Result<tokio_rustls::Connect<Counted>, Fault> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|_| {
                Fault::Told(
                    ErrorClass::Tls,
                    format!("{host:?} cannot stand in a certificate; name tls.server_name"),
                )
            })?,
        };
        Ok(self.connector.connect(name, stream))
    }

    /// What a failed handshake means, and the remedy.
    pub(crate) fn explain(&self, host: &str, error: io::Error) -> Fault {
        let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Fault::Told(
                    ErrorClass::Tls,
                    "the server closed the connection during the TLS handshake; does it speak https on this port?"
                        .to_owned(),
                ),
                _ => Fault::Io(During::Secure, error),
            };
        };
        let text = match cause {
            rustls::Error::InvalidCertificate(certificate) => self.certificate_error(host, certificate),
            rustls::Error::InvalidMessage(_) => {
                "the server does not speak TLS on this port; is it http:// instead of https://?".to_owned()
            }
            rustls::Error::AlertReceived(alert) => alert_text(*alert),
            other => format!("the TLS handshake failed: {other}"),
        };
        Fault::Told(ErrorClass::Tls, text)
    }

    fn certificate_error(&self, host: &str, error: &CertificateError) -> String {
        let name = match &self.server_name {
            Some(name) => name.to_str().into_owned(),
            None => host.to_owned(),
        };
        match error {
            CertificateError::Expired => "the server's certificate has expired; renew it".to_owned(),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("the server's certificate expired on {}; renew it", day(not_after))
            }
            CertificateError::NotValidYet => "the server's certificate is not valid yet".to_owned(),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!(
                    "the server's certificate is not valid before {}; are the clocks right?",
                    day(not_before)
                )
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature if self.own_ca => {
                "the server's certificate was not issued by the authority in tls.ca".to_owned()
            }
            CertificateError::UnknownIssuer => {
                "the server's certificate has an unknown issuer; give `tls: {ca: ./ca.pem}` if it is your own"
                    .to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
                "the server's certificate is not for {name}; use a name it is for, or `tls: {{server_name: ...}}`"
            ),
            CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
            other => format!("the server's certificate is not accepted: {other:?}"),
        }
    }
}

/// What a server's alert means.
fn alert_text(alert: rustls::AlertDescription) -> String {
    match alert {
        rustls::AlertDescription::CertificateRequired | rustls::AlertDescription::BadCertificate => {
            "the server wants a client certificate; give `tls: {cert: ..., key: ...}`".to_owned()
        }
        rustls::AlertDescription::UnknownCA => {
            "the server does not trust our client certificate (unknown issuer)".to_owned()
        }
        other => format!("the server refused the TLS handshake: {other:?}"),
    }
}

/// What an error behind the handshake means: TLS 1.3 servers judge a client's certificate only then.
pub(crate) fn explain_late(during: During, error: io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Fault::Told(ErrorClass::Tls, alert_text(*alert)),
        Some(other) => Fault::Told(ErrorClass::Tls, format!("the TLS channel broke: {other}")),
        None => Fault::Io(during, error),
    }
}

/// The day of an instant, as `2024-02-29` (days to civil date after Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn day(at: &UnixTime) -> String {
    let days = (at.as_secs() / 86_400) as i64 + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: rustls_pki_types::pem::Error| {
        format!("{} cannot be read as PEM certificates: {error}", path.display())
    };
    let list: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if list.is_empty() { Err(format!("{} holds no certificate", path.display())) } else { Ok(list) }
}

/// The given authorities, or the system's, or Mozilla's if the system has none.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|error| {
                format!("{} holds a certificate that cannot be used: {error}", path.display())
            })?;
        }
        return Ok(store);
    }
    let (added, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(store)
}

/// Accepts every certificate, for `verify: false`. Signatures of the handshake are still checked.
#[derive(Debug)]
struct AcceptAll {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AcceptAll {
    fn new(provider: &CryptoProvider) -> AcceptAll {
        AcceptAll { algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
