//! Options of layers that work on sequences, images and volumes: a size an axis, padding, the order of axes.

use serde_json::{Value, json};

use crate::config::{Setting, expected};
use crate::kernels::pool::Windows;
use crate::{Error, Result};

/// What becomes of windows at the border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Padding {
    /// Windows lie wholly inside the input: ⌊(size − window) / stride⌋ + 1 of them.
    #[default]
    Valid,
    /// The input is padded, by half before and the rest behind, so that there are ⌈size / stride⌉ windows.
    Same,
    /// All padding lies before, so that no output sees a later step: for `Conv1D` alone.
    Causal,
}

impl Padding {
    fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Same => "same",
            Self::Causal => "causal",
        }
    }
}

impl Setting for Padding {
    fn to_value(&self) -> Value {
        json!(self.word())
    }

    fn from_value(value: &Value) -> Result<Self> {
        match value.as_str().map(str::to_lowercase).as_deref() {
            Some("valid") => Ok(Self::Valid),
            Some("same") => Ok(Self::Same),
            Some("causal") => Ok(Self::Causal),
            _ => Err(expected("`valid`, `same` or, for Conv1D, `causal`", value)),
        }
    }
}

/// Where an image has its channels. Gradus has them last; the option is there for configurations that say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataFormat {
    /// (batch, height, width, channels).
    #[default]
    ChannelsLast,
}

impl Setting for DataFormat {
    fn to_value(&self) -> Value {
        json!("channels_last")
    }

    /// Null is what Keras writes for its default.
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Self::ChannelsLast),
            Value::String(word) if word == "channels_last" => Ok(Self::ChannelsLast),
            _ => Err(expected("`channels_last`, the only order of axes here (Permute turns the other into it)", value)),
        }
    }
}

/// A number for each of N axes; one number stands for all: `3`, `[3, 2]`, `(3, 2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerAxis<const N: usize>(pub [usize; N]);

impl<const N: usize> From<usize> for PerAxis<N> {
    fn from(all: usize) -> Self {
        Self([all; N])
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis<N> {
    fn from(each: [usize; N]) -> Self {
        Self(each)
    }
}

impl From<(usize, usize)> for PerAxis<2> {
    fn from((height, width): (usize, usize)) -> Self {
        Self([height, width])
    }
}

impl From<(usize, usize, usize)> for PerAxis<3> {
    fn from((depth, height, width): (usize, usize, usize)) -> Self {
        Self([depth, height, width])
    }
}

/// How many cells there are before and behind along each of N axes: `1` everywhere, `[1, 2]` an axis alike on both sides,
/// `[[1, 2], [0, 3]]`. Of a single axis `[1, 2]` is before and behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border<const N: usize>(pub [[usize; 2]; N]);

impl<const N: usize> From<usize> for Border<N> {
    fn from(all: usize) -> Self {
        Self([[all; 2]; N])
    }
}

impl<const N: usize> From<[[usize; 2]; N]> for Border<N> {
    fn from(each: [[usize; 2]; N]) -> Self {
        Self(each)
    }
}

impl From<[usize; 2]> for Border<1> {
    fn from(both: [usize; 2]) -> Self {
        Self([both])
    }
}

impl From<[usize; 2]> for Border<2> {
    fn from([height, width]: [usize; 2]) -> Self {
        Self([[height; 2], [width; 2]])
    }
}

impl From<[usize; 3]> for Border<3> {
    fn from(sizes: [usize; 3]) -> Self {
        Self(sizes.map(|size| [size; 2]))
    }
}

impl<const N: usize> Setting for Border<N> {
    fn to_value(&self) -> Value {
        if N == 1 { json!(self.0[0]) } else { self.0.iter().map(|both| json!(both)).collect() }
    }

    fn from_value(value: &Value) -> Result<Self> {
        let whole = match value {
            Value::Array(items) if N == 1 && items.len() == 2 => {
                return Ok(Self([<[usize; 2]>::from_value(value)?; N]));
            }
            Value::Array(items) => items.clone(),
            one => vec![one.clone(); N],
        };
        let each = whole.iter().map(<[usize; 2]>::from_value).collect::<Result<Vec<_>>>()?;
        each.try_into().map(Self).map_err(|_| expected(&format!("a whole number or a list of {}", N.max(2)), value))
    }
}

impl<const N: usize> Setting for PerAxis<N> {
    fn to_value(&self) -> Value {
        self.0.to_value()
    }

    fn from_value(value: &Value) -> Result<Self> {
        <[usize; N]>::from_value(value).map(Self)
    }
}

/// The axes of a sample that has N spatial ones and channels.
///
/// # Errors
/// If it has others. The message calls them as people do: steps, height and width, depth.
pub(crate) fn axes<const N: usize>(input: &[usize]) -> Result<([usize; N], usize)> {
    let refused = || Error::input_shape(NAMES[N - 1], input);
    let (&channels, spatial) = input.split_last().ok_or_else(refused)?;
    Ok((spatial.try_into().map_err(|_| refused())?, channels))
}

/// What the axes of inputs with 1, 2 and 3 spatial axes are called.
const NAMES: [&str; 3] = ["(steps, channels)", "(height, width, channels)", "(depth, height, width, channels)"];

/// Refuses a size of 0 along any axis.
pub(crate) fn check_positive(option: &str, sizes: &[usize]) -> Result<()> {
    if sizes.contains(&0) { Err(Error::option(option, "at least 1", format!("{sizes:?}"))) } else { Ok(()) }
}

/// The windows of `pool` at every stride over N ≤ 3 axes; those that are missing have size 1 and stand in front.
///
/// The sizes must have been checked: see [`check_windows`].
pub(crate) fn windows<const N: usize>(
    input: [usize; N],
    pool: [usize; N],
    strides: [usize; N],
    padding: Padding,
) -> Windows {
    let mut windows = Windows { input: [1; 3], output: [1; 3], pool: [1; 3], strides: [1; 3], before: [0; 3] };
    for axis in 0..N {
        let (size, window, stride) = (input[axis], pool[axis], strides[axis]);
        let (output, before) = match padding {
            Padding::Valid => ((size - window) / stride + 1, 0),
            Padding::Same | Padding::Causal => {
                let output = size.div_ceil(stride);
                let covered = (output.saturating_sub(1) * stride).saturating_add(window);
                (output, covered.saturating_sub(size) / 2)
            }
        };
        let at = 3 - N + axis;
        windows.input[at] = size;
        windows.output[at] = output;
        windows.pool[at] = window;
        windows.strides[at] = stride;
        windows.before[at] = before;
    }
    windows
}

/// Refuses windows without size, steps without length, and windows that do not fit into the input.
///
/// # Errors
/// As said; the message has the input's whole shape, `shape`.
pub(crate) fn check_windows<const N: usize>(
    input: [usize; N],
    pool: [usize; N],
    strides: [usize; N],
    padding: Padding,
    shape: &[usize],
) -> Result<()> {
    check_positive("pool_size", &pool)?;
    check_positive("strides", &strides)?;
    match padding {
        Padding::Causal => Err(Error::option("padding", "valid or same", "causal")),
        Padding::Valid if input.iter().zip(&pool).any(|(size, window)| size < window) => {
            let window = crate::error::show(&pool);
            Err(Error::input_shape(format!("at least as large as a window, {window}"), shape))
        }
        _ if input.contains(&0) => Err(Error::input_shape("without empty axes", shape)),
        _ => Ok(()),
    }
}
