//! Floating point numbers of 16 bits, as files hold them.

use std::fmt;

/// What the two formats share: a name, their bits, and the way to `f32`, which holds all of both exactly.
macro_rules! half {
    ($(#[$meta:meta])* $name:ident, to: $to:ident, from: $from:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(u16);

        impl $name {
            /// The number with these bits.
            pub fn from_bits(bits: u16) -> Self {
                Self(bits)
            }

            /// Its bits.
            pub fn to_bits(self) -> u16 {
                self.0
            }

            /// The nearest to a number, of two the one whose last bit is 0; beyond the largest it is infinite.
            pub fn from_f32(value: f32) -> Self {
                Self($from(value))
            }

            /// The same number, exactly.
            pub fn to_f32(self) -> f32 {
                $to(self.0)
            }

            pub(super) fn to_le_bytes(self) -> [u8; 2] {
                self.0.to_le_bytes()
            }

            pub(super) fn from_le_bytes(bytes: [u8; 2]) -> Self {
                Self(u16::from_le_bytes(bytes))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.to_f32(), f)
            }
        }
    };
}

half! {
    /// IEEE half precision: 5 bits of exponent, 10 of fraction; up to 65,504.
    ///
    /// ```
    /// use gradus::formats::F16;
    /// assert_eq!(F16::from_f32(1.0 / 3.0).to_f32(), 0.333_251_95);
    /// assert_eq!(F16::from_f32(65_520.0).to_f32(), f32::INFINITY);
    /// ```
    F16, to: f16_to_f32, from: f16_from_f32
}

half! {
    /// The upper half of an `f32`: 8 bits of exponent, 7 of fraction.
    ///
    /// ```
    /// use gradus::formats::Bf16;
    /// assert_eq!(Bf16::from_f32(1.0 / 3.0).to_f32(), 0.333_984_38);
    /// ```
    Bf16, to: bf16_to_f32, from: bf16_from_f32
}

fn f16_to_f32(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let (sign, exponent, fraction) = (bits >> 15 << 31, bits >> 10 & 0x1f, bits & 0x3ff);
    let magnitude = match exponent {
        // Denormal: fraction · 2⁻²⁴.
        0 => return f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        0x1f => 0xff << 23 | fraction << 13,
        _ => ((exponent + 127 - 15) << 23) | (fraction << 13),
    };
    f32::from_bits(sign | magnitude)
}

#[allow(clippy::cast_possible_truncation)] // 16 bits are left
fn f16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let (sign, magnitude) = ((bits >> 16 & 0x8000) as u16, value.abs());
    if value.is_nan() {
        return sign | 0x7e00;
    }
    // 65,520 lies in the middle between the largest number and the next.
    if magnitude >= 65_520.0 {
        return sign | 0x7c00;
    }
    if magnitude < 2f32.powi(-14) {
        // Denormal: as many times 2⁻²⁴, rounded to even by adding a number whose last bit is worth as much.
        let shifted = magnitude + 0.5;
        return sign | (shifted.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let magnitude = magnitude.to_bits();
    let rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    sign | ((rounded >> 13) - ((127 - 15) << 10)) as u16
}

fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[allow(clippy::cast_possible_truncation)] // 16 bits are left
fn bf16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        // A fraction cut to zero would be infinite.
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::{Bf16, F16};

    #[test]
    fn every_half_number_comes_back() {
        for bits in 0..=u16::MAX {
            let (f16, bf16) = (F16::from_bits(bits), Bf16::from_bits(bits));
            if f16.to_f32().is_nan() {
                assert!(F16::from_f32(f16.to_f32()).to_f32().is_nan());
            } else {
                assert_eq!(F16::from_f32(f16.to_f32()), f16);
            }
            if bf16.to_f32().is_nan() {
                assert!(Bf16::from_f32(bf16.to_f32()).to_f32().is_nan());
            } else {
                assert_eq!(Bf16::from_f32(bf16.to_f32()), bf16);
            }
        }
    }

    /// Between two neighbours the nearer one is taken, in the middle the even one.
    #[test]
    fn what_lies_between_is_rounded() {
        for bits in (0..0x7bffu16).chain(0x8000..0xfbff) {
            let (low, high) = (F16::from_bits(bits), F16::from_bits(bits + 1));
            let middle = f32::midpoint(low.to_f32(), high.to_f32());
            assert_eq!(F16::from_f32(middle), if bits % 2 == 0 { low } else { high });
            let nearer = |to: F16| F16::from_f32(middle + (to.to_f32() - middle) * 0.25);
            assert_eq!((nearer(low), nearer(high)), (low, high));
        }
        for bits in (0..0x7f7fu16).chain(0x8000..0xff7f) {
            let (low, high) = (Bf16::from_bits(bits), Bf16::from_bits(bits + 1));
            let middle = f32::from_bits(u32::from(bits) << 16 | 0x8000);
            assert_eq!(Bf16::from_f32(middle), if bits % 2 == 0 { low } else { high });
        }
        assert_eq!(F16::from_f32(65_519.99).to_f32(), 65_504.0);
        assert_eq!(F16::from_f32(1e9).to_f32(), f32::INFINITY);
        assert_eq!(Bf16::from_f32(f32::MAX).to_f32(), f32::INFINITY);
    }
}
