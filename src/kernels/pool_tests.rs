//! The pools against plain loops that are written as the formulas read.

#![allow(clippy::cast_possible_wrap, clippy::needless_for_each)]

use super::*;
use crate::kernels::dispatch::forced::on_every_isa;

/// Numbers with many ties.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 31 + 13) % 23) as f32 / 4.0 - 3.0).collect()
}

fn windows(input: [usize; 3], pool: [usize; 3], strides: [usize; 3], same: bool) -> Windows {
    let mut win = Windows { input, output: [0; 3], pool, strides, before: [0; 3] };
    for a in 0..3 {
        if same {
            win.output[a] = input[a].div_ceil(strides[a]);
            win.before[a] = ((win.output[a] - 1) * strides[a] + pool[a]).saturating_sub(input[a]) / 2;
        } else {
            win.output[a] = (input[a] - pool[a]) / strides[a] + 1;
        }
    }
    win
}

/// For every output (sample, window, channel), its number and the numbers of its cells in row-major order.
fn cells(win: &Windows, batch: usize, c: usize) -> Vec<(usize, Vec<usize>)> {
    let mut all = Vec::new();
    let along = |a: usize, o: usize| {
        let first = (o * win.strides[a]) as isize - win.before[a] as isize;
        let size = win.input[a];
        (first..first + win.pool[a] as isize).filter_map(move |i| usize::try_from(i).ok().filter(|&i| i < size))
    };
    let [id, ih, iw] = win.input;
    for b in 0..batch {
        for od in 0..win.output[0] {
            for oh in 0..win.output[1] {
                for ow in 0..win.output[2] {
                    for ch in 0..c {
                        let mut window = Vec::new();
                        for d in along(0, od) {
                            for h in along(1, oh) {
                                for w in along(2, ow) {
                                    window.push((((b * id + d) * ih + h) * iw + w) * c + ch);
                                }
                            }
                        }
                        all.push((all.len(), window));
                    }
                }
            }
        }
    }
    all
}

fn cases() -> Vec<(Windows, usize, usize)> {
    let mut cases = Vec::new();
    for c in [1, 3, 8, 33, 45] {
        for same in [false, true] {
            cases.push((windows([1, 6, 8], [1, 2, 2], [1, 2, 2], same), 2, c)); // by halves
            cases.push((windows([1, 7, 5], [1, 2, 2], [1, 2, 2], same), 3, c)); // a row and a column over
            cases.push((windows([1, 7, 6], [1, 3, 2], [1, 1, 1], same), 2, c)); // overlap
            cases.push((windows([1, 7, 7], [1, 2, 3], [1, 3, 4], same), 1, c)); // gaps
            cases.push((windows([1, 1, 9], [1, 1, 4], [1, 1, 3], same), 2, c));
            cases.push((windows([4, 3, 5], [2, 3, 2], [2, 1, 2], same), 2, c));
            cases.push((windows([3, 4, 4], [1, 2, 2], [1, 2, 2], same), 2, c));
        }
        cases.push((windows([1, 2, 3], [1, 5, 4], [1, 2, 1], true), 1, c)); // a window larger than the input
        cases.push((Windows::whole([2, 3, 5]), 2, c));
    }
    cases
}

#[test]
fn the_largest_and_its_gradient_are_those_of_a_plain_loop() {
    on_every_isa(|_| {
        for (win, batch, c) in cases() {
            let cells = cells(&win, batch, c);
            let x = numbers(batch * win.input.iter().product::<usize>() * c, 1);
            let mut y = vec![f32::NAN; cells.len()];
            max_pool(win, c, &x, &mut y);
            let grad_y = numbers(cells.len(), 2);
            let (mut grad_x, mut want) = (vec![f32::NAN; x.len()], vec![0.0; x.len()]);
            max_pool_backward(win, c, &x, &y, &grad_y, &mut grad_x);
            for (o, window) in &cells {
                let mut first = window[0];
                for &k in window {
                    if x[k] > x[first] {
                        first = k;
                    }
                }
                assert_eq!(y[*o], x[first], "{win:?}");
                want[first] += grad_y[*o];
            }
            for (k, (&got, &want)) in grad_x.iter().zip(&want).enumerate() {
                assert!((got - want).abs() < 1e-5, "{win:?}, {c} channels, cell {k}: {got}, not {want}");
            }
        }
    });
}

