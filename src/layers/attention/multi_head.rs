//! Attention with several heads.

use super::folding::Folding;
use super::{Visible, drop_weights, roles, write_gradients};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::attention::{Masked, weigh, weigh_backward};
use crate::kernels::gemm::{Matrix, Start, gemm};
use crate::kernels::{activation, elementwise, random, reduce};
use crate::layers::axes::Axes;
use crate::layers::{Context, Description, Facts, GradInputs, Grads, Inputs, MultiLayer, ParamBuilder};
use crate::memory::room;
use crate::tensor::{checked_volume, volume};
use crate::{Error, Result, Scalar, Tensor};

layer_options! {
    /// Several attentions side by side, each on its own projections of query, key and value.
    ///
    /// For each head: w = softmax(q·kᵀ/√key_dim), with q = x_q·W_q + b_q and so on; the heads' w·v, side by side, go
    /// through a last projection.
    ///
    /// # Shapes
    /// Query (batch, queries, …), value and key (batch, values, …), in this order → (batch, queries, features of the
    /// query, or `output_shape`); with `return_attention_scores` also w (batch, heads, queries, values). Without a key the
    /// value is the key; a single input is all three. With `attention_mask` the last input is a mask (batch, queries,
    /// values), above ½ where a query may look.
    ///
    /// Inputs may have more axes between batch and features. By `attention_axes` a query looks along some of them, and
    /// the others are like more samples: along them queries and values must have one size. w is then (batch, others …,
    /// heads, queries …, values …), a mask that, without the heads, or (batch, queries …, values …) for all others alike.
    /// A mask (batch, timesteps) that travels beside an input counts for all that stands in a timestep.
    ///
    /// Parameters: `query.kernel` (features, heads, key_dim), `query.bias` (heads, key_dim), likewise `key` and `value`
    /// (with value_dim) and with `use_gate` `gate`; `attention_output.kernel` (heads, value_dim, features),
    /// `attention_output.bias` (features).
    ///
    /// Masks of all inputs count, and the query's passes. A query that may look at nothing looks at everything alike.
    /// # Defaults
    /// `value_dim` = `key_dim`, `use_bias` true, kernels Glorot uniform, biases zeros; everything else off.
    /// # Errors
    /// When built: a size is 0, shapes that do not fit, `dropout` below 0, or 1 and more, `attention_axes` that are not
    /// between batch and features, a causal mask or a window along several axes at once.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 16]).add(MultiHeadAttention::new(2, 8)).build()?;
    /// assert_eq!(model.output_shape(0), [10, 16]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MultiHeadAttention`; Vaswani et al., *Attention is all you need*, 2017.
    pub struct MultiHeadAttention(
        /// How many heads there are.
        num_heads: usize,
        /// How many features a head's queries and keys have.
        key_dim: usize,
    ) {
        /// How many features a head's values have. Default: `key_dim`.
        value_dim: Option<usize> = None => |size: impl Into<Option<usize>>| size.into(),
        /// How much of the weights is dropped in training. Default: 0.
        dropout: f64 = 0.0,
        /// Whether the projections have biases. Default: true.
        use_bias: bool = true,
        /// Whether the heads' outputs are multiplied by a sigmoid of the query's projection. Default: false.
        use_gate: bool = false,
        /// How many features the output has. Default: as many as the query.
        output_shape: Option<usize> = None => |size: impl Into<Option<usize>>| size.into(),
        /// The axes along which queries look, counted with the batch as 0: `2`, `-2`, `[1, 3]`. Default: all but batch and
        /// features.
        attention_axes: Option<Axes> = None => |axes: impl Into<Axes>| Some(axes.into()),
        /// A query looks only at values less than so many places away. Default: at all.
        sliding_window: Option<usize> = None => |size: impl Into<Option<usize>>| size.into(),
        /// A seed of the layer's own for what is dropped. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
        /// Whether a query looks at no value after its own place. Default: false.
        use_causal_mask: bool = false,
        /// Whether the weights are given too. Default: false.
        return_attention_scores: bool = false,
        /// Whether the last input is a mask (batch, queries, values). Default: false.
        attention_mask: bool = false,
    }
    weights {
        kernel: "each kernel" = Initializer::GlorotUniform => "Glorot uniform",
        bias: "each bias" = Initializer::Zeros => "zeros",
    }
}

