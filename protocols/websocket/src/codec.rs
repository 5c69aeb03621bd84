//! Frames to messages and back (RFC 6455 5, RFC 7692 6).

use crate::deflate::{Inflate, Local, deflated};
use crucible_core::{ErrorClass, Rng};
use crucible_http::stream::{Codec, Fault, Message};
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Longest payload of a control frame.
const CONTROL_LIMIT: u64 = 125;
/// Pongs that wait to be written, in bytes; beyond it pings are not answered, as newer ones will be.
const PONGS_LIMIT: usize = 16 << 10;
/// Messages below this size are not worth compressing, in bytes.
const WORTH: usize = 64;
/// The peer closed without a code (RFC 6455 7.1.5).
const NO_CODE: u16 = 1005;

/// One socket's frames. Holds bytes only between the pieces of a message.
pub struct SocketCodec {
    /// A frame that is not whole.
    pending: Vec<u8>,
    /// A message that is not whole.
    message: Option<Box<Fragments>>,
    limit: u64,
    inflate: Inflate,
    closed: Option<u16>,
    said_goodbye: bool,
}

struct Fragments {
    data: Vec<u8>,
    binary: bool,
    compressed: bool,
}

const fn broken(text: &'static str) -> Fault {
    Fault::Bad(ErrorClass::Protocol, text)
}

impl SocketCodec {
    /// A socket that has just been opened; messages may have `limit` bytes, as sent and as inflated.
    pub(crate) fn new(inflate: Inflate, limit: u64) -> SocketCodec {
        SocketCodec { pending: Vec::new(), message: None, limit, inflate, closed: None, said_goodbye: false }
    }

    /// Takes one frame from the start of `bytes`: its length, or `None` if it is not whole.
    fn frame(
        &mut self,
        local: &mut Local,
        bytes: &[u8],
        rng: &mut Rng,
        out: &mut Vec<Message>,
        replies: &mut Vec<u8>,
    ) -> Result<Option<usize>, Fault> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| broken("a frame has an unknown opcode"))?;
        let Some((header, length)) = parsed else { return Ok(None) };
        self.judge(&header, length)?;
        let start = cursor.position() as usize;
        let Some(payload) = bytes.get(start..start + length as usize) else { return Ok(None) };
        match header.opcode {
            OpCode::Control(Control::Ping) if replies.len() < PONGS_LIMIT => {
                frame(OpCode::Control(Control::Pong), false, payload, rng, replies);
            }
            OpCode::Control(Control::Close) => self.close_frame(payload, rng, replies)?,
            OpCode::Control(_) => {}
            OpCode::Data(kind) => {
                let fresh = || {
                    let (binary, compressed) = (kind == Data::Binary, header.rsv1);
                    Box::new(Fragments { data: Vec::new(), binary, compressed })
                };
                let mut message = self.message.take().unwrap_or_else(fresh);
                message.data.extend_from_slice(payload);
                if header.is_final {
                    out.push(self.whole(local, *message)?);
                } else {
                    self.message = Some(message);
                }
            }
        }
        Ok(Some(start + length as usize))
    }

    /// Whether a frame may come here.
    fn judge(&self, header: &FrameHeader, length: u64) -> Result<(), Fault> {
        if header.mask.is_some() {
            return Err(broken("a frame of the server is masked"));
        }
        if header.rsv2 || header.rsv3 {
            return Err(broken("a frame has reserved bits set"));
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => Err(broken("a control frame is fragmented")),
            OpCode::Control(_) if length > CONTROL_LIMIT => {
                Err(broken("a control frame is longer than 125 bytes"))
            }
            OpCode::Control(_) if header.rsv1 => Err(broken("a control frame is compressed")),
            OpCode::Control(_) => Ok(()),
            OpCode::Data(kind) => {
                let goes_on = kind == Data::Continue;
                if header.rsv1 && (goes_on || matches!(self.inflate, Inflate::Off)) {
                    return Err(broken("a frame is compressed, which was not agreed on"));
                }
                match (&self.message, goes_on) {
                    (None, true) => return Err(broken("a continuation has nothing to continue")),
                    (Some(_), false) => return Err(broken("a message begins inside another")),
                    _ => {}
                }
                let before = self.message.as_ref().map_or(0, |message| message.data.len() as u64);
                if length > self.limit || before + length > self.limit {
                    return Err(Fault::Bad(ErrorClass::TooLarge, "a message is larger than max_message"));
                }
                Ok(())
            }
        }
    }

    fn whole(&mut self, local: &mut Local, message: Fragments) -> Result<Message, Fault> {
        let data = match message.compressed {
            true => self.inflate.run(local, &message.data, self.limit)?,
            false => message.data,
        };
        if !message.binary && std::str::from_utf8(&data).is_err() {
            return Err(broken("a text message is not UTF-8"));
        }
        Ok(Message::new(data, message.binary))
    }

    fn close_frame(&mut self, payload: &[u8], rng: &mut Rng, replies: &mut Vec<u8>) -> Result<(), Fault> {
        let code = match payload {
            [] => NO_CODE,
            [_] => return Err(broken("a close frame has half a code")),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                    return Err(broken("a close frame has a code that may not be sent"));
                }
                if std::str::from_utf8(reason).is_err() {
                    return Err(broken("the reason of a close frame is not UTF-8"));
                }
                code
            }
        };
        self.closed = Some(code);
        if !std::mem::replace(&mut self.said_goodbye, true) {
            let code: &[u8] = payload.get(..2).unwrap_or_default();
            frame(OpCode::Control(Control::Close), false, code, rng, replies);
        }
        Ok(())
    }
}

