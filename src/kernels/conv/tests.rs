use super::{Finish, Geometry, Workspace, forward, grad_input, grad_kernel, winograd};
use crate::Scalar;
use crate::kernels::dispatch::forced::on_every_isa;
use crate::kernels::gemm::tests::numbers;

/// Calls `visit` with the places in x, kernel and y of every product that the formula sums, for one sample.
fn products(g: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let (depth, columns) = (g.channels / g.groups, g.filters / g.groups);
    let indices = |size: [usize; 3]| {
        (0..size[0]).flat_map(move |z| (0..size[1]).flat_map(move |y| (0..size[2]).map(move |x| [z, y, x])))
    };
    let place = |[z, y, x]: [usize; 3], size: [usize; 3]| (z * size[1] + y) * size[2] + x;
    for o in indices(g.output) {
        for t in indices(g.kernel) {
            let cell = [0, 1, 2].map(|a| (o[a] * g.strides[a] + t[a] * g.dilation[a]).wrapping_sub(g.before[a]));
            if (0..3).any(|a| cell[a] >= g.input[a]) {
                continue;
            }
            for filter in 0..g.filters {
                for i in 0..depth {
                    let channel = filter / columns * depth + i;
                    visit(
                        place(cell, g.input) * g.channels + channel,
                        (place(t, g.kernel) * depth + i) * g.filters + filter,
                        place(o, g.output) * g.filters + filter,
                    );
                }
            }
        }
    }
}

fn near<F: Scalar>(got: &[F], want: &[f64], what: &str, g: &Geometry) {
    assert_eq!(got.len(), want.len());
    for (i, (got, &want)) in got.iter().zip(want).enumerate() {
        let error = (got.f64() - want).abs();
        assert!(error <= 2000.0 * F::epsilon().f64(), "{what}[{i}] is {got}, not {want}: {g:?}");
    }
}

/// All three passes against the formula, in f64, one product after the other.
fn check<F: Scalar>(g: &Geometry, samples: usize, workspace: &mut Workspace<F>) {
    let wide = |values: &[F]| values.iter().map(|x| x.f64()).collect::<Vec<f64>>();
    let (x_len, y_len) = (g.input_len(), g.output_len());
    let x = numbers::<F>(samples * x_len, 1);
    let (kernel, bias, bias_x) =
        (numbers::<F>(g.kernel_len(), 2), numbers::<F>(g.filters, 3), numbers::<F>(g.channels, 4));
    let grad_y = numbers::<F>(samples * y_len, 5);
    let before = numbers::<F>(g.kernel_len(), 6);

    let mut y_want: Vec<f64> = (0..samples * y_len).map(|i| bias[i % g.filters].f64()).collect();
    let mut x_want: Vec<f64> = (0..samples * x_len).map(|i| bias_x[i % g.channels].f64()).collect();
    let mut kernel_want = wide(&before);
    for s in 0..samples {
        products(g, |i, k, o| {
            let (i, o) = (s * x_len + i, s * y_len + o);
            y_want[o] += x[i].f64() * kernel[k].f64();
            x_want[i] += grad_y[o].f64() * kernel[k].f64();
            kernel_want[k] += grad_y[o].f64() * x[i].f64();
        });
    }

    let mut y = vec![F::nan(); samples * y_len];
    forward(g, &x, &kernel, Some(&bias), Finish::Linear, &mut y, workspace);
    near(&y, &y_want, "y", g);
    forward(g, &x, &kernel, Some(&bias), Finish::Relu, &mut y, workspace);
    near(&y, &y_want.iter().map(|y| y.max(0.0)).collect::<Vec<_>>(), "relu of y", g);
    forward(g, &x, &kernel, None, Finish::Linear, &mut y, workspace);
    let without: Vec<f64> = y_want.iter().enumerate().map(|(i, y)| y - bias[i % g.filters].f64()).collect();
    near(&y, &without, "y without bias", g);

    let mut grad_x = vec![F::nan(); samples * x_len];
    grad_input(g, &grad_y, &kernel, Some(&bias_x), Finish::Linear, &mut grad_x, workspace);
    near(&grad_x, &x_want, "grad_x", g);
    grad_input(g, &grad_y, &kernel, Some(&bias_x), Finish::Relu, &mut grad_x, workspace);
    near(&grad_x, &x_want.iter().map(|x| x.max(0.0)).collect::<Vec<_>>(), "relu of grad_x", g);

    let mut grad = before;
    grad_kernel(g, &x, &grad_y, &mut grad, workspace);
    near(&grad, &kernel_want, "grad_kernel", g);
}

