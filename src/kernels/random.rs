//! Random numbers from a counter: element i is a function of (key, i) and nothing else, so that any split of an array
//! over threads gives the same values, and a backward pass can make them again instead of keeping them.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011).
//! Blocks of four words are made sixteen at a time, one vector a word. So element i comes from group i div 64, its
//! counter 16·(i div 64) + i mod 16, and word (i mod 64) div 16 of that. Numbers of more than 32 bits take two words:
//! their groups have 32 elements.

use super::dispatch::{Instructions, kernel};
use super::math::{Elementary, select};
use crate::Scalar;

/// Philox4x32 with ten rounds: four random words for a counter and a key.
///
/// ```
/// use gradus::kernels::random::philox;
/// assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds(counter.map(|word| [u64::from(word)]), key).map(|[pair]| pair as u32)
}

/// The counters that are worked on together.
const BLOCKS: usize = 16;
/// The lower of two words.
const LOW: u64 = 0xFFFF_FFFF;

/// Both halves of the products of two words with a third: (high, low), again two words each.
#[inline(always)]
fn wide_product(pair: u64, factor: u64) -> (u64, u64) {
    let (even, odd) = ((pair & LOW) * factor, (pair >> 32) * factor);
    ((even >> 32) | (odd & !LOW), (even & LOW) | (odd << 32))
}

/// Ten rounds on 2·`N` counters, word by word, two counters in each `u64`: processors multiply words of 32 bits in lanes
/// of 64.
#[inline(always)]
fn rounds<const N: usize>(counter: [[u64; N]; 4], key: [u32; 2]) -> [[u64; N]; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut key_0, mut key_1] = key;
    for _ in 0..10 {
        let both = |key: u32| u64::from(key) << 32 | u64::from(key);
        let (k0, k1) = (both(key_0), both(key_1));
        for i in 0..N {
            let (left, right) = (wide_product(a[i], 0xD251_1F53), wide_product(c[i], 0xCD9E_8D57));
            a[i] = right.0 ^ b[i] ^ k0;
            c[i] = left.0 ^ d[i] ^ k1;
            b[i] = right.1;
            d[i] = left.1;
        }
        // The golden ratio and √3 − 1, as the authors chose.
        key_0 = key_0.wrapping_add(0x9E37_79B9);
        key_1 = key_1.wrapping_add(0xBB67_AE85);
    }
    [a, b, c, d]
}

/// The words of group `group`: counters 16·group to 16·group + 15.
#[inline(always)]
fn group(key: u64, group: u64) -> [[u32; BLOCKS]; 4] {
    let first = group.wrapping_mul(BLOCKS as u64);
    let high = first >> 32;
    let mut low = [0; BLOCKS / 2];
    for (i, low) in low.iter_mut().enumerate() {
        // 16·group ends in four zeros: nothing carries over.
        let even = (first & LOW) | (2 * i as u64);
        *low = (even + 1) << 32 | even;
    }
    let counter = [low, [high << 32 | high; BLOCKS / 2], [0; BLOCKS / 2], [0; BLOCKS / 2]];
    let pairs = rounds(counter, [key as u32, (key >> 32) as u32]);
    let mut words = [[0; BLOCKS]; 4];
    for (words, pairs) in words.iter_mut().zip(pairs) {
        for (words, pair) in words.chunks_exact_mut(2).zip(pairs) {
            (words[0], words[1]) = (pair as u32, (pair >> 32) as u32);
        }
    }
    words
}

/// Calls `values` for each group that elements `first`.. of `out` fall into, and `put` with elements and values.
#[inline(always)]
fn by_groups<F: Copy, const LEN: usize>(
    first: u64,
    mut out: &mut [F],
    values: impl Fn(u64) -> [F; LEN],
    put: impl Fn(&mut [F], &[F]),
) {
    let mut number = first / LEN as u64;
    let mut skip = (first % LEN as u64) as usize;
    while !out.is_empty() {
        let values = values(number);
        let n = out.len().min(LEN - skip);
        let (now, later) = out.split_at_mut(n);
        put(now, &values[skip..skip + n]);
        (out, number, skip) = (later, number.wrapping_add(1), 0);
    }
}

/// 53 bits of two words, as a number in 0..1.
#[inline(always)]
fn unit_64(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    bits as f64 * (1.0 / (1u64 << 53) as f64)
}

/// 24 bits of a word, as a number in 0..1.
#[inline(always)]
fn unit_32(word: u32) -> f32 {
    (word >> 8).cast_signed() as f32 * (1.0 / (1 << 24) as f32)
}

/// The group's uniform numbers: 64 `f32` or 32 `f64`; the rest of the array is not used.
#[inline(always)]
fn uniform_group<F: Scalar>(words: [[u32; BLOCKS]; 4], values: &mut [F; 64]) {
    for i in 0..BLOCKS {
        if size_of::<F>() == 4 {
            for (w, words) in words.iter().enumerate() {
                values[w * BLOCKS + i] = F::of(f64::from(unit_32(words[i])));
            }
        } else {
            values[i] = F::of(unit_64(words[0][i], words[1][i]));
            values[BLOCKS + i] = F::of(unit_64(words[2][i], words[3][i]));
        }
    }
}

