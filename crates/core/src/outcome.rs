//! How an operation ended, and why it failed. Protocol-neutral.

/// How one planned operation ended. Every planned operation ends in exactly one of these (conservation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// An answer arrived and every check on it held.
    Ok = 0,
    /// The target answered that it will not do the work now (a rate limit, shed load).
    Rejected = 1,
    /// The operation broke, or its answer failed a check.
    Failed = 2,
    /// No complete answer within the time limit.
    TimedOut = 3,
    /// Planned, but never sent: nothing was free to send it before its deadline or the end of the test.
    Dropped = 4,
    /// Sent, and cut off by us at the end of the test.
    Aborted = 5,
}

impl Outcome {
    /// All outcomes in the order of their numbers.
    pub const ALL: [Outcome; 6] = [
        Outcome::Ok,
        Outcome::Rejected,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Dropped,
        Outcome::Aborted,
    ];

    /// The word used in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Rejected => "rejected",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed_out",
            Outcome::Dropped => "dropped",
            Outcome::Aborted => "aborted",
        }
    }
}

/// Why an operation was not [`Outcome::Ok`]. Append only: the numbers stand in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum ErrorClass {
    /// Nothing went wrong.
    #[default]
    None = 0,
    /// The target's name could not be resolved.
    Dns = 1,
    /// The connection was refused or the host unreachable.
    Refused = 2,
    /// The connection was reset or closed before an answer began.
    Reset = 3,
    /// The secure channel could not be set up (certificate, handshake).
    Tls = 4,
    /// A time limit passed.
    Timeout = 5,
    /// The peer broke the protocol.
    Protocol = 6,
    /// The answer ended before its announced length.
    Truncated = 7,
    /// The target says that the request was wrong (HTTP 4xx but 429).
    ClientError = 8,
    /// The target says that we send too much (HTTP 429).
    Throttled = 9,
    /// The target says that it failed (HTTP 5xx).
    ServerError = 10,
    /// A check on the answer did not hold.
    Check = 11,
    /// Our own machine lacked something (file descriptors, ports, memory): says nothing about the target.
    Local = 12,
    /// An answer larger than the plan allows.
    TooLarge = 13,
    /// An answer that is neither a success nor an error by its code (an unfollowed redirect, an upgrade).
    Unexpected = 14,
    /// A value that the request needs could not be had (never saved, a feeder ran dry, an expression failed): the
    /// request was not sent.
    Value = 15,
    /// A job was reported as failed.
    JobFailed = 16,
    /// A job that had been accepted is not known any more.
    Lost = 17,
    /// A job did not reach an end in time and had not even begun.
    Stuck = 18,
    /// A job's final state was another one when it was read again.
    Changed = 19,
    /// Failed on our side because the plan asks for it.
    Injected = 20,
}

impl ErrorClass {
    /// Number of classes, [`ErrorClass::None`] included.
    pub const COUNT: usize = 21;

    /// All classes in the order of their numbers.
    pub const ALL: [ErrorClass; Self::COUNT] = [
        ErrorClass::None,
        ErrorClass::Dns,
        ErrorClass::Refused,
        ErrorClass::Reset,
        ErrorClass::Tls,
        ErrorClass::Timeout,
        ErrorClass::Protocol,
        ErrorClass::Truncated,
        ErrorClass::ClientError,
        ErrorClass::Throttled,
        ErrorClass::ServerError,
        ErrorClass::Check,
        ErrorClass::Local,
        ErrorClass::TooLarge,
        ErrorClass::Unexpected,
        ErrorClass::Value,
        ErrorClass::JobFailed,
        ErrorClass::Lost,
        ErrorClass::Stuck,
        ErrorClass::Changed,
        ErrorClass::Injected,
    ];

    /// The word used in plans, records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorClass::None => "none",
            ErrorClass::Dns => "dns",
            ErrorClass::Refused => "refused",
            ErrorClass::Reset => "reset",
            ErrorClass::Tls => "tls",
            ErrorClass::Timeout => "timeout",
            ErrorClass::Protocol => "protocol",
            ErrorClass::Truncated => "truncated",
            ErrorClass::ClientError => "client_error",
            ErrorClass::Throttled => "throttled",
            ErrorClass::ServerError => "server_error",
            ErrorClass::Check => "check",
            ErrorClass::Local => "local",
            ErrorClass::TooLarge => "too_large",
            ErrorClass::Unexpected => "unexpected",
            ErrorClass::Value => "value",
            ErrorClass::JobFailed => "job_failed",
            ErrorClass::Lost => "lost",
            ErrorClass::Stuck => "stuck",
            ErrorClass::Changed => "changed",
            ErrorClass::Injected => "injected",
        }
    }

    /// The class with this number, if there is one.
    pub fn from_number(number: u8) -> Option<ErrorClass> {
        Self::ALL.get(usize::from(number)).copied()
    }
}
