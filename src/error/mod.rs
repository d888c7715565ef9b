//! What can go wrong, and with which values.

mod gradient_report;

pub use gradient_report::{Comparison, GradientReport, TensorReport};

use std::path::PathBuf;

/// The result of everything in gradus that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was refused: who refused it, what was expected, what was received, and what to do about it.
///
/// An error is returned before anything has changed: the model, the optimizer and the file are as they were.
///
/// ```
/// use gradus::prelude::*;
///
/// let refused = Sequential::new().input([28, 28]).add(Dense::new(0)).build().unwrap_err();
/// assert_eq!(refused.to_string(), "layer `dense` (Dense): `units` must be at least 1, got 0");
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer of a model refused; `source` says why. The executor alone adds the name.
    #[error("layer `{name}` ({class}){}: {source}", after.as_ref().map(|a| format!(", after `{a}`")).unwrap_or_default())]
    Layer {
        /// The layer's name within the model.
        name: String,
        /// The layer's class, such as `Dense`.
        class: String,
        /// The layer whose output it was given, where it has one input that is another layer's.
        after: Option<String>,
        /// What the layer said.
        #[source]
        source: Box<Error>,
    },
    /// A tensor has the wrong shape. Shapes of a model's layers leave the batch axis out.
    #[error("expected {expected}, received {}{}", show(received), advice.map(|a| format!("; {a}")).unwrap_or_default())]
    Shape {
        /// What was expected, in words: `an input (height, width, channels)`.
        expected: String,
        /// The shape that came instead.
        received: Vec<usize>,
        /// What to do about it.
        advice: Option<&'static str>,
    },
    /// An option has a value outside its range.
    #[error("`{option}` must be {expected}, got {received}")]
    Option {
        /// The option's name.
        option: String,
        /// Which values are allowed.
        expected: String,
        /// The value that was given.
        received: String,
    },
    /// Data that a call cannot work with: labels out of range, NaN, an empty set.
    #[error("{call}: expected {expected}, received {received}{}", advice.map(|a| format!("; {a}")).unwrap_or_default())]
    Data {
        /// The call that refused: `fit`, `evaluate` …
        call: String,
        /// What was expected.
        expected: String,
        /// What came, and where.
        received: String,
        /// What to do about it.
        advice: Option<&'static str>,
    },
    /// A score that does not exist for the data that were given.
    #[error("{score} is not defined: {reason}")]
    Undefined {
        /// The score that was asked for.
        score: String,
        /// Why it does not exist.
        reason: String,
    },
    /// The loss stopped being a finite number; the step's update was not made.
    #[error(
        "the loss became {loss} at step {step}; the weights are those before this step: lower the learning rate, clip gradients, or look at the data"
    )]
    LossNotFinite {
        /// Its value: NaN or an infinity.
        loss: f64,
        /// Which optimizer step it was, counted from 0 since the model was compiled.
        step: u64,
    },
    /// The gradient of a parameter stopped being finite though the loss was; the step's update was not made.
    #[error(
        "the gradient of `{parameter}` is not finite at step {step}; the weights are those before this step: scale the data, lower the learning rate, or look at the activations"
    )]
    GradientNotFinite {
        /// The parameter's path.
        parameter: String,
        /// The loss of the batch.
        loss: f64,
        /// Which optimizer step it was, counted from 0 since the model was compiled.
        step: u64,
    },
    /// A layer whose parameters would depend on the size of an axis that is open.
    #[error(
        "its parameter `{parameter}` would depend on {} of the input, open until a batch is there; reduce what is open before it, as with a global pool or a recurrent layer",
        axes_of(axes)
    )]
    OpenAxis {
        /// The parameter.
        parameter: String,
        /// The axes of the layer's input, the batch being axis 0.
        axes: Vec<usize>,
    },
    /// The graph of a model is not one that can be run.
    #[error("model `{model}`: {problem}")]
    Graph {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A call that needs something done before it.
    #[error("{call}: {needs}")]
    NotReady {
        /// The call that was made.
        call: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A name that nothing has.
    #[error("there is no {what} `{name}`; there {}", list(known))]
    Unknown {
        /// What was looked for: `layer`, `parameter`, `metric`, `class` …
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A file that is damaged, cut short, or not of the kind that was asked for.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system refused to read or write a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A gradient that differs from its central differences; the report shows where.
    #[error("{0}")]
    Gradient(Box<GradientReport>),
    /// A check of a layer that found a property which a layer must hold broken.
    #[error("{class}: {property}: {problem}")]
    Conformance {
        /// The layer's class.
        class: String,
        /// Which property: `same bits on any number of threads`, `saving and loading` …
        property: &'static str,
        /// What was seen.
        problem: String,
    },
    /// Two things wrong at once never hide one another: an error with a sentence before it.
    #[error("{context}: {source}")]
    Context {
        /// Where it happened.
        context: String,
        /// What happened.
        #[source]
        source: Box<Error>,
    },
}

/// The message: what a `main` that returns an error prints, and what a test that unwraps one.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// The loss of the step, if this error is about a loss or a gradient that was no finite number, whatever was said around
    /// it.
    pub fn loss_not_finite(&self) -> Option<f64> {
        match self {
            Self::LossNotFinite { loss, .. } | Self::GradientNotFinite { loss, .. } => Some(*loss),
            Self::Context { source, .. } | Self::Layer { source, .. } => source.loss_not_finite(),
            _ => None,
        }
    }

    /// An input of the wrong shape, for use in [`Layer::build`](crate::Layer::build): `expected` in words such as
    /// `(height, width, channels)`, `received` without the batch axis. The model adds the layer's name.
    pub fn input_shape(expected: impl Into<String>, received: &[usize]) -> Self {
        Self::Shape { expected: format!("an input {}", expected.into()), received: received.to_vec(), advice: None }
    }

    /// Any other tensor of the wrong shape.
    pub fn shape(expected: impl Into<String>, received: &[usize]) -> Self {
        Self::Shape { expected: expected.into(), received: received.to_vec(), advice: None }
    }

    /// An option outside its range: `Error::option("rate", "in 0..1", 1.5)`.
    pub fn option(option: impl Into<String>, expected: impl Into<String>, received: impl std::fmt::Display) -> Self {
        Self::Option { option: option.into(), expected: expected.into(), received: format!("{received}") }
    }

    /// Data that a call cannot work with.
    pub fn data(call: impl Into<String>, expected: impl Into<String>, received: impl Into<String>) -> Self {
        Self::Data { call: call.into(), expected: expected.into(), received: received.into(), advice: None }
    }

    /// A score that does not exist for the data.
    pub fn undefined(score: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Undefined { score: score.into(), reason: reason.into() }
    }

    /// A name that nothing has, with those that exist.
    pub fn unknown<S: Into<String>>(
        what: &'static str,
        name: impl Into<String>,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::Unknown { what, name: name.into(), known: known.into_iter().map(Into::into).collect() }
    }

    /// A damaged or foreign file.
    pub fn file(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::File { path: path.into(), problem: problem.into() }
    }

    /// The same error with advice on what to do, where its kind has room for it.
    #[must_use]
    pub fn advise(mut self, advice: &'static str) -> Self {
        if let Self::Shape { advice: place, .. } | Self::Data { advice: place, .. } = &mut self {
            *place = Some(advice);
        }
        self
    }

    /// The same error with a sentence before it.
    #[must_use]
    pub fn within(self, context: impl Into<String>) -> Self {
        Self::Context { context: context.into(), source: Box::new(self) }
    }
}

/// `(28, 28)`, `(128)`, `()`: a shape as messages show it.
pub(crate) fn show(shape: &[usize]) -> String {
    let axes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("({})", axes.join(", "))
}

fn axes_of(axes: &[usize]) -> String {
    let numbers: Vec<String> = axes.iter().map(ToString::to_string).collect();
    format!("ax{} {}", if axes.len() == 1 { "is" } else { "es" }, numbers.join(", "))
}

fn list(known: &[String]) -> String {
    match known {
        [] => "are none".into(),
        [one] => format!("is `{one}`"),
        many => format!("are `{}`", many.join("`, `")),
    }
}
