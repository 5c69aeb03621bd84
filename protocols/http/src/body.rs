//! Message bodies: where they end, chunk by chunk, whatever the pieces in which they arrive.
//!
//! Grammar: RFC 9112 6.3 (length) and 7.1 (chunked). Nothing is stored unless a check reads the body.

use crate::head::Head;
use crucible_core::ErrorClass;

/// Longest line that announces a chunk, extensions included.
const CHUNK_LINE_LIMIT: u32 = 4 << 10;
/// Longest trailer section.
const TRAILER_LIMIT: u32 = 16 << 10;

/// Why a body cannot be read: class and words.
pub(crate) type BodyError = (ErrorClass, &'static str);

/// Where a body ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After this many more bytes.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunk),
    /// With the connection.
    Close,
}

/// What is expected next in a chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Digits of a size; how many were seen, and their value.
    Size { value: u64, digits: u8 },
    /// The rest of the line behind a size.
    Extension { value: u64, length: u32 },
    /// The LF behind the CR that ends the line.
    SizeEnd { value: u64 },
    /// Bytes of a chunk.
    Data(u64),
    /// The line end behind a chunk; whether its CR was seen.
    DataEnd { cr: bool },
    /// Trailer lines; bytes in the section so far, bytes in the current line, whether a CR was its last byte.
    Trailer { total: u32, line: u32, cr: bool },
}

/// Where body bytes go, and how many there may be.
#[derive(Debug)]
pub struct Sink {
    /// Storage, if a check reads the body.
    pub keep: Option<Vec<u8>>,
    /// Bytes so far.
    pub seen: u64,
    /// Most bytes.
    pub limit: u64,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.seen += bytes.len() as u64;
        if self.seen > self.limit {
            return Err((ErrorClass::TooLarge, "the body is larger than max_body"));
        }
        if let Some(keep) = &mut self.keep {
            keep.extend_from_slice(bytes);
        }
        Ok(())
    }
}

impl Framing {
    /// How the body behind `head` ends (RFC 9112 6.3); `silent` if the request was HEAD.
    pub fn of(head: &Head, silent: bool, limit: u64) -> Result<Framing, BodyError> {
        if silent || matches!(head.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        match head.length {
            Some(_) if head.coded => {
                Err((ErrorClass::Protocol, "both Content-Length and Transfer-Encoding are announced"))
            }
            Some(length) if length > limit => {
                Err((ErrorClass::TooLarge, "the announced body is larger than max_body"))
            }
            Some(length) => Ok(Framing::Length(length)),
            None if head.chunked => Ok(Framing::Chunked(Chunk::Size { value: 0, digits: 0 })),
            None => Ok(Framing::Close),
        }
    }

    /// Takes what belongs to the body from the start of `input`: how much that is, and whether the body is
    /// complete. Incomplete bodies take everything.
    pub fn feed(&mut self, input: &[u8], sink: &mut Sink) -> Result<(usize, bool), BodyError> {
        match self {
            Framing::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                if take > 0 {
                    sink.take(&input[..take])?;
                }
                *left -= take as u64;
                Ok((take, *left == 0))
            }
            Framing::Close => {
                sink.take(input)?;
                Ok((input.len(), false))
            }
            Framing::Chunked(chunk) => feed_chunked(chunk, input, sink),
        }
    }
}

fn feed_chunked(chunk: &mut Chunk, input: &[u8], sink: &mut Sink) -> Result<(usize, bool), BodyError> {
    let mut at = 0;
    while at < input.len() {
        if let Chunk::Data(left) = chunk {
            let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len() - at);
            sink.take(&input[at..at + take])?;
            at += take;
            *left -= take as u64;
            if *left == 0 {
                *chunk = Chunk::DataEnd { cr: false };
            }
            continue;
        }
        let byte = input[at];
        at += 1;
        if step_chunked(chunk, byte)? {
            return Ok((at, true));
        }
    }
    Ok((at, false))
}

/// One byte outside chunk data; whether it was the last of the body.
fn step_chunked(chunk: &mut Chunk, byte: u8) -> Result<bool, BodyError> {
    let bad = |text| Err((ErrorClass::Protocol, text));
    let after_size = |value: u64| match value {
        0 => Chunk::Trailer { total: 0, line: 0, cr: false },
        _ => Chunk::Data(value),
    };
    *chunk = match chunk {
        Chunk::Size { value, digits } => match (byte, *digits) {
            (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', 0..16) => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                Chunk::Size { value: *value << 4 | digit, digits: *digits + 1 }
            }
            (_, 0) => return bad("a chunk has no size"),
            (b'\r', _) => Chunk::SizeEnd { value: *value },
            (b'\n', _) => after_size(*value),
            (b';' | b' ' | b'\t', _) => Chunk::Extension { value: *value, length: 0 },
            _ => return bad("a chunk's size is not a number"),
        },
        Chunk::Extension { value, length } => match byte {
            b'\r' => Chunk::SizeEnd { value: *value },
            b'\n' => after_size(*value),
            _ if *length >= CHUNK_LINE_LIMIT => return bad("a chunk's line is longer than 4 KiB"),
            _ => Chunk::Extension { value: *value, length: *length + 1 },
        },
        Chunk::SizeEnd { value } => match byte {
            b'\n' => after_size(*value),
            _ => return bad("a chunk's line does not end"),
        },
        Chunk::DataEnd { cr } => match (byte, *cr) {
            (b'\r', false) => Chunk::DataEnd { cr: true },
            (b'\n', _) => Chunk::Size { value: 0, digits: 0 },
            _ => return bad("a chunk is longer than its size"),
        },
        Chunk::Trailer { total, line, cr } => match byte {
            b'\n' if *line == 0 || *line == 1 && *cr => return Ok(true),
            _ if *total >= TRAILER_LIMIT => return bad("the trailers are longer than 16 KiB"),
            b'\n' => Chunk::Trailer { total: *total + 1, line: 0, cr: false },
            _ => Chunk::Trailer { total: *total + 1, line: *line + 1, cr: byte == b'\r' },
        },
        // handled by the caller
        Chunk::Data(left) => Chunk::Data(*left),
    };
    Ok(false)
}