/// Along one axis, (input, taps, stride, dilation, padding before and behind).
type Sizes = (usize, usize, usize, usize, usize, usize);

fn geometry(axes: [Sizes; 3], channels: usize, filters: usize, groups: usize) -> Geometry {
    let output = axes.map(|(n, taps, stride, dilation, before, behind)| {
        (n + before + behind - (taps - 1) * dilation - 1) / stride + 1
    });
    Geometry {
        input: axes.map(|axis| axis.0),
        output,
        kernel: axes.map(|axis| axis.1),
        strides: axes.map(|axis| axis.2),
        dilation: axes.map(|axis| axis.3),
        before: axes.map(|axis| axis.4),
        channels,
        filters,
        groups,
    }
}

const POINT: Sizes = (1, 1, 1, 1, 0, 0);

#[test]
fn agrees_with_the_formula_at_odd_shapes() {
    let axes: [[Sizes; 3]; 11] = [
        [POINT, POINT, POINT],
        [POINT, POINT, (9, 3, 1, 1, 0, 0)],
        [POINT, POINT, (300, 2, 1, 1, 1, 0)],
        [POINT, (5, 1, 1, 1, 0, 0), (7, 1, 1, 1, 0, 0)],
        [POINT, (6, 3, 1, 1, 1, 1), (8, 3, 1, 1, 1, 1)],
        [POINT, (7, 3, 2, 1, 1, 1), (9, 2, 3, 1, 0, 1)],
        [POINT, (8, 2, 1, 3, 1, 2), (6, 3, 1, 2, 2, 2)],
        [POINT, (3, 5, 1, 1, 2, 2), (2, 4, 1, 1, 1, 2)],
        [POINT, (9, 1, 2, 1, 0, 0), (5, 2, 4, 1, 0, 0)],
        [(3, 2, 1, 1, 0, 1), (4, 3, 1, 1, 1, 1), (5, 2, 2, 1, 0, 0)],
        [(4, 2, 2, 1, 0, 0), (3, 2, 1, 2, 1, 1), (3, 3, 1, 1, 1, 1)],
    ];
    let channels = [
        (1, 1, 1),
        (1, 9, 1),
        (3, 16, 1),
        (5, 2, 1),
        (17, 35, 1),
        (19, 3, 1),
        (2, 40, 1),
        (36, 4, 2),
        (4, 6, 2),
        (6, 6, 6),
        (3, 6, 3),
        (21, 21, 21),
    ];
    on_every_isa(|_| {
        for axes in axes {
            for (channels, filters, groups) in channels {
                let g = geometry(axes, channels, filters, groups);
                if cfg!(miri) {
                    // An interpreter takes the small ones, and one check of each.
                    if g.output_len() * g.taps() * channels / groups < 1500 {
                        check::<f32>(&g, 1, &mut Workspace::default());
                    }
                    continue;
                }
                for samples in [1, 3] {
                    check::<f64>(&g, samples, &mut Workspace::default());
                }
                check::<f32>(&g, 2, &mut Workspace::default());
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn several_blocks_and_workspaces_used_again() {
    on_every_isa(|_| {
        let mut workspace = Workspace::default();
        for (axes, channels, filters) in [
            ([POINT, (13, 3, 1, 1, 0, 0), (13, 3, 1, 1, 0, 0)], 32, 64),
            ([POINT, (40, 3, 1, 1, 1, 1), (40, 3, 1, 1, 1, 1)], 24, 3),
            ([POINT, (2, 3, 1, 1, 1, 1), (2, 3, 1, 1, 1, 1)], 130, 70),
            ([POINT, POINT, (700, 5, 1, 1, 4, 0)], 2, 20),
        ] {
            let g = geometry(axes, channels, filters, 1);
            check::<f32>(&g, 5, &mut workspace);
            check::<f32>(&g, 1, &mut workspace);
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn tiles_of_two_by_two() {
    on_every_isa(|_| {
        let mut workspaces = (Workspace::default(), Workspace::default());
        // Padding before and behind, edges that cut tiles, planes along the depth, more tiles than are done at a time.
        for (axes, channels, filters, samples) in [
            ([POINT, (10, 3, 1, 1, 0, 0), (9, 3, 1, 1, 0, 0)], 48, 56, 4),
            ([POINT, (7, 3, 1, 1, 1, 1), (14, 3, 1, 1, 1, 1)], 64, 48, 3),
            ([(3, 1, 1, 1, 0, 0), (8, 3, 1, 1, 2, 1), (8, 3, 1, 1, 0, 2)], 56, 64, 2),
        ] {
            let g = geometry(axes, channels, filters, 1);
            assert!(winograd::fits(&g, samples));
            check::<f32>(&g, samples, &mut workspaces.0);
            check::<f64>(&g, samples, &mut workspaces.1);
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn nan_stays_in_its_windows_there_too() {
    let g = geometry([POINT, (16, 3, 1, 1, 1, 1), (16, 3, 1, 1, 1, 1)], 48, 48, 1);
    let (mut x, mut y) = (vec![1.0f32; g.input_len()], vec![0.0; g.output_len()]);
    x[(5 * 16 + 6) * 48] = f32::NAN;
    forward(&g, &x, &vec![1.0; g.kernel_len()], None, Finish::Relu, &mut y, &mut Workspace::default());
    for (pixel, y) in y.chunks(48).enumerate() {
        let seen = (pixel / 16).abs_diff(5) <= 1 && (pixel % 16).abs_diff(6) <= 1;
        assert!(y.iter().all(|y| y.is_nan() == seen), "pixel {pixel}");
    }
}

#[test]
fn no_samples_and_nan() {
    let g = geometry([POINT, (4, 3, 1, 1, 1, 1), (4, 3, 1, 1, 1, 1)], 2, 3, 1);
    let mut workspace = Workspace::<f32>::default();
    forward(&g, &[], &vec![1.0; g.kernel_len()], None, Finish::Relu, &mut [], &mut workspace);
    grad_kernel(&g, &[], &[], &mut vec![0.0; g.kernel_len()], &mut workspace);
    // A NaN reaches the pixels around it and no others, through relu too.
    let mut x = vec![1.0f32; g.input_len()];
    x[0] = f32::NAN;
    let mut y = vec![0.0; g.output_len()];
    forward(&g, &x, &vec![1.0; g.kernel_len()], None, Finish::Relu, &mut y, &mut workspace);
    let nan: Vec<usize> = (0..16).filter(|pixel| y[pixel * 3].is_nan()).collect();
    assert_eq!(nan, [0, 1, 4, 5]);
}

#[test]
#[should_panic(expected = "sizes that overflow")]
fn sizes_that_overflow_are_refused() {
    let mut g = geometry([POINT, POINT, (4, 2, 1, 1, 0, 0)], 1, 1, 1);
    g.strides[2] = usize::MAX / 2;
    forward(&g, &[0.0f32; 4], &[0.0; 2], None, Finish::Linear, &mut [0.0; 3], &mut Workspace::default());
}
