//! How one formula becomes machine code for each scalar and each instruction set.

use std::sync::atomic::{AtomicU8, Ordering};

use super::vector::{FUSED, Vector};
use crate::{Error, Result};

/// The vector instructions that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Isa {
    /// Whatever the target guarantees.
    Portable = 1,
    /// x86-64 with AVX2 and FMA.
    Avx2 = 2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512 = 3,
}

/// The variable that chooses an instruction set, to compare what they give.
const VARIABLE: &str = "GRADUS_INSTRUCTIONS";
/// Its values.
const WORDS: [(&str, Isa); 3] = [("portable", Isa::Portable), ("avx2", Isa::Avx2), ("avx512", Isa::Avx512)];

/// The vector instructions that kernels run with here: `portable`, `avx2` or `avx512`. They are the widest that the processor
/// has, or those that the variable `GRADUS_INSTRUCTIONS` names when the first kernel runs. Results of two kinds differ by
/// rounding.
///
/// ```
/// assert!(["portable", "avx2", "avx512"].contains(&gradus::kernels::instructions()));
/// ```
pub fn instructions() -> &'static str {
    WORDS.iter().find(|(_, of)| *of == isa()).map_or("portable", |(word, _)| word)
}

/// Refuses a `GRADUS_INSTRUCTIONS` that names none, or what the processor has not: asked when a network is built.
pub(crate) fn check_variable() -> Result<()> {
    let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) else { return Ok(()) };
    let known = text.to_str().and_then(|text| WORDS.iter().find(|(word, _)| *word == text.trim()));
    match known {
        Some((_, asked)) if *asked as u8 <= widest_there() as u8 => Ok(()),
        _ => {
            let there = WORDS.iter().filter(|(_, isa)| *isa as u8 <= widest_there() as u8).map(|(word, _)| *word);
            let expected = format!("one of {}, which this processor has", there.collect::<Vec<_>>().join(", "));
            Err(Error::option(VARIABLE, expected, text.to_string_lossy()))
        }
    }
}

/// The instruction set of this process. The first call asks for it, later ones read an atomic.
#[inline]
pub fn isa() -> Isa {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    #[cfg(test)]
    if let Some(isa) = forced::FORCED.get() {
        return isa;
    }
    match KNOWN.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        _ => {
            let isa = detect();
            KNOWN.store(isa as u8, Ordering::Relaxed);
            isa
        }
    }
}

#[cold]
fn detect() -> Isa {
    let there = widest_there();
    let asked = std::env::var(VARIABLE).ok();
    let asked = asked.and_then(|text| WORDS.iter().find(|(word, _)| *word == text.trim()).map(|(_, isa)| *isa));
    asked.filter(|asked| *asked as u8 <= there as u8).unwrap_or(there)
}

/// The widest instruction set of this processor.
fn widest_there() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = has!("avx2") && has!("fma");
        if avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
            return Isa::Avx512;
        }
        if avx2 {
            return Isa::Avx2;
        }
    }
    Isa::Portable
}

/// Lets a test run every version that this processor can run, not only the widest.
#[cfg(test)]
pub mod forced {
    use super::{Isa, widest_there};
    use std::cell::Cell;

    thread_local! {
        pub static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
    }

    /// Runs `test` once per instruction set of this processor.
    pub fn on_every_isa(test: impl Fn(Isa)) {
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            if isa as u8 <= widest_there() as u8 {
                FORCED.set(Some(isa));
                test(isa);
            }
        }
        FORCED.set(None);
    }
}

/// An instruction set as a type, for formulas that are compiled once for each: `kernel!` puts it in for its second
/// parameter.
pub trait Instructions<F>: Copy {
    /// As many scalars as one register holds.
    type Vector: Vector<F>;
    /// The rows of the matrix product's tile.
    const TILE_ROWS: usize;
    /// Its vectors a row. Rows times vectors sums stay in registers, beside a row of vectors and a scalar of the operands.
    const TILE_VECTORS: usize;
    /// Whether special cases have code of their own (worth 5 to 20 % of the time of a matrix product): where `f32` is
    /// computed with the best instructions of a processor of today. Elsewhere there is less to compile.
    const SPECIALISED: bool;

