//! Everything that a layer must hold, in one call.

mod in_place;
mod storage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use rand::Rng;

use super::gradients::{GradientCheck, Passed, layer_model, layer_model_calls, output_weights, run_pass, shake};
use crate::engine::operation::Operation;
use crate::engine::recipe::LayerKind;
use crate::kernels::aligned::Aligned;
use crate::layers::{Layer, Mode, MultiLayer};
use crate::losses::{BinaryCrossentropy, CategoricalCrossentropy, Loss};
use crate::models::Compile;
use crate::models::registry::Registry;
use crate::models::{AnyLayer, IntoLayer, Model};
use crate::optimizers::SGD;
use crate::tensor::volume;
use crate::{Error, Result, Scalar, random};

/// Puts a layer through everything that a layer must hold, for samples of the shape `input`.
///
/// | property | |
/// | --- | --- |
/// | output shape | batches of 1, 3 and 19 rows give the shape that `build` told, and finite values |
/// | gradients | of inputs and parameters agree with central differences, in training and inference |
/// | joined with a loss | and where [`Facts::output_activation`](crate::layers::Facts::output_activation) tells of softmax or sigmoid, in `fit` |
/// | `f32` | both passes are near those of `f64` |
/// | threads | 1, 2 and 4 threads give the same bits |
/// | rows | a sample's output does not depend on the others (unless it [couples samples](crate::layers::CouplesSamples)) |
/// | stale values | nothing is left of an earlier, larger batch full of NaN |
/// | wanted gradients | leaving out those that nobody wants changes no others; frozen parameters get none |
/// | shared layers | the gradients of two calls add up |
/// | in place | where the layer tells of it: written over an input, the same output and gradients; its own output written over, the same gradients |
/// | refusal | inputs of other ranks and empty axes give an error or work, but never a panic |
/// | weights | taken out of one model and put into another they give the same outputs |
/// | configuration | written and read, it makes a layer that says and does the same |
/// | file | a model of it, saved and loaded, gives the same outputs |
///
/// It takes samples with values between −2 and 2 that keep away from each other; [`LayerCheck`] takes others.
///
/// ```
/// use gradus::check::check_layer;
/// use gradus::custom::*;
///
/// check_layer(Dense::new(3).activation(Tanh), &[4])?;
/// check_layer(Permute::new([3, 1, 2]), &[2, 3, 4])?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Conformance`] with the property that is broken and what was seen; or if the layer refuses such an input.
pub fn check_layer<L>(layer: L, input: &[usize]) -> Result<()>
where
    L: Layer<f32> + Layer<f64> + Clone + 'static,
{
    LayerCheck::new(input).check(layer)
}

/// [`check_layer`] for a layer with several inputs or outputs.
///
/// # Errors
/// As there.
pub fn check_multi_layer<L>(layer: L, inputs: &[&[usize]]) -> Result<()>
where
    L: MultiLayer<f32> + MultiLayer<f64> + Clone + 'static,
{
    LayerCheck::several(inputs).check_multi(layer)
}

/// [`check_layer`] with options.
///
/// # Defaults
/// Values between −2 and 2, `tolerance` 10⁻⁴ for `f32`.
///
/// ```
/// use gradus::check::LayerCheck;
/// use gradus::prelude::*;
///
/// LayerCheck::new(&[6]).range(-8.0, 8.0).check(Relu6)?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct LayerCheck {
    inputs: Vec<Vec<usize>>,
    low: f64,
    high: f64,
    whole: Option<usize>,
    tolerance: f64,
    registry: Arc<Registry<f64>>,
}

impl std::fmt::Debug for LayerCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerCheck")
            .field("inputs", &self.inputs)
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

/// The batches that every layer is run with: the smallest, an odd one, one of two shards.
const BATCHES: [usize; 3] = [1, 3, 19];

/// Rows of a batch that is cut into several shards of different sizes.
const SHARDED: usize = 150;

const TRAINING: Mode = Mode::Training { seed: 0, step: 0 };

impl LayerCheck {
    /// For samples of the shape `input`.
    #[inline]
    pub fn new(input: &[usize]) -> Self {
        Self::several(&[input])
    }