/// Appends one whole frame, masked.
fn frame(opcode: OpCode, compressed: bool, payload: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
    let mask = (rng.next_u64() as u32).to_ne_bytes();
    let header =
        FrameHeader { is_final: true, rsv1: compressed, opcode, mask: Some(mask), ..FrameHeader::default() };
    // writing to a Vec cannot fail
    let _ = header.format(payload.len() as u64, out);
    let from = out.len();
    out.extend_from_slice(payload);
    for (index, byte) in out[from..].iter_mut().enumerate() {
        *byte ^= mask[index & 3];
    }
}

impl Codec for SocketCodec {
    type Local = Local;

    fn feed(
        &mut self,
        local: &mut Local,
        bytes: &[u8],
        rng: &mut Rng,
        out: &mut Vec<Message>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut pending = std::mem::take(&mut self.pending);
        let input = if pending.is_empty() {
            bytes
        } else {
            pending.extend_from_slice(bytes);
            &pending
        };
        let mut at = 0;
        // what follows a close frame is nothing
        while self.closed.is_none() && at < input.len() {
            match self.frame(local, &input[at..], rng, out, replies)? {
                Some(length) => at += length,
                None => break,
            }
        }
        if self.closed.is_none() && at < input.len() {
            if at == 0 && !pending.is_empty() {
                self.pending = pending;
            } else {
                self.pending = input[at..].to_vec();
            }
        }
        Ok(())
    }

    fn closed(&self) -> Option<u16> {
        self.closed
    }

    fn end(&self) -> Result<(), Fault> {
        if self.closed.is_some() || self.pending.is_empty() && self.message.is_none() {
            Ok(())
        } else {
            Err(Fault::Truncated)
        }
    }

    fn encode(&mut self, local: &mut Local, data: &[u8], binary: bool, rng: &mut Rng, out: &mut Vec<u8>) {
        let opcode = OpCode::Data(if binary { Data::Binary } else { Data::Text });
        let agreed = !matches!(self.inflate, Inflate::Off) && data.len() >= WORTH;
        match agreed.then(|| deflated(local, data)).flatten().filter(|small| small.len() < data.len()) {
            Some(small) => frame(opcode, true, &small, rng, out),
            None => frame(opcode, false, data, rng, out),
        }
    }

