//! VGG: convolutions of 3 × 3, more filters in each stage, and three dense layers.

use super::net::Net;
use crate::Activation::Relu;
use crate::Scalar;
use crate::layers::{Conv2D, Padding};

/// How many convolutions each stage has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub name: &'static str,
    convolutions: [usize; 5],
}

pub(super) const VGG16: Depth = Depth { name: "vgg16", convolutions: [2, 2, 3, 3, 3] };
pub(super) const VGG19: Depth = Depth { name: "vgg19", convolutions: [2, 2, 4, 4, 4] };

pub(super) fn features<F: Scalar>(mut net: Net<F>, depth: Depth) -> Net<F> {
    for (stage, (convolutions, filters)) in depth.convolutions.into_iter().zip([64, 128, 256, 512, 512]).enumerate() {
        let block = format!("block{}", stage + 1);
        for number in 1..=convolutions {
            let layer = Conv2D::new(filters, 3).padding(Padding::Same).activation(Relu);
            net = net.conv(layer, filters, 1, format!("{block}_conv{number}"));
        }
        net = net.max_pool(2, format!("{block}_pool"));
    }
    net
}

pub(super) fn before_classifier<F: Scalar>(net: Net<F>) -> Net<F> {
    net.flatten("flatten").dense(4096, Relu, "fc1").dense(4096, Relu, "fc2")
}
