//! Lines over a common axis.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLORS, Draw, Drawn, FONT, Figure, GRID, INK, number, pixels, ticks};
use crate::{Error, Result};

/// Several series over a common axis: learning curves, forecasts, schedules.
///
/// A value that is no finite number is a gap in its line. The legend stands in the corner with the fewest points.
///
/// # Defaults
/// Axes from the smallest to the largest value, linear; colours that everybody tells apart.
/// # Example
/// ```
/// use gradus::plots::LinePlot;
///
/// let path = std::env::temp_dir().join("gradus-doc-line.svg");
/// LinePlot::new("Rate").line("rate", &[1.0, 10.0, 100.0], &[0.1, 0.05, 0.01]).log_x(true).save(path)?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LinePlot {
    title: String,
    x_label: String,
    y_label: String,
    series: Vec<Series>,
    log_x: bool,
    log_y: bool,
    x_limits: Option<(f64, f64)>,
    y_limits: Option<(f64, f64)>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Line,
    Dashed,
    Points,
}

impl LinePlot {
    /// An empty plot with a title, which may be empty too.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: String::new(),
            y_label: String::new(),
            series: Vec::new(),
            log_x: false,
            log_y: false,
            x_limits: None,
            y_limits: None,
        }
    }
    /// What stands below the axis.
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }
    /// What stands beside the axis.
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.y_label = label.into();
        self
    }
    /// One more line. Points beyond the shorter of the two are left out.
    pub fn line(self, name: impl Into<String>, x: &[f64], y: &[f64]) -> Self {
        self.series(name, x, y, Style::Line)
    }
    /// A broken line in grey, for what others are compared with: the line of chance, a baseline.
    pub fn dashed(self, name: impl Into<String>, x: &[f64], y: &[f64]) -> Self {
        self.series(name, x, y, Style::Dashed)
    }
    /// Points without a line.
    pub fn points(self, name: impl Into<String>, x: &[f64], y: &[f64]) -> Self {
        self.series(name, x, y, Style::Points)
    }
    fn series(mut self, name: impl Into<String>, x: &[f64], y: &[f64], style: Style) -> Self {
        let points = x.iter().copied().zip(y.iter().copied()).collect();
        self.series.push(Series { name: name.into(), points, style });
        self
    }
    /// Whether the horizontal axis is logarithmic. Default: false.
    pub fn log_x(mut self, log: bool) -> Self {
        self.log_x = log;
        self
    }
    /// Whether the vertical axis is logarithmic. Default: false.
    pub fn log_y(mut self, log: bool) -> Self {
        self.log_y = log;
        self
    }
    /// What the horizontal axis shows. Default: all values.
    pub fn x_limits(mut self, low: f64, high: f64) -> Self {
        self.x_limits = Some((low, high));
        self
    }
    /// What the vertical axis shows. Default: all values.
    pub fn y_limits(mut self, low: f64, high: f64) -> Self {
        self.y_limits = Some((low, high));
        self
    }

    /// Writes the plot alone, 720 × 480 pixels, to `.png` or `.svg`.
    ///
    /// # Errors
    /// As [`Figure::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Figure::new().add(self.clone()).save(path)
    }

    /// The points in the coordinates that are drawn; those that have none are not finite.
    fn placed(&self, series: &Series) -> Vec<(f64, f64)> {
        let place = |log: bool, value: f64| if log { value.log10() } else { value };
        series.points.iter().map(|&(x, y)| (place(self.log_x, x), place(self.log_y, y))).collect()
    }

    /// What the two axes show.
    fn ranges(&self) -> [(f64, f64); 2] {
        [self.range(self.x_limits, self.log_x, 0.02, |p| p.0), self.range(self.y_limits, self.log_y, 0.05, |p| p.1)]
    }

    /// What an axis shows: given limits, or all values and a margin.
    fn range(&self, given: Option<(f64, f64)>, log: bool, margin: f64, of: fn((f64, f64)) -> f64) -> (f64, f64) {
        if let Some((low, high)) = given {
            return if log { (low.log10(), high.log10()) } else { (low, high) };
        }
        let placed = self.series.iter().flat_map(|series| self.placed(series));
        let values = placed.filter(|&(x, y)| x.is_finite() && y.is_finite()).map(of);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), value| (l.min(value), h.max(value)));
        let spread = if high > low { high - low } else { (high.abs() * 0.1).max(1e-3) };
        let margin = if high > low { margin * spread } else { spread };
        // Ticks apart by less than numbers of this size can be are no ticks.
        let margin = margin.max((low.abs().max(high.abs())) * 1e-12);
        (low - margin, high + margin)
    }
}

