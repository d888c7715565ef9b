//! Work cut into parts, for threads that have nothing else to do.
//!
//! A part is some elements of the result, never some terms of its sums: what comes out is the same however work is cut.

use std::ops::Range;

use crate::parallel::{for_each, has_help, in_pieces};

/// Parts of one call, at most.
const MOST_PARTS: usize = 16;
/// Multiplications that a part has at least: some microseconds.
const LEAST_WORK: usize = 1 << 18;

/// Into how many parts work of so many multiplications is cut: one, if nobody would help.
#[inline]
pub fn parts(work: usize) -> usize {
    if work < 2 * LEAST_WORK || !has_help() { 1 } else { (work / LEAST_WORK).min(MOST_PARTS) }
}

/// Cuts a result into about `parts` parts, some along its rows times some along its columns, so that as little as possible is
/// read: every part of the rows reads all that columns are made of, and every part of the columns all that rows are made of.
pub fn rows_and_columns(
    parts: usize,
    [rows, columns]: [usize; 2],
    [row_values, column_values]: [usize; 2],
) -> [usize; 2] {
    let mut best = [parts.min(rows).max(1), 1];
    let read = |[by_rows, by_columns]: [usize; 2]| by_rows * column_values + by_columns * row_values;
    let mut by_columns = 2;
    while by_columns <= parts.min(columns) {
        let cut = [parts.div_ceil(by_columns).min(rows).max(1), by_columns];
        // More parts first, then less to read.
        let fewer = cut[0] * cut[1] < best[0] * best[1];
        if !fewer && (cut[0] * cut[1] > best[0] * best[1] || read(cut) < read(best)) {
            best = cut;
        }
        by_columns *= 2;
    }
    best
}

/// Part `number` of 0..`len` cut into `count`.
#[inline]
pub fn part_of(len: usize, number: usize, count: usize) -> Range<usize> {
    number * len / count..(number + 1) * len / count
}

/// Calls `work` with 0, 1 … `count` − 1, each on whatever thread.
#[inline]
pub fn each(count: usize, work: &(impl Fn(usize) + Sync)) {
    if count == 1 {
        return work(0);
    }
    let mut numbers: [usize; MOST_PARTS] = std::array::from_fn(|number| number);
    for_each(&mut numbers[..count], &|&mut number| work(number));
}

/// Calls `work` with parts of `values`, and where each begins, for what is done element by element.
#[inline]
pub fn elements<F: Send>(values: &mut [F], work: &(impl Fn(usize, &mut [F]) + Sync)) {
    /// An element waits for memory as long as so many multiplications take.
    const EACH: usize = 8;
    let (len, parts) = (values.len(), parts(values.len().saturating_mul(EACH)));
    if parts == 1 {
        return work(0, values);
    }
    in_pieces(
        (0, values),
        len,
        len.div_ceil(parts),
        |(start, values), at| {
            let (values, rest) = values.split_at_mut(at);
            ((start, values), (start + at, rest))
        },
        &|(start, values)| work(start, values),
    );
}

/// Memory in which parts write at once, each elements of its own.
#[derive(Clone, Copy)]
pub struct Elements<F>(*mut F);

// SAFETY: whoever writes through the pointer promises that nobody else reads or writes that element meanwhile.
unsafe impl<F: Send> Send for Elements<F> {}
// SAFETY: as above.
unsafe impl<F: Send> Sync for Elements<F> {}

impl<F> Elements<F> {
    pub fn of(values: &mut [F]) -> Self {
        Self(values.as_mut_ptr())
    }

    pub fn start(self) -> *mut F {
        self.0
    }

    /// Those behind the first so many.
    pub fn behind(self, count: usize) -> Self {
        Self(self.0.wrapping_add(count))
    }
}