    /// Does the work in a function of its own, compiled for this instruction set. Inside a kernel everything is inlined
    /// into one function; a loop that needs every register is better off alone.
    ///
    /// # Safety
    /// The processor has the instructions, and `work` may run.
    unsafe fn apart<W: Work>(work: W);

    /// a·b + c: rounded once where the processor has an instruction for that, twice elsewhere.
    fn mul_add(a: F, b: F, c: F) -> F;
}

/// What [`Instructions::apart`] does.
pub trait Work {
    /// Must be `#[inline(always)]`.
    /// # Safety
    /// The implementation says what it asks for.
    unsafe fn run(self);
}

/// [`Isa::Portable`] as a type.
#[derive(Clone, Copy)]
pub struct Portable;
/// [`Isa::Avx2`] as a type.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx2;
/// [`Isa::Avx512`] as a type.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx512;

macro_rules! instructions {
    ($isa:ty, $scalar:ty, $vector:ty, $tile_rows:literal, $tile_vectors:literal, $specialised:expr, $fused:expr $(, $features:literal)?) => {
        impl Instructions<$scalar> for $isa {
            type Vector = $vector;
            const TILE_ROWS: usize = $tile_rows;
            const TILE_VECTORS: usize = $tile_vectors;
            const SPECIALISED: bool = $specialised;

            #[inline(always)]
            unsafe fn apart<W: $crate::kernels::dispatch::Work>(work: W) {
                #[inline(never)]
                $(#[target_feature(enable = $features)])?
                unsafe fn apart<W: $crate::kernels::dispatch::Work>(work: W) {
                    // SAFETY: the caller's promise.
                    unsafe { work.run() }
                }
                // SAFETY: the caller's promise.
                unsafe { apart(work) }
            }

            #[inline(always)]
            fn mul_add(a: $scalar, b: $scalar, c: $scalar) -> $scalar {
                // Without the instruction, `mul_add` would call a slow function of the C library.
                if $fused { a.mul_add(b, c) } else { a * b + c }
            }
        }
    };
}
instructions!(Portable, f32, super::vector::Array<f32>, 4, 2, { !cfg!(target_arch = "x86_64") }, FUSED);
instructions!(Portable, f64, super::vector::Array<f64>, 4, 2, false, FUSED);
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Avx2, Avx512, Instructions};
    use std::arch::x86_64::{__m256, __m256d, __m512};
    instructions!(Avx2, f32, __m256, 6, 2, true, true, "avx2,fma");
    instructions!(Avx2, f64, __m256d, 6, 2, false, true, "avx2,fma");
    instructions!(Avx512, f32, __m512, 8, 3, true, true, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
}

