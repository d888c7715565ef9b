//! Named parameters: how a layer asks for them, reads them and adds to their gradients.

use std::borrow::Borrow;
use std::ops::Range;

use super::rows::{Place, RowGrads, TouchedRows};
use super::weight::Weight;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::kernels::gemm::Start;
use crate::regularizers::Regularizer;
use crate::tensor::checked_volume;
use crate::{Error, Result, Scalar, memory, random};

/// One parameter: its name, its shape, and where its values lie in the model's memory.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) range: Range<usize>,
    pub(crate) learned: bool,
    pub(crate) regularizer: Option<Regularizer>,
    pub(crate) constraint: Option<Constraint>,
    /// Whether a pass adds to the gradients of a few rows only, through [`Grads::rows_mut`].
    pub(crate) few_rows: bool,
}

impl ParamSpec {
    /// The name within its layer, such as `kernel`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// False for state, such as moving statistics, that a forward pass leaves behind.
    pub fn is_learned(&self) -> bool {
        self.learned
    }

    /// Adds a penalty on the values to the loss.
    pub fn regularizer(&mut self, regularizer: Option<&Regularizer>) -> &mut Self {
        self.regularizer = regularizer.cloned();
        self
    }

    /// Holds the values to a constraint after every update.
    pub fn constraint(&mut self, constraint: Option<&Constraint>) -> &mut Self {
        self.constraint = constraint.cloned();
        self
    }

    /// Says that a pass adds to the gradients of a few rows only, through [`Grads::rows_mut`]: a table that is looked
    /// up. A step then costs what these rows cost, where the optimizer allows that.
    pub fn few_rows(&mut self) -> &mut Self {
        self.few_rows = true;
        self
    }

    /// How many rows the parameter has, if it is a table of which all gradients but those of a few rows are 0: no
    /// penalty and no constraint wants to see them all.
    pub(crate) fn table_rows(&self) -> Option<usize> {
        let alone = self.few_rows && self.regularizer.is_none() && self.constraint.is_none();
        (alone && !self.range.is_empty()).then(|| self.shape.first().copied()).flatten()
    }
}

/// Where a layer makes its parameters, when it is built.
pub struct ParamBuilder<'a, F> {
    specs: &'a mut Vec<ParamSpec>,
    values: &'a mut Vec<F>,
    seed: u64,
    path: &'a str,
    /// What the names of all parameters begin with.
    prefix: String,
    first: usize,
    batch: Option<usize>,
    /// Whether only names and shapes are asked for.
    dry: bool,
}

