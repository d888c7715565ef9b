//! Attention with one set of scores.

use super::{Visible, drop_weights, roles, write_gradients};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::attention::{Masked, additive_scores, additive_scores_backward, weigh, weigh_backward};
use crate::kernels::gemm::{Matrix, Start, gemm};
use crate::kernels::{elementwise, random, reduce};
use crate::layers::{Context, Description, Facts, GradInputs, Grads, Inputs, MultiLayer, ParamBuilder};
use crate::tensor::checked_volume;
use crate::{Error, Result, Scalar, Tensor};

layer_options! {
    /// Each query's mean of the values, weighed by how well their keys fit the query.
    ///
    /// y = softmax(s)·v, s = scale·q·kᵀ with `score_mode` dot, or `s[i, j] = weight·Σ tanh(scale·(q[i] + k[j]))` with
    /// concat.
    /// The scores are not divided by √features: see [`MultiHeadAttention`](super::MultiHeadAttention).
    ///
    /// # Shapes
    /// Query (batch, queries, features), value (batch, values, width) and key (batch, values, features), in this order →
    /// (batch, queries, width), with `return_attention_scores` also the weights (batch, queries, values). Without a key
    /// the value is the key, with a single input it is all three. Parameters: `scale` () with `use_scale`,
    /// `concat_score_weight` () with concat.
    ///
    /// Masked values are not looked at; masked queries give zeros, and their mask passes. A query that may look at
    /// nothing weighs by its scores alone.
    /// # Defaults
    /// `use_scale` false, `score_mode` dot, `dropout` 0, `use_causal_mask` false, `return_attention_scores` false.
    /// # Errors
    /// When built: more than three inputs, shapes that do not fit, another `score_mode`, `dropout` below 0, or 1 and more.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (query, value) = (Input::new([5, 8]), Input::new([7, 8]));
    /// let seen = call(Attention::new(), [&query, &value]);
    /// let model = ModelBuilder::new([&query, &value], [&seen]).build()?;
    /// assert_eq!(model.output_shape(0), [5, 8]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Attention`; Luong et al., *Effective approaches to attention-based translation*, 2015.
    pub struct Attention {
        /// Whether the scores have a learned factor. Default: false.
        use_scale: bool = false,
        /// How query and key are compared: `dot` or `concat`. Default: `dot`.
        score_mode: String = "dot".into() => |mode: impl Into<String>| mode.into(),
        /// How much of the weights is dropped in training. Default: 0.
        dropout: f64 = 0.0,
        /// A seed of the layer's own for what is dropped. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
        /// Whether a query looks at no value after its own place. Default: false.
        use_causal_mask: bool = false,
        /// Whether the weights are given too. Default: false.
        return_attention_scores: bool = false,
    }
}

layer_options! {
    /// [`Attention`] whose scores are `s[i, j] = Σ scale·tanh(q[i] + k[j])`, with a learned scale for each feature.
    ///
    /// # Shapes
    /// As [`Attention`]. Parameters: `scale` (features) with `use_scale`.
    /// # Defaults
    /// `use_scale` true, `dropout` 0, `use_causal_mask` false, `return_attention_scores` false.
    /// # Errors
    /// As [`Attention`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (query, value) = (Input::new([5, 8]), Input::new([7, 8]));
    /// let seen = call(AdditiveAttention::new(), [&query, &value]);
    /// let model = ModelBuilder::new([&query, &value], [&seen]).build()?;
    /// assert_eq!(model.count_params(), 8);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `AdditiveAttention`; Bahdanau et al., *Neural machine translation*, 2015.
    pub struct AdditiveAttention {
        /// Whether each feature has a learned factor. Default: true.
        use_scale: bool = true,
        /// How much of the weights is dropped in training. Default: 0.
        dropout: f64 = 0.0,
        /// A seed of the layer's own for what is dropped. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
        /// Whether a query looks at no value after its own place. Default: false.
        use_causal_mask: bool = false,
        /// Whether the weights are given too. Default: false.
        return_attention_scores: bool = false,
    }
}