#[test]
fn the_mean_and_its_gradient_are_those_of_a_plain_loop() {
    on_every_isa(|_| {
        for (win, batch, c) in cases() {
            let cells = cells(&win, batch, c);
            let x = numbers(batch * win.input.iter().product::<usize>() * c, 3);
            let mut y = vec![f32::NAN; cells.len()];
            avg_pool(win, c, &x, &mut y);
            let grad_y = numbers(cells.len(), 4);
            let (mut grad_x, mut want) = (vec![f32::NAN; x.len()], vec![0.0; x.len()]);
            avg_pool_backward(win, c, &grad_y, &mut grad_x);
            for (o, window) in &cells {
                let mean = window.iter().map(|&k| x[k]).sum::<f32>() / window.len() as f32;
                assert!((y[*o] - mean).abs() < 1e-5, "{win:?}");
                window.iter().for_each(|&k| want[k] += grad_y[*o] / window.len() as f32);
            }
            assert!(grad_x.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-5), "{win:?}, {c} channels");
        }
    });
}

#[test]
fn nan_wins_and_takes_the_gradient() {
    on_every_isa(|_| {
        for (win, batch, c) in cases() {
            let cells = cells(&win, batch, c);
            let mut x = numbers(batch * win.input.iter().product::<usize>() * c, 5);
            x.iter_mut().step_by(7).for_each(|x| *x = f32::NAN);
            let mut y = vec![0.0; cells.len()];
            max_pool(win, c, &x, &mut y);
            let (grad_y, mut grad_x, mut want) = (vec![1.0; y.len()], vec![f32::NAN; x.len()], vec![0.0; x.len()]);
            max_pool_backward(win, c, &x, &y, &grad_y, &mut grad_x);
            for (o, window) in &cells {
                let nan = window.iter().find(|&&k| x[k].is_nan());
                assert_eq!(y[*o].is_nan(), nan.is_some(), "{win:?}");
                let best = window.iter().fold(window[0], |best, &k| if x[k] > x[best] { k } else { best });
                want[*nan.unwrap_or(&best)] += 1.0;
            }
            assert_eq!(grad_x, want, "{win:?}, {c} channels");
        }
    });
}

#[test]
fn where_all_are_minus_infinity_the_first_wins() {
    let win = windows([1, 1, 4], [1, 1, 2], [1, 1, 2], false);
    let x = [f32::NEG_INFINITY; 4];
    let (mut y, mut grad_x) = ([0.0; 2], [9.0; 4]);
    max_pool(win, 1, &x, &mut y);
    max_pool_backward(win, 1, &x, &y, &[1.0, 2.0], &mut grad_x);
    assert_eq!((y, grad_x), ([f32::NEG_INFINITY; 2], [1.0, 0.0, 2.0, 0.0]));
}

#[test]
fn a_masked_mean_is_that_of_the_steps_that_count() {
    on_every_isa(|_| {
        for c in [1, 5, 40] {
            let mask = [true, false, true, true, false, false, true, true, true, true];
            let x: Vec<f32> = numbers(10 * c, 6);
            let (mut y, mut grad_x) = (vec![0.0; 2 * c], vec![f32::NAN; 10 * c]);
            masked_mean(&mask, c, &x, &mut y);
            let grad_y = numbers(2 * c, 7);
            masked_mean_backward(&mask, c, &grad_y, &mut grad_x);
            for (b, count) in [(0, 3.0), (1, 4.0)] {
                for ch in 0..c {
                    let kept = (0..5).filter(|t| mask[b * 5 + t]);
                    let mean = kept.map(|t| x[(b * 5 + t) * c + ch]).sum::<f32>() / count;
                    assert!((y[b * c + ch] - mean).abs() < 1e-6);
                    for t in 0..5 {
                        let want = if mask[b * 5 + t] { grad_y[b * c + ch] / count } else { 0.0 };
                        assert_eq!(grad_x[(b * 5 + t) * c + ch], want);
                    }
                }
            }
        }
    });
}
