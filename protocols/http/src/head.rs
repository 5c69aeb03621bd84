//! Response heads: status line and the header fields that decide framing and outcome. No allocation.
//!
//! Grammar: RFC 9112 (4, 5, 6.3) and RFC 9110 (5.6.2). Beyond it, a lone LF ends a line (RFC 9112 2.2 allows it),
//! and a folded line is accepted behind a field that does not matter here.

use std::ops::Range;

/// Longest head in bytes.
pub(crate) const HEAD_LIMIT: usize = 64 << 10;
/// Most header lines.
pub(crate) const HEADER_LIMIT: usize = 256;

/// How a body is encoded (RFC 9110 8.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// Anything else, several in a row included.
    Other,
}

/// What matters of a response head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Status code, 100..=999.
    pub status: u16,
    /// HTTP/1.0 instead of 1.1.
    pub old: bool,
    /// Announced length.
    pub length: Option<u64>,
    /// `Transfer-Encoding` was there.
    pub coded: bool,
    /// ... and its last coding is `chunked`.
    pub chunked: bool,
    /// `Connection: close`.
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep: bool,
    /// `Set-Cookie` was there.
    pub cookies: bool,
    /// `Retry-After` was there.
    pub retry_after: bool,
    /// Content coding.
    pub encoding: Encoding,
    /// Where the value of `Location` lies in the head.
    pub location: Option<Range<u32>>,
}

impl Head {
    /// Whether the connection may carry a further exchange, as far as the head decides (RFC 9112 9.3).
    pub(crate) fn persistent(&self) -> bool {
        if self.old { self.keep && !self.close && !self.coded } else { !self.close }
    }
}

/// Whether `byte` may stand in a token (RFC 9110 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
            || matches!(
                byte as u8,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// Reads a head from the start of `bytes`: the head and its length, or `None` if it is not complete yet. The error
/// says what is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let mut head = Head::default();
    let Some((line, mut at)) = next_line(bytes, 0) else {
        return start_is_possible(bytes).then_some(None).ok_or("the answer is not HTTP/1");
    };
    status_line(&bytes[line], &mut head)?;
    let mut fields = 0;
    let mut framing_before = false;
    loop {
        let Some((line, next)) = next_line(bytes, at) else {
            return if bytes.len() > HEAD_LIMIT { Err("the head is longer than 64 KiB") } else { Ok(None) };
        };
        at = next;
        if at > HEAD_LIMIT {
            return Err("the head is longer than 64 KiB");
        }
        if line.is_empty() {
            return Ok(Some((head, at)));
        }
        fields += 1;
        if fields > HEADER_LIMIT {
            return Err("the head has more than 256 lines");
        }
        framing_before = field(bytes, line, &mut head, framing_before)?;
    }
}

/// The line that begins at `from`, without its end, and where the next one begins.
#[inline]
fn next_line(bytes: &[u8], from: usize) -> Option<(Range<usize>, usize)> {
    let end = from + memchr::memchr(b'\n', bytes.get(from..)?)?;
    let stop = if end > from && bytes[end - 1] == b'\r' { end - 1 } else { end };
    Some((from..stop, end + 1))
}

/// Whether an incomplete first line may still become a status line.
fn start_is_possible(bytes: &[u8]) -> bool {
    let known = b"HTTP/1.";
    let length = bytes.len().min(known.len());
    bytes[..length] == known[..length] && bytes.len() <= 8 << 10
}

fn status_line(line: &[u8], head: &mut Head) -> Result<(), &'static str> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', rest @ ..] = line else {
        return Err("the answer is not HTTP/1");
    };
    head.old = *minor == b'0';
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = rest else {
        return Err("the status line has no status code");
    };
    if !matches!(rest.first(), None | Some(b' ')) || has_controls(rest) {
        return Err("the status line has no status code");
    }
    head.status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    Ok(())
}

/// Reads one header line; tells whether it is one that decides framing.
#[inline]
fn field(
    bytes: &[u8],
    line: Range<usize>,
    head: &mut Head,
    framing_before: bool,
) -> Result<bool, &'static str> {
    let text = &bytes[line.clone()];
    if matches!(text[0], b' ' | b'\t') {
        // a folded line: harmless behind a field that is not read, a trick behind one that is
        return if framing_before {
            Err("a folded header decides the length of the body")
        } else {
            Ok(false)
        };
    }
    let colon = memchr::memchr(b':', text).ok_or("a header line has no colon")?;
    let (name, rest) = (&text[..colon], &text[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
        return Err("a header has no valid name");
    }
    if has_controls(rest) {
        return Err("a header value holds control characters");
    }
    match name.len() {
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            content_length(rest.trim_ascii(), head)?;
            return Ok(true);
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            transfer_encoding(rest, head)?;
            return Ok(true);
        }
        10 if name.eq_ignore_ascii_case(b"connection") => {
            for option in rest.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                head.close |= option.eq_ignore_ascii_case(b"close");
                head.keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
            return Ok(true);
        }
        10 if name.eq_ignore_ascii_case(b"set-cookie") => head.cookies = true,
        11 if name.eq_ignore_ascii_case(b"retry-after") => head.retry_after = true,
        16 if name.eq_ignore_ascii_case(b"content-encoding") => content_encoding(rest.trim_ascii(), head),
        8 if name.eq_ignore_ascii_case(b"location") => {
            let lead = rest.len() - rest.trim_ascii_start().len();
            let from = line.start + colon + 1 + lead;
            head.location = Some(from as u32..(from + rest.trim_ascii().len()) as u32);
        }
        _ => {}
    }
    Ok(false)
}

/// Whether a byte below 32 other than a tab, or DEL, stands in `bytes`.
#[inline]
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | ((*byte < 32) & (*byte != b'\t')) | (*byte == 127))
}

/// `5`, or a list of equal lengths (RFC 9112 6.3, rule 5); several headers must agree.
fn content_length(value: &[u8], head: &mut Head) -> Result<(), &'static str> {
    for part in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if part.is_empty() || part.len() > 19 || !part.iter().all(u8::is_ascii_digit) {
            return Err("Content-Length is not a number");
        }
        let length = part.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if head.length.is_some_and(|before| before != length) {
            return Err("two lengths are announced that differ");
        }
        head.length = Some(length);
    }
    Ok(())
}

fn transfer_encoding(value: &[u8], head: &mut Head) -> Result<(), &'static str> {
    for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if head.chunked {
            return Err("chunked is not the last transfer coding");
        }
        head.chunked = coding.eq_ignore_ascii_case(b"chunked");
    }
    head.coded = true;
    Ok(())
}

fn content_encoding(value: &[u8], head: &mut Head) {
    let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
    let found = match () {
        () if is("gzip") || is("x-gzip") => Encoding::Gzip,
        () if is("deflate") => Encoding::Deflate,
        () if is("br") => Encoding::Brotli,
        () if is("zstd") => Encoding::Zstd,
        () if is("identity") || value.is_empty() => return,
        () => Encoding::Other,
    };
    head.encoding = if head.encoding == Encoding::Identity { found } else { Encoding::Other };
}

/// The values of all headers called `name` in a complete head, in order.
pub fn values<'h>(head: &'h [u8], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).filter_map(move |line| {
        let colon = memchr::memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}