/// How scores come about.
#[derive(Clone, Copy, PartialEq)]
enum Scores {
    /// Products, perhaps times `scale`.
    Dot { scale: bool },
    /// One learned weight, and perhaps a scale inside.
    Concat { scale: bool },
    /// A scale a feature, or none.
    Additive { scale: bool },
}

/// What both layers are.
struct Plan {
    scores: Scores,
    dropout: f64,
    seed: Option<u64>,
    causal: bool,
    returns_scores: bool,
}

/// Weights, and what was dropped of them.
#[derive(Debug, Default)]
pub struct AttentionCache<F> {
    w: Vec<F>,
    dropped: Vec<F>,
    kept: Vec<u8>,
    grad_w: Vec<F>,
    grads: [Vec<F>; 3],
    a: Vec<F>,
    grad_a: Vec<F>,
}

/// The sizes of a pass.
#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    queries: usize,
    values: usize,
    features: usize,
    width: usize,
}

impl Sizes {
    fn of<F: Scalar>(inputs: Inputs<'_, F>) -> Self {
        let [query, value, _] = roles(inputs.len()).map(|i| [0, 1, 2].map(|axis| inputs.get(i).shape()[axis]));
        Self { rows: query[0], queries: query[1], values: value[1], features: query[2], width: value[2] }
    }
}

