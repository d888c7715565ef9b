//! Tensors with fewer or shorter axes, repeated over a larger one: how inputs of different shapes are merged.
//!
//! A tensor of shape `from` counts as one of shape `to`: an axis of size 1 is repeated, and a tensor of lower rank has
//! its missing axes after the batch axis. The backward pass of a repetition is a sum.

use super::dispatch::kernel;
use super::math::{Elementary, select};
use super::softmax::total;

/// A stretch of values of the large tensor that needs no look at the axes.
struct Run {
    /// Where it begins in the large tensor, and where in the small one.
    large: usize,
    small: usize,
    len: usize,
    /// Whether it is one value of the small tensor, `len` times; otherwise it is `len` neighbours of it.
    repeated: bool,
}

/// Calls `visit` for each stretch of the large tensor, in order.
#[inline(always)]
fn runs(from: &[usize], to: &[usize], mut visit: impl FnMut(Run)) {
    let missing = to.len() - from.len();
    let size = |axis: usize| match axis {
        0 => from[0],
        axis if axis <= missing => 1,
        axis => from[axis - missing],
    };
    // The last axes, as long as all of them are repeated or none is.
    let (mut first, mut len, mut kind) = (to.len(), 1, None);
    while first > 0 {
        let axis = first - 1;
        let repeated = size(axis) == 1;
        if to[axis] != 1 && *kind.get_or_insert(repeated) != repeated {
            break;
        }
        (first, len) = (axis, len * to[axis]);
    }
    let repeated = kind.unwrap_or(false);
    for number in 0..to[..first].iter().product() {
        let (mut rest, mut small, mut stride) = (number, 0, if repeated { 1 } else { len });
        for axis in (0..first).rev() {
            if size(axis) != 1 {
                small += rest % to[axis] * stride;
                stride *= to[axis];
            }
            rest /= to[axis];
        }
        visit(Run { large: number * len, small, len, repeated });
    }
}