/// An axis with its ticks, and the digits that tell these apart.
struct TickedAxis {
    coordinates: RangedCoordf64,
    ticks: Vec<f64>,
    digits: usize,
    log: bool,
}

impl TickedAxis {
    fn new((low, high): (f64, f64), count: f64, log: bool) -> Self {
        let (ticks, digits) = ticks(low, high, count);
        Self { coordinates: (low..high).into(), ticks, digits, log }
    }
}

impl Ranged for TickedAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.coordinates.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.coordinates.range()
    }
}

impl ValueFormatter<f64> for TickedAxis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        if self.log { power_of_ten(*value) } else { number(*value, self.digits) }
    }
}

impl Draw for LinePlot {
    fn check(&self) -> Result<()> {
        let drawable = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        if !self.series.iter().any(|series| self.placed(series).iter().any(drawable)) {
            let expected = format!("a finite value to draw in `{}`", self.title);
            return Err(Error::data("save", expected, format!("{} series without one", self.series.len())));
        }
        for (axis, limits, log) in [("x", self.x_limits, self.log_x), ("y", self.y_limits, self.log_y)] {
            let drawable = |low: f64, high: f64| low < high && (high - low).is_finite() && (!log || low > 0.0);
            if let Some((low, high)) = limits.filter(|&(low, high)| !drawable(low, high)) {
                let expected = if log { "finite, above 0 and rising" } else { "finite and rising" };
                return Err(Error::option(format!("{axis}_limits"), expected, format!("{low}..{high}")));
            }
        }
        let [x, y] = self.ranges();
        for (axis, (low, high)) in [("x", x), ("y", y)] {
            if !(low < high && (high - low).is_finite()) {
                let expected = format!("values whose range a number can hold on the {axis} axis of `{}`", self.title);
                return Err(Error::data("save", expected, format!("{low}..{high}")));
            }
        }
        Ok(())
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Drawn<B> {
        let size = |length: f64| pixels(length * scale);
        let text = |points: f64| (FONT, points * scale).into_font().color(&INK);
        let [x, y] = self.ranges();
        let mut builder = ChartBuilder::on(area);
        builder.margin(size(14.0)).margin_right(size(24.0)).x_label_area_size(size(48.0)).y_label_area_size(size(66.0));
        if !self.title.is_empty() {
            builder.caption(&self.title, text(19.0));
        }
        let (across, up) = (TickedAxis::new(x, 7.0, self.log_x), TickedAxis::new(y, 6.0, self.log_y));
        let labels = [across.ticks.len(), up.ticks.len()];
        let mut chart = builder.build_cartesian_2d(across, up)?;
        chart
            .configure_mesh()
            .x_labels(labels[0])
            .y_labels(labels[1])
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .axis_desc_style(text(15.0))
            .label_style(text(13.0))
            .axis_style(INK.stroke_width(size(1.0).unsigned_abs()))
            .bold_line_style(GRID.stroke_width(size(1.0).unsigned_abs()))
            .light_line_style(TRANSPARENT)
            .set_all_tick_mark_size(size(4.0))
            .draw()?;
        let stroke = size(2.0).unsigned_abs();
        let colors = COLORS.iter().cycle();
        let mut colors = colors.copied();
        let mut legend = Vec::new();
        for series in &self.series {
            let grey = RGBColor(130, 130, 130);
            let color = if series.style == Style::Dashed { grey } else { colors.next().unwrap_or(INK) };
            let points = self.placed(series);
            for run in points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|run| !run.is_empty()) {
                let run = run.iter().copied();
                match series.style {
                    Style::Line => chart.draw_series(LineSeries::new(run, color.stroke_width(stroke)))?,
                    Style::Dashed => chart.draw_series(DashedLineSeries::new(
                        run,
                        size(7.0),
                        size(5.0),
                        color.stroke_width(stroke),
                    ))?,
                    Style::Points => {
                        chart.draw_series(run.map(|point| Circle::new(point, size(3.0), color.filled())))?
                    }
                };
            }
            legend.push((series.name.as_str(), color, series.style));
        }
        legend.retain(|(name, _, _)| !name.is_empty());
        if legend.is_empty() {
            return Ok(());
        }
        self.draw_legend(&chart.plotting_area().strip_coord_spec(), &legend, scale, x, y)
    }
}