impl Plan {
    fn build<F: Scalar>(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        if inputs.is_empty() || inputs.len() > 3 {
            return Err(Error::option("inputs", "query, value and perhaps key", format!("{} tensors", inputs.len())));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::option("dropout", "at least 0 and below 1", self.dropout));
        }
        let [query, value, key] = roles(inputs.len()).map(|i| inputs[i]);
        if let Some(shape) = [query, value, key].into_iter().find(|shape| shape.len() != 2) {
            return Err(Error::input_shape("(timesteps, features)", shape));
        }
        if key[0] != value[0] || key[1] != query[1] {
            return Err(Error::shape(format!("a key ({}, {}) for value and query", value[0], query[1]), key));
        }
        match self.scores {
            Scores::Dot { scale } | Scores::Concat { scale } => {
                if scale {
                    params.add("scale", &[], Initializer::Ones)?;
                }
                if matches!(self.scores, Scores::Concat { .. }) {
                    params.add("concat_score_weight", &[], Initializer::Ones)?;
                }
            }
            Scores::Additive { scale: true } => {
                params.add("scale", &[query[1]], Initializer::GlorotUniform)?;
            }
            Scores::Additive { scale: false } => (),
        }
        // Of a sample, once for the scores and once for their gradients.
        checked_volume(&[2, query[0], value[0]]).map_err(|error| error.within("scores"))?;
        let mut shapes = vec![vec![query[0], value[1]]];
        if self.returns_scores {
            shapes.push(vec![query[0], value[0]]);
        }
        Ok(shapes)
    }

    fn visible<'a, F: Scalar>(&self, inputs: Inputs<'a, F>) -> Visible<'a> {
        let value = if inputs.len() > 1 { inputs.mask(1) } else { inputs.mask(0) };
        Visible { query: None, values: [value, None], causal: self.causal, window: None }
    }

    /// The vector a and the factor c of additive scores.
    fn additive<F: Scalar>(&self, features: usize, cx: &Context<'_, F>, a: &mut Vec<F>) -> F {
        a.clear();
        let one = F::one();
        match self.scores {
            Scores::Additive { scale: true } => a.extend_from_slice(cx.params.at(0)),
            Scores::Concat { scale } => a.resize(features, cx.params.at(usize::from(scale))[0]),
            _ => a.resize(features, one),
        }
        if self.scores == (Scores::Concat { scale: true }) { cx.params.at(0)[0] } else { one }
    }

    fn forward<F: Scalar>(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &mut [Tensor<F>],
        cache: &mut AttentionCache<F>,
        cx: &Context<'_, F>,
    ) {
        let Sizes { rows, queries, values, features, width } = Sizes::of(inputs);
        let [q, v, k] = roles(inputs.len()).map(|i| inputs.get(i).data());
        let visible = self.visible(inputs);
        let block = queries * values;
        cache.w.resize(rows * block, F::zero());
        let c = self.additive(features, cx, &mut cache.a);
        for (row, s) in cache.w.chunks_exact_mut(block).enumerate() {
            let (q, k) = (&q[row * queries * features..][..queries * features], &k[row * values * features..]);
            let k = &k[..values * features];
            if let Scores::Dot { scale } = self.scores {
                gemm(Matrix::new(q, queries, features), Matrix::new(k, values, features).t(), Start::Zero, s, values);
                if scale {
                    elementwise::scale(cx.params.at(0)[0], s);
                }
            } else {
                additive_scores(q, k, &cache.a, c, s);
            }
            let visible = visible.of_row(row, queries, values);
            weigh(s, values, Masked::Lowered, |i, j| visible.at(i, j));
        }
        let dropping = cx.training() && self.dropout > 0.0;
        if dropping {
            drop_weights(&cache.w, self.dropout, self.seed, cx, &mut cache.dropped, &mut cache.kept, rows);
        }
        let w = if dropping { &cache.dropped } else { &cache.w };
        for (row, y) in outputs[0].data_mut().chunks_exact_mut(queries * width).enumerate() {
            let w = Matrix::new(&w[row * block..][..block], queries, values);
            gemm(w, Matrix::new(&v[row * values * width..], values, width), Start::Zero, y, width);
        }
        zero_masked(inputs.mask(0), width, outputs[0].data_mut());
        if self.returns_scores {
            outputs[1].data_mut().copy_from_slice(w);
        }
    }

    fn backward<F: Scalar>(
        &self,
        inputs: Inputs<'_, F>,
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AttentionCache<F>,
        cx: &Context<'_, F>,
    ) {
        let Sizes { rows, queries, values, features, width } = Sizes::of(inputs);
        let [q, v, k] = roles(inputs.len()).map(|i| inputs.get(i).data());
        let visible = self.visible(inputs);
        let block = queries * values;
        let dropping = cx.training() && self.dropout > 0.0;
        zero_masked(inputs.mask(0), width, grad_outputs[0].data_mut());
        let AttentionCache { w, dropped, kept, grad_w, grads: [grad_q, grad_v, grad_k], a, grad_a } = cache;
        for (memory, len) in [(&mut *grad_q, q.len()), (&mut *grad_v, v.len()), (&mut *grad_k, k.len())] {
            memory.clear();
            memory.resize(len, F::zero());
        }
        grad_a.clear();
        grad_a.resize(features, F::zero());
        grad_w.resize(rows * block, F::zero());
        let c = self.additive(features, cx, a);
        let seen = if dropping { &*dropped } else { &*w };
        for row in 0..rows {
            let grad_y = &grad_outputs[0].data()[row * queries * width..][..queries * width];
            let grad_y = Matrix::new(grad_y, queries, width);
            let of_v = row * values * width..(row + 1) * values * width;
            let of_w = row * block..(row + 1) * block;
            let seen = Matrix::new(&seen[of_w.clone()], queries, values);
            gemm(seen.t(), grad_y, Start::Zero, &mut grad_v[of_v.clone()], width);
            gemm(grad_y, Matrix::new(&v[of_v], values, width).t(), Start::Zero, &mut grad_w[of_w], values);
        }
        if self.returns_scores {
            elementwise::axpy(F::one(), grad_outputs[1].data(), grad_w);
        }
        if dropping {
            random::dropout_backward(kept, F::of(self.dropout), grad_w);
        }
        let (mut grad_scale, mut grad_c) = (F::zero(), F::zero());
        for row in 0..rows {
            let of_w = row * block..(row + 1) * block;
            let (of_q, of_k) = (row * queries * features, row * values * features);
            let (q, k) = (&q[of_q..][..queries * features], &k[of_k..][..values * features]);
            let (grad_q, grad_k) = (&mut grad_q[of_q..][..q.len()], &mut grad_k[of_k..][..k.len()]);
            let visible = visible.of_row(row, queries, values);
            let grad_s = &mut grad_w[of_w.clone()];
            weigh_backward(&w[of_w], grad_s, values, Masked::Lowered, |i, j| visible.at(i, j));
            if let Scores::Dot { scale } = self.scores {
                let matrix = Matrix::new(grad_s, queries, values);
                gemm(matrix, Matrix::new(k, values, features), Start::Zero, grad_q, features);
                gemm(matrix.t(), Matrix::new(q, queries, features), Start::Zero, grad_k, features);
                if scale {
                    // Σ ∂s·(q·k) = Σ q·(∂s·k).
                    grad_scale += reduce::dot(q, grad_q);
                    elementwise::scale(cx.params.at(0)[0], grad_q);
                    elementwise::scale(cx.params.at(0)[0], grad_k);
                }
            } else {
                grad_c += additive_scores_backward(q, k, a, c, grad_s, grad_q, grad_k, grad_a);
            }
        }
        if grads.wanted() {
            match self.scores {
                Scores::Dot { scale: true } => grads.at_mut(0)[0] += grad_scale,
                Scores::Concat { scale } => {
                    if scale {
                        grads.at_mut(0)[0] += grad_c;
                    }
                    grads.at_mut(usize::from(scale))[0] += grad_a.iter().copied().sum();
                }
                Scores::Additive { scale: true } => elementwise::axpy(F::one(), grad_a, grads.at_mut(0)),
                _ => (),
            }
        }
        write_gradients(inputs.len(), grad_inputs, [grad_q, grad_v, grad_k]);
    }
}