impl<F> std::fmt::Debug for ParamBuilder<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParamBuilder")
            .field("path", &self.path)
            .field("seed", &self.seed)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl<'a, F: Scalar> ParamBuilder<'a, F> {
    /// A builder that adds to `specs` and `values`. Initial values depend on the seed and on `path` alone.
    pub(crate) fn new(specs: &'a mut Vec<ParamSpec>, values: &'a mut Vec<F>, seed: u64, path: &'a str) -> Self {
        let first = specs.len();
        Self { specs, values, seed, path, prefix: String::new(), first, batch: None, dry: false }
    }

    /// For a model whose batches all have `batch` rows.
    pub(crate) fn with_batch(mut self, batch: Option<usize>) -> Self {
        self.batch = batch;
        self
    }

    /// For names and shapes alone: no value is made.
    pub(crate) fn without_values(mut self) -> Self {
        self.dry = true;
        self
    }

    /// How many rows every batch has, if the model's input says so: what state that belongs to rows needs to know.
    pub fn batch(&self) -> Option<usize> {
        self.batch
    }

    /// A builder for a part of the layer, such as a cell: the names of its parameters begin with `prefix`. The part finds
    /// them through [`Context::within`](super::Context::within) and [`Grads::within`], by its own names and numbers.
    ///
    /// ```
    /// use gradus::layers::ParamBuilder;
    /// use gradus::custom::*;
    ///
    /// fn build_both(params: &mut ParamBuilder<'_, f32>) -> gradus::Result<()> {
    ///     params.within("forward.").add("kernel", &[2, 3], Initializer::GlorotUniform)?; // forward.kernel
    ///     params.within("backward.").add("kernel", &[2, 3], Initializer::GlorotUniform)?;
    ///     Ok(())
    /// }
    /// ```
    pub fn within(&mut self, prefix: &str) -> ParamBuilder<'_, F> {
        ParamBuilder {
            specs: self.specs,
            values: self.values,
            seed: self.seed,
            path: self.path,
            prefix: format!("{}{prefix}", self.prefix),
            first: self.first,
            batch: self.batch,
            dry: self.dry,
        }
    }

    /// Adds a parameter that is learned. Parameters are numbered in the order in which they are added.
    ///
    /// # Errors
    /// If the layer has one of this name, or the shape does not fit into memory.
    pub fn add(
        &mut self,
        name: &str,
        shape: &[usize],
        initializer: impl Borrow<Initializer>,
    ) -> Result<&mut ParamSpec> {
        self.push(name, shape, initializer.borrow(), true)
    }

    /// Adds a parameter that is learned, with all that the layer's options say of it.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(crate) fn add_weight(&mut self, name: &str, shape: &[usize], weight: &Weight) -> Result<&mut ParamSpec> {
        self.add_weight_adjusted(name, shape, weight, |_| ())
    }

    /// As [`add_weight`](Self::add_weight); `adjust` changes the first values.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(crate) fn add_weight_adjusted(
        &mut self,
        name: &str,
        shape: &[usize],
        weight: &Weight,
        adjust: impl FnOnce(&mut [F]),
    ) -> Result<&mut ParamSpec> {
        let start = self.values.len();
        self.push(name, shape, &weight.initializer, true)?;
        if !self.dry {
            adjust(&mut self.values[start..]);
        }
        let spec = self.specs.last_mut().expect("just pushed");
        Ok(spec.regularizer(weight.regularizer.as_ref()).constraint(weight.constraint.as_ref()))
    }

    /// Adds state that is not learned but saved with the parameters, such as moving statistics.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_state(
        &mut self,
        name: &str,
        shape: &[usize],
        initializer: impl Borrow<Initializer>,
    ) -> Result<&mut ParamSpec> {
        self.push(name, shape, initializer.borrow(), false)
    }

    /// What has been added so far.
    pub(crate) fn added(&self) -> &[ParamSpec] {
        &self.specs[self.first..]
    }

    fn push(
        &mut self,
        name: &str,
        shape: &[usize],
        initializer: &Initializer,
        learned: bool,
    ) -> Result<&mut ParamSpec> {
        let name = format!("{}{name}", self.prefix);
        if self.specs[self.first..].iter().any(|spec| spec.name == name) {
            return Err(Error::option("parameter", "a name that the layer has not used yet", name));
        }
        let start = self.specs.last().map_or(0, |spec| spec.range.end);
        let len = checked_volume(shape).map_err(|error| error.within(format!("`{name}`")))?;
        if start.checked_add(len).is_none_or(|all| memory::product(&[all]).is_none()) {
            return Err(Error::shape("parameters that fit into memory", shape).within(format!("`{name}`")));
        }
        if !self.dry {
            self.values.try_reserve(len).map_err(|_| Error::shape("a tensor that fits into memory", shape))?;
            self.values.resize(start + len, F::zero());
            let mut rng = random::rng(self.seed, format!("{}/{name}", self.path));
            initializer.fill(shape, &mut self.values[start..], &mut rng)?;
        }
        self.specs.push(ParamSpec {
            name,
            shape: shape.to_vec(),
            range: start..start + len,
            learned,
            regularizer: None,
            constraint: None,
            few_rows: false,
        });
        Ok(self.specs.last_mut().expect("just pushed"))
    }
}

