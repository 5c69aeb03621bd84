//! The opening handshake (RFC 6455 4) with per-message deflate (RFC 7692 7.1).

use crate::codec::SocketCodec;
use crate::deflate::{Inflate, Local};
use crate::settings::WebSocketSettings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crucible_core::{ErrorClass, Rng};
use crucible_http::stream::{Fault, Head, Kind, Open, header_values};
use tungstenite::handshake::derive_accept_key;

/// The kind of line that is a WebSocket.
pub struct Socket;

/// What the client asked for.
pub struct Greeting {
    accept: String,
    compress: bool,
}

impl Kind for Socket {
    const PROTOCOL: &'static str = "websocket";
    const RESUMES: bool = false;
    type Settings = WebSocketSettings;
    type Local = Local;
    type Greeting = Greeting;
    type Codec = SocketCodec;

    fn local(_settings: &WebSocketSettings) -> Local {
        Local::default()
    }

    fn greet(
        settings: &WebSocketSettings,
        open: &Open,
        _resume: Option<&str>,
        rng: &mut Rng,
        head: &mut Vec<u8>,
    ) -> Greeting {
        let mut nonce = [0u8; 16];
        nonce[..8].copy_from_slice(&rng.next_u64().to_ne_bytes());
        nonce[8..].copy_from_slice(&rng.next_u64().to_ne_bytes());
        let key = STANDARD.encode(nonce);
        let compress = open.compress.unwrap_or(settings.compress);
        let lines = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        );
        head.extend_from_slice(lines.as_bytes());
        if compress {
            head.extend_from_slice(
                b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n",
            );
        }
        if !open.subprotocols.is_empty() {
            head.extend_from_slice(
                format!("Sec-WebSocket-Protocol: {}\r\n", open.subprotocols.join(", ")).as_bytes(),
            );
        }
        Greeting { accept: derive_accept_key(key.as_bytes()), compress }
    }

    fn opens(status: u16) -> bool {
        status == 101
    }

    fn accept(
        settings: &WebSocketSettings,
        open: &Open,
        greeting: Greeting,
        _head: &Head,
        text: &[u8],
    ) -> Result<SocketCodec, Fault> {
        let broken = |text| Err(Fault::Bad(ErrorClass::Protocol, text));
        let words = |name: &'static str| {
            header_values(text, name)
                .flat_map(|value| value.split(|byte| *byte == b','))
                .map(<[u8]>::trim_ascii)
        };
        if !words("upgrade").any(|word| word.eq_ignore_ascii_case(b"websocket")) {
            return broken("the server changed to another protocol than WebSocket");
        }
        if !words("connection").any(|word| word.eq_ignore_ascii_case(b"upgrade")) {
            return broken("the handshake's answer lacks `Connection: Upgrade`");
        }
        let mut accepts = header_values(text, "sec-websocket-accept");
        if accepts.next() != Some(greeting.accept.as_bytes()) || accepts.next().is_some() {
            return broken(
                "Sec-WebSocket-Accept does not fit the key: something answered that does not speak WebSocket",
            );
        }
        let chosen: Vec<&[u8]> = words("sec-websocket-protocol").collect();
        match (chosen.as_slice(), open.subprotocols.is_empty()) {
            ([], true) => {}
            ([], false) => return broken("the server chose none of the subprotocols"),
            ([one], _) if open.subprotocols.iter().any(|offered| offered.as_bytes() == *one) => {}
            _ => return broken("the server chose a subprotocol that was not offered"),
        }
        let mut inflate = Inflate::Off;
        for extension in words("sec-websocket-extensions").filter(|word| !word.is_empty()) {
            if !greeting.compress || !matches!(inflate, Inflate::Off) {
                return broken("the server uses an extension that was not offered");
            }
            inflate = agreed(extension).map_err(|text| Fault::Bad(ErrorClass::Protocol, text))?;
        }
        Ok(SocketCodec::new(inflate, settings.max_message))
    }
}

/// Reads the server's answer to the offer (RFC 7692 7.1).
fn agreed(extension: &[u8]) -> Result<Inflate, &'static str> {
    let mut parts = extension.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"permessage-deflate")) {
        return Err("the server uses an extension that was not offered");
    }
    let mut alone = false;
    for part in parts {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (part[..at].trim_ascii(), Some(part[at + 1..].trim_ascii())),
            None => (part, None),
        };
        match (name, value) {
            (b"server_no_context_takeover", None) => alone = true,
            (b"client_no_context_takeover", None) => {}
            (b"server_max_window_bits", Some(bits)) => {
                let bits =
                    std::str::from_utf8(bits).ok().and_then(|bits| bits.trim_matches('"').parse().ok());
                if !bits.is_some_and(|bits: u8| (8..=15).contains(&bits)) {
                    return Err("the server names a window that does not exist");
                }
            }
            _ => {
                return Err(
                    "the server answers the offer of compression with something that was not offered",
                );
            }
        }
    }
    Ok(if alone { Inflate::Alone } else { Inflate::Context(None) })
}
