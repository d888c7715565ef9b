//! Plots to PNG and SVG: learning curves, lines, ROC and precision–recall curves, confusion matrices and other heat maps.
//!
//! Everything is drawn with sizes, colours and ticks that need no tuning, by the crate `plotters`, with a font that comes
//! along (DejaVu Sans; no font of the system is needed). The ending of the file says what is written.
//!
//! ```
//! use gradus::plots::LinePlot;
//!
//! let epochs: Vec<f64> = (0..20).map(f64::from).collect();
//! let fall = |from: f64| epochs.iter().map(|epoch| from / (1.0 + epoch)).collect::<Vec<f64>>();
//! let path = std::env::temp_dir().join("gradus-doc-losses.png");
//! LinePlot::new("Two trainings")
//!     .x_label("epoch")
//!     .y_label("loss")
//!     .line("Adam", &epochs, &fall(1.0))
//!     .line("SGD", &epochs, &fall(2.0))
//!     .save(path)?;
//! # Ok::<(), gradus::Error>(())
//! ```

mod curves;
mod heat_map;
mod lines;

use std::path::Path;
use std::sync::Once;

use ndarray::Array3;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

pub use curves::{confusion, learning_curves, learning_rates, precision_recall, roc, search};
pub use heat_map::HeatMap;
pub use lines::LinePlot;

use crate::data::images;
use crate::formats::write_atomically;
use crate::memory::room;
use crate::{Error, Result};

/// Colours that people who do not see all of them tell apart: Okabe and Ito, 2008.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(226, 226, 226);
static FONT_REGISTERED: Once = Once::new();
const FONT: &str = "sans-serif";
const DEJAVU: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

/// A bitmap is drawn so many times as large and then reduced, which smooths its edges.
const OVERSAMPLING: u32 = 3;
/// A side of a picture has no more pixels: coordinates of more would overflow.
const MOST_PIXELS: u32 = 1 << 16;

/// Something that can be drawn.
trait Draw {
    /// Why it cannot be drawn, if so.
    fn check(&self) -> Result<()>;

    /// Draws with everything `scale` times as large as in a plot of 100 %.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B>;
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Plots side by side in one picture.
///
/// ```
/// use gradus::plots::{Figure, HeatMap, LinePlot};
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join("gradus-doc-figure.svg");
/// let line = LinePlot::new("A line").line("y", &[0.0, 1.0], &[1.0, 0.0]);
/// Figure::new().add(line).add(HeatMap::new("A table", &array![[1.0, 2.0], [3.0, 4.0]])).save(path)?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Figure {
    panels: Vec<Panel>,
    columns: Option<usize>,
    size: Option<(u32, u32)>,
}

/// One plot of a [`Figure`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Panel {
    /// Lines.
    Lines(LinePlot),
    /// A table as colours.
    HeatMap(HeatMap),
}

impl From<LinePlot> for Panel {
    fn from(plot: LinePlot) -> Self {
        Self::Lines(plot)
    }
}

impl From<HeatMap> for Panel {
    fn from(plot: HeatMap) -> Self {
        Self::HeatMap(plot)
    }
}

