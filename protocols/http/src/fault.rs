//! Why an exchange did not come to an answer: class, outcome and words.

use crucible_core::{ErrorClass, Outcome};
use std::io;

/// The part of an operation in which something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// Resolving the name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Setting up the secure channel.
    Secure,
    /// Writing.
    Send,
    /// Before any byte of the answer.
    Wait,
    /// After the first byte of the answer.
    Receive,
}

impl During {
    const fn words(self) -> &'static str {
        match self {
            During::Resolve => "resolving the name",
            During::Connect => "connecting",
            During::Secure => "setting up TLS",
            During::Send => "sending the request",
            During::Wait => "waiting for the first byte",
            During::Receive => "reading the answer",
        }
    }
}

/// See the module text.
#[derive(Debug)]
pub enum Fault {
    /// A time limit passed.
    Timeout(During),
    /// The operating system said no.
    Io(During, io::Error),
    /// The connection ended before any byte of the answer.
    Closed,
    /// The connection ended inside the answer.
    Truncated,
    /// The answer breaks the protocol or a limit.
    Bad(ErrorClass, &'static str),
    /// Anything with words of its own.
    Told(ErrorClass, String),
}

impl Fault {
    /// The class that it counts as.
    pub fn class(&self) -> ErrorClass {
        match self {
            Fault::Timeout(_) => ErrorClass::Timeout,
            Fault::Io(during, error) => io_class(*during, error),
            Fault::Closed => ErrorClass::Reset,
            Fault::Truncated => ErrorClass::Truncated,
            Fault::Bad(class, _) | Fault::Told(class, _) => *class,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Fault::Timeout(_) => Outcome::TimedOut,
            _ => Outcome::Failed,
        }
    }

    /// Whether the peer may have closed a kept connection before it saw the request (RFC 9112 9.3.1).
    pub(crate) fn before_answer(&self) -> bool {
        match self {
            Fault::Closed => true,
            Fault::Io(During::Send | During::Wait, _) => self.class() == ErrorClass::Reset,
            _ => false,
        }
    }

    /// The words for it.
    pub fn text(&self) -> String {
        match self {
            Fault::Timeout(during) => format!("time limit passed while {}", during.words()),
            Fault::Io(during, error) => match io_class(*during, error) {
                ErrorClass::Local => format!("{}: {}", error_text(error), local_remedy(error)),
                _ => format!("{} while {}", error_text(error), during.words()),
            },
            Fault::Closed => "the connection was closed before an answer began".to_owned(),
            Fault::Truncated => "the connection was closed before the answer was complete".to_owned(),
            Fault::Bad(_, text) => (*text).to_owned(),
            Fault::Told(_, text) => text.clone(),
        }
    }
}

/// The class of an operating system error.
fn io_class(during: During, error: &io::Error) -> ErrorClass {
    if let Some(libc::EMFILE | libc::ENFILE | libc::EADDRNOTAVAIL | libc::ENOBUFS | libc::ENOMEM) =
        error.raw_os_error()
    {
        return ErrorClass::Local;
    }
    match (during, error.kind()) {
        (During::Resolve, _) => ErrorClass::Dns,
        (During::Connect, io::ErrorKind::ConnectionReset) => ErrorClass::Reset,
        (During::Connect, io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => ErrorClass::Local,
        // the kernel gave up on its own
        (_, io::ErrorKind::TimedOut) => ErrorClass::Timeout,
        (During::Connect, _) => ErrorClass::Refused,
        (During::Secure, _) => ErrorClass::Tls,
        // a record that does not decrypt, as told by the TLS library
        (_, io::ErrorKind::InvalidData) => ErrorClass::Tls,
        (During::Receive, _) => ErrorClass::Truncated,
        _ => ErrorClass::Reset,
    }
}

/// What to do about a shortage of our own.
fn local_remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => "this process may open no more files; raise the limit with `ulimit -n`",
        Some(libc::ENFILE) => "this machine may open no more files; raise fs.file-max",
        Some(libc::EADDRNOTAVAIL) => {
            "no local port is free; name more `http: {local_addresses: [...]}` or widen net.ipv4.ip_local_port_range"
        }
        Some(libc::ENOBUFS | libc::ENOMEM) => "the kernel has no memory for more sockets",
        _ => "this machine does not allow the connection",
    }
}

/// The system's words without the number.
fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