/// What a pass keeps.
#[derive(Debug, Default)]
pub struct MultiHeadCache<F> {
    /// Projections: query, value, key, gate.
    projected: [Vec<F>; 4],
    /// (rows, heads, queries, values)
    w: Vec<F>,
    dropped: Vec<F>,
    kept: Vec<u8>,
    /// The heads' outputs side by side, (rows·queries, heads·value_dim); after the gate.
    heads: Vec<F>,
    gated: Vec<F>,
    grad_w: Vec<F>,
    grad_heads: Vec<F>,
    grad_projected: [Vec<F>; 4],
    grads: [Vec<F>; 3],
    folding: Folding,
    /// By input, where its axes must be reordered.
    folded: [Vec<F>; 3],
    /// By input, where a place is not a timestep.
    masks: [Vec<bool>; 3],
    folded_output: Vec<F>,
}

/// The sizes of a pass.
#[derive(Clone, Copy)]
struct Sizes {
    /// Samples, times the axes that are not attended over.
    rows: usize,
    queries: usize,
    values: usize,
    heads: usize,
    /// Of a head's queries and keys.
    key: usize,
    /// Of a head's values.
    value: usize,
}

/// The projections by role, and their numbers among the parameters.
const NAMES: [&str; 4] = ["query", "value", "key", "gate"];

impl MultiHeadAttention {
    fn value_size(&self) -> usize {
        self.value_dim.unwrap_or(self.key_dim)
    }

    /// How many of the inputs are not masks.
    fn tensors(&self, inputs: usize) -> usize {
        inputs - usize::from(self.attention_mask)
    }

    fn sizes<F: Scalar>(&self, inputs: Inputs<'_, F>, folding: &Folding) -> Sizes {
        let [query, value, _] = roles(self.tensors(inputs.len())).map(|i| inputs.get(i));
        Sizes {
            rows: query.rows() * folding.others(query.shape()).product::<usize>(),
            queries: folding.attended(query.shape()).product(),
            values: folding.attended(value.shape()).product(),
            heads: self.num_heads,
            key: self.key_dim,
            value: self.value_size(),
        }
    }

    /// The roles in the order in which their parameters are made, as Keras makes them.
    fn order(&self) -> &'static [usize] {
        if self.use_gate { &[0, 2, 3, 1] } else { &[0, 2, 1] }
    }

    /// The number of a role's kernel; its bias follows.
    fn number(&self, role: usize) -> usize {
        let place = self.order().iter().position(|&other| other == role).expect("a role of this layer");
        place * if self.use_bias { 2 } else { 1 }
    }

    fn output_number(&self) -> usize {
        self.order().len() * if self.use_bias { 2 } else { 1 }
    }

    /// Features that a role's projection has.
    fn width(&self, role: usize) -> usize {
        self.num_heads * if role == 0 || role == 2 { self.key_dim } else { self.value_size() }
    }

    /// Which input plays a role: the gate is the query's.
    fn input_of(&self, role: usize, inputs: usize) -> usize {
        if role == 3 { 0 } else { roles(self.tensors(inputs))[role] }
    }

    /// `folded`: the masks by place, where a place is not a timestep.
    fn visible<'a, F: Scalar>(&self, inputs: Inputs<'a, F>, folded: &'a [Vec<bool>; 3]) -> Visible<'a> {
        let mask = |i: usize| {
            let mask = if i < self.tensors(inputs.len()) { inputs.mask(i) } else { None };
            mask.map(|mask| if inputs.get(i).shape().len() > 3 { &folded[i] } else { mask })
        };
        let value = if self.tensors(inputs.len()) > 1 { mask(1) } else { mask(0) };
        Visible { query: mask(0), values: [value, mask(2)], causal: self.use_causal_mask, window: self.sliding_window }
    }

    fn add_projection<F: Scalar>(
        &self,
        name: &str,
        kernel: &[usize],
        bias: &[usize],
        params: &mut ParamBuilder<'_, F>,
    ) -> Result<()> {
        params.add_weight(&format!("{name}.kernel"), kernel, &self.kernel)?;
        if self.use_bias {
            params.add_weight(&format!("{name}.bias"), bias, &self.bias)?;
        }
        Ok(())
    }
}

