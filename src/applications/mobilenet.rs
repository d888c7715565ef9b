//! MobileNetV2: blocks that widen, look at each channel by itself, and narrow again.

use super::net::Net;
use crate::Scalar;
use crate::layers::{Conv2D, Padding};

/// Filters of each stage, its first stride, how many blocks it has.
const STAGES: [(usize, usize, usize); 7] =
    [(16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1)];

/// The nearest multiple of 8 that is at most a tenth smaller.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // small positive numbers
fn make_divisible(filters: f64) -> usize {
    let rounded = (((filters + 4.0) as usize) / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * filters { rounded + 8 } else { rounded }
}

#[allow(clippy::cast_precision_loss)] // small numbers
fn wide(filters: usize, alpha: f64) -> usize {
    make_divisible(filters as f64 * alpha)
}

pub(super) fn features<F: Scalar>(net: Net<F>, alpha: f64) -> Net<F> {
    let first = wide(32, alpha);
    let conv = Conv2D::new(first, 3).padding(Padding::Same).use_bias(false);
    let mut net = batch_norm(net.conv(conv, first, 2, "Conv1"), "bn_Conv1").relu6("Conv1_relu");
    let mut number = 0;
    for (filters, stride, blocks) in STAGES {
        for block in 0..blocks {
            net = inverted_residual(net, wide(filters, alpha), if block == 0 { stride } else { 1 }, number);
            number += 1;
        }
    }
    let last = if alpha > 1.0 { wide(1280, alpha) } else { 1280 };
    let conv = Conv2D::new(last, 1).use_bias(false);
    batch_norm(net.conv(conv, last, 1, "Conv_1"), "Conv_1_bn").relu6("out_relu")
}

/// One block; the first of all does not widen.
fn inverted_residual<F: Scalar>(net: Net<F>, filters: usize, stride: usize, number: usize) -> Net<F> {
    let (input, channels) = (net.clone(), net.channels);
    let prefix = if number == 0 { "expanded_conv".to_owned() } else { format!("block_{number}") };
    let mut net = net;
    if number > 0 {
        net = batch_norm(net.pointwise(6 * channels, format!("{prefix}_expand")), &format!("{prefix}_expand_BN"));
        net = net.relu6(format!("{prefix}_expand_relu"));
    }
    if stride == 2 {
        net = net.pad_for_stride(3, format!("{prefix}_pad"));
    }
    net = batch_norm(net.depthwise(3, stride, format!("{prefix}_depthwise")), &format!("{prefix}_depthwise_BN"));
    net = net.relu6(format!("{prefix}_depthwise_relu")).pointwise(filters, format!("{prefix}_project"));
    net = batch_norm(net, &format!("{prefix}_project_BN"));
    if channels == filters && stride == 1 { input.add(&net, format!("{prefix}_add")) } else { net }
}

fn batch_norm<F: Scalar>(net: Net<F>, name: &str) -> Net<F> {
    net.batch_norm(1e-3, 0.999, name)
}
