//! Seeded randomness: one seed, a stream for each purpose, the same numbers on every machine and in every version.

use rand::rand_core::{RngCore, SeedableRng};

use crate::kernels::random::philox;

/// A generator for one purpose: `seed` is the user's, `stream` names what the numbers are for.
///
/// Streams of one seed are independent of each other, so that a layer keeps its numbers when another is added to the
/// model. The generator works with [`ndarray_rand`] and [`rand_distr`].
///
/// # Example
/// ```
/// use gradus::random;
/// use ndarray::Array2;
/// use ndarray_rand::RandomExt;
/// use rand_distr::Normal;
///
/// let mut rng = random::rng(42, "dense/kernel");
/// let noise = Array2::<f32>::random_using([3, 2], Normal::new(0.0, 1.0).unwrap(), &mut rng);
/// assert_eq!(noise, Array2::random_using([3, 2], Normal::new(0.0, 1.0).unwrap(), &mut random::rng(42, "dense/kernel")));
/// assert_ne!(noise, Array2::random_using([3, 2], Normal::new(0.0, 1.0).unwrap(), &mut random::rng(42, "dense/bias")));
/// ```
pub fn rng(seed: u64, stream: impl Stream) -> Philox {
    Philox::new(seed, stream.number())
}

/// The number of a name: its 64-bit FNV-1a hash, the same on every machine and in every version.
///
/// # Example
/// ```
/// assert_eq!(gradus::random::hash("a"), 0xaf63_dc4c_8601_ec8c);
/// ```
/// # Source
/// Fowler, Noll, Vo; the constants of RFC 9923.
pub fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A number that differs from `x` in about half its bits; different for different `x`.
///
/// Numbers that are near each other, such as steps, become keys that are not: `mix(mix(seed ^ layer) ^ step)`.
///
/// # Example
/// ```
/// # use gradus::random::mix;
/// assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
/// ```
/// # Source
/// One step of `SplitMix64`: Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014.
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What names a stream: a text, such as a parameter's path, or a number.
///
/// A text's number is its [`hash`].
pub trait Stream {
    /// The stream's number.
    fn number(&self) -> u64;
}

impl Stream for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl Stream for str {
    fn number(&self) -> u64 {
        hash(self)
    }
}

impl Stream for String {
    fn number(&self) -> u64 {
        self.as_str().number()
    }
}

impl<S: Stream + ?Sized> Stream for &S {
    fn number(&self) -> u64 {
        (**self).number()
    }
}

/// Philox4x32-10, a counter-based generator: block i of a stream is a function of seed, stream and i.
///
/// The seed is the key; the stream's number and the block's are the counter. A stream has 2⁶⁴ blocks of four words.
///
/// # Example
/// ```
/// use gradus::random;
/// use ndarray_rand::rand::Rng;
///
/// let mut rng = random::rng(1, "augmentation");
/// let flip: bool = rng.random();
/// let angle = rng.random_range(-10.0..10.0);
/// # let _ = (flip, angle);
/// ```
/// # Source
/// Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3*, 2011.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Philox {
    seed: u64,
    stream: u64,
    /// Number of the block after `words`.
    next: u64,
    words: [u32; 4],
    /// How many of `words` have been given out.
    used: usize,
}

impl Philox {
    /// The generator at the beginning of stream number `stream`. [`rng`] takes a name for the stream.
    ///
    /// # Example
    /// ```
    /// use gradus::random::{Philox, hash, rng};
    /// assert_eq!(Philox::new(1, hash("noise")), rng(1, "noise"));
    /// ```
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream, next: 0, words: [0; 4], used: 4 }
    }

    #[inline]
    fn refill(&mut self) {
        let [(b0, b1), (s0, s1), (k0, k1)] = [halves(self.next), halves(self.stream), halves(self.seed)];
        self.words = philox([b0, b1, s0, s1], [k0, k1]);
        self.next = self.next.wrapping_add(1);
        self.used = 0;
    }
}

impl RngCore for Philox {
    #[inline]
    fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.refill();
        }
        let word = self.words[self.used];
        self.used += 1;
        word
    }

    /// The next two words, the low one first.
    #[inline]
    fn next_u64(&mut self) -> u64 {
        let low = self.next_u32();
        u64::from(self.next_u32()) << 32 | u64::from(low)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_u32().to_le_bytes()[..chunk.len()]);
        }
    }
}

impl SeedableRng for Philox {
    /// Seed and stream, each as eight little-endian bytes.
    type Seed = [u8; 16];

    fn from_seed(seed: Self::Seed) -> Self {
        let both = u128::from_le_bytes(seed);
        let (seed, stream) = (both & u128::from(u64::MAX), both >> 64);
        Self::new(u64::try_from(seed).unwrap_or_default(), u64::try_from(stream).unwrap_or_default())
    }

    /// Stream 0 of `seed`.
    fn seed_from_u64(seed: u64) -> Self {
        Self::new(seed, 0)
    }
}

/// Puts `rows` into the random order of one epoch: every order is equally likely, and seed and epoch decide it.
///
/// Fisher and Yates: for i = n − 1 … 1, `rows[i]` ↔ `rows[j]`, j uniform in 0 … i (Lemire's method, without bias). For 54,000
/// rows it takes a fraction of a millisecond.
///
/// # Example
/// ```
/// let mut rows: Vec<u32> = (0..10).collect();
/// gradus::random::shuffle(&mut rows, 42, 0);
/// let mut again: Vec<u32> = (0..10).collect();
/// gradus::random::shuffle(&mut again, 42, 1);
/// assert_ne!(rows, again); // another epoch, another order
/// rows.sort();
/// assert_eq!(rows, (0..10).collect::<Vec<_>>());
/// ```
pub fn shuffle<T>(rows: &mut [T], seed: u64, epoch: u64) {
    shuffle_with(rows, &mut Philox::new(seed, "shuffle".number() ^ epoch));
}

/// [`shuffle`] with a given generator.
///
/// # Example
/// ```
/// let mut rows = ["a", "b", "c"];
/// gradus::random::shuffle_with(&mut rows, &mut gradus::random::rng(3, "letters"));
/// ```
pub fn shuffle_with<T>(rows: &mut [T], rng: &mut Philox) {
    for i in (1..rows.len()).rev() {
        rows.swap(i, below(i as u64 + 1, rng));
    }
}

/// A number uniform in 0 … n − 1.
#[inline]
#[allow(clippy::cast_possible_truncation)] // the results are below n, which was a usize
pub(crate) fn below(n: u64, rng: &mut Philox) -> usize {
    if let Ok(n) = u32::try_from(n) {
        // The high word of a product is uniform once the 2³² mod n lowest low words are left out.
        let mut product = u64::from(rng.next_u32()) * u64::from(n);
        if (product as u32) < n {
            let uneven = n.wrapping_neg() % n;
            while (product as u32) < uneven {
                product = u64::from(rng.next_u32()) * u64::from(n);
            }
        }
        (product >> 32) as usize
    } else {
        let mut product = u128::from(rng.next_u64()) * u128::from(n);
        let uneven = n.wrapping_neg() % n;
        while (product as u64) < uneven {
            product = u128::from(rng.next_u64()) * u128::from(n);
        }
        (product >> 64) as usize
    }
}

#[allow(clippy::cast_possible_truncation)] // both halves are kept
const fn halves(x: u64) -> (u32, u32) {
    (x as u32, (x >> 32) as u32)
}