/// The parameters of one layer, for reading. `params[0]` is the first that was added, `params.get("kernel")` the one
/// of that name.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a, F> {
    specs: &'a [ParamSpec],
    values: &'a [F],
    /// How many bytes of each name say which part of the layer it belongs to.
    prefix: usize,
}

impl<'a, F> Params<'a, F> {
    pub(crate) fn new(specs: &'a [ParamSpec], values: &'a [F]) -> Self {
        Self { specs, values, prefix: 0 }
    }

    /// Those of the part of the layer that was built with this prefix: see [`ParamBuilder::within`].
    pub fn within(&self, prefix: &str) -> Self {
        Self { specs: &self.specs[part(self.specs, self.prefix, prefix)], prefix: self.prefix + prefix.len(), ..*self }
    }

    /// The first `count` of them.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { specs: &self.specs[..count], ..*self }
    }

    /// The values of the parameter `name`.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added none of that name.
    pub fn get(&self, name: &str) -> &'a [F] {
        self.at(position(self.specs, self.prefix, name))
    }

    /// The values of the parameter with this number.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added fewer.
    pub fn at(&self, number: usize) -> &'a [F] {
        &self.values[self.specs[number].range.clone()]
    }

    /// What describes the first `count` parameters, for a copy of them that begins at 0.
    pub(crate) fn rebased(&self, count: usize) -> Vec<ParamSpec> {
        let mut start = 0;
        let rebased = self.specs[..count].iter().map(|spec| {
            let range = start..start + spec.range.len();
            start = range.end;
            ParamSpec { range, ..spec.clone() }
        });
        rebased.collect()
    }

    /// How many parameters the layer has.
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether the layer has none.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }
}

/// The gradients of one layer's parameters, for adding to; and, in `update_state`, its state.
#[derive(Debug)]
pub struct Grads<'a, F> {
    specs: &'a [ParamSpec],
    values: &'a mut [F],
    /// What is known of each parameter's values. Empty: none are stale.
    state: &'a mut [GradState<F>],
    wanted: bool,
    /// As of [`Params`].
    prefix: usize,
}

/// What is known of the gradient of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct GradState<F> {
    /// Whether its values are those of an earlier pass. They are cleared by whoever asks for them first, and by nobody
    /// where a product overwrites them.
    pub stale: bool,
    /// The gradient of a table, as long as nobody has asked for all of it: its place among the others' holds zeros.
    pub rows: Option<TouchedRows<F>>,
    /// Whether its place among the others' holds something else all the same.
    spread: bool,
}

impl<F: Scalar> GradState<F> {
    /// Of memory that has just been filled with zeros.
    pub fn new(spec: &ParamSpec) -> Self {
        let rows = spec.table_rows().map(|rows| TouchedRows::new(rows, spec.range.len() / rows));
        Self { stale: true, rows, spread: false }
    }

    /// Zeroes what an earlier pass left.
    pub fn clear(&mut self, gradient: &mut [F]) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        if let Some(rows) = &mut self.rows {
            rows.clear();
        }
        if std::mem::take(&mut self.spread) || self.rows.is_none() {
            gradient.fill(F::zero());
        }
    }

    /// Puts the rows of a table into its place among the others' gradients, for whoever reads them all alike.
    pub fn spread(&mut self, gradient: &mut [F]) {
        if let Some(rows) = self.rows.as_ref().filter(|_| !self.spread) {
            rows.add_to(gradient);
            self.spread = true;
        }
    }
}

impl<'a, F: Scalar> Grads<'a, F> {
    pub(crate) fn new(
        specs: &'a [ParamSpec],
        values: &'a mut [F],
        state: &'a mut [GradState<F>],
        wanted: bool,
    ) -> Self {
        Self { specs, values, state, wanted, prefix: 0 }
    }

