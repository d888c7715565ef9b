//! DenseNet: every convolution sees the features of all before it in its stage.

use super::net::Net;
use crate::Scalar;
use crate::layers::{Conv2D, Padding};

/// How many pairs of convolutions each stage has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub name: &'static str,
    blocks: [usize; 4],
}

pub(super) const DENSENET121: Depth = Depth { name: "densenet121", blocks: [6, 12, 24, 16] };
pub(super) const DENSENET169: Depth = Depth { name: "densenet169", blocks: [6, 12, 32, 32] };
pub(super) const DENSENET201: Depth = Depth { name: "densenet201", blocks: [6, 12, 48, 32] };

/// Features that a pair of convolutions adds.
const GROWTH: usize = 32;

pub(super) fn features<F: Scalar>(net: Net<F>, depth: Depth) -> Net<F> {
    let conv = Conv2D::new(64, 7).use_bias(false);
    let net = net.pad(3, "zero_padding2d").conv(conv, 64, 2, "conv1_conv");
    let mut net = norm_relu(net, "conv1").pad(1, "zero_padding2d_1").max_pool(3, "pool1");
    for (stage, blocks) in depth.blocks.into_iter().enumerate() {
        let number = stage + 2;
        for block in 1..=blocks {
            net = pair(net, &format!("conv{number}_block{block}"));
        }
        if stage < 3 {
            net = transition(net, &format!("pool{number}"));
        }
    }
    batch_norm(net, "bn").relu("relu")
}

fn pair<F: Scalar>(net: Net<F>, name: &str) -> Net<F> {
    let inside = norm_relu(net.clone(), &format!("{name}_0")).pointwise(4 * GROWTH, format!("{name}_1_conv"));
    let conv = Conv2D::new(GROWTH, 3).padding(Padding::Same).use_bias(false);
    let inside = norm_relu(inside, &format!("{name}_1")).conv(conv, GROWTH, 1, format!("{name}_2_conv"));
    net.concatenate(&inside, format!("{name}_concat"))
}

/// Half the features, at half the size.
fn transition<F: Scalar>(net: Net<F>, name: &str) -> Net<F> {
    let half = net.channels / 2;
    norm_relu(net, name).pointwise(half, format!("{name}_conv")).avg_pool(format!("{name}_pool"))
}

fn norm_relu<F: Scalar>(net: Net<F>, name: &str) -> Net<F> {
    batch_norm(net, &format!("{name}_bn")).relu(format!("{name}_relu"))
}

fn batch_norm<F: Scalar>(net: Net<F>, name: &str) -> Net<F> {
    net.batch_norm(1.001e-5, 0.99, name)
}