/// Rows of `width` values ← 0 where the mask says so.
fn zero_masked<F: Scalar>(mask: Option<&[bool]>, width: usize, y: &mut [F]) {
    if let Some(mask) = mask {
        for (y, _) in y.chunks_exact_mut(width).zip(mask).filter(|(_, counts)| !**counts) {
            y.fill(F::zero());
        }
    }
}

impl Attention {
    fn plan(&self) -> Plan {
        let scale = self.use_scale;
        let scores = if self.score_mode == "concat" { Scores::Concat { scale } } else { Scores::Dot { scale } };
        let (causal, returns_scores) = (self.use_causal_mask, self.return_attention_scores);
        Plan { scores, dropout: self.dropout, seed: self.seed, causal, returns_scores }
    }

    fn check(&self) -> Result<()> {
        match self.score_mode.as_str() {
            "dot" | "concat" => Ok(()),
            other => Err(Error::option("score_mode", "dot or concat", other)),
        }
    }
}

impl AdditiveAttention {
    fn plan(&self) -> Plan {
        let (causal, returns_scores) = (self.use_causal_mask, self.return_attention_scores);
        let scores = Scores::Additive { scale: self.use_scale };
        Plan { scores, dropout: self.dropout, seed: self.seed, causal, returns_scores }
    }

    #[allow(clippy::unnecessary_wraps)] // as `Attention::check`
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

macro_rules! attention {
    ($layer:ident) => {
        impl<F: Scalar> MultiLayer<F> for $layer {
            type Cache = AttentionCache<F>;

            fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
                self.check()?;
                self.plan().build(inputs, params)
            }

            /// Scores, what is dropped of them, and their gradients.
            fn workspace(&self, inputs: &[&[usize]]) -> usize {
                let [query, value, _] = roles(inputs.len()).map(|i| inputs[i]);
                query[0].saturating_mul(value[0]).saturating_mul(3)
            }

            fn forward(
                &self,
                inputs: Inputs<'_, F>,
                outputs: &mut [Tensor<F>],
                cache: &mut AttentionCache<F>,
                cx: &Context<'_, F>,
            ) {
                self.plan().forward(inputs, outputs, cache, cx);
            }

            fn backward(
                &self,
                inputs: Inputs<'_, F>,
                _: &[Tensor<F>],
                grad_outputs: &mut [Tensor<F>],
                grad_inputs: &mut GradInputs<'_, F>,
                grads: &mut Grads<'_, F>,
                cache: &mut AttentionCache<F>,
                cx: &Context<'_, F>,
            ) {
                self.plan().backward(inputs, grad_outputs, grad_inputs, grads, cache, cx);
            }

            fn describe(&self) -> Description {
                Description::of(self)
            }

            fn facts(&self) -> Facts {
                Facts::default()
            }
        }
    };
}

attention!(Attention);
attention!(AdditiveAttention);