kernel! {
    /// `out[i]` ← the uniform number in [0, 1) of element first + i: a multiple of 2⁻²⁴ for `f32`, of 2⁻⁵³ for `f64`.
    pub fn uniform<F, I>(key: u64, first: u64, out: &mut [F]) {
        let put = |out: &mut [F], values: &[F]| out.copy_from_slice(values);
        if size_of::<F>() == 4 {
            by_groups::<F, 64>(first, out, |n| {
                let mut values = [F::zero(); 64];
                uniform_group(group(key, n), &mut values);
                values
            }, put);
        } else {
            by_groups::<F, 32>(first, out, |n| {
                let mut values = [F::zero(); 64];
                uniform_group(group(key, n), &mut values);
                std::array::from_fn(|i| values[i])
            }, put);
        }
    }
}

/// Box and Muller: r·cos θ and r·sin θ with r = √(−2·ln u), θ = 2π·t are independent normals for uniform u and t.
#[inline(always)]
fn box_muller<F: Elementary, I: Instructions<F>>(u: F, t: F) -> (F, F) {
    let r = (F::of(-2.0) * u.ln_in::<I>()).sqrt();
    let (sin, cos) = t.sin_cos_turns_in::<I>();
    (r * cos, r * sin)
}

kernel! {
    /// `out[i]` ← the standard normal number of element first + i, by the method of Box and Muller.
    ///
    /// For `f32` the radius has 31 random bits, its largest value is 6.6; for `f64` 53 bits and 8.6.
    pub fn normal<F, I>(key: u64, first: u64, out: &mut [F]) {
        let put = |out: &mut [F], values: &[F]| out.copy_from_slice(values);
        if size_of::<F>() == 4 {
            by_groups::<F, 64>(first, out, |n| {
                let mut values = [F::zero(); 64];
                let [a, b, c, d] = group(key, n);
                for i in 0..BLOCKS {
                    (values[i], values[16 + i]) = box_muller::<F, I>(F::of_word(a[i]), F::of_word(b[i]));
                    (values[32 + i], values[48 + i]) = box_muller::<F, I>(F::of_word(c[i]), F::of_word(d[i]));
                }
                values
            }, put);
        } else {
            by_groups::<F, 32>(first, out, |n| {
                let mut values = [F::zero(); 32];
                let [a, b, c, d] = group(key, n);
                for i in 0..BLOCKS {
                    // 1 − u lies in (0, 1]: its logarithm is finite.
                    let u = F::of(1.0 - unit_64(a[i], b[i]));
                    (values[i], values[16 + i]) = box_muller::<F, I>(u, F::of(unit_64(c[i], d[i])));
                }
                values
            }, put);
        }
    }
}

kernel! {
    /// Dropout: `x[i] ← x[i]/(1 − rate)` where element first + i is kept, else 0; each is dropped with probability
    /// `rate`.
    ///
    /// The mask is a function of key and place: the same call with the gradient in place of x is the backward pass.
    /// 0 ≤ rate ≤ 1; a rate of 1 makes everything 0.
    pub fn dropout<F, I>(key: u64, first: u64, rate: F, x: &mut [F]) {
        let scale = if rate < F::one() { F::one() / (F::one() - rate) } else { F::zero() };
        // A word is below the limit with probability `rate`.
        let limit = (rate.f64() * 4_294_967_296.0) as u64;
        by_groups::<F, 64>(first, x, |n| {
            let mut factors = [F::zero(); 64];
            for (factors, words) in factors.chunks_exact_mut(BLOCKS).zip(group(key, n)) {
                for (factor, word) in factors.iter_mut().zip(words) {
                    *factor = select(u64::from(word) < limit, F::zero(), scale);
                }
            }
            factors
        }, |x, factors| {
            for (x, &factor) in x.iter_mut().zip(factors) {
                *x = if factor == F::zero() { F::zero() } else { *x * factor };
            }
        });
    }
}

kernel! {
    /// [`dropout`] that also keeps its mask: `mask[i]` is 1 where `x[i]` was kept, else 0.
    ///
    /// Making the mask again takes longer than reading it; [`dropout_backward`] reads it.
    pub fn dropout_with_mask<F, I>(key: u64, first: u64, rate: F, x: &mut [F], mask: &mut [u8]) {
        let limit = (rate.f64() * 4_294_967_296.0) as u64;
        by_groups::<u8, 64>(first, mask, |n| {
            let mut kept = [0; 64];
            for (kept, words) in kept.chunks_exact_mut(BLOCKS).zip(group(key, n)) {
                for (kept, word) in kept.iter_mut().zip(words) {
                    *kept = u8::from(u64::from(word) >= limit);
                }
            }
            kept
        }, |mask, kept| mask.copy_from_slice(kept));
        apply_mask(mask, rate, x);
    }
}

