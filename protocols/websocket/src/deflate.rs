//! Per-message deflate (RFC 7692).
//!
//! The client offers both sides without context takeover, so that no socket has to keep a window of 32 KiB or a
//! compressor: one pair serves all sockets of a shard. A server that insists on its own context gets a decompressor for
//! that socket.

use crucible_core::ErrorClass;
use crucible_http::stream::Fault;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Ends a block, and is left out on the wire (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Output made in one go.
const PIECE: usize = 16 << 10;

/// The compressors of one shard.
#[derive(Default)]
pub struct Local {
    deflate: Option<Box<Compress>>,
    inflate: Option<Box<Decompress>>,
}

/// How messages of one socket are inflated.
pub(crate) enum Inflate {
    /// Compression was not agreed on.
    Off,
    /// Each message stands alone.
    Alone,
    /// The server refers back to earlier messages; made with the first compressed one.
    Context(Option<Box<Decompress>>),
}

impl Inflate {
    /// Inflates a message, up to `limit` bytes.
    pub(crate) fn run(&mut self, local: &mut Local, data: &[u8], limit: u64) -> Result<Vec<u8>, Fault> {
        let fresh = || Box::new(Decompress::new(false));
        match self {
            Inflate::Off => {
                Err(Fault::Bad(ErrorClass::Protocol, "a message is compressed, which was not agreed on"))
            }
            Inflate::Alone => {
                let inflate = local.inflate.get_or_insert_with(fresh);
                inflate.reset(false);
                inflated(inflate, data, limit)
            }
            Inflate::Context(own) => inflated(own.get_or_insert_with(fresh), data, limit),
        }
    }
}

fn inflated(inflate: &mut Decompress, data: &[u8], limit: u64) -> Result<Vec<u8>, Fault> {
    let bad = || Fault::Bad(ErrorClass::Protocol, "a compressed message cannot be inflated");
    let mut out = Vec::new();
    for part in [data, &TAIL] {
        let mut at = 0;
        loop {
            out.reserve(PIECE);
            let before = (inflate.total_in(), out.len());
            let status = inflate.decompress_vec(&part[at..], &mut out, FlushDecompress::Sync);
            let used = (inflate.total_in() - before.0) as usize;
            at += used;
            if out.len() as u64 > limit {
                return Err(Fault::Bad(ErrorClass::TooLarge, "a message inflates to more than max_message"));
            }
            match status.map_err(|_| bad())? {
                // a block that calls itself the last one: the next message begins anew
                Status::StreamEnd => {
                    inflate.reset(false);
                    return Ok(out);
                }
                _ if at == part.len() && out.len() < out.capacity() => break,
                _ if used == 0 && out.len() == before.1 => return Err(bad()),
                _ => {}
            }
        }
    }
    Ok(out)
}

/// Deflates a message that stands alone.
pub(crate) fn deflated(local: &mut Local, data: &[u8]) -> Option<Vec<u8>> {
    let deflate = local.deflate.get_or_insert_with(|| Box::new(Compress::new(Compression::fast(), false)));
    deflate.reset();
    let mut out = Vec::with_capacity(data.len() / 2 + 64);
    let mut at = 0;
    loop {
        let before = (deflate.total_in(), out.len());
        deflate.compress_vec(&data[at..], &mut out, FlushCompress::Sync).ok()?;
        at += (deflate.total_in() - before.0) as usize;
        if at == data.len() && out.len() < out.capacity() {
            break;
        }
        out.reserve(PIECE);
    }
    out.truncate(out.strip_suffix(&TAIL)?.len());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_deflated_comes_back(data in proptest::collection::vec(0u8..9, 0..5000)) {
            let mut local = Local::default();
            for _ in 0..2 {
                let small = deflated(&mut local, &data).unwrap();
                prop_assert_eq!(&Inflate::Alone.run(&mut local, &small, 1 << 20).unwrap(), &data);
            }
        }

        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut local = Local::default();
            let _ = Inflate::Alone.run(&mut local, &data, 1 << 16);
            let _ = Inflate::Context(None).run(&mut local, &data, 1 << 16);
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut local = Local::default();
        let bomb = deflated(&mut local, &vec![0; 8 << 20]).unwrap();
        assert!(bomb.len() < 64 << 10);
        let fault = Inflate::Alone.run(&mut local, &bomb, 1 << 20).unwrap_err();
        assert_eq!(fault.class(), ErrorClass::TooLarge);
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 7692 7.2.3.1 and 7.2.3.2: "Hello" twice, the second one refers to the first
        let mut local = Local::default();
        let mut inflate = Inflate::Context(None);
        for bytes in [&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], &[0xf2, 0x00, 0x11, 0x00, 0x00]] {
            assert_eq!(inflate.run(&mut local, bytes, 100).unwrap(), b"Hello");
        }
    }
}