impl Figure {
    /// Without plots.
    pub fn new() -> Self {
        Self::default()
    }
    /// With one more plot.
    #[allow(clippy::should_implement_trait)] // the word of `Sequential`
    pub fn add(mut self, plot: impl Into<Panel>) -> Self {
        self.panels.push(plot.into());
        self
    }
    /// How many stand side by side. Default: up to three, four plots as two rows of two.
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = Some(columns.max(1));
        self
    }
    /// Width and height of the picture in pixels. Default: 720 × 480 a plot.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = Some((width, height));
        self
    }

    /// Writes the picture: `.png` or `.svg`.
    ///
    /// # Errors
    /// [`File`](Error::File) for another ending, [`Data`](Error::Data) for a plot without finite values,
    /// [`Io`](Error::Io) if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if self.panels.is_empty() {
            return Err(Error::data("save", "a figure with a plot", "none"));
        }
        for panel in &self.panels {
            match panel {
                Panel::Lines(plot) => plot.check()?,
                Panel::HeatMap(plot) => plot.check()?,
            }
        }
        FONT_REGISTERED.call_once(|| {
            // The bytes are a font; a test draws with it.
            let _ = register_font(FONT, FontStyle::Normal, DEJAVU);
        });
        match path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("png") => self.save_png(path),
            Some("svg") => self.save_svg(path),
            _ => Err(Error::file(path, "a plot is written to .png or .svg")),
        }
    }

    fn grid(&self) -> (usize, usize) {
        let most = self.panels.len().max(1);
        let usual = if most == 4 { 2 } else { most.min(3) };
        let columns = self.columns.map_or(usual, |columns| columns.min(most));
        (self.panels.len().div_ceil(columns), columns)
    }

    /// Width and height, for whose pixels there must be memory.
    fn pixels(&self) -> Result<(u32, u32)> {
        let (rows, columns) = self.grid();
        let times = |n: usize, pixels: u32| u32::try_from(n).unwrap_or(u32::MAX).saturating_mul(pixels);
        let (width, height) = self.size.unwrap_or((times(columns, 720), times(rows, 480)));
        let large = |pixels: u32| pixels as usize * OVERSAMPLING as usize;
        let given = format!("{width} × {height}");
        if width.max(height) > MOST_PIXELS || width.min(height) == 0 {
            let expected = format!("1 to {MOST_PIXELS} pixels a side");
            return Err(Error::option("size", expected, given).within("Figure"));
        }
        room::<u8>("size", given, &[large(width), large(height), 3]).map_err(|error| error.within("Figure"))?;
        Ok((width, height))
    }

    fn save_svg(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        self.draw(&SVGBackend::with_string(&mut text, self.pixels()?).into_drawing_area(), 1.0)?;
        write_atomically(path, |out| std::io::Write::write_all(out, text.as_bytes()))
    }

    fn save_png(&self, path: &Path) -> Result<()> {
        let (width, height) = self.pixels()?;
        let large = (width * OVERSAMPLING, height * OVERSAMPLING);
        let mut bytes = vec![255; large.0 as usize * large.1 as usize * 3];
        self.draw(&BitMapBackend::with_buffer(&mut bytes, large).into_drawing_area(), f64::from(OVERSAMPLING))?;
        images::write_png(path, &reduce(&bytes, width as usize, height as usize))
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>, scale: f64) -> Result<()> {
        let draw = || -> Drawn<B> {
            root.fill(&WHITE)?;
            for (area, panel) in root.split_evenly(self.grid()).iter().zip(&self.panels) {
                match panel {
                    Panel::Lines(plot) => plot.draw(area, scale)?,
                    Panel::HeatMap(plot) => plot.draw(area, scale)?,
                }
            }
            root.present()
        };
        draw().map_err(|error| Error::data("save", "a figure large enough for its plots", error.to_string()))
    }
}

/// The mean of each square of [`OVERSAMPLING`] × [`OVERSAMPLING`] pixels.
fn reduce(large: &[u8], width: usize, height: usize) -> Array3<u8> {
    let times = OVERSAMPLING as usize;
    Array3::from_shape_fn((height, width, 3), |(row, column, channel)| {
        let pixel = |i: usize, j: usize| {
            u32::from(large[((row * times + i) * width * times + column * times + j) * 3 + channel])
        };
        let sum: u32 = (0..times * times).map(|k| pixel(k / times, k % times)).sum();
        u8::try_from(sum / (OVERSAMPLING * OVERSAMPLING)).unwrap_or(u8::MAX)
    })
}

/// A length in pixels.
#[allow(clippy::cast_possible_truncation)] // pixels are few
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

/// About `n` ticks at 1, 2 or 5 times a power of ten, and how many digits they need after the point.
fn ticks(low: f64, high: f64, n: f64) -> (Vec<f64>, usize) {
    let rough = (high - low) / n;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|nice| nice * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step - 1e-9).ceil();
    let ticks =
        (0..100).map(|i| (first + f64::from(i)) * step).take_while(|tick| *tick <= high + 1e-9 * step).collect();
    (ticks, digits(step))
}

/// How many digits after the point tell multiples of `step` apart.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to a small range
fn digits(step: f64) -> usize {
    (-(step.log10() + 1e-9).floor()).clamp(0.0, 8.0) as usize
}

/// A number as a tick shows it: with so many digits, or in scientific form where it is very large or small.
fn number(value: f64, digits: usize) -> String {
    if value != 0.0 && (value.abs() >= 1e6 || (digits >= 5 && value.abs() < 1e-3)) {
        return format!("{value:.1e}").replace(".0e", "e").replace('-', "−");
    }
    let shown = format!("{value:.digits$}");
    // What is rounded to 0 is not below it.
    let shown = if shown.chars().any(|digit| ('1'..='9').contains(&digit)) { shown } else { shown.replace('-', "") };
    shown.replace('-', "−")
}
