//! A network in the making: the last tensor, its size and its channels, and the layers that these networks are made of.

use crate::Activation::{self, Relu};
use crate::Scalar;
use crate::engine::{AnyLayer, IntoLayer};
use crate::layers::{
    Add, AvgPool2D, BatchNormalization, Concatenate, Conv2D, Dense, DepthwiseConv2D, Flatten, GlobalAvgPool2D,
    GlobalMaxPool2D, MaxPool2D, Padding, ReLU, ZeroPadding2D,
};
use crate::models::{Symbol, call};

/// The last tensor of a network in the making.
#[derive(Clone)]
pub(super) struct Net<F: Scalar> {
    x: Symbol<F>,
    /// Height and width, where they are known.
    size: [Option<usize>; 2],
    pub channels: usize,
}

impl<F: Scalar> Net<F> {
    pub fn new(x: Symbol<F>, size: [Option<usize>; 2]) -> Self {
        Self { x, size, channels: 0 }
    }

    pub fn symbol(&self) -> &Symbol<F> {
        &self.x
    }

    /// What a layer makes of it, under a name.
    pub fn layer<M>(self, layer: impl IntoLayer<F, M>, name: impl Into<String>) -> Self {
        let layer: AnyLayer<F> = layer.into_layer().named(name);
        Self { x: self.x.apply(&layer), ..self }
    }

    pub fn add(self, other: &Self, name: impl Into<String>) -> Self {
        self.join(Add::new(), other, name)
    }

    /// What a layer makes of this and another tensor.
    fn join<M>(self, layer: impl IntoLayer<F, M>, other: &Self, name: impl Into<String>) -> Self {
        let layer: AnyLayer<F> = layer.into_layer().named(name);
        Self { x: call(&layer, [&self.x, &other.x]), ..self }
    }

    /// Its features, and behind them those of another.
    pub fn concatenate(self, other: &Self, name: impl Into<String>) -> Self {
        let channels = self.channels + other.channels;
        Self { channels, ..self.join(Concatenate::new(), other, name) }
    }

    fn halved(&self, stride: usize) -> [Option<usize>; 2] {
        self.size.map(|size| size.map(|size| size.div_ceil(stride)))
    }

    /// A convolution that keeps `1 / stride` of the size, whether by its own padding or by a [`pad`](Self::pad) before it.
    pub fn conv(self, layer: Conv2D, filters: usize, stride: usize, name: impl Into<String>) -> Self {
        let size = self.halved(stride);
        Self { size, channels: filters, ..self.layer(layer.strides(stride), name) }
    }

    /// A convolution over single pixels without a bias.
    pub fn pointwise(self, filters: usize, name: impl Into<String>) -> Self {
        self.conv(Conv2D::new(filters, 1).padding(Padding::Same).use_bias(false), filters, 1, name)
    }

    /// A convolution of each channel by itself without a bias. With stride 2 it expects [`pad_for_stride`](Self::pad_for_stride).
    pub fn depthwise(self, kernel: usize, stride: usize, name: impl Into<String>) -> Self {
        let padding = if stride == 1 { Padding::Same } else { Padding::Valid };
        let size = self.halved(stride);
        let layer = DepthwiseConv2D::new(kernel).strides(stride).padding(padding).use_bias(false);
        Self { size, ..self.layer(layer, name) }
    }

    pub fn batch_norm(self, epsilon: f64, momentum: f64, name: impl Into<String>) -> Self {
        self.layer(BatchNormalization::new().epsilon(epsilon).momentum(momentum), name)
    }

    pub fn relu(self, name: impl Into<String>) -> Self {
        self.layer(Relu, name)
    }

    pub fn relu6(self, name: impl Into<String>) -> Self {
        self.layer(ReLU::new().max_value(6.0), name)
    }

    pub fn pad(self, cells: usize, name: impl Into<String>) -> Self {
        self.layer(ZeroPadding2D::new().padding(cells), name)
    }

    /// The padding before a convolution of stride 2, so that its windows lie around the middle: of an even size one cell less in
    /// front.
    pub fn pad_for_stride(self, kernel: usize, name: impl Into<String>) -> Self {
        let sides = self.size.map(|size| {
            let (half, even) = (kernel / 2, size.is_none_or(|size| size.is_multiple_of(2)));
            [half - usize::from(even), half]
        });
        self.layer(ZeroPadding2D::new().padding(sides), name)
    }

    /// The largest values of windows of `pool` cells, two cells apart.
    pub fn max_pool(self, pool: usize, name: impl Into<String>) -> Self {
        let size = self.halved(2);
        Self { size, ..self.layer(MaxPool2D::new().pool_size(pool).strides(2), name) }
    }

    /// The means of 2 × 2 cells.
    pub fn avg_pool(self, name: impl Into<String>) -> Self {
        let size = self.size.map(|size| size.map(|size| size / 2));
        Self { size, ..self.layer(AvgPool2D::new(), name) }
    }

    pub fn global_avg_pool(self, name: impl Into<String>) -> Self {
        self.layer(GlobalAvgPool2D::new(), name)
    }

    pub fn global_max_pool(self, name: impl Into<String>) -> Self {
        self.layer(GlobalMaxPool2D::new(), name)
    }

    pub fn flatten(self, name: impl Into<String>) -> Self {
        self.layer(Flatten::new(), name)
    }

    pub fn dense(self, units: usize, activation: Activation, name: impl Into<String>) -> Self {
        self.layer(Dense::new(units).activation(activation), name)
    }
}
