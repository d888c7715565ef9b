//! Sequences: of many lengths brought to one, and windows over long series.

use ndarray::{Array, Array1, Array2, ArrayRef, ArrayView, ArrayView1, Axis, Dimension, RemoveAxis};
use serde_json::Value;

use crate::config::{Setting, expected, options};
use crate::memory::room;
use crate::{Error, Result};

/// Which end of a sequence is filled or cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Before its first step.
    #[default]
    Pre,
    /// After its last step.
    Post,
}

impl Setting for Side {
    fn to_value(&self) -> Value {
        match self {
            Self::Pre => "pre".into(),
            Self::Post => "post".into(),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        match value.as_str() {
            Some("pre") => Ok(Self::Pre),
            Some("post") => Ok(Self::Post),
            _ => Err(expected("pre or post", value)),
        }
    }
}

/// Brings sequences to one length: shorter ones are filled with `value`, longer ones cut.
///
/// # Defaults
/// `maxlen` the length of the longest, `padding` and `truncating` pre, `value` 0.
/// # Errors
/// A `maxlen` of 0; no sequences where the longest decides; sequences whose steps differ in shape.
/// # Example
/// ```
/// use gradus::data::{PadSequences, Side};
/// use ndarray::array;
///
/// let sequences = [vec![1], vec![2, 3], vec![4, 5, 6]];
/// assert_eq!(PadSequences::new().pad(&sequences)?, array![[0, 0, 1], [0, 2, 3], [4, 5, 6]]);
/// assert_eq!(PadSequences::new().maxlen(2).padding(Side::Post).pad(&sequences)?, array![[1, 0], [2, 3], [5, 6]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `keras.utils.pad_sequences`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PadSequences<T> {
    maxlen: Option<usize>,
    padding: Side,
    truncating: Side,
    value: T,
}

impl<T: Copy + Default> Default for PadSequences<T> {
    fn default() -> Self {
        Self { maxlen: None, padding: Side::Pre, truncating: Side::Pre, value: T::default() }
    }
}

impl<T: Copy + Default> PadSequences<T> {
    /// With Keras's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of all. Default: that of the longest.
    pub fn maxlen(mut self, maxlen: impl Into<Option<usize>>) -> Self {
        self.maxlen = maxlen.into();
        self
    }

    /// Which end of a short sequence is filled. Default: pre.
    pub fn padding(mut self, padding: Side) -> Self {
        self.padding = padding;
        self
    }

    /// Which end of a long sequence is cut. Default: pre.
    pub fn truncating(mut self, truncating: Side) -> Self {
        self.truncating = truncating;
        self
    }

    /// What is filled in. Default: 0.
    pub fn value(mut self, value: T) -> Self {
        self.value = value;
        self
    }

    /// Sequences of numbers: (sequences, `maxlen`).
    ///
    /// # Errors
    /// See [`PadSequences`].
    pub fn pad(&self, sequences: &[impl AsRef<[T]>]) -> Result<Array2<T>> {
        let views: Vec<_> = sequences.iter().map(|sequence| ArrayView1::from(sequence.as_ref())).collect();
        self.fill(&views)
    }

