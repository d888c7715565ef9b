//! A table as colours.

use std::path::Path;

use ndarray::{Array2, ArrayRef, Ix2};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Draw, Drawn, FONT, Figure, INK, digits, number, pixels};
use crate::error::show;
use crate::{Error, Result, Scalar};

/// A table as colours: a confusion matrix, what an attention looks at, correlations.
///
/// White is the smallest value and dark blue the largest; a NaN is grey. Tables of up to 16 × 16 show their numbers.
///
/// # Example
/// ```
/// use gradus::plots::HeatMap;
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join("gradus-doc-heat.svg");
/// HeatMap::new("Attention", &array![[0.9f32, 0.1], [0.2, 0.8]])
///     .row_names(["the", "cat"])
///     .column_names(["le", "chat"])
///     .save(path)?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeatMap {
    title: String,
    values: Array2<f64>,
    rows: Vec<String>,
    columns: Vec<String>,
    x_label: String,
    y_label: String,
    numbers: Option<bool>,
}

impl HeatMap {
    /// A table, its first row on top.
    pub fn new<F: Scalar>(title: impl Into<String>, values: &ArrayRef<F, Ix2>) -> Self {
        Self {
            title: title.into(),
            values: values.mapv(Scalar::f64),
            rows: Vec::new(),
            columns: Vec::new(),
            x_label: String::new(),
            y_label: String::new(),
            numbers: None,
        }
    }
    /// The names of the rows. Default: none.
    pub fn row_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.rows = names.into_iter().map(Into::into).collect();
        self
    }
    /// The names of the columns. Default: none.
    pub fn column_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.columns = names.into_iter().map(Into::into).collect();
        self
    }
    /// What stands below the columns.
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }
    /// What stands beside the rows.
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.y_label = label.into();
        self
    }
    /// Whether the numbers stand in their cells. Default: in tables of up to 16 × 16.
    pub fn numbers(mut self, shown: bool) -> Self {
        self.numbers = Some(shown);
        self
    }

    /// Writes the table alone, 720 × 480 pixels, to `.png` or `.svg`.
    ///
    /// # Errors
    /// As [`Figure::save`]; also names that are not as many as rows or columns.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Figure::new().add(self.clone()).save(path)
    }
}

