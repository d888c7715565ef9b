//! Blocks of neighbouring values that stay in registers: how loops over channels are vectorised.
//!
//! A loop over slices is vectorised only after a check that they do not overlap, and with a remainder of single values;
//! a loop over few channels has mostly that. A block is loaded whole, worked on, and stored.

use crate::Scalar;

/// Does `$body` for every block of channels: `$ch` is its first channel, `$N` how many it has. Blocks of fixed size stay
/// in registers, and are vectorised whatever slices they come from. `$I` are the instructions that it is compiled for.
///
/// Blocks are vectors already. An empty statement that the compiler can't see through keeps it from making one loop over
/// several of them, of this cell or of the next: that would shuffle more than calculate, and took pools of 2 × 2 twice as long forward.
macro_rules! for_channels {
    ($I:ident, $c:expr, $ch:ident, $N:ident => $body:expr) => {{
        let mut $ch = 0;
        while const { <$I as $crate::kernels::dispatch::Instructions<F>>::SPECIALISED } && $ch + 32 <= $c {
            const $N: usize = 32;
            std::hint::black_box(());
            $body;
            $ch += $N;
        }
        while $ch + 8 <= $c {
            const $N: usize = 8;
            std::hint::black_box(());
            $body;
            $ch += $N;
        }
        while $ch < $c {
            const $N: usize = 1;
            std::hint::black_box(());
            $body;
            $ch += $N;
        }
    }};
}

/// N channels of a cell, from channel `ch` on.
#[inline(always)]
pub fn block<F: Copy, const N: usize>(cell: &[F], ch: usize) -> [F; N] {
    *cell[ch..].first_chunk().expect("as many channels as the caller counted")
}

/// The same, to be written.
#[inline(always)]
pub fn block_mut<F, const N: usize>(cell: &mut [F], ch: usize) -> &mut [F; N] {
    cell[ch..].first_chunk_mut().expect("as many channels as the caller counted")
}

/// a + b
#[inline(always)]
pub fn plus<F: Scalar, const N: usize>(a: [F; N], b: [F; N]) -> [F; N] {
    let mut out = a;
    for i in 0..N {
        out[i] += b[i];
    }
    out
}

/// The sum over a row of what `$values` makes of each block of it, in 32 interleaved partial sums.
macro_rules! row_sum {
    ($I:ident, $n:expr, |$at:ident, $N:ident| $values:expr) => {{
        let mut lanes = [F::zero(); 32];
        for_channels!($I, $n, $at, $N => {
            let values: [F; $N] = $values;
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += value;
            }
        });
        fold(lanes)
    }};
}

/// The sum of partial sums, halves onto halves.
#[inline(always)]
pub fn fold<F: Scalar>(mut lanes: [F; 32]) -> F {
    for half in [16, 8, 4, 2, 1] {
        for i in 0..half {
            let upper = lanes[i + half];
            lanes[i] += upper;
        }
    }
    lanes[0]
}

pub(crate) use {for_channels, row_sum};