    /// For a layer with several inputs of these shapes.
    #[inline]
    pub fn several(inputs: &[&[usize]]) -> Self {
        let inputs = inputs.iter().map(|shape| shape.to_vec()).collect();
        Self { inputs, low: -2.0, high: 2.0, whole: None, tolerance: 1e-4, registry: Arc::new(Registry::standard()) }
    }

    /// Which values the inputs have. Default: −2 to 2.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (low, high);
        self
    }

    /// Inputs of whole numbers from 0 to below `count`, such as token ids, whose gradients are not checked.
    pub fn whole_numbers(mut self, count: usize) -> Self {
        self.whole = Some(count);
        self
    }

    /// How far `f32` may be from `f64`, in proportion to the largest value of a tensor. Default: 10⁻⁴.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The classes among which the layer's own is, if it has a configuration. Default: those of the crate.
    pub fn registry(mut self, registry: Registry<f64>) -> Self {
        self.registry = Arc::new(registry);
        self
    }

    /// [`check_layer`](self::check_layer) with these options.
    ///
    /// # Errors
    /// As there.
    pub fn check<L>(&self, layer: L) -> Result<()>
    where
        L: Layer<f32> + Layer<f64> + Clone + 'static,
    {
        self.run(&AnyLayer::<f32>::single(layer.clone()), &AnyLayer::<f64>::single(layer))
    }

    /// [`check_multi_layer`](self::check_multi_layer) with these options.
    ///
    /// # Errors
    /// As there.
    pub fn check_multi<L>(&self, layer: L) -> Result<()>
    where
        L: MultiLayer<f32> + MultiLayer<f64> + Clone + 'static,
    {
        self.run(&AnyLayer::<f32>::several(layer.clone()), &AnyLayer::<f64>::several(layer))
    }

    /// The same for what is made into a layer of each scalar, such as a wrapper around another layer.
    ///
    /// # Errors
    /// As there.
    pub fn check_both<M, N>(&self, single: impl IntoLayer<f32, M>, double: impl IntoLayer<f64, N>) -> Result<()> {
        self.run(&single.into_layer(), &double.into_layer())
    }

    fn run(&self, single: &AnyLayer<f32>, double: &AnyLayer<f64>) -> Result<()> {
        // A layer that cannot be built for these inputs is the caller's error, not the layer's.
        let mut f32 = layer_model(single, &self.inputs)?;
        shake(&mut f32, 0);
        let mut f64 = layer_model(double, &self.inputs)?;
        f64.params.iter_mut().zip(&*f32.params).for_each(|(to, &from)| *to = f64::from(from));
        let LayerKind::Operation(operation) = &double.kind else {
            return Err(Error::option("layer", "a layer", "a whole model; see `check_model`"));
        };
        let coupled = operation.coupled().is_some();
        let subject = Subject { check: self, f32, f64, layer: double, operation: operation.as_ref(), coupled };
        let class = operation.describe().class;
        for (property, holds) in properties() {
            let outcome = catch_unwind(AssertUnwindSafe(|| holds(&subject)))
                .unwrap_or_else(|panic| Err(format!("it panicked: {}", message(panic.as_ref()))));
            outcome.map_err(|problem| Error::Conformance { class: class.clone(), property, problem })?;
        }
        Ok(())
    }

    /// A batch of inputs: values between the bounds, no two of which are near each other or near a whole or half
    /// number, where kinks tend to be. They are exact in `f32`.
    fn batch<F: Scalar>(&self, rows: usize, seed: u64) -> Vec<ArrayD<F>> {
        let of_shape = |(number, shape): (usize, &Vec<usize>)| {
            let full = [&[rows], shape.as_slice()].concat();
            let count = volume(&full);
            let mut rng = random::rng(seed, format!("check/input {number}"));
            let values: Vec<F> = if let Some(most) = self.whole {
                (0..count).map(|_| F::of(rng.random_range(0..most.max(1)) as f64)).collect()
            } else {
                let mut places: Vec<usize> = (0..count).collect();
                random::shuffle(&mut places, seed, number as u64);
                // Inputs of a merge do not tie with each other either: each has its own third of the gap.
                let offset = 0.37 + 0.21 * number as f64 / self.inputs.len() as f64;
                let gap = (self.high - self.low) / count.max(1) as f64;
                let value = |place: usize| F::of(f64::from(narrow(self.low + (place as f64 + offset) * gap)));
                places.into_iter().map(value).collect()
            };
            ArrayD::from_shape_vec(IxDyn(&full), values).expect("as many values as the shape says")
        };
        self.inputs.iter().enumerate().map(of_shape).collect()
    }
}

