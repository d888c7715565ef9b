//! Between files and arrays.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use ndarray::{Array, Array3, ArrayRef, Dimension};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::picture::{self, Pixel};
use crate::formats::write_atomically;
use crate::{Error, Result};

/// How many pixels a file may say that it has: a header of 30 bytes can ask for 64 GB.
const MOST_PIXELS: u64 = 1 << 26;
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];
/// No byte of a PNG stands for more pixels: of packed data one for 1032 bytes of eight pixels each.
const MOST_PIXELS_A_BYTE: u64 = 1032 * 8;

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
/// Of 16 bits a channel the upper 8 are kept; palettes become colours; transparency is left away.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is neither PNG nor JPEG, damaged, cut short, or of more
/// than 2²⁶ pixels.
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
    let mut decoder = png::Decoder::new(Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(text)?;
    let (width, height) = reader.info().size();
    refuse_many(width.into(), height.into())?;
    if u64::from(width) * u64::from(height) > (file.len() as u64).saturating_mul(MOST_PIXELS_A_BYTE) {
        return Err(format!("damaged PNG: {width}×{height} pixels in {} bytes", file.len()));
    }
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("more pixels than memory has places")?];
    let info = reader.next_frame(&mut pixels).map_err(text)?;
    reader.finish().map_err(text)?;
    let size = [height, width].map(|size| size as usize);
    shaped(size, convert(&pixels, info.color_type.samples(), mode))
}

fn read_jpeg(file: &[u8], mode: ColorMode) -> Result<Array3<u8>, String> {
    let color = match mode {
        ColorMode::Grayscale => ColorSpace::Luma,
        ColorMode::Rgb => ColorSpace::RGB,
    };
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(color);
    let text = |problem| format!("damaged JPEG, or of an unknown kind: {problem}");
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(text)?;
    let (width, height) = decoder.dimensions().ok_or("a JPEG without a size")?;
    refuse_many(width as u64, height as u64)?;
    shaped([height, width], decoder.decode().map_err(text)?)
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
