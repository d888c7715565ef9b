//! Memory for kernels to read and write: it begins with a cache line, and much of it lies in large pages.

use std::ops::{Deref, DerefMut};

use crate::Scalar;

/// Bytes of a cache line, and of the longest vector that a kernel reads at once.
const LINE: usize = 64;
/// Bytes of a large page.
const LARGE_PAGE: usize = 1 << 21;

/// A vector of scalars whose first one lies at the beginning of a cache line: a row of 16 `f32` then is one line, where
/// else every such row that a kernel reads lies in two. That costs a matrix product 5 to 10 % of its time.
///
/// Memory of 2 MiB and more begins with a large page, if the system has some to give: it is found with fewer look-ups of
/// addresses, and taken with fewer faults. That is 5 % of ResNet-20's time.
///
/// It dereferences to its values.
#[derive(Debug, Default)]
pub(crate) struct Aligned<F> {
    /// The values, with room before the first.
    memory: Vec<F>,
    start: usize,
    len: usize,
}

impl<F> Aligned<F> {
    /// No values; allocates nothing.
    pub const fn new() -> Self {
        Self { memory: Vec::new(), start: 0, len: 0 }
    }
}

impl<F: Scalar> Aligned<F> {
    /// Zeros, as the system gives them: what nobody touches stays unused.
    pub fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self::new();
        }
        let memory = vec![F::zero(); len + room_before::<F>(len)];
        Self { start: first(memory.as_ptr(), len), memory, len }
    }

    /// `len` times the same value.
    #[cfg(test)]
    pub fn full(len: usize, value: F) -> Self {
        let mut values = Self::zeros(len);
        values.fill(value);
        values
    }

    /// Takes `len` values, of which new ones are zeros. Memory is only ever added.
    pub fn resize(&mut self, len: usize) {
        if self.start + len > self.memory.len() {
            let mut longer = Self::zeros(len);
            longer[..self.len].copy_from_slice(self);
            *self = longer;
        } else {
            let before = std::mem::replace(&mut self.len, len);
            self[before.min(len)..].fill(F::zero());
        }
    }

    /// The first `len` values, which are added where missing: those that were there are stale.
    pub fn room(&mut self, len: usize) -> &mut [F] {
        if self.len < len {
            self.resize(len);
        }
        &mut self[..len]
    }

    /// The values as a vector of their own.
    pub fn into_vec(mut self) -> Vec<F> {
        self.memory.truncate(self.start + self.len);
        self.memory.drain(..self.start);
        self.memory
    }
}

impl<F> Deref for Aligned<F> {
    type Target = [F];
    #[inline]
    fn deref(&self) -> &[F] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl<F> DerefMut for Aligned<F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [F] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl<F: Clone> Clone for Aligned<F> {
    fn clone(&self) -> Self {
        let Some(any) = self.first() else { return Self::new() };
        let mut memory = Vec::with_capacity(self.len + room_before::<F>(self.len));
        let start = first(memory.as_ptr(), self.len);
        memory.resize(start, any.clone());
        memory.extend_from_slice(self);
        Self { memory, start, len: self.len }
    }

    fn clone_from(&mut self, other: &Self) {
        if self.start + other.len <= self.memory.len() {
            self.len = other.len;
            self.clone_from_slice(other);
        } else {
            *self = other.clone();
        }
    }
}

impl<F: Scalar> From<&[F]> for Aligned<F> {
    fn from(values: &[F]) -> Self {
        let mut copy = Self::zeros(values.len());
        copy.copy_from_slice(values);
        copy
    }
}

impl<F: PartialEq> PartialEq for Aligned<F> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// What the beginning of `len` values is aligned to, in bytes.
fn alignment<F>(len: usize) -> usize {
    if len * size_of::<F>() < LARGE_PAGE { LINE } else { LARGE_PAGE }
}

/// How many values more must be allocated, so that `len` of them can begin where they are to.
fn room_before<F>(len: usize) -> usize {
    alignment::<F>(len) / size_of::<F>()
}

/// Which value of new memory is to be the first of `len`.
fn first<F>(memory: *const F, len: usize) -> usize {
    let alignment = alignment::<F>(len);
    // The most it can be, in an interpreter that does not tell addresses.
    let first = memory.align_offset(alignment).min(room_before::<F>(len));
    if alignment == LARGE_PAGE {
        ask_for_large_pages(memory.wrapping_add(first).cast_mut().cast(), len * size_of::<F>());
    }
    first
}

/// Asks for large pages where `bytes` of memory from `start` on fill some.
fn ask_for_large_pages(start: *mut std::ffi::c_void, bytes: usize) {
    // An interpreter has no pages.
    #[cfg(all(target_os = "linux", not(miri)))]
    // SAFETY: the advice changes nothing that the memory holds, and is about pages that are all within it.
    unsafe {
        // Where the system has no large pages, small ones do.
        let _ = libc::madvise(start, bytes - bytes % LARGE_PAGE, libc::MADV_HUGEPAGE);
    }
    #[cfg(any(not(target_os = "linux"), miri))]
    let _ = (start, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_the_first_value() {
        let mut values = Aligned::<f32>::new();
        assert!(values.is_empty());
        let large = if cfg!(miri) { 1 << 12 } else { LARGE_PAGE };
        for len in [5, 3, 7, 1000, 2, large, large + 7, 16] {
            let before = values.to_vec();
            values.resize(len);
            let kept = before.len().min(len);
            assert_eq!((values.len(), &values[..kept]), (len, &before[..kept]));
            assert!(values[kept..].iter().all(|&x| x == 0.0), "new values are zeros");
            assert_eq!(values.as_ptr().addr() % LINE, 0);
            values.fill(1.0);
        }
        let mut copy = values.clone();
        assert_eq!((copy.as_ptr().addr() % LINE, &copy), (0, &values));
        let longer = Aligned::full(100, 2.0);
        copy.clone_from(&longer);
        assert_eq!(copy, longer);
        let place = copy.as_ptr();
        copy.clone_from(&values);
        assert_eq!((copy.as_ptr(), &copy), (place, &values), "memory is kept");
        assert_eq!(copy.into_vec(), [1.0; 16]);
        assert!(Aligned::<f64>::new().into_vec().is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "millions of values")]
    fn much_memory_begins_with_a_large_page() {
        let values = Aligned::<f32>::full(LARGE_PAGE / size_of::<f32>(), 3.0);
        let copy = values.clone();
        for values in [&values, &copy] {
            assert_eq!(values.as_ptr().addr() % LARGE_PAGE, 0);
            assert!(values.iter().all(|&x| x == 3.0));
        }
    }
}