    /// Those of the part of the layer that was built with this prefix: see [`ParamBuilder::within`].
    pub fn within(&mut self, prefix: &str) -> Grads<'_, F> {
        let range = part(self.specs, self.prefix, prefix);
        Grads {
            specs: &self.specs[range.clone()],
            values: self.values,
            state: self.state.get_mut(range).unwrap_or_default(),
            wanted: self.wanted,
            prefix: self.prefix + prefix.len(),
        }
    }

    /// The first `count` of them.
    pub(crate) fn first(&mut self, count: usize) -> Grads<'_, F> {
        Grads {
            specs: &self.specs[..count],
            values: self.values,
            state: self.state.get_mut(..count).unwrap_or_default(),
            wanted: self.wanted,
            prefix: self.prefix,
        }
    }

    /// Whether anybody will read them: not those of a frozen layer. A layer may then leave them alone.
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// The gradient of the parameter `name`.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added none of that name.
    pub fn get_mut(&mut self, name: &str) -> &mut [F] {
        self.at_mut(position(self.specs, self.prefix, name))
    }

    /// The gradient of the parameter with this number.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added fewer.
    pub fn at_mut(&mut self, number: usize) -> &mut [F] {
        let (gradient, start) = self.product(number);
        if matches!(start, Start::Zero) {
            gradient.fill(F::zero());
        }
        gradient
    }

    /// The gradient of a table that was declared to have [`few_rows`](ParamSpec::few_rows), of which only the rows
    /// `touched` will be added to.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added fewer parameters, or the table has no such row.
    pub fn rows_mut(&mut self, number: usize, touched: impl IntoIterator<Item = usize>) -> RowGrads<'_, F> {
        let spec = &self.specs[number];
        let gradient = &mut self.values[spec.range.clone()];
        let width = gradient.len() / spec.shape.first().map_or(1, |&rows| rows.max(1));
        RowGrads(match self.state.get_mut(number) {
            None => Place::Whole(gradient, width),
            Some(state) => {
                state.clear(gradient);
                match &mut state.rows {
                    None => Place::Whole(gradient, width),
                    Some(rows) => {
                        rows.touch(touched);
                        Place::Touched(rows)
                    }
                }
            }
        })
    }

    /// The gradients of several different parameters.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added fewer, or a number comes twice.
    pub fn several<const N: usize>(&mut self, numbers: [usize; N]) -> [&mut [F]; N] {
        for number in numbers {
            self.at_mut(number);
        }
        let ranges = numbers.map(|number| self.specs[number].range.clone());
        self.values.get_disjoint_mut(ranges).expect("different parameters lie apart")
    }

    /// The gradient of the parameter with this number, for a product that covers all of it: with what the product is to
    /// start from. In the first call of a pass that is zero, whatever the memory holds; it need not be cleared.
    ///
    /// # Panics
    /// If [`build`](super::Layer::build) added fewer.
    pub fn product(&mut self, number: usize) -> (&mut [F], Start<'static, F>) {
        let gradient = &mut self.values[self.specs[number].range.clone()];
        let stale = self.state.get_mut(number).is_some_and(|state| {
            let stale = std::mem::take(&mut state.stale);
            if !stale {
                state.spread(gradient);
            }
            // Whoever asks for all of a table may write anywhere.
            state.rows = None;
            stale
        });
        (gradient, if stale { Start::Zero } else { Start::Add })
    }
}

fn position(specs: &[ParamSpec], prefix: usize, name: &str) -> usize {
    specs.iter().position(|spec| spec.name[prefix..] == *name).unwrap_or_else(|| {
        let known: Vec<&str> = specs.iter().map(|spec| &spec.name[prefix..]).collect();
        panic!("`build` added no parameter `{name}`, only {known:?}")
    })
}

/// Where the parameters lie whose names go on with `prefix` after so many bytes.
fn part(specs: &[ParamSpec], bytes: usize, prefix: &str) -> Range<usize> {
    let belongs = |spec: &ParamSpec| spec.name[bytes..].starts_with(prefix);
    let start = specs.iter().position(belongs).unwrap_or(specs.len());
    let count = specs[start..].iter().take_while(|spec| belongs(spec)).count();
    start..start + count
}
