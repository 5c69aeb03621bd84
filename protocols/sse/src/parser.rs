//! The text of an event stream to events (WHATWG HTML 9.2.5 and 9.2.6), whatever the pieces in which it arrives.

use crucible_core::{ErrorClass, Ns};
use crucible_http::stream::{Fault, Message};

/// Largest event, and longest line, in bytes.
const LIMIT: usize = 1 << 20;
/// Longest pause that a server may ask for.
const RETRY_MAX: u64 = 3_600_000;

/// See the module text.
#[derive(Default)]
pub(crate) struct Parser {
    /// A line that is not whole.
    line: Vec<u8>,
    /// The last byte ended a line with CR: a LF that follows belongs to it.
    after_cr: bool,
    /// Something was read: a byte order mark may not come any more.
    begun: bool,
    data: Vec<u8>,
    has_data: bool,
    event: String,
    id: String,
    /// The id of the last event that was given out.
    pub(crate) last: String,
    /// How long to wait before the stream is opened again, as the server says.
    pub(crate) retry: Option<Ns>,
}

impl Parser {
    /// The stream goes on behind this event.
    pub(crate) fn start_from(&mut self, id: String) {
        self.last.clone_from(&id);
        self.id = id;
    }

    /// Takes bytes; events that are whole go to `out`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<Message>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            self.line.extend_from_slice(&bytes[..end]);
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.whole_line(&line, out)?;
        }
        if self.line.len() > LIMIT {
            return Err(Fault::Bad(ErrorClass::TooLarge, "a line of the stream is longer than 1 MiB"));
        }
        Ok(())
    }

    /// Whether an event has begun that is not whole.
    pub(crate) fn inside(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    fn whole_line(&mut self, line: &[u8], out: &mut Vec<Message>) -> Result<(), Fault> {
        let line = match std::mem::replace(&mut self.begun, true) {
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            true => line,
        };
        if line.is_empty() {
            self.dispatch(out);
            return Ok(());
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return Ok(()),
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match name {
            b"data" => {
                if self.data.len() + value.len() > LIMIT {
                    return Err(Fault::Bad(ErrorClass::TooLarge, "an event is larger than 1 MiB"));
                }
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
                self.has_data = true;
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into_owned(),
            b"retry" => {
                let digits =
                    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                if let Some(ms) = digits.and_then(|text| text.parse::<u64>().ok()) {
                    self.retry = Some(Ns::from_millis(ms.min(RETRY_MAX)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, out: &mut Vec<Message>) {
        let event = std::mem::take(&mut self.event);
        self.last.clone_from(&self.id);
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        let mut data = std::mem::take(&mut self.data);
        data.pop();
        if std::str::from_utf8(&data).is_err() {
            data = String::from_utf8_lossy(&data).into_owned().into_bytes();
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        let mut message = Message::new(data, false);
        message.event = event;
        message.id.clone_from(&self.last);
        out.push(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8], piece: usize) -> (Vec<(String, String, String)>, Option<Ns>, bool) {
        let mut parser = Parser::default();
        let mut out = Vec::new();
        let good = text.chunks(piece).all(|bytes| parser.feed(bytes, &mut out).is_ok());
        let events = out
            .into_iter()
            .map(|message| (message.event, message.id, String::from_utf8(message.data).unwrap()));
        (events.collect(), parser.retry, good)
    }

    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        for piece in [1, 2, 1000] {
            let expected: Vec<_> =
                expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
            assert_eq!(read(text.as_bytes(), piece).0, expected, "{text:?} in pieces of {piece}");
        }
    }

    #[test]
    fn the_examples_of_the_standard() {
        check("data: YHOO\ndata: +2\ndata: 10\n\n", &[("message", "", "YHOO\n+2\n10")]);
        check(
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            &[
                ("message", "1", "first event"),
                ("message", "", "second event"),
                ("message", "", " third event"),
            ],
        );
        check("data\n\ndata\ndata\n\ndata:", &[("message", "", ""), ("message", "", "\n")]);
        check("data:test\n\ndata: test\n\n", &[("message", "", "test"), ("message", "", "test")]);
    }

    #[test]
    fn all_line_ends_names_and_marks() {
        check(
            "\u{feff}event: a\r\ndata: x\r\n\r\ndata: y\r\rdata: z\n\n",
            &[("a", "", "x"), ("message", "", "y"), ("message", "", "z")],
        );
        check("event: only a name\n\nid: 7\n\ndata: d\n\n", &[("message", "7", "d")]);
        check("id: a\0b\ndata: x\nunknown: y\n\n", &[("message", "", "x")]);
        assert_eq!(read(b"retry: 250\nretry: 2x\n\n", 9).1, Some(Ns::from_millis(250)));
        assert_eq!(read(b"data: \xff\n\n", 1).0[0].2, "\u{fffd}");
        assert!(!read(&vec![b'x'; LIMIT + 2], 4096).2);
        assert!(!read(&b"data: xxxxxxxxxxxxxxx\n".repeat(LIMIT / 10), 4096).2);
    }

    proptest! {
        #[test]
        fn any_text_gives_the_same_however_it_is_cut(
            parts in proptest::collection::vec(proptest::sample::select(vec!["data", ":", " ", "\n", "\r", "id: 1", "x", "event:e", "retry:5"]), 0..40),
            piece in 1usize..9,
        ) {
            let text = parts.concat();
            prop_assert_eq!(read(text.as_bytes(), piece), read(text.as_bytes(), usize::MAX));
        }
    }
}
