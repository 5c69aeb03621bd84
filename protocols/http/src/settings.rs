//! How the protocol is set up by a plan or by the command line. Plain data; nothing is opened here.

use crate::auth::Auth;
use crate::origin::Origin;
use crucible_core::{Ns, Template};
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything that holds for all requests of a run unless a step says otherwise.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Headers sent with every request; a step's own header of the same name replaces one.
    pub headers: Vec<(String, Template)>,
    /// Credentials of requests to this origin that name none of their own.
    pub auth: Option<(Origin, Auth)>,
    /// `User-Agent`; empty sends none.
    pub user_agent: String,
    /// `Accept-Encoding`; `None` sends none.
    pub accept_encoding: Option<String>,
    /// The secure channel.
    pub tls: TlsSettings,
    /// Whether a connection carries more than one exchange. Off: each request opens one.
    pub keep_alive: bool,
    /// Who owns idle connections.
    pub pool: ConnectionPool,
    /// Redirects followed in one operation; 0 follows none.
    pub redirects: u32,
    /// What happens to cookies that the target sets.
    pub cookies: CookieMode,
    /// Whether encoded bodies are decoded for checks that read them.
    pub decompress: bool,
    /// Largest body that is read, in bytes, both as sent and as decoded.
    pub max_body: u64,
    /// Source addresses, used in turn; empty leaves the choice to the kernel.
    pub local_addresses: Vec<IpAddr>,
    /// Connect to this Unix socket whatever the URL's host says.
    pub unix_socket: Option<PathBuf>,
    /// Fixed addresses by host name; they come before the resolver.
    pub resolve: Vec<(String, IpAddr)>,
    /// Name resolution.
    pub dns: DnsSettings,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Whether a session keeps the head of its last answer for whoever drives it; see [`crate::HttpSession::last_head`].
    pub keep_heads: bool,
}

/// Who owns idle connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionPool {
    /// Each virtual user has its own, as browsers have.
    #[default]
    Vu,
    /// All users of a shard share them; the one used last is used next.
    Shared,
}

/// What happens to cookies that the target sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieMode {
    /// Cookies are ignored.
    Off,
    /// Each user has its own; a new iteration starts without any.
    #[default]
    PerIteration,
    /// Each user has its own and keeps them.
    Keep,
}

/// The secure channel.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// PEM file of certificate authorities that replace the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate chain; needs `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the client's private key; needs `cert`.
    pub key: Option<PathBuf>,
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// Name sent and verified instead of the URL's host.
    pub server_name: Option<String>,
}

/// Name resolution.
#[derive(Clone, Copy, Debug)]
pub struct DnsSettings {
    /// Which addresses are used.
    pub family: AddressFamily,
    /// Which of several addresses is tried first.
    pub select: SelectAddress,
    /// How long an answer is used before the resolver is asked again; zero asks for every connection.
    pub ttl: Ns,
}

/// Which addresses of a name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// All, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// All, IPv4 first.
    PreferIpv4,
    /// All, IPv6 first.
    PreferIpv6,
}

/// Which of several addresses a new connection tries first; the others follow in order if it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelectAddress {
    /// The first, or the one that worked last.
    #[default]
    First,
    /// Any, drawn from the run's seed.
    Random,
    /// Each in turn.
    RoundRobin,
}

/// Time limits of one operation; exact to about 20 ms, never early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The whole operation, redirects included.
    pub total: Ns,
    /// Resolving the name.
    pub resolve: Option<Ns>,
    /// Opening the connection.
    pub connect: Option<Ns>,
    /// Setting up the secure channel.
    pub tls: Option<Ns>,
    /// Writing the request.
    pub send: Option<Ns>,
    /// From the last byte written to the first byte of the answer.
    pub first_byte: Option<Ns>,
    /// From the first to the last byte of the answer.
    pub receive: Option<Ns>,
}

/// Longest wait for `100 Continue` before the body is sent anyway (RFC 9110 10.1.1 leaves the bound to the client).
pub(crate) const CONTINUE_WAIT: Ns = Ns::from_secs(1);

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings {
            headers: Vec::new(),
            auth: None,
            user_agent: concat!("crucible/", env!("CARGO_PKG_VERSION")).to_owned(),
            accept_encoding: None,
            tls: TlsSettings::default(),
            keep_alive: true,
            pool: ConnectionPool::default(),
            redirects: 10,
            cookies: CookieMode::default(),
            decompress: true,
            max_body: 64 << 20,
            local_addresses: Vec::new(),
            unix_socket: None,
            resolve: Vec::new(),
            dns: DnsSettings::default(),
            timeouts: Timeouts::default(),
            keep_heads: false,
        }
    }
}

impl HttpSettings {
    /// Things that every report must mention.
    pub fn remarks(&self) -> Vec<String> {
        if self.tls.verify {
            Vec::new()
        } else {
            vec!["server certificates were not verified (tls: {verify: false})".to_owned()]
        }
    }
}

impl Default for TlsSettings {
    fn default() -> TlsSettings {
        TlsSettings { ca: None, cert: None, key: None, verify: true, server_name: None }
    }
}

impl Default for DnsSettings {
    fn default() -> DnsSettings {
        DnsSettings {
            family: AddressFamily::default(),
            select: SelectAddress::default(),
            ttl: Ns::from_secs(60),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            total: Ns::from_secs(60),
            resolve: None,
            connect: None,
            tls: None,
            send: None,
            first_byte: None,
            receive: None,
        }
    }
}

impl Timeouts {
    /// Whether a part of the operation has a limit of its own.
    pub(crate) fn has_parts(&self) -> bool {
        [self.resolve, self.connect, self.tls, self.send, self.first_byte, self.receive]
            .iter()
            .any(Option::is_some)
    }
}
