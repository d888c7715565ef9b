//! Between files and arrays.

use std::borrow::Cow;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use jpeg_decoder::PixelFormat;
use ndarray::{Array, Array3, ArrayRef, Dimension};

use super::picture::{self, Pixel};
use crate::formats::write_atomically;
use crate::{Error, Result};

/// How many pixels a file may say that it has: a header of 30 bytes can ask for 64 GB.
const MOST_PIXELS: u64 = 1 << 26;
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];
/// Deflate makes of one byte 1,032 at the very most.
const MOST_OF_DEFLATE: u64 = 1032;
/// Every block of 8×8 pixels of a JPEG takes a bit at the very least.
const MOST_OF_JPEG: u64 = 8 * 64;

/// Which channels an image is read with. Transparency is left away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColorMode {
    /// One: the brightness, 0.299 red + 0.587 green + 0.114 blue.
    Grayscale,
    /// Three: red, green, blue.
    #[default]
    Rgb,
}

impl ColorMode {
    /// How many channels: 1 or 3.
    #[must_use]
    pub fn channels(self) -> usize {
        match self {
            Self::Grayscale => 1,
            Self::Rgb => 3,
        }
    }
}

/// Reads a PNG or JPEG file, whatever its name is: (height, width, channels of `mode`).
///
/// Of 16 bits a channel the upper 8 are kept; palettes become colours; transparency is left away; of an animation it is the
/// first picture, also where the others are damaged. A JPEG may have its colours in any number of scans and of any size, coded
/// as brightness and chroma, as red, green, blue or as four inks; its colours become grey as those of a PNG do.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is neither PNG nor JPEG, damaged, cut short, of more
/// than 2²⁶ pixels, or of a kind of JPEG that hardly anybody writes: with arithmetic coding, hierarchical, of 12 bits.
///
/// # Example
/// See [`images`](super).
///
/// # Source
/// Keras `load_img(color_mode=…)`.
pub fn read(path: impl AsRef<Path>, mode: ColorMode) -> Result<Array3<u8>> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    let image = if bytes.starts_with(&PNG) {
        read_png(&bytes, mode)
    } else if bytes.starts_with(&JPEG) {
        read_jpeg(&bytes, mode)
    } else {
        Err("neither a PNG nor a JPEG file".into())
    };
    image.map_err(|problem| Error::file(path, problem))
}

/// Writes an image as PNG: (height, width) or (height, width, 1) grey, (height, width, 3) in colour; bytes, or numbers
/// from 0 to 1.
///
/// The file is written aside and renamed: an interrupted call leaves what was there before.
///
/// # Errors
/// If the image has another shape or no pixels, or a number is not in 0..=1 (see [`to_bytes`](super::to_bytes)); and
/// [`Error::Io`] if the file cannot be written. Each names the path.
///
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// let path = std::env::temp_dir().join(format!("gradus-doc-write-{}.png", std::process::id()));
/// images::write_png(&path, &array![[0.0f32, 0.5], [0.75, 1.0]])?;
/// let grey = images::read(&path, images::ColorMode::Grayscale)?;
/// assert_eq!(grey, array![[[0u8], [128]], [[191], [255]]]);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Source
/// Keras `save_img(scale=False)`, which takes values from 0 to 255 and cuts off what lies beyond.
pub fn write_png<T: Pixel, D: Dimension>(path: impl AsRef<Path>, image: &ArrayRef<T, D>) -> Result<()> {
    let path = path.as_ref();
    let bytes = picture::to_bytes(image).map_err(|error| error.within(path.display().to_string()))?;
    write_frames(path, &[bytes], None)
}