/// y = x·W + b for rows of features.
fn project<F: Scalar>(x: &[F], kernel: &[F], bias: Option<&[F]>, width: usize, y: &mut [F]) {
    let features = kernel.len() / width;
    let start = bias.map_or(Start::Zero, Start::Bias);
    gemm(Matrix::new(x, x.len() / features, features), Matrix::new(kernel, features, width), start, y, width);
}

impl<F: Scalar> MultiLayer<F> for MultiHeadAttention {
    type Cache = MultiHeadCache<F>;

    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let sizes = [
            ("num_heads", self.num_heads),
            ("key_dim", self.key_dim),
            ("value_dim", self.value_size()),
            ("output_shape", self.output_shape.unwrap_or(1)),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::option(*name, "at least 1", 0));
        }
        for (name, size) in &sizes[1..3] {
            room::<F>(*name, size, &[self.num_heads, *size])?;
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::option("dropout", "at least 0 and below 1", self.dropout));
        }
        let masks = usize::from(self.attention_mask);
        if inputs.len() <= masks || inputs.len() > 3 + masks {
            let expected = if self.attention_mask { "query, value, key, then a mask" } else { "query, value, key" };
            return Err(Error::option("inputs", expected, format!("{} tensors", inputs.len())));
        }
        let tensors = inputs.len() - masks;
        let [query, value, key] = roles(tensors).map(|i| inputs[i]);
        if let Some(shape) = [query, value, key].into_iter().find(|shape| shape.len() < 2) {
            return Err(Error::input_shape("(timesteps, …, features)", shape));
        }
        if let Some(shape) = [value, key].into_iter().find(|shape| shape.len() != query.len()) {
            return Err(Error::shape(format!("{} axes, as the query", query.len()), shape));
        }
        if key[..key.len() - 1] != value[..value.len() - 1] {
            let places = crate::error::show(&value[..value.len() - 1]);
            return Err(Error::shape(format!("a key {places} before its features, as the value"), key));
        }
        let folding = Folding::new(self.attention_axes.as_ref(), query.len() + 1)?;
        let [query, value] = [query, value].map(|shape| [&[1], shape].concat());
        let others: Vec<usize> = folding.others(&query).collect();
        if !folding.others(&value).eq(others.iter().copied()) {
            let expected = format!("a value {} along the axes that are not attended over", crate::error::show(&others));
            return Err(Error::shape(expected, &value[1..]));
        }
        let placed = [("use_causal_mask", self.use_causal_mask), ("sliding_window", self.sliding_window.is_some())];
        if let Some((option, _)) = placed.into_iter().find(|(_, on)| *on && folding.attended_axes() > 1) {
            let received = format!("{} attended axes", folding.attended_axes());
            return Err(Error::option(option, "one attended axis, along which places are counted", received));
        }
        let visible: Vec<usize> = folding.attended(&query).chain(folding.attended(&value)).collect();
        if self.attention_mask && *inputs[tensors] != visible && *inputs[tensors] != [&others[..], &visible].concat() {
            let expected = format!("a mask {}", crate::error::show(&visible));
            return Err(Error::shape(expected, inputs[tensors]));
        }
        for &role in self.order() {
            let input = inputs[self.input_of(role, inputs.len())];
            let head = self.width(role) / self.num_heads;
            let kernel = [input[input.len() - 1], self.num_heads, head];
            self.add_projection(NAMES[role], &kernel, &kernel[1..], params)?;
        }
        // Of a sample, once for the scores and once for their gradients.
        checked_volume(&[&[2, self.num_heads], &visible[..]].concat()).map_err(|error| error.within("scores"))?;
        let output = self.output_shape.unwrap_or(query[query.len() - 1]);
        self.add_projection("attention_output", &[self.num_heads, self.value_size(), output], &[output], params)?;
        let mut shapes = vec![[&query[1..query.len() - 1], &[output]].concat()];
        if self.return_attention_scores {
            shapes.push([&others[..], &[self.num_heads], &visible].concat());
        }
        Ok(shapes)
    }

    /// Projections and scores, each with their gradients.
    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        let [query, value, _] = roles(self.tensors(inputs.len())).map(|i| inputs[i]);
        let places = |shape: &[usize]| volume(&shape[..shape.len() - 1]);
        let projected = |places: usize, role: usize| places.saturating_mul(self.width(role));
        let of_query = projected(places(query), 0).saturating_add(projected(places(query), 3));
        let of_value = projected(places(value), 1).saturating_add(projected(places(value), 2));
        // Over all places: as many as there are scores, or more.
        let scores = places(query).saturating_mul(places(value)).saturating_mul(self.num_heads);
        of_query.saturating_add(of_value).saturating_add(scores).saturating_mul(2)
    }

    fn forward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &mut [Tensor<F>],
        cache: &mut MultiHeadCache<F>,
        cx: &Context<'_, F>,
    ) {
        cache.folding.set(self.attention_axes.as_ref(), inputs.get(0).shape().len());
        let folding = &cache.folding;
        let Sizes { rows, queries, values, heads, key, value } = self.sizes(inputs, folding);
        for input in 0..self.tensors(inputs.len()) {
            let x = inputs.get(input);
            folding.fold(x, &mut cache.folded[input]);
            if x.shape().len() > 3 {
                folding.fold_mask(inputs.mask(input), x.shape(), &mut cache.masks[input]);
            }
        }
        let bias = |number: usize| self.use_bias.then(|| cx.params.at(number + 1));
        for &role in self.order() {
            let (input, width) = (self.input_of(role, inputs.len()), self.width(role));
            let x = inputs.get(input);
            let to = &mut cache.projected[role];
            to.resize(x.len() / x.last_axis() * width, F::zero());
            let number = self.number(role);
            project(folding.of(x, &cache.folded[input]), cx.params.at(number), bias(number), width, to);
        }
        let [q, v, k, gate] = &mut cache.projected;
        let block = queries * values;
        cache.w.resize(rows * heads * block, F::zero());
        let visible = self.visible(inputs, &cache.masks);
        let given = self.attention_mask.then(|| inputs.get(inputs.len() - 1).data());
        let scale = F::of(1.0 / (key as f64).sqrt());
        for (at, s) in cache.w.chunks_exact_mut(block).enumerate() {
            let (row, head) = (at / heads, at % heads);
            let of_q = Matrix::with_row_stride(&q[(row * queries * heads + head) * key..], queries, key, heads * key);
            let of_k = Matrix::with_row_stride(&k[(row * values * heads + head) * key..], values, key, heads * key);
            gemm(of_q, of_k.t(), Start::Zero, s, values);
            elementwise::scale(scale, s);
            weigh(s, values, Masked::Lowest, allowed(visible, given, row, [rows, queries, values]));
        }
        let dropping = cx.training() && self.dropout > 0.0;
        if dropping {
            drop_weights(
                &cache.w,
                self.dropout,
                self.seed,
                cx,
                &mut cache.dropped,
                &mut cache.kept,
                inputs.get(0).rows(),
            );
        }
        let w = if dropping { &cache.dropped } else { &cache.w };
        let side = heads * value;
        cache.heads.resize(rows * queries * side, F::zero());
        for (at, w) in w.chunks_exact(block).enumerate() {
            let (row, head) = (at / heads, at % heads);
            let of_v = Matrix::with_row_stride(&v[(row * values * heads + head) * value..], values, value, side);
            let to = &mut cache.heads[(row * queries * heads + head) * value..];
            gemm(Matrix::new(w, queries, values), of_v, Start::Zero, to, side);
        }
        let joined = if self.use_gate {
            activation::sigmoid(gate);
            cache.gated.resize(cache.heads.len(), F::zero());
            let products = cache.gated.iter_mut().zip(&cache.heads).zip(&*gate);
            products.for_each(|((to, &y), &gate)| *to = y * gate);
            &cache.gated
        } else {
            &cache.heads
        };
        let number = self.output_number();
        let kernel = cx.params.at(number);
        let [output, ..] = outputs else { return };
        project(
            joined,
            kernel,
            bias(number),
            kernel.len() / side,
            folding.to(output.data_mut(), &mut cache.folded_output),
        );
        folding.unfold(&cache.folded_output, output);
        if self.return_attention_scores {
            outputs[1].data_mut().copy_from_slice(&cache.w);
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut MultiHeadCache<F>,
        cx: &Context<'_, F>,
    ) {
        let Sizes { rows, queries, values, heads, key, value } = self.sizes(inputs, &cache.folding);
        let (block, side) = (queries * values, heads * value);
        let dropping = cx.training() && self.dropout > 0.0;
        let MultiHeadCache { projected, w, dropped, kept, heads: joined, gated, grad_w, grad_heads, .. } = cache;
        let (folding, folded) = (&cache.folding, &cache.folded);
        folding.fold(grad_outputs[0].view(), &mut cache.folded_output);
        let grad_output = folding.of(grad_outputs[0].view(), &cache.folded_output);
        let (grad_projected, grads_by_role) = (&mut cache.grad_projected, &mut cache.grads);
        for (grad, projected) in grad_projected.iter_mut().zip(&*projected) {
            grad.resize(projected.len(), F::zero());
        }
        let number = self.output_number();
        let through = if self.use_gate { &*gated } else { &*joined };
        grad_heads.resize(joined.len(), F::zero());
        self.project_backward(through, number, side, grad_output, Some(grad_heads), grads, cx);
        let [grad_q, grad_v, grad_k, grad_gate] = grad_projected;
        if self.use_gate {
            let gate = &projected[3];
            for (((to, g), &y), &gate) in grad_gate.iter_mut().zip(grad_heads.iter_mut()).zip(&*joined).zip(gate) {
                *to = *g * y;
                *g *= gate;
            }
            activation::sigmoid_backward(gate, grad_gate);
        }
        let [q, v, k, _] = &*projected;
        grad_w.resize(w.len(), F::zero());
        let seen = if dropping { &*dropped } else { &*w };
        for (at, (seen, grad_w)) in seen.chunks_exact(block).zip(grad_w.chunks_exact_mut(block)).enumerate() {
            let (row, head) = (at / heads, at % heads);
            let from_v = (row * values * heads + head) * value;
            let grad_y = &grad_heads[(row * queries * heads + head) * value..];
            let grad_y = Matrix::with_row_stride(grad_y, queries, value, side);
            gemm(Matrix::new(seen, queries, values).t(), grad_y, Start::Zero, &mut grad_v[from_v..], side);
            let of_v = Matrix::with_row_stride(&v[from_v..], values, value, side);
            gemm(grad_y, of_v.t(), Start::Zero, grad_w, values);
        }
        if dropping {
            random::dropout_backward(kept, F::of(self.dropout), grad_w);
        }
        if self.return_attention_scores {
            elementwise::axpy(F::one(), grad_outputs[1].data(), grad_w);
        }
        let visible = self.visible(inputs, &cache.masks);
        let given = self.attention_mask.then(|| inputs.get(inputs.len() - 1).data());
        let scale = F::of(1.0 / (key as f64).sqrt());
        for (at, (w, grad_s)) in w.chunks_exact(block).zip(grad_w.chunks_exact_mut(block)).enumerate() {
            let (row, head) = (at / heads, at % heads);
            weigh_backward(w, grad_s, values, Masked::Lowest, allowed(visible, given, row, [rows, queries, values]));
            elementwise::scale(scale, grad_s);
            let (from_q, from_k) = ((row * queries * heads + head) * key, (row * values * heads + head) * key);
            let grad_s = Matrix::new(grad_s, queries, values);
            let of_q = Matrix::with_row_stride(&q[from_q..], queries, key, heads * key);
            let of_k = Matrix::with_row_stride(&k[from_k..], values, key, heads * key);
            gemm(grad_s, of_k, Start::Zero, &mut grad_q[from_q..], heads * key);
            gemm(grad_s.t(), of_q, Start::Zero, &mut grad_k[from_k..], heads * key);
        }
        for (role, to) in grads_by_role.iter_mut().enumerate() {
            let input = self.input_of(role, inputs.len());
            let x = inputs.get(input);
            to.resize(x.len(), F::zero());
            let (grad, features) = (&grad_projected[role], x.last_axis());
            let x = folding.of(x, &folded[input]);
            self.project_backward(x, self.number(role), features, grad, Some(to), grads, cx);
        }
        if self.use_gate {
            // The gate's part of the query's gradient comes on top.
            let (x, features) = (folding.of(inputs.get(0), &folded[0]), inputs.get(0).last_axis());
            grad_heads.resize(x.len().max(joined.len()), F::zero());
            let part = &mut grad_heads[..x.len()];
            self.project_backward(x, self.number(3), features, &grad_projected[3], Some(part), grads, cx);
            elementwise::axpy(F::one(), part, &mut grads_by_role[0]);
        }
        for (role, of_role) in grads_by_role.iter_mut().enumerate() {
            let x = inputs.get(self.input_of(role, inputs.len()));
            folding.unfold_in_place(of_role, x.shape(), &mut cache.folded_output);
        }
        let [of_q, of_v, of_k] = grads_by_role.each_ref().map(Vec::as_slice);
        write_gradients(self.tensors(inputs.len()), grad_inputs, [of_q, of_v, of_k]);
        if self.attention_mask {
            grad_inputs.write(inputs.len() - 1, |mut grad| grad.fill(F::zero()));
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        Facts::default()
    }
}

impl MultiHeadAttention {
    /// Backward of [`project`] with parameters from `number` on: adds to their gradients, writes that of x.
    fn project_backward<F: Scalar>(
        &self,
        x: &[F],
        number: usize,
        features: usize,
        grad: &[F],
        grad_x: Option<&mut [F]>,
        grads: &mut Grads<'_, F>,
        cx: &Context<'_, F>,
    ) {
        let kernel = cx.params.at(number);
        let (width, rows) = (kernel.len() / features, x.len() / features);
        let matrix = Matrix::new(grad, rows, width);
        if grads.wanted() {
            gemm(Matrix::new(x, rows, features).t(), matrix, Start::Add, grads.at_mut(number), width);
            if self.use_bias {
                reduce::add_column_sums(grad, grads.at_mut(number + 1));
            }
        }
        if let Some(grad_x) = grad_x {
            gemm(matrix, Matrix::new(kernel, features, width).t(), Start::Zero, grad_x, features);
        }
    }
}

/// Which values the queries of row `row` of `rows` may look at. A mask that is given may be one for several rows.
fn allowed<'a, F: Scalar>(
    visible: Visible<'a>,
    given: Option<&'a [F]>,
    row: usize,
    [rows, queries, values]: [usize; 3],
) -> impl Fn(usize, usize) -> bool {
    let visible = visible.of_row(row, queries, values);
    let given = given.map(|mask| {
        let block = queries * values;
        &mask[row * (mask.len() / block) / rows * block..][..block]
    });
    move |i, j| visible.at(i, j) && given.is_none_or(|mask| mask[i * values + j] > F::of(0.5))
}
