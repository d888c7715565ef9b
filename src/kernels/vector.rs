//! One register of scalars, for the few kernels whose loops the compiler does not vectorise by itself.
//!
//! The types for AVX2 and AVX-512 are used only inside versions of a kernel that run where the processor has those
//! instructions; `dispatch` sees to it.

use crate::Scalar;

/// As many scalars as a register holds, and what the matrix product does with them.
pub trait Vector<F>: Copy {
    /// How many scalars it holds.
    const LEN: usize;

    /// All elements equal to `x`.
    fn splat(x: F) -> Self;
    /// self·b + c, element by element.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// self + b, element by element.
    fn add(self, b: Self) -> Self;
    /// max(self, 0), element by element; NaN stays NaN.
    fn relu(self) -> Self;
    /// min(self, b), element by element; a NaN of self stays NaN.
    fn min(self, b: Self) -> Self;

    /// Reads `LEN` scalars.
    /// # Safety
    /// They must be readable; they need no alignment.
    unsafe fn load(from: *const F) -> Self;
    /// Writes `LEN` scalars.
    /// # Safety
    /// They must be writable; they need no alignment.
    unsafe fn store(self, to: *mut F);

    /// Reads the first `n` < `LEN` scalars; the others are zero.
    /// # Safety
    /// The first `n` must be readable.
    unsafe fn load_first(from: *const F, n: usize) -> Self;
    /// Writes the first `n` < `LEN` scalars.
    /// # Safety
    /// The first `n` must be writable.
    unsafe fn store_first(self, to: *mut F, n: usize);

    /// The sum of the elements.
    fn sum(self) -> F;

    /// Transposes a square block: `to[j][i] = from[i][j]` for i, j < [`BLOCK`](Self::BLOCK).
    /// # Safety
    /// The block must be readable at `from`, its rows `from_stride` apart, and writable at `to`.
    unsafe fn transpose(from: *const F, from_stride: usize, to: *mut F, to_stride: usize);
    /// The side of the block that [`transpose`](Self::transpose) takes.
    const BLOCK: usize;
}

/// Whether the target itself, not a version of ours, has a fused multiply-add.
pub const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Four scalars, on which the compiler does what the target can do.
#[derive(Clone, Copy)]
pub struct Array<F>([F; 4]);

impl<F: Scalar> Vector<F> for Array<F> {
    const LEN: usize = 4;
    const BLOCK: usize = 4;

    #[inline(always)]
    fn splat(x: F) -> Self {
        Array([x; 4])
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        let fused = |i: usize| {
            if FUSED { self.0[i].mul_add(b.0[i], c.0[i]) } else { self.0[i] * b.0[i] + c.0[i] }
        };
        Array([fused(0), fused(1), fused(2), fused(3)])
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Array([self.0[0] + b.0[0], self.0[1] + b.0[1], self.0[2] + b.0[2], self.0[3] + b.0[3]])
    }

    #[inline(always)]
    fn relu(self) -> Self {
        let positive = |x: F| if x < F::zero() { F::zero() } else { x };
        Array([positive(self.0[0]), positive(self.0[1]), positive(self.0[2]), positive(self.0[3])])
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        let least = |x: F, b: F| if x > b { b } else { x };
        Array([least(self.0[0], b.0[0]), least(self.0[1], b.0[1]), least(self.0[2], b.0[2]), least(self.0[3], b.0[3])])
    }