/// White to dark blue; dark colours carry white text.
fn shade(share: f64) -> RGBColor {
    let stops = [(255.0, 255.0, 255.0), (158.0, 202.0, 225.0), (8.0, 69.0, 148.0)];
    let (from, to, s) =
        if share < 0.5 { (stops[0], stops[1], share * 2.0) } else { (stops[1], stops[2], share * 2.0 - 1.0) };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 255
    let mix = |a: f64, b: f64| (a + s * (b - a)).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

impl Draw for HeatMap {
    fn check(&self) -> Result<()> {
        if self.values.iter().all(|value| !value.is_finite()) {
            let expected = format!("a finite value to draw in `{}`", self.title);
            return Err(Error::data("save", expected, format!("a table {}", show(self.values.shape()))));
        }
        for (option, names, n) in
            [("row_names", &self.rows, self.values.nrows()), ("column_names", &self.columns, self.values.ncols())]
        {
            if !names.is_empty() && names.len() != n {
                return Err(Error::option(option, format!("{n} names or none"), names.len()));
            }
        }
        Ok(())
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B> {
        let size = |length: f64| pixels(length * scale);
        let text = |points: f64, h, v| (FONT, points * scale).into_font().color(&INK).pos(Pos::new(h, v));
        let (rows, columns) = self.values.dim();
        let whole = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let (width, height) = area.dim_in_pixel();
        let [width, height] = [width, height].map(|length| i32::try_from(length).unwrap_or(i32::MAX));
        let (edge, title) = (size(14.0), if self.title.is_empty() { 0 } else { size(34.0) });
        let widest = |names: &[String]| -> Result<i32, DrawingAreaErrorKind<B::ErrorType>> {
            let mut widest = 0;
            for name in names {
                let (width, _) = area.estimate_text_size(name, &text(13.0, HPos::Left, VPos::Top))?;
                widest = widest.max(i32::try_from(width).unwrap_or(0));
            }
            Ok(widest)
        };
        let labelled = |label: &str| if label.is_empty() { 0 } else { size(26.0) };
        let left = edge + labelled(&self.y_label) + widest(&self.rows)? + size(10.0);
        // Names that are wider than their columns stand upright.
        let bottom_of = |names: i32| height - edge - labelled(&self.x_label) - names;
        let wide = widest(&self.columns)?;
        let flat_names = if self.columns.is_empty() { 0 } else { size(22.0) };
        let (top, right) = (edge + title, width - edge - size(70.0));
        let cell_of = |names: i32| ((right - left) / whole(columns)).min((bottom_of(names) - top) / whole(rows)).max(1);
        let upright = wide + size(8.0) > cell_of(flat_names);
        let names = if upright && !self.columns.is_empty() { wide + size(10.0) } else { flat_names };
        let cell = cell_of(names);
        let left = left + (right - left - cell * whole(columns)) / 2;
        let top = top + (bottom_of(names) - top - cell * whole(rows)) / 2;
        let at = |row: usize, column: usize| (left + cell * whole(column), top + cell * whole(row));

        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let low = if low > 0.0 { 0.0 } else { low };
        let share = |value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
        let integers = finite().all(|value| value.fract() == 0.0);
        let decimals = if integers { 0 } else { digits((high - low) / 100.0).min(3) };
        let numbers = self.numbers.unwrap_or(rows <= 16 && columns <= 16);
        let points = (f64::from(cell) / scale / 3.2).min(15.0);
        for ((row, column), &value) in self.values.indexed_iter() {
            let (x, y) = at(row, column);
            let color = if value.is_finite() { shade(share(value)) } else { RGBColor(200, 200, 200) };
            area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], color.filled()))?;
            if numbers && value.is_finite() {
                let ink = if share(value) > 0.6 { WHITE } else { INK };
                let style = (FONT, points * scale).into_font().color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
                area.draw(&Text::new(number(value, decimals), (x + cell / 2, y + cell / 2), style))?;
            }
        }
        let (end_x, end_y) = at(rows, columns);
        let frame = INK.stroke_width(size(1.0).unsigned_abs());
        area.draw(&Rectangle::new([at(0, 0), (end_x, end_y)], frame))?;

        // A scale of the colours.
        let bar = (end_x + size(16.0), end_x + size(30.0));
        for pixel in 0..end_y - top {
            let color = shade(1.0 - f64::from(pixel) / f64::from((end_y - top).max(1)));
            area.draw(&Rectangle::new([(bar.0, top + pixel), (bar.1, top + pixel + 1)], color.filled()))?;
        }
        area.draw(&Rectangle::new([(bar.0, top), (bar.1, end_y)], frame))?;
        for (value, y) in [(high, top), (low, end_y)] {
            let style = text(12.0, HPos::Left, VPos::Center);
            area.draw(&Text::new(number(value, decimals), (bar.1 + size(5.0), y), style))?;
        }

        for (row, name) in self.rows.iter().enumerate() {
            let style = text(13.0, HPos::Right, VPos::Center);
            area.draw(&Text::new(name.clone(), (left - size(8.0), at(row, 0).1 + cell / 2), style))?;
        }
        for (column, name) in self.columns.iter().enumerate() {
            let (middle, below) = (at(0, column).0 + cell / 2, end_y + size(8.0));
            let style = if upright {
                let font = (FONT, 13.0 * scale).into_font().transform(FontTransform::Rotate270);
                font.color(&INK).pos(Pos::new(HPos::Right, VPos::Center))
            } else {
                text(13.0, HPos::Center, VPos::Top)
            };
            area.draw(&Text::new(name.clone(), (middle, below), style))?;
        }
        let (middle_x, middle_y) = (i32::midpoint(left, end_x), i32::midpoint(top, end_y));
        let label =
            Text::new(self.x_label.clone(), (middle_x, end_y + names + size(6.0)), text(15.0, HPos::Center, VPos::Top));
        area.draw(&label)?;
        let turned = (FONT, 15.0 * scale).into_font().transform(FontTransform::Rotate270).color(&INK);
        let beside = left - widest(&self.rows)? - size(16.0);
        let label =
            Text::new(self.y_label.clone(), (beside, middle_y), turned.pos(Pos::new(HPos::Center, VPos::Bottom)));
        area.draw(&label)?;
        area.draw(&Text::new(self.title.clone(), (middle_x, edge), text(19.0, HPos::Center, VPos::Top)))
    }
}
