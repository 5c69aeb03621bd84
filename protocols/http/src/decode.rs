//! Content codings of bodies that a check reads; bounded, so that a bomb ends in an outcome.

use crate::body::BodyError;
use crate::head::Encoding;
use crucible_core::ErrorClass;
use std::io::Read;

/// The decoded form of `body`, at most `limit` bytes of it.
pub(crate) fn decode(body: Vec<u8>, encoding: Encoding, limit: u64) -> Result<Vec<u8>, BodyError> {
    let input = body.as_slice();
    match encoding {
        Encoding::Identity | Encoding::Other => Ok(body),
        _ if input.is_empty() => Ok(body),
        Encoding::Gzip => bounded(flate2::read::MultiGzDecoder::new(input), limit),
        // what is called deflate is zlib (RFC 9110 8.4.1.2), but some servers send it bare
        Encoding::Deflate => match bounded(flate2::read::ZlibDecoder::new(input), limit) {
            Err((ErrorClass::Protocol, _)) => bounded(flate2::read::DeflateDecoder::new(input), limit),
            other => other,
        },
        Encoding::Brotli => bounded(brotli_decompressor::Decompressor::new(input, 4096), limit),
        Encoding::Zstd => {
            // the window is memory that the answer asks for: the decoder refuses more than 100 MiB by itself
            let decoder = ruzstd::decoding::StreamingDecoder::new(input)
                .map_err(|_| (ErrorClass::Protocol, "the encoded body cannot be decoded"))?;
            bounded(decoder, limit)
        }
    }
}

fn bounded(decoder: impl Read, limit: u64) -> Result<Vec<u8>, BodyError> {
    let mut out = Vec::new();
    match decoder.take(limit.saturating_add(1)).read_to_end(&mut out) {
        Ok(_) if out.len() as u64 > limit => {
            Err((ErrorClass::TooLarge, "the decoded body is larger than max_body"))
        }
        Ok(_) => Ok(out),
        Err(_) => Err((ErrorClass::Protocol, "the encoded body cannot be decoded")),
    }
}
