//! The bytes of a WAV file: RIFF and its relatives for the other byte order and for more than 4 GiB.
//!
//! ```text
//! "RIFF" | size | "WAVE" | chunks: name (4 bytes) | size (u32) | content | a byte of padding if the size is odd
//! fmt:  kind (u16) | channels (u16) | rate (u32) | bytes a second (u32) | bytes a frame (u16) | bits (u16) | …
//! data: frame after frame, a sample of each channel
//! ```
//!
//! `RIFX` has the bytes of its numbers the other way round; `RF64` and `BW64` keep sizes of 64 bits in a chunk `ds64`.
//! A whole number of fewer bits than its place in the file lies at the upper end of it, so that the place alone says what a
//! sample is divided by. Bytes a second are not looked at: many programs write them wrongly, and nothing needs them.
//!
//! By hand rather than by a crate: `hound` has whole numbers in the lower end of their place, stops at chunks of odd size and
//! at the sizes that programs write into pipes, and knows neither packed sound nor RIFX and RF64; `symphonia` reads
//! neither of the two last either and has `f32` for 64 bits only by way of its own buffers.
//!
//! Source: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0*, 1991; Microsoft,
//! *Multiple Channel Audio Data and WAVE Files*, 2007; EBU Tech 3306 (RF64); ITU-T G.711 (A-law, µ-law).
#![allow(clippy::cast_possible_truncation)] // fields of two and four bytes, sizes that lie within the file, samples as `f32`

use ndarray::Array2;

/// What is wrong, and at which byte.
pub(super) type Problem = (usize, String);

/// The ends of the identifiers by which an extensible header says its kind: of Microsoft and, for sound fields, Ambisonic.
const KINDS: [[u8; 8]; 2] = [*b"\x80\x00\x00\xaa\x00\x38\x9b\x71", *b"\x86\x44\xc8\xc1\xca\x00\x00\x00"];

/// How a sample lies in the file.
#[derive(Clone, Copy, Debug)]
enum Coding {
    /// A whole number of so many bytes; of one byte around 128.
    Integer,
    /// A floating-point number of 4 or 8 bytes.
    Float,
    ALaw,
    MuLaw,
}

/// The file, read from a place on, in its byte order.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| (self.bytes.len(), "it ends too early".to_owned()))?;
        self.at += count;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, Problem> {
        let big_endian = self.big_endian;
        Ok(number(self.take(bytes)?, big_endian))
    }
}

/// A number without a sign, of at most 8 bytes.
fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
    if big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
}

/// What the `fmt` chunk says.
struct Format {
    coding: Coding,
    channels: usize,
    sample_rate: u32,
    /// The bytes of one sample.
    width: usize,
}

impl Format {
    fn read(mut chunk: Cursor<'_>, size: usize) -> Result<Self, Problem> {
        let start = chunk.at;
        let [mut kind, channels] = [chunk.number(2)?, chunk.number(2)?];
        let sample_rate = chunk.number(4)?;
        chunk.number(4)?;
        let [frame, bits] = [chunk.number(2)?, chunk.number(2)?].map(|number| number as usize);
        if kind == 0xfffe {
            if size < 40 {
                return Err((start, format!("an extensible header of 40 bytes is expected, it has {size}")));
            }
            chunk.take(8)?; // its own size, valid bits, places of the channels
            kind = chunk.number(4)?;
            chunk.take(4)?;
            let end = chunk.take(8)?;
            if !KINDS.iter().any(|known| known == end) {
                return Err((start, "a kind of WAV file that is not supported: an identifier that is unknown".into()));
            }
        }
        let channels = channels as usize;
        if channels == 0 || sample_rate == 0 {
            return Err((start, format!("{channels} channels of {sample_rate} samples a second")));
        }
        let least = bits.div_ceil(8);
        let width = if frame == 0 { least } else { frame / channels };
        if width < least || bits == 0 || (frame > 0 && !frame.is_multiple_of(channels)) {
            return Err((start, format!("{channels} channels of {bits} bits do not make frames of {frame} bytes")));
        }
        let coding = match (kind, width) {
            (1, 1..=8) => Coding::Integer,
            (3, 4 | 8) => Coding::Float,
            (6, 1) => Coding::ALaw,
            (7, 1) => Coding::MuLaw,
            _ => {
                let name = match kind {
                    2 | 0x11 => ", ADPCM",
                    0x31 => ", GSM",
                    0x50 | 0x55 => ", MPEG",
                    1 | 3 | 6 | 7 => {
                        return Err((start, format!("format {kind} with samples of {bits} bits in {width} bytes")));
                    }
                    _ => "",
                };
                return Err((start, format!("a kind of WAV file that is not supported: format {kind:#06x}{name}")));
            }
        };
        Ok(Self { coding, channels, sample_rate: sample_rate as u32, width })
    }

