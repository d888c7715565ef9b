//! How one formula becomes machine code for each scalar and each instruction set.

/// The vector instructions that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Whatever the target guarantees.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512,
}

/// The widest instruction set of this processor. The first call asks the processor, later ones read an atomic.
#[inline]
pub fn isa() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("fma") {
            return Isa::Avx512;
        }
        if has!("avx2") && has!("fma") {
            return Isa::Avx2;
        }
    }
    Isa::Portable
}

/// Defines a kernel: a plain generic function, compiled inside this crate for `f32` and `f64` and, on x86-64, once
/// per instruction set, one of which is chosen at run time.
///
/// The body is written once, as the formula reads, and vectorised by the compiler. Callers see an ordinary
/// `fn name<F: Scalar>(…)`. A caller's crate instantiates only the choice, never the loop, so that its debug build
/// runs the optimised code.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$F:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name<$F: $crate::Scalar>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn formula<$F: $crate::Scalar>($($arg: $ty),*) $(-> $ret)? $body

            let f32_version: *const () = {
                type $F = f32;
                $crate::kernels::dispatch::versions!($F, ($($arg: $ty),*) $(-> $ret)?) as *const ()
            };
            let f64_version: *const () = {
                type $F = f64;
                $crate::kernels::dispatch::versions!($F, ($($arg: $ty),*) $(-> $ret)?) as *const ()
            };
            let version = <$F as $crate::Scalar>::choose(f32_version, f64_version);
            // SAFETY: `Scalar` is sealed, and `choose` returns the version whose scalar is `F`: the pointer is to a
            // function of exactly this signature. A version for an instruction set is chosen only where it exists.
            let version: fn($($ty),*) $(-> $ret)? = unsafe { std::mem::transmute(version) };
            version($($arg),*)
        }
    };
}

/// The version of `formula` for the scalar `$F` that fits this processor, as a function pointer.
macro_rules! versions {
    ($F:ident, ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {{
        fn portable($($arg: $ty),*) $(-> $ret)? {
            formula::<$F>($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2($($arg: $ty),*) $(-> $ret)? {
            formula::<$F>($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512($($arg: $ty),*) $(-> $ret)? {
            formula::<$F>($($arg),*)
        }
        // Never inlined across crates: a dependent's debug build must call it, not compile it again.
        #[inline(never)]
        fn chosen($($arg: $ty),*) $(-> $ret)? {
            match $crate::kernels::dispatch::isa() {
                // SAFETY: `isa` has found the instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::dispatch::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::dispatch::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => portable($($arg),*),
            }
        }
        chosen as fn($($ty),*) $(-> $ret)?
    }};
}

pub(crate) use {kernel, versions};