/// Several kernels y ← f(y, x), with x repeated: `name = |y, x| value`.
macro_rules! onto {
    ($($(#[$doc:meta])* $name:ident = |$y:ident, $x:ident| $value:expr;)*) => {$(
        kernel! { memory_bound:
            $(#[$doc])*
            ///
            /// `x` has the shape `from`, `y` the shape `to`.
            pub fn $name<F>(x: &[F], from: &[usize], to: &[usize], y: &mut [F]) {
                runs(from, to, |run| {
                    let y = &mut y[run.large..][..run.len];
                    if run.repeated {
                        let $x = x[run.small];
                        for y in y {
                            let $y = *y;
                            *y = $value;
                        }
                    } else {
                        for (y, &$x) in y.iter_mut().zip(&x[run.small..][..run.len]) {
                            let $y = *y;
                            *y = $value;
                        }
                    }
                });
            }
        }
    )*};
}

onto! {
    /// y ← x
    assign = |_y, x| x;
    /// y ← y + x
    add = |y, x| y + x;
    /// y ← y − x
    subtract = |y, x| y - x;
    /// y ← y·x
    multiply = |y, x| y * x;
}

kernel! { memory_bound:
    /// Backward of [`assign`] and [`add`]: ∂L/∂x = Σ ∂L/∂y over all places where x was put. Overwrites `grad_x`.
    ///
    /// `grad_x` has the shape `from`, `grad_y` the shape `to`.
    pub fn sum_back<F>(grad_y: &[F], from: &[usize], to: &[usize], grad_x: &mut [F]) {
        if grad_x.len() == grad_y.len() {
            grad_x.copy_from_slice(grad_y);
        } else {
            grad_x.fill(F::zero());
            add_sums(grad_y, from, to, grad_x);
        }
    }
}

kernel! { memory_bound:
    /// [`sum_back`] for a parameter, whose gradients add up: `grad_x` += Σ ∂L/∂y.
    pub fn add_sum_back<F>(grad_y: &[F], from: &[usize], to: &[usize], grad_x: &mut [F]) {
        add_sums(grad_y, from, to, grad_x);
    }
}

#[inline(always)]
fn add_sums<F: Elementary>(grad_y: &[F], from: &[usize], to: &[usize], grad_x: &mut [F]) {
    runs(from, to, |run| {
        let grad_y = &grad_y[run.large..][..run.len];
        if run.repeated {
            grad_x[run.small] += total(grad_y);
        } else {
            for (x, &y) in grad_x[run.small..][..run.len].iter_mut().zip(grad_y) {
                *x += y;
            }
        }
    });
}

/// The larger of y and x, for tensor number `number`: with the sign −1 the smaller. A NaN wins, and stays.
#[inline(always)]
fn choose<F: Elementary>(sign: F, x: F, number: u32, y: &mut F, winner: &mut u32) {
    let wins = sign * x > sign * *y || x.is_nan();
    *winner = std::hint::select_unpredictable(wins, number, *winner);
    *y = select(wins, x, *y);
}

kernel! { memory_bound:
    /// y ← max(y, x) with x repeated, and `winner` ← `number` where x is larger: of equal values the earlier wins. With
    /// `sign` −1 instead of 1 it is the minimum. A NaN wins over every number.
    ///
    /// `x` has the shape `from`, `y` and `winner` the shape `to`.
    pub fn extremum<F>(sign: F, x: &[F], from: &[usize], to: &[usize], number: u32, y: &mut [F], winner: &mut [u32]) {
        runs(from, to, |run| {
            let places = y[run.large..][..run.len].iter_mut().zip(&mut winner[run.large..][..run.len]);
            if run.repeated {
                let x = x[run.small];
                for (y, winner) in places {
                    choose(sign, x, number, y, winner);
                }
            } else {
                for ((y, winner), &x) in places.zip(&x[run.small..][..run.len]) {
                    choose(sign, x, number, y, winner);
                }
            }
        });
    }
}

kernel! { memory_bound:
    /// Backward of [`extremum`], before the sum over repetitions: part = ∂L/∂y where tensor `number` won, else 0.
    pub fn extremum_backward<F>(winner: &[u32], number: u32, grad_y: &[F], part: &mut [F]) {
        for ((part, &g), &winner) in part.iter_mut().zip(grad_y).zip(winner) {
            *part = if winner == number { g } else { F::zero() };
        }
    }
}

/// mask ← `drawn`, repeated: [`assign`] for the masks of dropout.
///
/// `drawn` has the shape `from`, `mask` the shape `to`.
pub fn assign_mask(drawn: &[u8], from: &[usize], to: &[usize], mask: &mut [u8]) {
    runs(from, to, |run| {
        let mask = &mut mask[run.large..][..run.len];
        if run.repeated {
            mask.fill(drawn[run.small]);
        } else {
            mask.copy_from_slice(&drawn[run.small..][..run.len]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    /// The plain way: for each place of `to`, which place of `from` it is.
    fn places(from: &[usize], to: &[usize]) -> Vec<usize> {
        let mut aligned = vec![1; to.len()];
        aligned[0] = from[0];
        let missing = to.len() - from.len();
        aligned[1 + missing..].copy_from_slice(&from[1..]);
        (0..to.iter().product())
            .map(|mut rest: usize| {
                let (mut at, mut stride) = (0, 1);
                for axis in (0..to.len()).rev() {
                    at += (rest % to[axis]).min(aligned[axis] - 1) * stride;
                    stride *= aligned[axis];
                    rest /= to[axis];
                }
                at
            })
            .collect()
    }

    type Kernel = fn(&[f64], &[usize], &[usize], &mut [f64]);

    const SHAPES: [(&[usize], &[usize]); 12] = [
        (&[2, 3], &[2, 3]),
        (&[2, 1], &[2, 3]),
        (&[1, 3], &[2, 3]),
        (&[2, 4], &[2, 3, 4]),
        (&[2, 1, 4], &[2, 3, 4]),
        (&[2, 3, 1], &[2, 3, 4]),
        (&[2, 3, 1, 5], &[2, 3, 4, 5]),
        (&[2, 1, 4, 1], &[2, 3, 4, 5]),
        (&[1, 1, 1], &[3, 1, 70]),
        (&[2, 1, 1, 3], &[2, 1, 1, 3]),
        (&[2], &[2, 40]),
        (&[0, 1, 3], &[0, 2, 3]),
    ];

    #[test]
    fn every_value_finds_its_place_and_its_gradient_the_way_back() {
        on_every_isa(|_| {
            for (from, to) in SHAPES {
                let places = places(from, to);
                let x: Vec<f64> = (0..from.iter().product()).map(|i: usize| i as f64 + 1.0).collect();
                let start: Vec<f64> = (0..places.len()).map(|i| (i * 7 % 5) as f64 - 2.0).collect();
                let expect = |f: fn(f64, f64) -> f64| -> Vec<f64> {
                    places.iter().zip(&start).map(|(&at, &y)| f(y, x[at])).collect()
                };
                let run = |f: Kernel| {
                    let mut y = start.clone();
                    f(&x, from, to, &mut y);
                    y
                };
                assert_eq!(run(assign), expect(|_, x| x), "{from:?} {to:?}");
                assert_eq!(run(add), expect(|y, x| y + x));
                assert_eq!(run(subtract), expect(|y, x| y - x));
                assert_eq!(run(multiply), expect(|y, x| y * x));

                let mut sums = vec![0.0; x.len()];
                places.iter().zip(&start).for_each(|(&at, &g)| sums[at] += g);
                let mut grad = vec![9.0; x.len()];
                sum_back(&start, from, to, &mut grad);
                assert_eq!(grad, sums);
                add_sum_back(&start, from, to, &mut grad);
                assert!(grad.iter().zip(&sums).all(|(g, s)| *g == 2.0 * s));

                let drawn: Vec<u8> = (0..x.len()).map(|i| i as u8).collect();
                let mut mask = vec![9; places.len()];
                assign_mask(&drawn, from, to, &mut mask);
                assert!(mask.iter().zip(&places).all(|(&m, &at)| usize::from(m) == at));
            }
        });
    }

    #[test]
    fn the_first_of_equals_wins_and_nan_stays() {
        on_every_isa(|_| {
            let nan = f32::NAN;
            let (mut y, mut winner) = ([1.0, 2.0, nan, 0.0], [0; 4]);
            extremum(1.0, &[1.0, 3.0, 5.0, nan], &[1, 4], &[1, 4], 1, &mut y, &mut winner);
            extremum(1.0, &[2.5], &[1, 1], &[1, 4], 2, &mut y, &mut winner);
            assert_eq!((&y[..2], winner), (&[2.5, 3.0][..], [2, 1, 0, 1]));
            assert!(y[2].is_nan() && y[3].is_nan());
            extremum(-1.0, &[2.5, -1.0, 0.0, 0.0], &[1, 4], &[1, 4], 3, &mut y, &mut winner);
            assert_eq!((&y[..2], winner), (&[2.5, -1.0][..], [2, 3, 0, 1]));
            let mut part = [9.0; 4];
            extremum_backward(&winner, 1, &[1.0, 2.0, 3.0, 4.0], &mut part);
            assert_eq!(part, [0.0, 0.0, 0.0, 4.0]);
        });
    }
}