    /// Sequences whose steps are arrays, (time, …) each: (sequences, `maxlen`, …).
    ///
    /// # Errors
    /// See [`PadSequences`].
    /// # Example
    /// ```
    /// use gradus::data::PadSequences;
    /// use ndarray::Array2;
    ///
    /// let spoken = [Array2::<f32>::ones((20, 12)), Array2::ones((26, 12))];
    /// assert_eq!(PadSequences::new().value(-1.0).pad_arrays(&spoken)?.dim(), (2, 26, 12));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn pad_arrays<D: RemoveAxis>(&self, sequences: &[Array<T, D>]) -> Result<Array<T, D::Larger>> {
        let views: Vec<_> = sequences.iter().map(|sequence| sequence.view()).collect();
        self.fill(&views)
    }

    fn fill<D: RemoveAxis>(&self, sequences: &[ArrayView<'_, T, D>]) -> Result<Array<T, D::Larger>> {
        let time = Axis(0);
        let longest = sequences.iter().map(|sequence| sequence.len_of(time)).max();
        let length = match self.maxlen.or(longest) {
            Some(0) if self.maxlen.is_some() => return Err(Error::option("maxlen", "at least 1", 0)),
            Some(length) => length,
            None => return Err(Error::data("pad_sequences", "at least one sequence, or `maxlen`", "none")),
        };
        let filled = || sequences.iter().enumerate().filter(|(_, sequence)| sequence.len_of(time) > 0);
        let step = filled().next().map(|(_, sequence)| sequence.shape()[1..].to_vec());
        let rank = sequences.first().map_or(D::NDIM.unwrap_or(1), |first| first.shape().len());
        let mut shape = D::Larger::zeros(rank + 1);
        shape.slice_mut()[..2].copy_from_slice(&[sequences.len(), length]);
        if let Some(step) = &step {
            shape.slice_mut()[2..].copy_from_slice(step);
        }
        room::<T>("maxlen", length, shape.slice()).map_err(|error| error.within("pad_sequences"))?;
        let mut padded = Array::from_elem(shape, self.value);
        for (row, sequence) in filled() {
            if Some(&sequence.shape()[1..]) != step.as_deref() {
                let expected = format!("steps of shape {}", crate::error::show(step.as_deref().unwrap_or_default()));
                let received = format!("{} in sequence {row}", crate::error::show(&sequence.shape()[1..]));
                return Err(Error::data("pad_sequences", expected, received));
            }
            let kept = sequence.len_of(time).min(length);
            let (from, to) = (self.truncating.end(sequence.len_of(time) - kept), self.padding.end(length - kept));
            let mut target = padded.index_axis_mut(Axis(0), row);
            let mut target = target.slice_axis_mut(time, (to..to + kept).into());
            let source = sequence.slice_axis(time, (from..from + kept).into());
            target.iter_mut().zip(source.iter()).for_each(|(target, &value)| *target = value);
        }
        Ok(padded)
    }
}

impl Side {
    /// Where the rest begins if so many steps are filled or cut at this end.
    fn end(self, steps: usize) -> usize {
        if self == Self::Pre { steps } else { 0 }
    }
}

options! {
    /// Windows over a series: rows of `sequence_length` values, `sampling_rate` steps apart, each window beginning
    /// `sequence_stride` steps after the one before.
    ///
    /// Window i holds the steps s, s + r, …, s + (n − 1)·r with s = `start_index` + i · `sequence_stride`; a window that
    /// would need a step at or beyond `end_index` is left out. Its target is `targets[s]`: shift the targets to predict
    /// what comes. Batches and their order are those of `fit`.
    ///
    /// # Shapes
    /// A series (time, …) → (windows, `sequence_length`, …); targets (time, …) → (windows, …). The windows are copies: they
    /// take `sequence_length` / `sequence_stride` times the memory of the series.
    /// # Defaults
    /// `sequence_stride` 1, `sampling_rate` 1, `start_index` 0, `end_index` the length of the series.
    /// # Errors
    /// A length, stride or rate of 0; a stride or rate not below the length of the series; an index beyond the series; an
    /// end that is not after the start; a series too short for one window; fewer targets than windows need.
    /// # Example
    /// ```
    /// use gradus::data::Windows;
    /// use ndarray::{Array1, array, s};
    ///
    /// let series: Array1<f32> = (0..6).map(|t| t as f32).collect();
    /// let (x, y) = Windows::new(3).with_targets(&series.slice(s![..-3]), &series.slice(s![3..]))?;
    /// assert_eq!(x, array![[0., 1., 2.]]);
    /// assert_eq!(y, array![3.]);
    /// assert_eq!(Windows::new(2).sequence_stride(2).over(&series)?, array![[0., 1.], [2., 3.], [4., 5.]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `keras.utils.timeseries_dataset_from_array`.
    pub struct Windows(
        /// Values a window.
        sequence_length: usize,
    ) {
        /// Steps from one window's beginning to the next. Default: 1.
        sequence_stride: usize = 1,
        /// Steps from one value of a window to the next. Default: 1.
        sampling_rate: usize = 1,
        /// Where the first window begins. Default: 0.
        start_index: Option<usize> = None => |start: impl Into<Option<usize>>| start.into(),
        /// The first step that no window holds. Default: the length of the series.
        end_index: Option<usize> = None => |end: impl Into<Option<usize>>| end.into(),
    }
}

