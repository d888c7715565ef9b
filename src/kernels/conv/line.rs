//! Depthwise sums of neighbouring pixels of a line, which share most of the cells that their windows see: each is read once.

use std::marker::PhantomData;

use super::tile::Piece;
use crate::kernels::dispatch::{Instructions, Work};
use crate::kernels::finish::Finish;
use crate::kernels::math::Elementary;
use crate::kernels::vector::Vector;

/// Windows along a line: of so many taps side by side, so many cells from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub taps: usize,
    pub stride: usize,
}

/// Pixels that are worked on together, at most.
pub const MOST_PIXELS: usize = 8;
/// Cells of a line that they see, at most: with five taps and a stride of 2.
const MOST_CELLS: usize = 2 * (MOST_PIXELS - 1) + 5;

impl Windows {
    /// Whether [`line`] has such windows.
    pub fn are_known(self) -> bool {
        matches!((self.taps, self.stride), (3 | 5, 1 | 2))
    }
}

/// Neighbouring pixels, from the first one's on.
pub struct Line<'a, F> {
    /// What the first pixel's pieces are counted from.
    pub source: *const F,
    /// (taps, channels)
    pub kernel: *const F,
    /// Those of all taps, line after line of the window.
    pub pieces: &'a [Piece],
    /// (pixels, channels)
    pub target: *mut F,
    /// How many pixels, and of how many channels.
    pub pixels: usize,
    pub channels: usize,
    pub bias: Option<*const F>,
    pub finish: Finish,
}

/// The sums of up to [`MOST_PIXELS`] pixels, in all channels that fill vectors.
///
/// # Safety
/// Cells that the windows see, kernel, bias and target are there; the windows are [known](Windows::are_known).
#[inline(always)]
pub unsafe fn line<F: Elementary, I: Instructions<F>>(windows: Windows, line: Line<'_, F>) {
    macro_rules! sized {
        ($($taps:literal $stride:literal),*) => {
            match (windows.taps, windows.stride, line.pixels > MOST_PIXELS / 2) {
                // SAFETY: the caller's promise.
                $(($taps, $stride, true) => unsafe { I::apart(Sized::<F, I, MOST_PIXELS, $taps, $stride>(line, PhantomData)) },
                ($taps, $stride, false) => unsafe { I::apart(Sized::<F, I, { MOST_PIXELS / 2 }, $taps, $stride>(line, PhantomData)) },)*
                _ => unreachable!("windows that are known"),
            }
        };
    }
    sized!(3 1, 3 2, 5 1, 5 2);
}

/// A line with its sizes in the type.
struct Sized<'a, F, I, const PIXELS: usize, const TAPS: usize, const STRIDE: usize>(Line<'a, F>, PhantomData<I>);

impl<F: Elementary, I: Instructions<F>, const PIXELS: usize, const TAPS: usize, const STRIDE: usize> Work
    for Sized<'_, F, I, PIXELS, TAPS, STRIDE>
{
    #[inline(always)]
    unsafe fn run(self) {
        let Line { source, kernel, pieces, target, pixels, channels, bias, finish } = self.0;
        let zero = I::Vector::splat(F::zero());
        // Behind the last cell that counts it is read again: what is made of it is not stored.
        let last = (pixels - 1) * STRIDE + TAPS - 1;
        for channel in (0..channels - channels % I::Vector::LEN).step_by(I::Vector::LEN) {
            let mut sums = [zero; PIXELS];
            // SAFETY: the caller's promise.
            unsafe {
                for of_line in pieces.chunks_exact(TAPS) {
                    let mut weights = [zero; TAPS];
                    for tap in 0..TAPS {
                        weights[tap] = I::Vector::load(kernel.add((of_line[0].b + tap) * channels + channel));
                    }
                    let mut cells = [zero; MOST_CELLS];
                    let mut cell = source.wrapping_add(of_line[0].a + channel);
                    for number in 0..(PIXELS - 1) * STRIDE + TAPS {
                        cells[number] = I::Vector::load(cell);
                        cell = cell.wrapping_add(if number < last { channels } else { 0 });
                    }
                    for pixel in 0..PIXELS {
                        for tap in 0..TAPS {
                            sums[pixel] = cells[pixel * STRIDE + tap].mul_add(weights[tap], sums[pixel]);
                        }
                    }
                }
                let start = bias.map_or(zero, |bias| I::Vector::load(bias.add(channel)));
                for pixel in 0..PIXELS {
                    if pixel < pixels {
                        finish.of_vector(start.add(sums[pixel])).store(target.add(pixel * channels + channel));
                    }
                }
            }
        }
    }
}
