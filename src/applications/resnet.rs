//! ResNet: blocks whose convolutions learn what is to be added to their input.

use super::net::Net;
use crate::Scalar;
use crate::layers::{Conv2D, Padding};

/// How many blocks each stage has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub name: &'static str,
    blocks: [usize; 4],
}

pub(super) const RESNET50: Depth = Depth { name: "resnet50", blocks: [3, 4, 6, 3] };
pub(super) const RESNET101: Depth = Depth { name: "resnet101", blocks: [3, 4, 23, 3] };
pub(super) const RESNET152: Depth = Depth { name: "resnet152", blocks: [3, 8, 36, 3] };

pub(super) fn features<F: Scalar>(net: Net<F>, depth: Depth) -> Net<F> {
    let net = net.pad(3, "conv1_pad").conv(Conv2D::new(64, 7), 64, 2, "conv1_conv");
    let mut net = batch_norm(net, "conv1_bn").relu("conv1_relu").pad(1, "pool1_pad").max_pool(3, "pool1_pool");
    for (stage, (blocks, filters)) in depth.blocks.into_iter().zip([64, 128, 256, 512]).enumerate() {
        for number in 1..=blocks {
            let stride = if stage > 0 && number == 1 { 2 } else { 1 };
            net = block(net, filters, stride, number == 1, &format!("conv{}_block{number}", stage + 2));
        }
    }
    net
}

/// Three convolutions, the outer ones over single pixels; the first block of a stage changes size and channels on both ways.
fn block<F: Scalar>(net: Net<F>, filters: usize, stride: usize, changes: bool, name: &str) -> Net<F> {
    let around = if changes {
        let conv = net.clone().conv(Conv2D::new(4 * filters, 1), 4 * filters, stride, format!("{name}_0_conv"));
        batch_norm(conv, &format!("{name}_0_bn"))
    } else {
        net.clone()
    };
    let inside = net.conv(Conv2D::new(filters, 1), filters, stride, format!("{name}_1_conv"));
    let inside = batch_norm(inside, &format!("{name}_1_bn")).relu(format!("{name}_1_relu"));
    let inside = inside.conv(Conv2D::new(filters, 3).padding(Padding::Same), filters, 1, format!("{name}_2_conv"));
    let inside = batch_norm(inside, &format!("{name}_2_bn")).relu(format!("{name}_2_relu"));
    let inside = inside.conv(Conv2D::new(4 * filters, 1), 4 * filters, 1, format!("{name}_3_conv"));
    let inside = batch_norm(inside, &format!("{name}_3_bn"));
    around.add(&inside, format!("{name}_add")).relu(format!("{name}_out"))
}

fn batch_norm<F: Scalar>(net: Net<F>, name: &str) -> Net<F> {
    net.batch_norm(1.001e-5, 0.99, name)
}
