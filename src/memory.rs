//! Sizes, looked at before memory is asked for: what no machine could hold, or this one has not, is an error that says how
//! much it would have been, never a panic or an abort.

use std::fmt::Display;

use crate::{Error, Result};

/// Less than this many bytes is asked for without a look.
const LITTLE: u128 = 16 << 20;
/// Less than this many is not compared with what the machine has left, which must be read from a file.
const MUCH: u128 = 256 << 20;

/// How many values sizes make together; none where memory could never hold as many, whatever they are.
pub(crate) fn product(sizes: &[usize]) -> Option<usize> {
    // The product of all that are not 0 too: strides are products of some of them.
    let within = |n: &usize| *n <= isize::MAX as usize / 16;
    let addressed = sizes.iter().filter(|&&size| size > 0).try_fold(1usize, |n, &size| n.checked_mul(size));
    addressed.filter(within).map(|n| if sizes.contains(&0) { 0 } else { n })
}

/// The bytes of an array of so many values of `T`, however many: `u128::MAX` stands for all that are more.
pub(crate) fn bytes_of<T>(sizes: &[usize]) -> u128 {
    if sizes.contains(&0) {
        return 0;
    }
    sizes.iter().fold(size_of::<T>() as u128, |bytes, &size| bytes.saturating_mul(size as u128))
}

/// How many values of `T` an array has whose sizes follow from `option`, given as `given`.
///
/// # Errors
/// If the memory for it is not there: the message names the option and the bytes.
pub(crate) fn room<T>(option: impl Into<String>, given: impl Display, sizes: &[usize]) -> Result<usize> {
    let bytes = bytes_of::<T>(sizes);
    match product(sizes) {
        Some(values) if is_there(bytes) => Ok(values),
        _ => Err(too_large(option, given, bytes)),
    }
}

/// The error of an option that asks for so many bytes.
pub(crate) fn too_large(option: impl Into<String>, given: impl Display, bytes: u128) -> Error {
    Error::option(option, "a size that the memory is there for", format!("{given}, which takes {}", shown(bytes)))
}

/// Whether the system would give so many bytes now.
pub(crate) fn is_there(bytes: u128) -> bool {
    if bytes < LITTLE {
        return true;
    }
    let Some(wanted) = usize::try_from(bytes).ok().filter(|&bytes| isize::try_from(bytes).is_ok()) else {
        return false;
    };
    if bytes >= MUCH && left().is_some_and(|left| bytes > left) {
        return false;
    }
    // What a limit of the process does not allow is refused here, and given back at once where it is granted. In the one
    // memory of WebAssembly nothing can be given back.
    cfg!(target_family = "wasm") || std::hint::black_box(Vec::<u8>::new()).try_reserve_exact(wanted).is_ok()
}

/// Bytes in words: `1.2 GB`.
pub(crate) fn shown(bytes: u128) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    if bytes >= 1_000_000_000_000_000 {
        return "more than 1000 TB".into();
    }
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1000.0 && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1000.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

/// How many bytes the machine, or the share of it that this process was given, has left; none where nobody says.
#[cfg(target_os = "linux")]
fn left() -> Option<u128> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u128>().ok();
    let share = number("/sys/fs/cgroup/memory.max").or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    let table = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u128>().ok().map(|kilobytes| kilobytes * 1024)
    };
    let free = line("MemAvailable:").map(|free| free + line("SwapFree:").unwrap_or(0));
    free.into_iter().chain(share).min()
}

#[cfg(not(target_os = "linux"))]
fn left() -> Option<u128> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_that_wrap_are_none() {
        assert_eq!(product(&[]), Some(1));
        assert_eq!(product(&[3, 4, 5]), Some(60));
        assert_eq!(product(&[usize::MAX, 2]), None);
        assert_eq!(product(&[1 << (usize::BITS / 2), 1 << (usize::BITS / 2)]), None);
        assert_eq!(product(&[usize::MAX, usize::MAX, 0]), None, "strides of it wrap");
        assert_eq!(product(&[7, 0]), Some(0));
        assert_eq!(bytes_of::<f32>(&[usize::MAX; 9]), u128::MAX);
        assert_eq!(bytes_of::<f64>(&[3, 0]), 0);
    }

    #[test]
    fn what_is_not_there_is_said_with_its_bytes() {
        assert_eq!(room::<f32>("n", 6, &[2, 3]).expect("a little"), 6);
        let most = usize::MAX / 32;
        let error = room::<f32>("n", most, &[most]).expect_err("no machine has as much").to_string();
        assert!(
            error.starts_with(&format!("`n` must be a size that the memory is there for, got {most}, which takes "))
        );
        assert_eq!(shown(999), "999 bytes");
        assert_eq!(shown(1_200_000_000), "1.2 GB");
        assert_eq!(shown(u128::MAX), "more than 1000 TB");
    }
}