#[allow(clippy::cast_possible_truncation)] // rounding is the purpose
fn narrow(value: f64) -> f32 {
    value as f32
}

/// What is checked, in order.
type Property<'a> = (&'static str, fn(&Subject<'a>) -> Result<(), String>);

fn properties<'a>() -> [Property<'a>; 15] {
    [
        ("configuration", Subject::configuration),
        ("output shape", Subject::output_shape),
        ("gradients", Subject::gradients),
        ("joined with a loss", Subject::joined),
        ("f32 near f64", Subject::precision),
        ("same bits on any number of threads", Subject::threads),
        ("rows independent of each other", Subject::rows),
        ("no stale values", Subject::stale),
        ("gradients that nobody wants", Subject::wanted),
        ("gradients of a shared layer add up", Subject::shared),
        ("written over its input", Subject::in_place),
        ("its output written over", Subject::unread),
        ("refusal of inputs", Subject::refusal),
        ("weights into another model", Subject::weights),
        ("a file", Subject::file),
    ]
}

/// A layer under check: in a model of each scalar, with the same parameters.
struct Subject<'a> {
    check: &'a LayerCheck,
    f32: Model<f32>,
    f64: Model<f64>,
    layer: &'a AnyLayer<f64>,
    operation: &'a dyn Operation<f64>,
    coupled: bool,
}