    #[inline(always)]
    unsafe fn load(from: *const F) -> Self {
        // SAFETY: the caller's promise; an array has the alignment of its element.
        Array(unsafe { from.cast::<[F; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut F) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[F; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const F, n: usize) -> Self {
        let mut all = [F::zero(); 4];
        for (i, x) in all.iter_mut().enumerate().take(n) {
            // SAFETY: i < n.
            *x = unsafe { *from.add(i) };
        }
        Array(all)
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut F, n: usize) {
        for (i, &x) in self.0.iter().enumerate().take(n) {
            // SAFETY: i < n.
            unsafe { *to.add(i) = x }
        }
    }

    #[inline(always)]
    fn sum(self) -> F {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }

    #[inline(always)]
    unsafe fn transpose(from: *const F, from_stride: usize, to: *mut F, to_stride: usize) {
        for i in 0..4 {
            for j in 0..4 {
                // SAFETY: inside the block.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::{
        __m256, __m256d, __m256i, __m512, _mm_add_pd, _mm_add_ps, _mm_add_sd, _mm_add_ss, _mm_castps_si128,
        _mm_cvtsd_f64, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm_store_sd, _mm_store_ss, _mm_storeu_pd,
        _mm_storeu_ps, _mm_storeu_si64, _mm_unpackhi_pd, _mm256_add_pd, _mm256_add_ps, _mm256_castpd256_pd128,
        _mm256_castps256_ps128, _mm256_extractf128_pd, _mm256_extractf128_ps, _mm256_fmadd_pd, _mm256_fmadd_ps,
        _mm256_loadu_pd, _mm256_loadu_ps, _mm256_maskload_pd, _mm256_maskload_ps, _mm256_max_pd, _mm256_max_ps,
        _mm256_min_pd, _mm256_min_ps, _mm256_permute2f128_pd, _mm256_permute2f128_ps, _mm256_set1_pd, _mm256_set1_ps,
        _mm256_setzero_pd, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_pd, _mm256_storeu_ps,
        _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps, _mm512_add_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps,
        _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };
    use std::mem::transmute;

    /// Windows into these are the masks of the first n elements: n times −1, then 0.
    static MASK_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static MASK_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

    impl Vector<f32> for __m256 {
        const LEN: usize = 8;
        const BLOCK: usize = 8;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: AVX2, as for every method of this type.
            unsafe { _mm256_set1_ps(x) }
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_fmadd_ps(self, b, c) }
        }

        #[inline(always)]
        fn add(self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_add_ps(self, b) }
        }

        #[inline(always)]
        fn relu(self) -> Self {
            // Of a NaN and another number, the instruction gives its second operand.
            // SAFETY: as above.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), self) }
        }

        #[inline(always)]
        fn min(self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_min_ps(b, self) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn load_first(from: *const f32, n: usize) -> Self {
            // SAFETY: n ≤ 8, so the mask lies inside its array; elements that are masked out are not read.
            unsafe {
                let mask = transmute::<[i32; 8], __m256i>(MASK_32.as_ptr().add(8 - n).cast::<[i32; 8]>().read());
                _mm256_maskload_ps(from, mask)
            }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, n: usize) {
            // By the binary digits of n: a masked store would do, but takes many cycles on AMD.
            // SAFETY: the digits of n < 8 add up to n.
            unsafe {
                let (mut part, mut to) = (_mm256_castps256_ps128(self), to);
                if n & 4 != 0 {
                    _mm_storeu_ps(to, part);
                    (part, to) = (_mm256_extractf128_ps::<1>(self), to.add(4));
                }
                if n & 2 != 0 {
                    _mm_storeu_si64(to.cast(), _mm_castps_si128(part));
                    (part, to) = (_mm_movehl_ps(part, part), to.add(2));
                }
                if n & 1 != 0 {
                    _mm_store_ss(to, part);
                }
            }
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: AVX2.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }

        #[inline(always)]
        unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let row = |i: usize| _mm256_loadu_ps(from.add(i * from_stride));
                let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
                let (r4, r5, r6, r7) = (row(4), row(5), row(6), row(7));
                // Pairs of rows, then fours, interleaved inside each half …
                let (a0, a1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
                let (a2, a3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
                let (a4, a5) = (_mm256_unpacklo_ps(r4, r5), _mm256_unpackhi_ps(r4, r5));
                let (a6, a7) = (_mm256_unpacklo_ps(r6, r7), _mm256_unpackhi_ps(r6, r7));
                let (b0, b1) = (_mm256_shuffle_ps::<0x44>(a0, a2), _mm256_shuffle_ps::<0xEE>(a0, a2));
                let (b2, b3) = (_mm256_shuffle_ps::<0x44>(a1, a3), _mm256_shuffle_ps::<0xEE>(a1, a3));
                let (b4, b5) = (_mm256_shuffle_ps::<0x44>(a4, a6), _mm256_shuffle_ps::<0xEE>(a4, a6));
                let (b6, b7) = (_mm256_shuffle_ps::<0x44>(a5, a7), _mm256_shuffle_ps::<0xEE>(a5, a7));
                // … then the halves put together.
                let out = |j: usize, x| _mm256_storeu_ps(to.add(j * to_stride), x);
                out(0, _mm256_permute2f128_ps::<0x20>(b0, b4));
                out(1, _mm256_permute2f128_ps::<0x20>(b1, b5));
                out(2, _mm256_permute2f128_ps::<0x20>(b2, b6));
                out(3, _mm256_permute2f128_ps::<0x20>(b3, b7));
                out(4, _mm256_permute2f128_ps::<0x31>(b0, b4));
                out(5, _mm256_permute2f128_ps::<0x31>(b1, b5));
                out(6, _mm256_permute2f128_ps::<0x31>(b2, b6));
                out(7, _mm256_permute2f128_ps::<0x31>(b3, b7));
            }
        }
    }

    impl Vector<f64> for __m256d {
        const LEN: usize = 4;
        const BLOCK: usize = 4;

        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: AVX2, as for every method of this type.
            unsafe { _mm256_set1_pd(x) }
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_fmadd_pd(self, b, c) }
        }

        #[inline(always)]
        fn add(self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_add_pd(self, b) }
        }

        #[inline(always)]
        fn relu(self) -> Self {
            // Of a NaN and another number, the instruction gives its second operand.
            // SAFETY: as above.
            unsafe { _mm256_max_pd(_mm256_setzero_pd(), self) }
        }

        #[inline(always)]
        fn min(self, b: Self) -> Self {
            // SAFETY: as above.
            unsafe { _mm256_min_pd(b, self) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_pd(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_pd(to, self) }
        }

        #[inline(always)]
        unsafe fn load_first(from: *const f64, n: usize) -> Self {
            // SAFETY: n ≤ 4, so the mask lies inside its array; elements that are masked out are not read.
            unsafe {
                let mask = transmute::<[i64; 4], __m256i>(MASK_64.as_ptr().add(4 - n).cast::<[i64; 4]>().read());
                _mm256_maskload_pd(from, mask)
            }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut f64, n: usize) {
            // SAFETY: the digits of n < 4 add up to n.
            unsafe {
                let (mut part, mut to) = (_mm256_castpd256_pd128(self), to);
                if n & 2 != 0 {
                    _mm_storeu_pd(to, part);
                    (part, to) = (_mm256_extractf128_pd::<1>(self), to.add(2));
                }
                if n & 1 != 0 {
                    _mm_store_sd(to, part);
                }
            }
        }

        #[inline(always)]
        fn sum(self) -> f64 {
            // SAFETY: AVX2.
            unsafe {
                let two = _mm_add_pd(_mm256_castpd256_pd128(self), _mm256_extractf128_pd::<1>(self));
                _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
            }
        }

        #[inline(always)]
        unsafe fn transpose(from: *const f64, from_stride: usize, to: *mut f64, to_stride: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let row = |i: usize| _mm256_loadu_pd(from.add(i * from_stride));
                let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
                let (a0, a1) = (_mm256_unpacklo_pd(r0, r1), _mm256_unpackhi_pd(r0, r1));
                let (a2, a3) = (_mm256_unpacklo_pd(r2, r3), _mm256_unpackhi_pd(r2, r3));
                let out = |j: usize, x| _mm256_storeu_pd(to.add(j * to_stride), x);
                out(0, _mm256_permute2f128_pd::<0x20>(a0, a2));
                out(1, _mm256_permute2f128_pd::<0x20>(a1, a3));
                out(2, _mm256_permute2f128_pd::<0x31>(a0, a2));
                out(3, _mm256_permute2f128_pd::<0x31>(a1, a3));
            }
        }
    }

