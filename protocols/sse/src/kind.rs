//! Streams of events as a kind of line.

use crate::parser::Parser;
use crucible_core::{ErrorClass, Ns, Rng};
use crucible_http::stream::{Codec, Fault, Framing, Head, Kind, Message, Open, Sink, header_values};

/// The kind of line that is a stream of events.
pub struct Events;

/// One stream's bytes. Holds some only between the pieces of an event.
pub struct EventCodec {
    framing: Framing,
    sink: Sink,
    parser: Box<Parser>,
    ended: bool,
}

impl Kind for Events {
    const PROTOCOL: &'static str = "sse";
    const RESUMES: bool = true;
    type Settings = ();
    type Local = ();
    type Greeting = Option<String>;
    type Codec = EventCodec;

    fn local(_settings: &()) {}

    fn greet(
        _settings: &(),
        _open: &Open,
        resume: Option<&str>,
        _rng: &mut Rng,
        head: &mut Vec<u8>,
    ) -> Option<String> {
        head.extend_from_slice(b"Cache-Control: no-cache\r\n");
        let resume = resume.filter(|id| !id.is_empty() && !id.contains(['\r', '\n', '\0']));
        if let Some(id) = resume {
            head.extend_from_slice(format!("Last-Event-ID: {id}\r\n").as_bytes());
        }
        resume.map(str::to_owned)
    }

    fn opens(status: u16) -> bool {
        status == 200
    }

    fn accept(
        _settings: &(),
        _open: &Open,
        resume: Option<String>,
        head: &Head,
        text: &[u8],
    ) -> Result<EventCodec, Fault> {
        let kind = header_values(text, "content-type").next().unwrap_or_default();
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if !kind.eq_ignore_ascii_case(b"text/event-stream") {
            let text = "the answer is no stream of events: its Content-Type is not text/event-stream";
            return Err(Fault::Bad(ErrorClass::Unexpected, text));
        }
        if header_values(text, "content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            return Err(Fault::Bad(
                ErrorClass::Protocol,
                "the stream is compressed, which was not asked for",
            ));
        }
        let framing = Framing::of(head, false, u64::MAX).map_err(|(class, text)| Fault::Bad(class, text))?;
        let mut parser = Box::<Parser>::default();
        parser.start_from(resume.unwrap_or_default());
        let sink = Sink { keep: Some(Vec::new()), seen: 0, limit: u64::MAX };
        Ok(EventCodec { framing, sink, parser, ended: false })
    }
}

impl Codec for EventCodec {
    type Local = ();

    fn feed(
        &mut self,
        _local: &mut (),
        bytes: &[u8],
        _rng: &mut Rng,
        out: &mut Vec<Message>,
        _replies: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if self.ended {
            return Ok(());
        }
        let fed = self.framing.feed(bytes, &mut self.sink);
        let text = self.sink.keep.replace(Vec::new()).unwrap_or_default();
        self.parser.feed(&text, out)?;
        let (_, ended) = fed.map_err(|(class, text)| Fault::Bad(class, text))?;
        self.ended = ended;
        Ok(())
    }

    fn closed(&self) -> Option<u16> {
        // a stream has no codes; the socket's word for none is taken
        self.ended.then_some(1005)
    }

    fn end(&self) -> Result<(), Fault> {
        match self.framing {
            Framing::Close if !self.parser.inside() => Ok(()),
            _ => Err(Fault::Truncated),
        }
    }

    fn encode(&mut self, _local: &mut (), _data: &[u8], _binary: bool, _rng: &mut Rng, _out: &mut Vec<u8>) {}

    fn close(&mut self, _code: u16, _rng: &mut Rng, _out: &mut Vec<u8>) -> bool {
        false
    }

    fn resume(&self) -> (Option<&str>, Option<Ns>) {
        let last = self.parser.last.as_str();
        ((!last.is_empty()).then_some(last), self.parser.retry)
    }
}