impl Subject<'_> {
    fn double(&self, inputs: &[ArrayD<f64>], mode: Mode) -> Result<Passed<f64>, String> {
        run_pass(&self.f64, &mut self.f64.pass_with_input_gradients().with_penalties(true), inputs, None, mode)
            .map_err(text)
    }

    /// Whether training depends on chance.
    fn random(&self) -> Result<bool, String> {
        let x = self.check.batch(3, 1);
        let first = self.double(&x, TRAINING)?;
        let second = self.double(&x, Mode::Training { seed: 0, step: 1 })?;
        Ok(!same_bits(&first, &second))
    }

    fn modes(&self) -> [(Mode, &'static str); 2] {
        [(TRAINING, "training"), (Mode::Inference, "inference")]
    }

    fn output_shape(&self) -> Result<(), String> {
        for rows in BATCHES {
            for (mode, name) in self.modes() {
                let passed = self.double(&self.check.batch(rows, 2), mode)?;
                for (i, output) in passed.outputs.iter().enumerate() {
                    let expected = [&[rows], self.f64.output_shape(i)].concat();
                    if output.shape() != expected {
                        return Err(format!("output {i} of {rows} rows has shape {:?}", output.shape()));
                    }
                    if let Some(value) = output.iter().find(|value| !value.is_finite()) {
                        return Err(format!("output {i} of {rows} rows holds {value} in {name}"));
                    }
                }
            }
        }
        // What does nothing outside training gives its input there.
        if self.operation.facts().only_in_training {
            let x = self.check.batch(3, 2);
            let passed = self.double(&x, Mode::Inference)?;
            if passed.outputs[0].iter().ne(x[0].iter()) {
                return Err("it says that it does nothing in inference, and changes its input".into());
            }
        }
        Ok(())
    }

    fn gradients(&self) -> Result<(), String> {
        let check = GradientCheck::new().inputs(self.check.whole.is_none());
        check.check_model(&self.f64, &self.check.batch::<f64>(3, 3)[..]).map_err(text)?;
        // Over two shards, of which a sample suffices.
        check.sample(20).check_model(&self.f64, &self.check.batch::<f64>(19, 4)[..]).map(|_| ()).map_err(text)
    }

    fn joined(&self) -> Result<(), String> {
        let Some(activation) = self.operation.facts().output_activation else { return Ok(()) };
        let categorical = Loss::<f64>::fuses_with(&CategoricalCrossentropy::new(), &activation);
        let compile = if categorical {
            Compile::new(SGD::new()).loss(CategoricalCrossentropy::new())
        } else if Loss::<f64>::fuses_with(&BinaryCrossentropy::new(), &activation) {
            Compile::new(SGD::new()).loss(BinaryCrossentropy::new())
        } else {
            return Ok(());
        };
        if self.f64.graph.outputs.len() > 1 || self.f64.output_shape(0).is_empty() {
            return Ok(());
        }
        let mut model = self.f64.clone();
        model.compile(compile).map_err(text)?;
        let x = self.check.batch::<f64>(19, 5);
        let shape = [&[19], model.output_shape(0)].concat();
        let classes = shape.last().copied().unwrap_or(1);
        let mut rng = random::rng(0, "check/labels");
        let mut target: ArrayD<f64> = ArrayD::zeros(IxDyn(&shape));
        for mut row in target.rows_mut() {
            if categorical {
                row[rng.random_range(0..classes)] = 1.0;
            } else {
                row.iter_mut().for_each(|t| *t = f64::from(u8::from(rng.random::<bool>())));
            }
        }
        GradientCheck::new().sample(50).check_training(&model, &x[..], &target).map(|_| ()).map_err(text)
    }

    fn precision(&self) -> Result<(), String> {
        let random = self.random()?;
        for (mode, name) in self.modes() {
            if random && mode != Mode::Inference {
                continue; // other random numbers
            }
            let double = self.double(&self.check.batch(19, 6), mode)?;
            let mut pass = self.f32.pass_with_input_gradients().with_penalties(true);
            let single = run_pass(&self.f32, &mut pass, &self.check.batch(19, 6), None, mode).map_err(text)?;
            let near = |what: &str, single: &[f32], double: &[f64], size: f64| {
                for (i, (&single, &double)) in single.iter().zip(double).enumerate() {
                    let error = (f64::from(single) - double).abs();
                    // Written so that NaN fails.
                    if !(error <= self.check.tolerance * size) {
                        return Err(format!("{what}, in {name}: value {i} is {single} in f32 and {double} in f64"));
                    }
                }
                Ok(())
            };
            for (i, (single, double)) in single.outputs.iter().zip(&double.outputs).enumerate() {
                let (single, double) = (flat(single), flat(double));
                near(&format!("output {i}"), &single, &double, largest(&double))?;
            }
            // One measure for all gradients: some are 0 but for rounding, such as a bias's before a softmax.
            let inputs: Vec<Vec<f64>> = double.input_gradients.iter().map(flat).collect();
            let size = inputs.iter().map(|values| largest(values)).fold(largest(&double.gradients), f64::max);
            for (i, (single, double)) in single.input_gradients.iter().zip(&inputs).enumerate() {
                near(&format!("the gradient of input {i}"), &flat(single), double, size)?;
            }
            for spec in &self.f64.graph.specs {
                let (single, double) = (&single.gradients[spec.range.clone()], &double.gradients[spec.range.clone()]);
                near(&format!("the gradient of `{}`", spec.name), single, double, size)?;
            }
        }
        Ok(())
    }

    fn threads(&self) -> Result<(), String> {
        let x = self.check.batch(SHARDED, 7);
        for (mode, name) in self.modes() {
            let mut first: Option<(Passed<f32>, Aligned<f32>)> = None;
            for threads in [1, 2, 4] {
                let mut model = self.f32.clone();
                model.set_threads(threads).map_err(text)?;
                let mut pass = model.pass_with_input_gradients().with_penalties(true);
                let passed = run_pass(&model, &mut pass, &x, None, mode).map_err(text)?;
                model.update_state(&pass);
                let now = (passed, model.network.params);
                match &first {
                    None => first = Some(now),
                    Some(first) if !same_bits(&first.0, &now.0) => {
                        let what = first.0.first_difference(&now.0);
                        return Err(format!("in {name}, {threads} threads give another {what} than one"));
                    }
                    Some(first) if !same(&first.1, &now.1) => {
                        return Err(format!("{threads} threads leave another state behind than one"));
                    }
                    Some(_) => (),
                }
            }
        }
        Ok(())
    }

    fn rows(&self) -> Result<(), String> {
        // Some rows in one shard, and many in two that are cut elsewhere.
        for few in [5, 60] {
            self.first_rows(few)?;
        }
        Ok(())
    }

    /// The first rows of a batch give what they give by themselves.
    fn first_rows(&self, few: usize) -> Result<(), String> {
        let x = self.check.batch::<f64>(SHARDED, 8);
        let first: Vec<ArrayD<f64>> =
            x.iter().map(|x| x.slice_axis(ndarray::Axis(0), (0..few).into()).to_owned()).collect();
        for (mode, name) in self.modes() {
            if self.coupled && mode != Mode::Inference {
                continue;
            }
            let (all, alone) = (self.double(&x, mode)?, self.double(&first, mode)?);
            for (i, (all, alone)) in all.outputs.iter().zip(&alone.outputs).enumerate() {
                let size = largest(&flat(all));
                if let Some((a, b)) = all.iter().zip(alone).find(|(a, b)| !((*a - *b).abs() <= 1e-12 * size)) {
                    return Err(format!(
                        "in {name}, output {i} holds {a} in a batch of {SHARDED} and {b} in one of its first {few} rows"
                    ));
                }
            }
        }
        Ok(())
    }

    fn stale(&self) -> Result<(), String> {
        let x = self.check.batch::<f64>(3, 9);
        for (mode, name) in self.modes() {
            let fresh = self.double(&x, mode)?;
            let mut pass = self.f64.pass_with_input_gradients().with_penalties(true);
            // A larger batch before, which leaves NaN wherever it can.
            let mut before = self.check.batch::<f64>(29, 10);
            if self.check.whole.is_none() {
                for x in &mut before {
                    x.fill(f64::NAN);
                }
            }
            let outputs = fresh.outputs.iter().map(|y| [&[29], &y.shape()[1..]].concat());
            let grads: Vec<ArrayD<f64>> = outputs.map(|shape| ArrayD::from_elem(IxDyn(&shape), f64::NAN)).collect();
            run_pass(&self.f64, &mut pass, &before, Some(&grads), mode).map_err(text)?;
            for turn in ["after a larger batch of NaN", "once more on the same batch"] {
                let again = run_pass(&self.f64, &mut pass, &x, None, mode).map_err(text)?;
                if !same_bits(&fresh, &again) {
                    let what = fresh.first_difference(&again);
                    return Err(format!("in {name}, {turn}, its workspace gives another {what} than a new one"));
                }
            }
        }
        Ok(())
    }

    fn wanted(&self) -> Result<(), String> {
        let x = self.check.batch::<f64>(3, 11);
        let all = self.double(&x, TRAINING)?;
        if self.f64.graph.specs.iter().any(|spec| spec.learned) && self.f64.trains[0] {
            let without_inputs =
                run_pass(&self.f64, &mut self.f64.pass().with_penalties(true), &x, None, TRAINING).map_err(text)?;
            if !same(&without_inputs.gradients, &all.gradients) {
                return Err("without gradients of inputs, those of the parameters are others".into());
            }
        }
        if self.coupled {
            return Ok(()); // frozen, it does something else
        }
        let mut frozen = self.f64.clone();
        frozen.trains.fill(false);
        let passed =
            run_pass(&frozen, &mut frozen.pass_with_input_gradients().with_penalties(true), &x, None, TRAINING)
                .map_err(text)?;
        let both = all.input_gradients.iter().zip(&passed.input_gradients);
        if both.into_iter().any(|(a, b)| !same_arrays(a, b)) {
            return Err("frozen, the gradients of its inputs are others".into());
        }
        Ok(())
    }

    fn shared(&self) -> Result<(), String> {
        if !self.f64.graph.specs.iter().any(|spec| spec.learned) {
            return Ok(());
        }
        let mode = if self.random()? { Mode::Inference } else { TRAINING };
        let mut twice = layer_model_calls(self.layer, &self.check.inputs, 2).map_err(text)?;
        twice.params.copy_from_slice(&self.f64.params);
        let (first, second) = (self.check.batch(3, 12), self.check.batch(3, 13));
        let both = [&first[..], &second[..]].concat();
        let together = run_pass(&twice, &mut twice.pass(), &both, None, mode).map_err(text)?;
        let mut sum = vec![0.0; self.f64.params.len()];
        let outputs = self.f64.graph.outputs.len();
        for (call, x) in [first, second].iter().enumerate() {
            let shapes = (0..outputs).map(|i| [&[3], self.f64.output_shape(i)].concat());
            let grads: Vec<ArrayD<f64>> =
                shapes.enumerate().map(|(i, shape)| output_weights(&shape, call * outputs + i, 0)).collect();
            let alone = run_pass(&self.f64, &mut self.f64.pass(), x, Some(&grads), mode).map_err(text)?;
            sum.iter_mut().zip(&alone.gradients).for_each(|(sum, gradient)| *sum += gradient);
        }
        let size = largest(&sum);
        match sum.iter().zip(&together.gradients).position(|(a, b)| !((a - b).abs() <= 1e-11 * size)) {
            None => Ok(()),
            Some(i) => {
                let (alone, together) = (sum[i], together.gradients[i]);
                Err(format!("parameter value {i} has gradient {together} after two calls, whose own add up to {alone}"))
            }
        }
    }

    fn refusal(&self) -> Result<(), String> {
        let mut shapes: Vec<Vec<usize>> = vec![vec![], vec![0], vec![2, 0], vec![0, 3, 2]];
        for rank in 1..=5 {
            shapes.push(vec![1; rank]);
            shapes.push((0..rank).map(|axis| 2 + axis).collect());
        }
        let mut whole = self.check.inputs[0].clone();
        if let Some(last) = whole.last_mut() {
            *last = 0;
        }
        shapes.push(whole);
        for shape in shapes {
            let inputs = vec![shape.clone(); self.check.inputs.len()];
            let attempt = catch_unwind(AssertUnwindSafe(|| -> Result<(), String> {
                let Ok(model) = layer_model(self.layer, &inputs) else { return Ok(()) };
                let check = LayerCheck { inputs, ..self.check.clone() };
                for rows in [2, 0] {
                    let outputs = model.predict_all(&check.batch::<f64>(rows, 14)[..]).map_err(text)?;
                    for (i, output) in outputs.iter().enumerate() {
                        if output.shape() != [&[rows], model.output_shape(i)].concat() {
                            return Err(format!("output {i} of {rows} rows has shape {:?}", output.shape()));
                        }
                    }
                }
                Ok(())
            }));
            attempt
                .unwrap_or_else(|panic| Err(format!("it panicked: {}", message(panic.as_ref()))))
                .map_err(|problem| format!("with samples of shape {}: {problem}", crate::error::show(&shape)))?;
        }
        Ok(())
    }
}