/// Defines a kernel: a plain generic function, compiled inside this crate for `f32` and `f64` and, on x86-64, once
/// per instruction set, one of which is chosen at run time.
///
/// The body is written once, as the formula reads, and vectorised by the compiler. Callers see an ordinary
/// `fn name<F: Scalar>(…)`. A caller's crate instantiates only the choice, never the loop, so that its debug build
/// runs the optimised code.
///
/// In the body, `F` is [`Elementary`](super::math::Elementary): it has the vectorisable functions of `math`. Those
/// want to know the instruction set, for its fused multiply-add: a kernel written `fn name<F, I>(…)` has it as the
/// type `I`, [`Instructions`]. What a body calls must be `#[inline(always)]`, or it misses the instruction set.
///
/// `kernel! { memory_bound: … }` is for those that wait for memory, or have little to do: they gain little from wider vectors, so
/// that there are fewer versions of them.
macro_rules! kernel {
    (memory_bound: $($kernel:tt)*) => {
        $crate::kernels::dispatch::kernel! { @[narrow plain] $($kernel)* }
    };
    (@$widths:tt $(#[$meta:meta])* $vis:vis fn $name:ident<$F:ident>($($rest:tt)*) $($body:tt)*) => {
        $crate::kernels::dispatch::kernel! { @$widths $(#[$meta])* $vis fn $name<$F, Isa>($($rest)*) $($body)* }
    };
    (
        @[$f32_width:ident $f64_width:ident]
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$F:ident, $I:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name<$F: $crate::Scalar>($($arg: $ty),*) $(-> $ret)? {
            #[allow(clippy::extra_unused_type_parameters)] // not every formula asks for its instruction set
            #[inline(always)]
            fn formula<$F, $I>($($arg: $ty),*) $(-> $ret)?
            where
                $F: $crate::kernels::math::Elementary,
                $I: $crate::kernels::dispatch::Instructions<$F>,
            $body

            let f32_version: *const () = {
                type $F = f32;
                $crate::kernels::dispatch::versions!($F, $f32_width, ($($arg: $ty),*) $(-> $ret)?) as *const ()
            };
            let f64_version: *const () = {
                type $F = f64;
                $crate::kernels::dispatch::versions!($F, $f64_width, ($($arg: $ty),*) $(-> $ret)?) as *const ()
            };
            let version = <$F as $crate::Scalar>::choose(f32_version, f64_version);
            // SAFETY: `Scalar` is sealed, and `choose` returns the version whose scalar is `F`: the pointer is to a
            // function of exactly this signature. A version for an instruction set is chosen only where it exists.
            let version: fn($($ty),*) $(-> $ret)? = unsafe { std::mem::transmute(version) };
            version($($arg),*)
        }
    };
    ($($kernel:tt)*) => {
        $crate::kernels::dispatch::kernel! { @[wide narrow] $($kernel)* }
    };
}

/// The version of `formula` for the scalar `$F` that fits this processor, as a function pointer. Only the `wide` ones
/// have AVX-512: `f64` checks gradients, for which half of all code would be too high a price. `plain` ones have neither that
/// nor AVX2.
macro_rules! versions {
    ($F:ident, plain, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {{
        #[inline(never)]
        fn chosen($($arg: $ty),*) $(-> $ret)? {
            formula::<$F, $crate::kernels::dispatch::Portable>($($arg),*)
        }
        chosen as fn($($ty),*) $(-> $ret)?
    }};
    ($F:ident, $width:ident, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {{
        fn portable($($arg: $ty),*) $(-> $ret)? {
            formula::<$F, $crate::kernels::dispatch::Portable>($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $ty),*) $(-> $ret)? {
            formula::<$F, $crate::kernels::dispatch::Avx2>($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        $crate::kernels::dispatch::widest!($F, $width, ($($arg: $ty),*) $(-> $ret)?);
        // Never inlined across crates: a dependent's debug build must call it, not compile it again.
        #[inline(never)]
        fn chosen($($arg: $ty),*) $(-> $ret)? {
            match $crate::kernels::dispatch::isa() {
                // SAFETY: `isa` has found the instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::dispatch::Isa::Avx512 => unsafe { widest($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::dispatch::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => portable($($arg),*),
            }
        }
        chosen as fn($($ty),*) $(-> $ret)?
    }};
}

/// The version for processors with AVX-512.
#[cfg(target_arch = "x86_64")]
macro_rules! widest {
    ($F:ident, wide, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn widest($($arg: $ty),*) $(-> $ret)? {
            formula::<$F, $crate::kernels::dispatch::Avx512>($($arg),*)
        }
    };
    ($F:ident, narrow, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        #[target_feature(enable = "avx2,fma")]
        fn widest($($arg: $ty),*) $(-> $ret)? {
            avx2($($arg),*)
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(crate) use widest;
pub(crate) use {kernel, versions};
