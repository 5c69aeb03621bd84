//! Files of `/proc`, read whole into one buffer that is kept.

use std::fs::File;
use std::io::{ErrorKind, Read};

/// Largest file that is read: what is longer is cut off.
const MOST: usize = 1 << 20;

/// A buffer and the path that it was filled from.
#[derive(Debug, Default)]
pub(crate) struct Files {
    buffer: Vec<u8>,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not there: the process has ended.
    Gone,
    /// It may not be read, or something else; in words.
    Refused(String),
}

impl Files {
    /// The content of a file, lossily as text if it is none.
    pub(crate) fn read(&mut self, path: &str) -> Result<&str, Unread> {
        let tell = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Unread::Gone,
            // a process that ended between opening and reading
            _ if error.raw_os_error() == Some(3) => Unread::Gone,
            ErrorKind::PermissionDenied => Unread::Refused(format!("{path}: permission denied")),
            _ => Unread::Refused(format!("{path}: {error}")),
        };
        let mut file = File::open(path).map_err(tell)?;
        let mut length = 0;
        loop {
            if self.buffer.len() < length + 2_048 {
                self.buffer.resize(length + 4_096, 0);
            }
            match file.read(&mut self.buffer[length..]).map_err(tell)? {
                0 => break,
                more => length += more,
            }
            if length > MOST {
                break;
            }
        }
        // names of processes are any bytes; the fields behind them are not
        if std::str::from_utf8(&self.buffer[..length]).is_err() {
            let text = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
            length = text.len();
            self.buffer = text.into_bytes();
        }
        Ok(std::str::from_utf8(&self.buffer[..length]).unwrap_or_default())
    }
}

/// The number behind `name` in lines such as `VmRSS:   1708 kB`.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}