impl<F: Scalar> Passed<F> {
    /// The first thing in which two runs differ.
    fn first_difference(&self, other: &Self) -> String {
        for (i, (a, b)) in self.outputs.iter().zip(&other.outputs).enumerate() {
            if !same_arrays(a, b) {
                return format!("output {i}");
            }
        }
        for (i, (a, b)) in self.input_gradients.iter().zip(&other.input_gradients).enumerate() {
            if !same_arrays(a, b) {
                return format!("gradient of input {i}");
            }
        }
        "gradient of parameters".into()
    }
}

fn flat<F: Scalar>(array: &ArrayD<F>) -> Vec<F> {
    array.iter().copied().collect()
}

/// The largest magnitude, and never 0.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1e-30, |most, value| most.max(value.abs()))
}

fn same_bits<F: Scalar>(a: &Passed<F>, b: &Passed<F>) -> bool {
    let arrays =
        |a: &[ArrayD<F>], b: &[ArrayD<F>]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_arrays(a, b));
    arrays(&a.outputs, &b.outputs) && arrays(&a.input_gradients, &b.input_gradients) && same(&a.gradients, &b.gradients)
}

fn same_arrays<F: Scalar>(a: &ArrayD<F>, b: &ArrayD<F>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(&a, &b)| same_number(a, b))
}

fn same<F: Scalar>(a: &[F], b: &[F]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same_number(a, b))
}

/// The same bits, but for the payload of a NaN.
fn same_number<F: Scalar>(a: F, b: F) -> bool {
    a == b && a.is_sign_negative() == b.is_sign_negative() || a.is_nan() && b.is_nan()
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn text(error: Error) -> String {
    error.to_string()
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}