/// Writes images of one size as an animated PNG, which browsers and picture viewers play over and over; others show the
/// first. Each stands for so many milliseconds.
///
/// # Errors
/// As [`write_png`]; and if there is no image, or they differ in size.
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::prelude::*;
///
/// let frames: Vec<Array2<f32>> = (0..5).map(|n| Array2::from_elem((16, 16), n as f32 / 4.0)).collect();
/// let path = std::env::temp_dir().join(format!("gradus-doc-animation-{}.png", std::process::id()));
/// images::write_animation(&path, &frames, 200)?;
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// PNG, third edition (2025), "APNG: animation".
pub fn write_animation<T: Pixel, D: Dimension>(
    path: impl AsRef<Path>,
    images: &[Array<T, D>],
    milliseconds: u16,
) -> Result<()> {
    let path = path.as_ref();
    let at_path = |error: Error| error.within(path.display().to_string());
    let Some(first) = images.first() else {
        return Err(at_path(Error::data("write_animation", "one image at least", "none")));
    };
    if let Some(other) = images.iter().find(|image| image.shape() != first.shape()) {
        let (expected, received) = (crate::error::show(first.shape()), crate::error::show(other.shape()));
        return Err(at_path(Error::data("write_animation", format!("images of one size, {expected}"), received)));
    }
    let frames = images.iter().map(|image| picture::to_bytes(image)).collect::<Result<Vec<_>>>().map_err(at_path)?;
    write_frames(path, &frames, Some(milliseconds))
}

/// Writes one image, or with a duration of each an animation of several of the same shape.
fn write_frames<D: Dimension>(path: &Path, frames: &[Array<u8, D>], milliseconds: Option<u16>) -> Result<()> {
    let at_path = |error: Error| error.within(path.display().to_string());
    let image = &frames[0];
    let refuse =
        || at_path(Error::shape("an image (height, width), (height, width, 1) or (height, width, 3)", image.shape()));
    let (size, color) = match *image.shape() {
        [height, width] | [height, width, 1] => ([height, width], png::ColorType::Grayscale),
        [height, width, 3] => ([height, width], png::ColorType::Rgb),
        _ => return Err(refuse()),
    };
    // PNG's sizes lie in 1..2³¹.
    let [height, width] = size.map(|size| i32::try_from(size).ok().filter(|&size| size > 0).map(i32::unsigned_abs));
    let (Some(height), Some(width)) = (height, width) else { return Err(refuse()) };
    write_atomically(path, |out| {
        let mut encoder = png::Encoder::new(out, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        if let (Some(milliseconds), Ok(count)) = (milliseconds, u32::try_from(frames.len())) {
            encoder.set_animated(count, 0)?; // 0: for ever
            encoder.set_frame_delay(milliseconds, 1000)?;
        }
        let mut writer = encoder.write_header()?;
        for frame in frames {
            writer.write_image_data(frame.as_slice().unwrap_or_default())?;
        }
        Ok(writer.finish()?)
    })
}

fn read_png(file: &[u8], mode: ColorMode) -> Result<Array3<u8>, String> {
    let text = |problem: png::DecodingError| format!("damaged PNG: {problem}");
    let file = first_picture(file);
    let mut decoder = png::Decoder::new(Cursor::new(file.as_ref()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(text)?;
    let (width, height) = reader.info().size();
    refuse_many(width.into(), height.into())?;
    let bits = reader.info().bits_per_pixel() as u64 * u64::from(width);
    if bits.div_ceil(8) * u64::from(height) > MOST_OF_DEFLATE * file.len() as u64 {
        return Err(format!("damaged PNG, or cut short: {} bytes are too few for {width}×{height} pixels", file.len()));
    }
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("more pixels than memory has places")?];
    let info = reader.next_frame(&mut pixels).map_err(text)?;
    reader.finish().map_err(text)?;
    let size = [height, width].map(|size| size as usize);
    shaped(size, convert(&pixels, info.color_type.samples(), mode))
}

fn read_jpeg(file: &[u8], mode: ColorMode) -> Result<Array3<u8>, String> {
    let text = |problem| format!("damaged JPEG, or of an unknown kind: {problem}");
    let mut decoder = jpeg_decoder::Decoder::new(file);
    decoder.read_info().map_err(text)?;
    let info = decoder.info().ok_or("a JPEG without a size")?;
    let [width, height] = [info.width, info.height].map(u64::from);
    refuse_many(width, height)?;
    if width * height > MOST_OF_JPEG * file.len() as u64 {
        return Err(format!(
            "damaged JPEG, or cut short: {} bytes are too few for {width}×{height} pixels",
            file.len()
        ));
    }
    let pixels = decoder.decode().map_err(text)?;
    let size = [info.height, info.width].map(usize::from);
    match info.pixel_format {
        PixelFormat::L8 => shaped(size, convert(&pixels, 1, mode)),
        PixelFormat::RGB24 => shaped(size, convert(&pixels, 3, mode)),
        PixelFormat::CMYK32 => shaped(size, convert(&cmyk_to_rgb(&pixels), 3, mode)),
        // Of 16 bits, as lossless files may have, the upper 8.
        PixelFormat::L16 => {
            let upper: Vec<u8> =
                pixels.as_chunks().0.iter().map(|&bytes| u16::from_ne_bytes(bytes).to_be_bytes()[0]).collect();
            shaped(size, convert(&upper, 1, mode))
        }
    }
}

/// Of four inks, each from 0 to 255, what light is left: (255 − ink)(255 − black) / 255.
#[allow(clippy::cast_possible_truncation)] // at most 255
fn cmyk_to_rgb(pixels: &[u8]) -> Vec<u8> {
    let light = |ink: u8, black: u8| ((255 - u32::from(ink)) * (255 - u32::from(black)) / 255) as u8;
    let inks = pixels.as_chunks::<4>().0.iter();
    inks.flat_map(|&[cyan, magenta, yellow, black]| [cyan, magenta, yellow].map(|ink| light(ink, black))).collect()
}

/// A PNG without what makes it an animation: its first picture is an image by itself, whatever happened to the others.
fn first_picture(file: &[u8]) -> Cow<'_, [u8]> {
    let (mut picture, mut rest) = (PNG.to_vec(), &file[PNG.len()..]);
    let (mut animated, mut whole) = (false, false);
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        // Name, content and sum.
        let size = (u32::from_be_bytes(*length) as usize).saturating_add(8);
        let Some(chunk) = behind.get(..size) else { break };
        match &chunk[..4] {
            b"acTL" | b"fcTL" | b"fdAT" => animated = true,
            name => {
                whole |= name == b"IDAT";
                picture.extend_from_slice(&rest[..4 + size]);
            }
        }
        rest = &behind[size..];
    }
    if !animated {
        return Cow::Borrowed(file);
    }
    if whole {
        // Where the file was cut within a later picture.
        picture.extend_from_slice(b"\0\0\0\0IEND\xae\x42\x60\x82");
    }
    Cow::Owned(picture)
}