    macro_rules! avx512 {
        ($vector:ty, $scalar:ty, $half:ty, $len:literal, $mask:ty, $splat:ident, $fmadd:ident, $add:ident, $max:ident, $min:ident, $load:ident,
         $store:ident, $load_masked:ident, $store_masked:ident, $sum:ident) => {
            impl Vector<$scalar> for $vector {
                const LEN: usize = $len;
                const BLOCK: usize = $len / 2;

                #[inline(always)]
                fn splat(x: $scalar) -> Self {
                    // SAFETY: AVX-512, as for every method of this type.
                    unsafe { $splat(x) }
                }

                #[inline(always)]
                fn mul_add(self, b: Self, c: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $fmadd(self, b, c) }
                }

                #[inline(always)]
                fn add(self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $add(self, b) }
                }

                #[inline(always)]
                fn relu(self) -> Self {
                    // Of a NaN and another number, the instruction gives its second operand.
                    // SAFETY: as above.
                    unsafe { $max($splat(0.0), self) }
                }

                #[inline(always)]
                fn min(self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $min(b, self) }
                }

                #[inline(always)]
                unsafe fn load(from: *const $scalar) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut $scalar) {
                    // SAFETY: the caller's promise.
                    unsafe { $store(to, self) }
                }

                #[inline(always)]
                unsafe fn load_first(from: *const $scalar, n: usize) -> Self {
                    // SAFETY: elements that are masked out are not read.
                    unsafe { $load_masked((1 << n) - 1, from) }
                }

                #[inline(always)]
                unsafe fn store_first(self, to: *mut $scalar, n: usize) {
                    // SAFETY: elements that are masked out are not written.
                    unsafe { $store_masked(to, (1 << n) - 1, self) }
                }

                #[inline(always)]
                fn sum(self) -> $scalar {
                    // SAFETY: AVX-512.
                    unsafe { $sum(self) }
                }

                #[inline(always)]
                unsafe fn transpose(from: *const $scalar, from_stride: usize, to: *mut $scalar, to_stride: usize) {
                    // SAFETY: the caller's promise; who has AVX-512 has AVX2.
                    unsafe { <$half>::transpose(from, from_stride, to, to_stride) }
                }
            }
        };
    }
    avx512!(
        __m512,
        f32,
        __m256,
        16,
        u16,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_maskz_loadu_ps,
        _mm512_mask_storeu_ps,
        _mm512_reduce_add_ps
    );
}
