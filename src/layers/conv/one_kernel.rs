//! Convolutions with one kernel: plain, transposed and depthwise.

use super::{Placement, activate, at_least_one, depthwise_filters, finish, output_shape};
use crate::kernels::conv::{self, Direction, Finish, Geometry, KeptKernel, TapSums, Workspace};
use crate::kernels::reduce;
use crate::layers::spatial::{PerAxis, axes};
use crate::layers::{Context, Description, Facts, Grads, Layer, MaskRule, ParamBuilder, Weight};
use crate::regularizers::Regularizer;
use crate::{Activation, Error, Result, Scalar, View, ViewMut};

/// What such a layer keeps between its passes: working memory, and the sums before the activation where its derivative
/// needs them.
#[derive(Debug)]
pub struct ConvCache<F> {
    workspace: Workspace<F>,
    z: Vec<F>,
}

impl<F> Default for ConvCache<F> {
    fn default() -> Self {
        Self { workspace: Workspace::default(), z: Vec::new() }
    }
}

/// What the kernel does.
#[derive(Clone, Copy)]
pub(super) enum Kind<const N: usize> {
    Plain {
        filters: usize,
        groups: usize,
        causal: bool,
    },
    /// The gradient by the input of the convolution that it transposes: x is the output of that one, y its input.
    Transposed {
        filters: usize,
        output_padding: Option<PerAxis<N>>,
    },
    Depthwise {
        multiplier: usize,
    },
}

/// A layer with one kernel, as its options say it.
pub(super) struct Convolution<'a, const N: usize> {
    pub kind: Kind<N>,
    pub placement: Placement<N>,
    pub activation: &'a Activation,
    pub kernel: &'a Weight,
    pub bias: Option<&'a Weight>,
    pub activity_regularizer: Option<&'a Regularizer>,
}

const KERNEL: usize = 0;
const BIAS: usize = 1;

impl<const N: usize> Convolution<'_, N> {
    fn check(&self) -> Result<()> {
        match self.kind {
            Kind::Plain { filters, groups, causal } => {
                at_least_one("filters", filters)?;
                at_least_one("groups", groups)?;
                self.placement.check(causal)?;
                self.placement.check_exclusive()?;
                if !filters.is_multiple_of(groups) {
                    let expected = format!("a divisor of `filters`, which is {filters}");
                    return Err(Error::option("groups", expected, groups));
                }
                Ok(())
            }
            Kind::Transposed { filters, .. } => {
                at_least_one("filters", filters)?;
                self.placement.check(false)?;
                self.placement.check_exclusive()
            }
            Kind::Depthwise { multiplier } => {
                at_least_one("depth_multiplier", multiplier)?;
                self.placement.check(false)
            }
        }
    }

    fn geometry(&self, input: &[usize]) -> Result<Geometry> {
        match self.kind {
            Kind::Plain { filters, groups, .. } => self.placement.geometry(input, filters, groups),
            Kind::Transposed { filters, output_padding } => self.placement.transposed(input, filters, output_padding),
            Kind::Depthwise { multiplier } => {
                let (_, channels) = axes::<N>(input)?;
                self.placement.geometry(input, depthwise_filters(channels, multiplier)?, channels)
            }
        }
    }

    /// The geometry of an input that the layer was built for, without its batch.
    fn built_geometry(&self, input: &[usize]) -> Geometry {
        self.geometry(input).expect("checked when built")
    }

    /// The same of an input without the zeros around it that the layer was built for.
    fn bordered_geometry(&self, input: &[usize], border: [[usize; 2]; 3]) -> Geometry {
        let (border, mut whole) = (&border[3 - N..], [0; 4]);
        whole[..=N].copy_from_slice(input);
        for (cells, [before, behind]) in whole.iter_mut().zip(border) {
            *cells += before + behind;
        }
        let mut geometry = self.built_geometry(&whole[..=N]);
        for (axis, [before, behind]) in border.iter().enumerate() {
            let at = 3 - N + axis;
            geometry.input[at] -= before + behind;
            geometry.before[at] += before;
        }
        geometry
    }

    fn is_transposed(&self) -> bool {
        matches!(self.kind, Kind::Transposed { .. })
    }
}

/// y = f(bias + convolution of x).
impl<F: Scalar, const N: usize> Layer<F> for Convolution<'_, N> {
    type Cache = ConvCache<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        self.check()?;
        let geometry = self.geometry(input)?;
        let Geometry { channels, .. } = geometry;
        // The kernel's last two axes, and the output's cells and channels.
        let (ends, cells, filters) = match self.kind {
            Kind::Plain { filters, groups, .. } => {
                if !channels.is_multiple_of(groups) {
                    let expected = format!("a divisor of the input's channels, {channels}");
                    return Err(Error::option("groups", expected, groups));
                }
                ([channels / groups, filters], geometry.output, filters)
            }
            Kind::Transposed { filters, .. } => ([filters, geometry.filters], geometry.input, filters),
            Kind::Depthwise { multiplier } => ([channels, multiplier], geometry.output, geometry.filters),
        };
        self.activation.check(input.len() + 1)?;
        let output = output_shape(&cells[3 - N..], filters)?;
        params.add_weight("kernel", &[&self.placement.kernel_size.0[..], &ends].concat(), self.kernel)?;
        if let Some(bias) = self.bias {
            params.add_weight("bias", &[filters], bias)?;
        }
        Ok(output)
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, cache: &mut ConvCache<F>, cx: &Context<'_, F>) {
        // What has been folded into the layer gives it a bias.
        let (kernel, bias) = (cx.params.at(KERNEL), (cx.params.len() > BIAS).then(|| cx.params.at(BIAS)));
        let activation = cx.activation(self.activation);
        let direction = if self.is_transposed() { Direction::Backward } else { Direction::Forward };
        let (geometry, kept) = (&self.bordered_geometry(&x.shape()[1..], cx.border()), cx.keep(KeptKernel::default));
        let finish = finish(activation);
        conv::sum_taps(
            TapSums { geometry, direction, source: &x, kernel, kept, bias, finish, target: &mut y },
            &mut cache.workspace,
        );
        activate(activation, y, &mut cache.z, cx);
    }

    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        cache: &mut ConvCache<F>,
        cx: &Context<'_, F>,
    ) {
        let geometry = self.built_geometry(&x.shape()[1..]);
        cx.activation(self.activation).backward(&cache.z, y, grad_y.lend());
        if grads.wanted() {
            let (of_input, of_output) = if self.is_transposed() { (&*grad_y, &*x) } else { (&*x, &*grad_y) };
            conv::grad_kernel(&geometry, of_input, of_output, grads.at_mut(KERNEL), &mut cache.workspace);
            if self.bias.is_some() {
                reduce::add_column_sums(&grad_y, grads.at_mut(BIAS));
            }
        }
        if let Some(mut grad_x) = grad_x {
            let pass = if self.is_transposed() { conv::forward } else { conv::grad_input };
            let kernel = cx.params.at(KERNEL);
            pass(&geometry, &grad_y, kernel, None, Finish::Linear, &mut grad_x, &mut cache.workspace);
        }
    }

    fn facts(&self) -> Facts {
        let facts = Facts::default().mask(MaskRule::Stop).output_activation(self.activation);
        if self.is_transposed() { facts } else { facts.folds().folds_border() }
    }

    fn describe(&self) -> Description {
        Description::of_type::<Self>().activity_regularizer(self.activity_regularizer)
    }
}