impl Windows {
    /// The windows over a series.
    ///
    /// # Errors
    /// See [`Windows`].
    pub fn over<T: Copy, D: RemoveAxis>(&self, series: &ArrayRef<T, D>) -> Result<Array<T, D::Larger>> {
        let starts = self.starts(series.len_of(Axis(0)), None)?;
        self.gather(series, &starts)
    }

    /// The windows over a series, and what stands in `targets` at the step with which each begins.
    ///
    /// # Errors
    /// See [`Windows`].
    #[allow(clippy::type_complexity)] // windows, and targets
    pub fn with_targets<T: Copy, U: Copy, D: RemoveAxis, E: RemoveAxis>(
        &self,
        series: &ArrayRef<T, D>,
        targets: &ArrayRef<U, E>,
    ) -> Result<(Array<T, D::Larger>, Array<U, E>)> {
        let starts = self.starts(series.len_of(Axis(0)), Some(targets.len_of(Axis(0))))?;
        Ok((self.gather(series, &starts)?, targets.select(Axis(0), &starts)))
    }

    /// The steps with which the windows over a series of `steps` steps begin.
    fn starts(&self, steps: usize, targets: Option<usize>) -> Result<Vec<usize>> {
        for (option, value) in [
            ("sequence_length", self.sequence_length),
            ("sequence_stride", self.sequence_stride),
            ("sampling_rate", self.sampling_rate),
        ] {
            if value == 0 {
                return Err(Error::option(option, "at least 1", value));
            }
        }
        for (option, value) in [("sequence_stride", self.sequence_stride), ("sampling_rate", self.sampling_rate)] {
            if value >= steps {
                return Err(Error::option(option, format!("below the {steps} steps of the series"), value));
            }
        }
        let start = self.start_index.unwrap_or(0);
        let end = self.end_index.unwrap_or(steps);
        if start >= steps {
            return Err(Error::option("start_index", format!("below the {steps} steps of the series"), start));
        }
        if end <= start || self.end_index.is_some_and(|end| end >= steps) {
            let expected = format!("above `start_index` {start} and below the {steps} steps of the series");
            return Err(Error::option("end_index", expected, end));
        }
        let span = (self.sequence_length - 1).saturating_mul(self.sampling_rate);
        let windows = (end - start).saturating_sub(span).min(targets.unwrap_or(usize::MAX));
        if windows == 0 {
            let expected = format!("at least {} steps, and a target", span.saturating_add(1));
            return Err(Error::data("windows", expected, format!("{} steps", end - start)));
        }
        let starts: Vec<usize> = (start..start + windows).step_by(self.sequence_stride).collect();
        if let (Some(&last), Some(targets)) = (starts.last(), targets)
            && last >= targets
        {
            let expected = format!("targets for all {} steps at which windows begin", last + 1);
            return Err(Error::data("windows", expected, format!("{targets}")));
        }
        Ok(starts)
    }

    fn gather<T: Copy, D: RemoveAxis>(&self, series: &ArrayRef<T, D>, starts: &[usize]) -> Result<Array<T, D::Larger>> {
        let sizes = [&[starts.len(), self.sequence_length], &series.shape()[1..]].concat();
        room::<(T, usize)>("sequence_length", self.sequence_length, &sizes).map_err(|error| error.within("windows"))?;
        let steps = |&start: &usize| (0..self.sequence_length).map(move |i| start + i * self.sampling_rate);
        let rows: Array1<usize> = starts.iter().flat_map(steps).collect();
        let values: Vec<T> = rows
            .iter()
            .flat_map(|&row| series.index_axis(Axis(0), row).into_iter().copied().collect::<Vec<T>>())
            .collect();
        let mut shape = D::Larger::zeros(series.ndim() + 1);
        shape.slice_mut()[..2].copy_from_slice(&[starts.len(), self.sequence_length]);
        shape.slice_mut()[2..].copy_from_slice(&series.shape()[1..]);
        Array::from_shape_vec(shape, values).map_err(|_| Error::shape("a series", series.shape()))
    }
}
