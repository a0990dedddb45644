//! Content encodings: taken off one after the other, within a length and a ratio.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};

use super::difference::Limit;
use super::rules::Limits;

/// Most encodings of one body.
const STACKED: usize = 4;
/// Bytes decoded at a time.
const CHUNK: usize = 16 << 10;
/// Bodies up to this length may expand as they like, in bytes.
const SMALL: usize = 1 << 20;
/// Largest zstd window, in bytes: what RFC 9659 allows on the web.
const ZSTD_WINDOW: u64 = 8 << 20;

/// Why a body could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    /// The bytes are not of the encoding named.
    #[error("the body is not valid {0}")]
    Broken(&'static str),
    /// An encoding that is not known.
    #[error("content encoding `{0}` is not understood")]
    Unknown(String),
    /// Decoding would go over a limit.
    #[error("decoding reached the limit `{0}`")]
    Limit(Limit),
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// What has been decoded so far, and how long it may get.
struct Output {
    bytes: Vec<u8>,
    longest: usize,
    at_longest: Limit,
}

/// The encodings as named, in the order they were applied, in lower case and without `identity`.
pub(super) fn names(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .to_ascii_lowercase()
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty() && name != "identity")
        .collect()
}

/// Takes every encoding off; None if there is none, so that the bytes can stay where they are.
pub(super) fn decode(
    bytes: &[u8],
    names: &[String],
    limits: &Limits,
) -> Result<Option<Vec<u8>>, DecodeError> {
    if names.len() > STACKED {
        return Err(DecodeError::Unknown(format!("{} of them", names.len())));
    }
    let mut decoded: Option<Vec<u8>> = None;
    for name in names.iter().rev() {
        let encoding = Encoding::named(name)?;
        let output = Output::for_input(bytes.len(), limits);
        let input = decoded.as_deref().unwrap_or(bytes);
        // An encoder given nothing may write nothing.
        decoded = Some(if input.is_empty() { Vec::new() } else { encoding.decode(input, output)? });
    }
    Ok(decoded)
}

impl Encoding {
    fn named(name: &str) -> Result<Self, DecodeError> {
        match name {
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "br" => Ok(Self::Brotli),
            "zstd" => Ok(Self::Zstd),
            other => Err(DecodeError::Unknown(other.chars().take(64).collect())),
        }
    }

    fn decode(self, input: &[u8], output: Output) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Gzip => output.fill_from(MultiGzDecoder::new(input), "gzip"),
            Self::Deflate => deflate(input, output),
            Self::Brotli => brotli(input, output),
            Self::Zstd => zstd(input, output),
        }
    }
}

/// `deflate` means the zlib format; some senders leave the zlib header off.
fn deflate(input: &[u8], output: Output) -> Result<Vec<u8>, DecodeError> {
    let again = Output { bytes: Vec::new(), ..output };
    match inflate(input, true, output) {
        Err(DecodeError::Broken(_)) => inflate(input, false, again),
        result @ (Ok(_) | Err(DecodeError::Unknown(_) | DecodeError::Limit(_))) => result,
    }
}