    fn close(&mut self, code: u16, rng: &mut Rng, out: &mut Vec<u8>) -> bool {
        if self.closed.is_some() || std::mem::replace(&mut self.said_goodbye, true) {
            return false;
        }
        frame(OpCode::Control(Control::Close), false, &code.to_be_bytes(), rng, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Rng;
    use proptest::prelude::*;

    /// What comes out of these bytes in pieces of this length: messages, replies, close code, class of the error.
    type Out = (Vec<Vec<u8>>, usize, Option<u16>, Option<ErrorClass>);

    fn fed(bytes: &[u8], piece: usize) -> Out {
        let mut codec = SocketCodec::new(Inflate::Alone, 1 << 16);
        let (mut local, mut rng) = (Local::default(), Rng::new(1, "test", 0));
        let (mut out, mut replies) = (Vec::new(), Vec::new());
        let mut error = None;
        for bytes in bytes.chunks(piece) {
            if let Err(fault) = codec.feed(&mut local, bytes, &mut rng, &mut out, &mut replies) {
                error = Some(fault.class());
                break;
            }
        }
        (out.into_iter().map(|message| message.data).collect(), replies.len(), codec.closed(), error)
    }

    fn check(bytes: &[u8], messages: &[&str], closed: Option<u16>, error: Option<ErrorClass>) {
        for piece in [bytes.len().max(1), 1, 3] {
            let (seen, _, code, class) = fed(bytes, piece);
            let seen: Vec<_> = seen.iter().map(|data| String::from_utf8_lossy(data).into_owned()).collect();
            assert_eq!(
                (seen, code, class),
                (messages.iter().map(ToString::to_string).collect(), closed, error)
            );
        }
    }

    #[test]
    fn frames_become_messages_however_they_are_cut() {
        check(b"\x81\x05Hello", &["Hello"], None, None);
        // a ping between the fragments of a message
        check(b"\x01\x03Hel\x89\x00\x80\x02lo\x81\x00", &["Hello", ""], None, None);
        assert_eq!(fed(b"\x89\x02ab", 9).1, 8);
        // compressed, RFC 7692 7.2.3.1, also in fragments
        check(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", &["Hello"], None, None);
        check(b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", &["Hello"], None, None);
        check(b"\x81\x01a\x88\x02\x0f\xa1\x81\x01b", &["a"], Some(4001), None);
        check(b"\x88\x00", &[], Some(1005), None);
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let broken = Some(ErrorClass::Protocol);
        for bytes in [
            &b"\x81\x85abcdHello"[..],   // masked
            b"\xb1\x01a",                // reserved bits
            b"\x83\x00",                 // reserved opcode
            b"\x09\x00",                 // fragmented ping
            b"\x89\x7e\x00\x7e",         // long ping
            b"\x80\x01a",                // nothing to continue
            b"\x01\x01a\x81\x01b",       // a message inside another
            b"\x81\x02\xc3\x28",         // not UTF-8
            b"\x88\x01\x03",             // half a code
            b"\x88\x02\x03\xed",         // 1005 on the wire
            b"\x88\x04\x03\xe8\xc3\x28", // reason not UTF-8
            b"\xc1\x03\xff\xff\xff",     // not deflate
        ] {
            check(bytes, &[], None, broken);
        }
        check(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", &[], None, Some(ErrorClass::TooLarge));
        check(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", &[], None, Some(ErrorClass::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_however_they_are_cut(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..20) {
            prop_assert_eq!(fed(&bytes, piece), fed(&bytes, usize::MAX));
        }

        #[test]
        fn an_independent_reader_finds_what_was_written(data in proptest::collection::vec(0u8..9, 0..70_000), binary: bool) {
            let mut codec = SocketCodec::new(Inflate::Off, 1 << 20);
            let (mut local, mut rng) = (Local::default(), Rng::new(1, "test", 0));
            let mut wire = Vec::new();
            codec.encode(&mut local, &data, binary, &mut rng, &mut wire);
            let stream = Cursor::new(wire);
            let mut theirs = tungstenite::WebSocket::from_raw_socket(stream, tungstenite::protocol::Role::Server, None);
            let message = theirs.read().unwrap();
            prop_assert_eq!(message.is_binary(), binary);
            prop_assert_eq!(message.into_data().to_vec(), data);
        }
    }

    #[test]
    fn a_silent_socket_is_small() {
        let size = size_of::<SocketCodec>();
        assert!(size <= 96, "{size} bytes");
    }
}
