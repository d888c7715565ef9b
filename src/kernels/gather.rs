//! The samples of a batch, out of a larger array.

use super::dispatch::kernel;
use crate::Scalar;

/// `to[i, ·] = from[rows[i], ·]`: rows of `len` values.
///
/// A shuffled batch has its rows anywhere in memory. So the beginning of the next row is asked for while one is copied; from
/// there on the processor reads ahead by itself.
///
/// # Panics
/// If a row lies outside `from`, or `len` is 0.
pub fn gather_rows<F: Copy>(from: &[F], len: usize, rows: impl Iterator<Item = usize>, to: &mut [F]) {
    for_each_row(from, len, rows, to, <[F]>::copy_from_slice);
}

/// `to[i, ·] = scale·from[rows[i], ·]`, bytes as numbers: images that stay bytes until a batch needs them.
///
/// # Panics
/// As [`gather_rows`].
pub fn gather_bytes<F: Scalar>(from: &[u8], len: usize, rows: impl Iterator<Item = usize>, scale: F, to: &mut [F]) {
    for_each_row(from, len, rows, to, |to, from| scale_bytes(from, scale, to));
}

/// Calls `put` for each row of `to` with the row of `from` that belongs there.
fn for_each_row<T, F>(
    from: &[T],
    len: usize,
    rows: impl Iterator<Item = usize>,
    to: &mut [F],
    put: impl Fn(&mut [F], &[T]),
) {
    let mut rows = rows.map(|row| &from[row * len..][..len]).peekable();
    for to in to.chunks_exact_mut(len.max(1)) {
        let Some(row) = rows.next() else { return };
        if let Some(next) = rows.peek() {
            prefetch(next.as_ptr().cast(), size_of_val(*next));
        }
        put(to, row);
    }
}

/// Asks for the beginning of memory that will be read soon, where the processor can be asked. Not generic, so that it is
/// compiled here.
fn prefetch(start: *const u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        // More are too many at a time: 60,000 rows of 3 KiB take 20 ms, where asking for whole rows makes it 31 (Zen 4).
        const LINES: usize = 12;
        for line in 0..bytes.div_ceil(LINE).min(LINES) {
            // SAFETY: every x86-64 processor has the instruction, which reads nothing that could be seen.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line * LINE).cast()) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}

kernel! {
    /// to = scale·from, bytes as numbers.
    pub fn scale_bytes<F, I>(from: &[u8], scale: F, to: &mut [F]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = scale * F::of_byte(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    #[test]
    fn rows_are_gathered() {
        let from: Vec<f32> = (0..35).map(|i| i as f32).collect();
        let mut to = [0.0; 21];
        gather_rows(&from, 7, [4, 0, 4].into_iter(), &mut to);
        assert_eq!([&to[..7], &to[7..14], &to[14..]], [&from[28..], &from[..7], &from[28..]]);
        let bytes: Vec<u8> = (0..=255).collect();
        on_every_isa(|_| {
            let mut to = [0.0f32; 128];
            gather_bytes(&bytes, 64, [3, 0].into_iter(), 1.0 / 255.0, &mut to);
            assert!(
                (0..64).all(|j| to[j] == (192 + j) as f32 * (1.0 / 255.0) && to[64 + j] == j as f32 * (1.0 / 255.0))
            );
        });
    }
}