kernel! {
    /// Backward of [`dropout_with_mask`]: `grad[i] ← grad[i]/(1 − rate)` where `mask[i]` is 1, else 0.
    pub fn dropout_backward<F, I>(mask: &[u8], rate: F, grad: &mut [F]) {
        apply_mask(mask, rate, grad);
    }
}

/// x ← mask·x/(1 − rate), where 0·x is 0 for every x.
#[inline(always)]
fn apply_mask<F: Elementary>(mask: &[u8], rate: F, x: &mut [F]) {
    let scale = if rate < F::one() { F::one() / (F::one() - rate) } else { F::zero() };
    for (x, &kept) in x.iter_mut().zip(mask) {
        *x = if kept == 0 { F::zero() } else { *x * scale };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    /// The known answers that the authors publish with Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    /// Any part of an array has the values of the whole, on every instruction set.
    fn splits<F: Scalar>(fill: impl Fn(u64, &mut [F]) + Copy) {
        let mut whole = vec![F::zero(); 1000];
        fill(0, &mut whole);
        on_every_isa(|isa| {
            for (first, len) in [(0, 1000), (0, 1), (1, 63), (5, 200), (63, 2), (64, 64), (333, 667)] {
                let mut part = vec![F::zero(); len];
                fill(first as u64, &mut part);
                for (got, want) in part.iter().zip(&whole[first..]) {
                    // A fused multiply-add rounds differently.
                    assert!((*got - *want).abs() <= F::epsilon() * F::of(16.0), "{isa:?} {first} {got} {want}");
                }
            }
        });
    }

    #[test]
    fn a_split_changes_nothing() {
        splits::<f32>(|first, out| uniform(7, first, out));
        splits::<f64>(|first, out| uniform(7, first, out));
        splits::<f32>(|first, out| normal(7, first, out));
        splits::<f64>(|first, out| normal(7, first, out));
        splits::<f32>(|first, out| {
            out.fill(1.0);
            dropout(7, first, 0.25, out);
        });
    }

    #[test]
    fn the_first_words_are_those_of_philox() {
        let mut out = [0.0f32; 64];
        uniform(0x0000_0002_0000_0001, 64, &mut out);
        for (i, &x) in out.iter().enumerate() {
            let word = philox([16 + i as u32 % 16, 0, 0, 0], [1, 2])[i / 16];
            assert_eq!(x, (word >> 8) as f32 / (1 << 24) as f32);
        }
    }

    /// Mean and spread within five standard errors.
    fn moments<F: Scalar>(fill: fn(u64, u64, &mut [F]), mean: f64, variance: f64, fourth: f64) {
        const N: usize = 200_000;
        let mut x = vec![F::zero(); N];
        fill(42, 1 << 40, &mut x);
        let n = N as f64;
        let x: Vec<f64> = x.iter().map(|x| x.f64() - mean).collect();
        let power = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / n;
        assert!(power(1).abs() < 5.0 * (variance / n).sqrt());
        assert!((power(2) - variance).abs() < 5.0 * ((fourth - variance * variance) / n).sqrt());
        assert!(power(3).abs() < 0.05 * variance);
        let neighbours = x.windows(2).map(|p| p[0] * p[1]).sum::<f64>() / n;
        assert!(neighbours.abs() < 5.0 * variance / n.sqrt());
        let partners = x.windows(17).map(|p| p[0] * p[16]).sum::<f64>() / n;
        assert!(partners.abs() < 5.0 * variance / n.sqrt());
    }

    #[test]
    fn distributions_have_their_moments() {
        moments::<f32>(uniform, 0.5, 1.0 / 12.0, 1.0 / 80.0);
        moments::<f64>(uniform, 0.5, 1.0 / 12.0, 1.0 / 80.0);
        moments::<f32>(normal, 0.0, 1.0, 3.0);
        moments::<f64>(normal, 0.0, 1.0, 3.0);
    }

    #[test]
    fn dropout_drops_the_rate_and_keeps_the_mean() {
        for rate in [0.0f32, 0.1, 0.5, 0.9, 1.0] {
            let mut x = vec![2.0f32; 100_000];
            dropout(3, 17, rate, &mut x);
            let dropped = x.iter().filter(|&&x| x == 0.0).count() as f32 / 100_000.0;
            assert!((dropped - rate).abs() < 0.01, "{dropped} not {rate}");
            assert!(x.iter().all(|&x| x == 0.0 || (x - 2.0 / (1.0 - rate)).abs() < 1e-5));

            let (mut again, mut grad, mut mask) = (vec![2.0f32; 1000], vec![2.0f32; 1000], vec![9; 1000]);
            dropout_with_mask(3, 17, rate, &mut again, &mut mask);
            dropout_backward(&mask, rate, &mut grad);
            assert_eq!([&again, &grad], [&x[..1000], &x[..1000]]);
        }
    }
}