/// By hand, since the reader of the crate takes a cut stream for a complete one.
fn inflate(input: &[u8], zlib: bool, mut output: Output) -> Result<Vec<u8>, DecodeError> {
    const BROKEN: DecodeError = DecodeError::Broken("deflate");
    let mut inflater = Decompress::new(zlib);
    let mut chunk = vec![0; CHUNK];
    loop {
        let (consumed, produced) = (inflater.total_in(), inflater.total_out());
        let rest = input.get(usize::try_from(consumed).unwrap_or(usize::MAX)..).unwrap_or_default();
        let status = inflater.decompress(rest, &mut chunk, FlushDecompress::None).map_err(|_| BROKEN)?;
        let written = usize::try_from(inflater.total_out() - produced).unwrap_or(CHUNK);
        output.push(chunk.get(..written).unwrap_or_default())?;
        match status {
            Status::StreamEnd if inflater.total_in() == input.len() as u64 => return Ok(output.bytes),
            Status::StreamEnd => return Err(BROKEN),
            Status::Ok | Status::BufError if written == 0 && inflater.total_in() == consumed => {
                return Err(BROKEN);
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

fn brotli(input: &[u8], output: Output) -> Result<Vec<u8>, DecodeError> {
    output.fill_from(brotli_decompressor::Decompressor::new(input, CHUNK), "br")
}

fn zstd(mut input: &[u8], mut output: Output) -> Result<Vec<u8>, DecodeError> {
    const BROKEN: DecodeError = DecodeError::Broken("zstd");
    while !input.is_empty() {
        let frame = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut input, ZSTD_WINDOW)
            .map_err(|_| BROKEN)?;
        output.read(frame, "zstd")?;
    }
    Ok(output.bytes)
}

// === impl Output ===

impl Output {
    fn for_input(encoded: usize, limits: &Limits) -> Self {
        let by_ratio = encoded.saturating_mul(limits.ratio).max(SMALL);
        let (longest, at_longest) = if by_ratio < limits.decoded {
            (by_ratio, Limit::Ratio)
        } else {
            (limits.decoded, Limit::Decoded)
        };
        Self { bytes: Vec::new(), longest, at_longest }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.bytes.len() + bytes.len() > self.longest {
            return Err(DecodeError::Limit(self.at_longest));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, mut reader: impl Read, name: &'static str) -> Result<(), DecodeError> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => self.push(chunk.get(..length).unwrap_or_default())?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Err(DecodeError::Broken(name)),
            }
        }
    }

    fn fill_from(mut self, reader: impl Read, name: &'static str) -> Result<Vec<u8>, DecodeError> {
        self.read(reader, name)?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"{\"reports\":[1,2,3],\"more\":\"text text text text text text\"}";
    /// `hello`, since no crate here encodes brotli.
    const STORED_BROTLI: &[u8] = &[0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_encoded(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn decoded(bytes: &[u8], names: &[&str]) -> Result<Vec<u8>, DecodeError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        decode(bytes, &names, &Limits::default()).map(Option::unwrap)
    }

    #[test]
    fn every_encoding_and_a_stack_of_them() {
        assert_eq!(decoded(&gzip(TEXT), &["gzip"]).unwrap(), TEXT);
        assert_eq!(decoded(&[gzip(b"a"), gzip(b"b")].concat(), &["gzip"]).unwrap(), b"ab");
        assert_eq!(decoded(&zlib(TEXT), &["deflate"]).unwrap(), TEXT);
        assert_eq!(decoded(&raw(TEXT), &["deflate"]).unwrap(), TEXT);
        assert_eq!(decoded(&zstd_encoded(TEXT), &["zstd"]).unwrap(), TEXT);
        assert_eq!(decoded(STORED_BROTLI, &["br"]).unwrap(), b"hello");
        assert_eq!(decoded(&gzip(&zlib(TEXT)), &["deflate", "gzip"]).unwrap(), TEXT);
        assert_eq!(decode(TEXT, &[], &Limits::default()).unwrap(), None);
    }

    #[test]
    fn a_cut_body_is_broken_at_every_length() {
        for (name, encoded) in [
            ("gzip", gzip(TEXT)),
            ("deflate", zlib(TEXT)),
            ("deflate", raw(TEXT)),
            ("zstd", zstd_encoded(TEXT)),
            ("br", STORED_BROTLI.to_vec()),
        ] {
            for length in 1..encoded.len() {
                let error = decoded(&encoded[..length], &[name]).unwrap_err();
                assert_eq!(error, DecodeError::Broken(name), "{name} cut to {length} of {}", encoded.len());
            }
            assert!(decoded(b"no such thing at all", &[name]).is_err(), "{name}");
        }
    }

    #[test]
    fn bombs_end_at_the_limits() {
        let zeros = vec![0; 20 << 20];
        for (name, bomb) in
            [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("zstd", zstd_encoded(&zeros))]
        {
            let error = decoded(&bomb, &[name]).unwrap_err();
            assert!(matches!(error, DecodeError::Limit(_)), "{name}: {error}");
        }
        assert!(matches!(
            decoded(&gzip(&gzip(&zeros)), &["gzip", "gzip"]),
            Err(DecodeError::Limit(Limit::Ratio))
        ));
        assert_eq!(decoded(&gzip(&zeros[..1 << 20]), &["gzip"]).unwrap().len(), 1 << 20);
    }

    #[test]
    fn unknown_encodings_are_named() {
        assert_eq!(decoded(TEXT, &["compress"]), Err(DecodeError::Unknown("compress".into())));
        let mut headers = HeaderMap::new();
        headers.append("content-encoding", "GZIP , identity".parse().unwrap());
        headers.append("content-encoding", "br".parse().unwrap());
        assert_eq!(names(&headers), ["gzip", "br"]);
    }
}
