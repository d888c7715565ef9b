//! Work cut into parts, for threads that have nothing else to do.
//!
//! A part is some elements of the result, never some terms of its sums: what comes out is the same however work is cut.

use std::ops::Range;

use crate::parallel::{for_each, has_help, in_pieces};

/// Parts of one call, at most.
const MOST_PARTS: usize = 32;
/// Multiplications that a part has at least: some microseconds.
const LEAST_WORK: usize = 1 << 18;

/// Into how many parts work of so many multiplications is cut: one, if nobody would help.
#[inline]
pub fn parts(work: usize) -> usize {
    if work < 2 * LEAST_WORK || !has_help() { 1 } else { (work / LEAST_WORK).min(MOST_PARTS) }
}

/// How many parts a result is cut into along its rows, and how many along its columns, at most `parts` in all, so that the largest
/// is done soonest. There are `work` multiplications; a part reads what its rows and its columns are made of, `values` in the whole.
pub fn rows_and_columns(parts: usize, work: usize, whole: [usize; 2], values: [usize; 2]) -> [usize; 2] {
    /// A value is read from a far cache in the time of so many multiplications.
    const READ: usize = 8;
    let whole = whole.map(|count| count.max(1));
    let share = |of: usize, axis: usize, cut: [usize; 2]| of / whole[axis] * whole[axis].div_ceil(cut[axis]);
    let time = |cut: [usize; 2]| {
        share(share(work, 0, cut), 1, cut) + READ * (share(values[0], 0, cut) + share(values[1], 1, cut))
    };
    let cuts = (1..=parts.min(whole[1])).map(|by_columns| [(parts / by_columns).clamp(1, whole[0]), by_columns]);
    cuts.min_by_key(|&cut| time(cut)).unwrap_or([1, 1])
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

#[cfg(test)]
mod tests {
    use super::{part_of, rows_and_columns};

    #[test]
    fn parts_are_even_and_read_little() {
        let cut =
            |parts, whole: [usize; 2], values| rows_and_columns(parts, whole[0] * whole[1] * 10_000, whole, values);
        assert_eq!(cut(1, [9, 9], [1000, 1000]), [1, 1]);
        // The larger operand is read once, the smaller by every part.
        assert_eq!(cut(16, [160, 160], [1_000_000, 1000]), [16, 1]);
        assert_eq!(cut(16, [160, 160], [1000, 1_000_000]), [1, 16]);
        // Of 25 and 5 units no 16 parts are as even as 5 × 3 of 5 units and 1 each, or less.
        let [rows, columns] = cut(16, [25, 5], [1000, 1000]);
        assert!(rows * columns <= 16 && 25usize.div_ceil(rows) * 5usize.div_ceil(columns) <= 9, "{rows} × {columns}");
        assert_eq!(cut(16, [3, 2], [10, 10]), [3, 2], "no more than there are units");
    }

    #[test]
    fn the_parts_of_a_range_are_the_whole() {
        for (len, count) in [(0, 1), (7, 3), (3, 7), (100, 32)] {
            let parts = (0..count).flat_map(|number| part_of(len, number, count));
            assert!(parts.eq(0..len), "{len} in {count}");
        }
    }
}