fn refuse_many(width: u64, height: u64) -> Result<(), String> {
    if width.saturating_mul(height) > MOST_PIXELS {
        return Err(format!("{width}×{height} pixels are more than {MOST_PIXELS}"));
    }
    Ok(())
}

/// Pixels of `channels` channels (grey, grey and opacity, colour, colour and opacity) with those of `mode`.
fn convert(pixels: &[u8], channels: usize, mode: ColorMode) -> Vec<u8> {
    let pixels = pixels.chunks_exact(channels);
    match (channels, mode) {
        (1 | 2, ColorMode::Grayscale) => pixels.map(|pixel| pixel[0]).collect(),
        (1 | 2, ColorMode::Rgb) => pixels.flat_map(|pixel| [pixel[0]; 3]).collect(),
        (_, ColorMode::Grayscale) => pixels.map(|pixel| brightness([pixel[0], pixel[1], pixel[2]])).collect(),
        (_, ColorMode::Rgb) => pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
    }
}

/// In thousandths, rounded; at most 255.
#[allow(clippy::cast_possible_truncation)]
fn brightness([red, green, blue]: [u8; 3]) -> u8 {
    ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000) as u8
}

fn shaped([height, width]: [usize; 2], pixels: Vec<u8>) -> Result<Array3<u8>, String> {
    let channels = pixels.len() / (height * width).max(1);
    Array3::from_shape_vec([height, width, channels], pixels).map_err(|problem| problem.to_string())
}
