//! Pictures: cut, mirrored, turned and resized; with the feature `images` also read from PNG and JPEG files and from folders of
//! them, put together, drawn into, written as PNG.
//!
//! An image is an array (height, width, channels) of bytes, grey with one channel or red, green, blue with three; its
//! first row is the top. What only reads one also takes (height, width) and numbers from 0 to 1, which is what models
//! give.
//!
//! ```
//! # #[cfg(feature = "images")] {
//! use gradus::data::images;
//! use gradus::ndarray::Array;
//!
//! // Nine grey images, three in a row, every pixel four pixels wide.
//! let made = Array::from_shape_fn((9, 28, 28), |(n, i, j)| ((n + i) * j) as f32 / 1000.0);
//! let picture = images::enlarge(&images::grid(&made, 3, 1)?, 4)?;
//!
//! let path = std::env::temp_dir().join(format!("gradus-doc-{}.png", std::process::id()));
//! images::write_png(&path, &picture)?;
//! assert_eq!(images::read(&path, images::ColorMode::Grayscale)?, picture);
//! # std::fs::remove_file(path).ok();
//! # }
//! # Ok::<(), gradus::Error>(())
//! ```

#[cfg(feature = "images")]
mod file;
#[cfg(feature = "images")]
mod folder;
#[cfg(feature = "images")]
mod picture;
mod resize;
mod transform;

#[cfg(feature = "images")]
pub use file::{ColorMode, read, write_animation, write_png};
#[cfg(feature = "images")]
pub use folder::{ImageFiles, ImageFolder};
#[cfg(feature = "images")]
pub use picture::{Pixel, draw_rectangle, enlarge, grayscale_to_rgb, grid, resize, stretch, to_bytes};
pub use resize::{Resampling, Resize, center_crop};
pub use transform::{crop, flip_left_right, flip_up_down, pad, rgb_to_grayscale, rot90, rot180};
