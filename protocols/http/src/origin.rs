//! Scheme, host and port: what a connection belongs to.

use url::{Host, Url};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether the channel is secure (`https`).
    pub secure: bool,
    /// Host name in ASCII, or an address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// The origin of a URL. The error is a hint.
    pub(crate) fn of(url: &Url) -> Result<Origin, String> {
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("the scheme `{other}` is not http or https")),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err("the URL names no host".to_owned()),
        };
        if host.is_empty() {
            return Err("the URL names no host".to_owned());
        }
        let port = url.port().unwrap_or(if secure { 443 } else { 80 });
        Ok(Origin { secure, host, port })
    }

    /// The value of the `Host` header (RFC 9110 7.2): the port only where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.secure { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}