impl LinePlot {
    /// The legend, in the corner of the plot's area in which the fewest points lie.
    fn draw_legend<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        legend: &[(&str, RGBColor, Style)],
        scale: f64,
        x: (f64, f64),
        y: (f64, f64),
    ) -> Drawn<B> {
        let size = |length: f64| pixels(length * scale);
        let font = (FONT, 13.0 * scale).into_font();
        let mut widest = 0;
        for (name, _, _) in legend {
            let (width, _) = area.estimate_text_size(name, &font.clone().into())?;
            widest = widest.max(i32::try_from(width).unwrap_or(0));
        }
        let (line, sample, gap) = (size(20.0), size(28.0), size(8.0));
        let lines = i32::try_from(legend.len()).unwrap_or(1);
        let (width, height) = (sample + widest + 3 * gap, lines * line + gap);
        let (all_width, all_height) = area.dim_in_pixel();
        let [all_width, all_height] = [all_width, all_height].map(|length| i32::try_from(length).unwrap_or(i32::MAX));
        let lefts = [all_width - width - gap, gap];
        let tops = [gap, all_height - height - gap];
        let covered = |left: i32, top: i32| {
            let share = |pixel: i32, all: i32| f64::from(pixel) / f64::from(all.max(1));
            let (l, r) = (share(left, all_width), share(left + width, all_width));
            let (t, b) = (share(top, all_height), share(top + height, all_height));
            let within = |&(px, py): &(f64, f64)| {
                let (px, py) = ((px - x.0) / (x.1 - x.0), 1.0 - (py - y.0) / (y.1 - y.0));
                (l..=r).contains(&px) && (t..=b).contains(&py)
            };
            // Long straight pieces have points at their ends only: look along them too.
            let along = |pair: &[(f64, f64)]| {
                let at = |k: u32| {
                    let s = f64::from(k) / 20.0;
                    (pair[0].0 + s * (pair[1].0 - pair[0].0), pair[0].1 + s * (pair[1].1 - pair[0].1))
                };
                (0..=20).filter(|&k| within(&at(k))).count()
            };
            self.series.iter().map(|series| self.placed(series).windows(2).map(along).sum::<usize>()).sum::<usize>()
        };
        let corners = tops.iter().flat_map(|&top| lefts.iter().map(move |&left| (left, top)));
        let (left, top) = corners.min_by_key(|&(left, top)| covered(left, top)).unwrap_or((gap, gap));
        let frame = [(left, top), (left + width, top + height)];
        area.draw(&Rectangle::new(frame, WHITE.mix(0.85).filled()))?;
        area.draw(&Rectangle::new(frame, GRID.stroke_width(size(1.0).unsigned_abs())))?;
        for (i, &(name, color, style)) in (0..).zip(legend) {
            let middle = top + gap / 2 + i * line + line / 2;
            let (from, to) = (left + gap, left + gap + sample);
            let stroke = color.stroke_width(size(2.0).unsigned_abs());
            match style {
                Style::Line => {
                    area.draw(&PathElement::new([(from, middle), (to, middle)], stroke))?;
                }
                Style::Dashed => {
                    let (dash, pitch) = (size(7.0), size(10.5));
                    for k in 0..3 {
                        let begin = from + k * pitch;
                        area.draw(&PathElement::new([(begin, middle), (begin + dash, middle)], stroke))?;
                    }
                }
                Style::Points => {
                    area.draw(&Circle::new((i32::midpoint(from, to), middle), size(3.0), color.filled()))?;
                }
            }
            let anchor = Pos::new(HPos::Left, VPos::Center);
            area.draw(&Text::new(name, (to + gap, middle), font.clone().color(&INK).pos(anchor)))?;
        }
        Ok(())
    }
}

/// A tick of a logarithmic axis: 0.001, 100, 10⁻⁶; nothing between powers of ten that are near each other.
fn power_of_ten(exponent: f64) -> String {
    let value = 10f64.powf(exponent);
    if (1e-3..1e5).contains(&value) { trimmed(value) } else { format!("{value:.0e}").replace('-', "−") }
}

/// Two significant digits without zeros at the end.
fn trimmed(value: f64) -> String {
    let digits = super::digits(value) + 1;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}
