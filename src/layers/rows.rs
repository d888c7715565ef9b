//! Which rows of a table a step has touched.

use std::ops::Range;

/// Some of a table's rows. Once it has been made it allocates nothing, and what it costs depends on how many rows are
/// in it, not on how many the table has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    listed: Vec<usize>,
    contained: Vec<bool>,
    sorted: bool,
}

impl Rows {
    /// None of `count` rows.
    pub fn none_of(count: usize) -> Self {
        Self { listed: Vec::with_capacity(count), contained: vec![false; count], sorted: true }
    }

    /// How many rows the table has.
    pub fn count(&self) -> usize {
        self.contained.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    pub fn insert(&mut self, row: usize) {
        if !std::mem::replace(&mut self.contained[row], true) {
            self.listed.push(row);
            self.sorted = false;
        }
    }

    /// Adds all rows.
    pub fn insert_all(&mut self) {
        (0..self.count()).for_each(|row| self.insert(row));
    }

    /// Adds the rows of `others`.
    pub fn unite(&mut self, others: &Self) {
        others.listed.iter().for_each(|row| self.insert(*row));
    }

    pub fn clear(&mut self) {
        for row in self.listed.drain(..) {
            self.contained[row] = false;
        }
        self.sorted = true;
    }

    /// The rows in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.listed.iter().copied()
    }

    /// The rows from the first to the last, in runs of rows that lie side by side.
    pub fn runs(&mut self) -> impl Iterator<Item = Range<usize>> + '_ {
        if !std::mem::replace(&mut self.sorted, true) {
            self.listed.sort_unstable();
        }
        self.listed.chunk_by(|row, next| row + 1 == *next).map(|run| run[0]..run[run.len() - 1] + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_once_and_in_runs() {
        let mut rows = Rows::none_of(9);
        for row in [7, 2, 3, 7, 0, 4] {
            rows.insert(row);
        }
        assert_eq!(rows.iter().collect::<Vec<_>>(), [7, 2, 3, 0, 4]);
        assert_eq!(rows.runs().collect::<Vec<_>>(), [0..1, 2..5, 7..8]);
        let mut others = Rows::none_of(9);
        others.insert(1);
        others.insert(7);
        rows.unite(&others);
        assert_eq!(rows.runs().collect::<Vec<_>>(), [0..5, 7..8]);
        rows.clear();
        assert_eq!(rows.runs().count(), 0);
        rows.insert(7);
        assert_eq!(rows.runs().next(), Some(7..8));
        rows.insert_all();
        assert_eq!(rows.runs().next(), Some(0..9));
    }
}