    fn decode(&self, data: &[u8], big_endian: bool) -> Vec<f32> {
        let samples = data.chunks_exact(self.width);
        match self.coding {
            Coding::Integer if self.width == 1 => data.iter().map(|&byte| (f32::from(byte) - 128.0) / 128.0).collect(),
            Coding::Integer => samples.map(|bytes| whole(bytes, big_endian)).collect(),
            Coding::Float if self.width == 4 => {
                samples.map(|bytes| f32::from_bits(number(bytes, big_endian) as u32)).collect()
            }
            Coding::Float => samples.map(|bytes| f64::from_bits(number(bytes, big_endian)) as f32).collect(),
            Coding::ALaw => data.iter().map(|&byte| f32::from(a_law(byte)) / 32768.0).collect(),
            Coding::MuLaw => data.iter().map(|&byte| f32::from(mu_law(byte)) / 32768.0).collect(),
        }
    }
}

/// A whole number with a sign, as a share of the most that its bytes can hold.
fn whole(bytes: &[u8], big_endian: bool) -> f32 {
    // Its sign comes to be that of 64 bits.
    let number = (number(bytes, big_endian) << (64 - 8 * bytes.len())).cast_signed();
    (number as f64 / 2f64.powi(63)) as f32
}

/// A-law as 16 bits: a sign, three bits of size and four of place, every other bit turned.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (size, place) = (byte >> 4 & 7, i16::from(byte & 15) << 4);
    let level = if size == 0 { place + 8 } else { (place + 0x108) << (size - 1) };
    if byte & 0x80 == 0 { -level } else { level }
}

/// µ-law as 16 bits: the same parts, all bits turned, and a bias of 132 in every level.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let level = (((i16::from(byte & 15) << 3) + 0x84) << (byte >> 4 & 7)) - 0x84;
    if byte & 0x80 == 0 { level } else { -level }
}

/// The samples of a file, (time, channels), and how many there are a second.
pub(super) fn decode(bytes: &[u8]) -> Result<(Array2<f32>, u32), Problem> {
    let mut file = Cursor { bytes, at: 0, big_endian: false };
    let large = match file.take(4)? {
        b"RIFF" => false,
        b"RIFX" => {
            file.big_endian = true;
            false
        }
        b"RF64" | b"BW64" => true,
        _ => return Err((0, "expected a WAV file, which begins with RIFF, RIFX or RF64".into())),
    };
    let whole_size = file.number(4)?;
    if file.take(4)? != b"WAVE" {
        return Err((8, "it is a RIFF file, but not of WAVE".into()));
    }
    let (mut format, mut data, mut size_in_ds64) = (None, None, None);
    while format.is_none() || data.is_none() {
        if file.at >= bytes.len() {
            let missing = if format.is_none() { "fmt" } else { "data" };
            return Err((bytes.len(), format!("it ends too early, without the chunk `{missing}`")));
        }
        let name = file.take(4)?;
        let size = file.number(4)?;
        let there = bytes.len() - file.at;
        let size = match name {
            b"data" if data.is_none() => {
                let known = if large && size == u64::from(u32::MAX) { size_in_ds64.unwrap_or(size) } else { size };
                let size = if unknown(known, whole_size, there, file.at) { None } else { Some(known) };
                data = Some((file.at, size));
                size.unwrap_or(there as u64)
            }
            _ => size,
        };
        let start = file;
        let size = usize::try_from(size).ok().filter(|&size| size <= there);
        let size = size.ok_or_else(|| (bytes.len(), "it ends too early".to_owned()))?;
        match name {
            b"fmt " => format = Some(Format::read(start, size)?),
            b"ds64" if size >= 16 => {
                let mut sizes = start;
                sizes.take(8)?;
                size_in_ds64 = Some(sizes.number(8)?);
            }
            _ => (),
        }
        // The byte of padding behind the last chunk is often left out.
        file.at = (file.at + size.next_multiple_of(2)).min(bytes.len());
    }
    let (Some(format), Some((start, size))) = (format, data) else {
        return Err((bytes.len(), "it ends too early".into()));
    };
    let there = bytes.len() - start;
    let frame = format.width * format.channels;
    let size = match size {
        None => there / frame * frame,
        Some(size) if size.is_multiple_of(frame as u64) => size as usize,
        Some(size) => return Err((start, format!("{size} bytes of samples do not fill frames of {frame}"))),
    };
    let samples = format.decode(&bytes[start..start + size], file.big_endian);
    let samples = Array2::from_shape_vec((size / frame, format.channels), samples);
    let samples = samples.map_err(|problem| (start, problem.to_string()))?;
    Ok((samples, format.sample_rate))
}

/// Whether the size of the samples is one that programs write who can't know it, because their file is a pipe: the largest
/// of 32 bits (ffmpeg), the largest of 31 and what lies closely below (SoX, arecord), or 0 with something behind it that
/// the file's own size doesn't speak of.
fn unknown(size: u64, whole_size: u64, there: usize, at: usize) -> bool {
    match size {
        0 => there > 0 && whole_size + 8 < (at + there) as u64 || whole_size >= 0x7fff_0000,
        0x7fff_ef00..=0x8000_0000 | 0xffff_ff00.. => size > there as u64,
        _ => false,
    }
}
