//! Which rows of a table a step touches, and their gradients.

use std::ops::Range;

use crate::Scalar;
use crate::kernels::elementwise;

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

    /// Adds rows.
    pub fn insert_those(&mut self, rows: &[usize]) {
        for row in rows {
            self.insert(*row);
        }
    }

    pub fn clear(&mut self) {
        for row in self.listed.drain(..) {
            self.contained[row] = false;
        }
        self.sorted = true;
    }

    /// The rows from the first to the last, in runs of rows that lie side by side.
    pub fn runs(&mut self) -> impl Iterator<Item = Range<usize>> + '_ {
        if !std::mem::replace(&mut self.sorted, true) {
            self.listed.sort_unstable();
        }
        self.listed.chunk_by(|row, next| row + 1 == *next).map(|run| run[0]..run[run.len() - 1] + 1)
    }
}

/// The gradient of a table: the rows that a pass has touched, side by side; all others are 0.
///
/// A batch of a few thousand words fits into the cache this way, which a table of all words does not.
#[derive(Clone, Debug)]
pub(crate) struct TouchedRows<F> {
    width: usize,
    touched: Vec<usize>,
    /// Of each row of the table, where its gradient lies among the touched, or [`NOWHERE`].
    places: Vec<u32>,
    values: Vec<F>,
}

const NOWHERE: u32 = u32::MAX;

impl<F: Scalar> TouchedRows<F> {
    /// No rows yet, of a table of `rows` times `width`.
    pub fn new(rows: usize, width: usize) -> Self {
        Self { width, touched: Vec::new(), places: vec![NOWHERE; rows], values: Vec::new() }
    }

    /// Makes room for rows that have none yet, in the order of the table: whoever reads it in that order reads on.
    pub fn touch(&mut self, rows: impl IntoIterator<Item = usize>) {
        let (rows, before) = (rows.into_iter(), self.touched.len());
        let most = rows.size_hint().1.unwrap_or(0).min(self.places.len() - before);
        self.touched.reserve(most);
        self.values.reserve(most * self.width);
        for row in rows {
            if self.places[row] == NOWHERE {
                // Its place is known when all are; until then it is somewhere.
                self.places[row] = 0;
                self.touched.push(row);
            }
        }
        self.touched[before..].sort_unstable();
        for (place, row) in (before..).zip(&self.touched[before..]) {
            self.places[*row] = u32::try_from(place).expect("a batch touches fewer rows");
        }
        self.values.resize(self.touched.len() * self.width, F::zero());
    }

    /// The gradients of the touched rows.
    pub fn values(&self) -> &[F] {
        &self.values
    }

    pub fn touched(&self) -> &[usize] {
        &self.touched
    }

    /// The gradient of a row, if the row has been touched.
    pub fn get(&self, row: usize) -> Option<&[F]> {
        let place = Some(self.places[row]).filter(|&place| place != NOWHERE)?;
        Some(&self.values[place as usize * self.width..][..self.width])
    }

    fn get_mut(&mut self, row: usize) -> &mut [F] {
        let place = self.places[row];
        assert!(place != NOWHERE, "row {row} was not among those that were to be touched");
        &mut self.values[place as usize * self.width..][..self.width]
    }

    pub fn clear(&mut self) {
        self.touched.drain(..).for_each(|row| self.places[row] = NOWHERE);
        self.values.clear();
    }

    /// Adds the rows to a whole table.
    pub fn add_to(&self, table: &mut [F]) {
        for (row, gradient) in self.touched.iter().zip(self.values.chunks_exact(self.width)) {
            elementwise::axpy(F::one(), gradient, &mut table[row * self.width..][..self.width]);
        }
    }
}

/// The gradient of a table, for adding to rows of it: what [`Grads::rows_mut`](super::Grads::rows_mut) gives.
///
/// ```
/// use gradus::layers::{Context, Grads, Layer, ParamBuilder};
/// use gradus::custom::*;
/// use gradus::{View, ViewMut};
///
/// /// y = what is learned of user number x: one of `users`.
/// struct Taste {
///     users: usize,
/// }
///
/// impl<F: Scalar> Layer<F> for Taste {
///     type Cache = ();
///
///     fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
///         params.add("taste", &[self.users, 1], Initializer::Zeros)?.few_rows();
///         Ok(input.to_vec())
///     }
///     fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, _: &mut (), cx: &Context<'_, F>) {
///         for (y, x) in y.iter_mut().zip(x.iter()) {
///             *y = cx.params.get("taste")[x.to_usize().unwrap_or(0)];
///         }
///     }
///     fn backward(
///         &self,
///         x: View<'_, F>,
///         _: View<'_, F>,
///         grad_y: ViewMut<'_, F>,
///         _: Option<ViewMut<'_, F>>,
///         grads: &mut Grads<'_, F>,
///         _: &mut (),
///         _: &Context<'_, F>,
///     ) {
///         let user = |x: &F| x.to_usize().unwrap_or(0);
///         let mut taste = grads.rows_mut(0, x.iter().map(user));
///         for (x, grad_y) in x.iter().zip(grad_y.iter()) {
///             taste.row_mut(user(x))[0] += *grad_y;
///         }
///     }
/// }
///
/// let mut model = Sequential::new()
///     .input([1])
///     .add(Taste { users: 1000 })
///     .compile(MeanSquaredError::new(), SGD::new().learning_rate(0.5))
///     .build()?;
/// model.fit(&array![[7.0f32], [9.0]], &array![[1.0], [-1.0]], Fit::new().epochs(20).verbose(0))?;
/// assert!((model.predict(&array![[7.0], [8.0], [9.0]])? - array![[1.0], [0.0], [-1.0]]).iter().all(|x| x.abs() < 1e-3));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct RowGrads<'a, F>(pub(super) Place<'a, F>);

/// Where it lies.
#[derive(Debug)]
pub(super) enum Place<'a, F> {
    /// All rows, of this width.
    Whole(&'a mut [F], usize),
    Touched(&'a mut TouchedRows<F>),
}

impl<F: Scalar> RowGrads<'_, F> {
    /// The gradient of a row, to which a pass adds.
    ///
    /// # Panics
    /// If the table has no such row, or the row was not among those that were to be touched.
    pub fn row_mut(&mut self, row: usize) -> &mut [F] {
        match &mut self.0 {
            Place::Whole(values, width) => &mut values[row * *width..][..*width],
            Place::Touched(rows) => rows.get_mut(row),
        }
    }

    /// Adds `gradient` to that of a row.
    ///
    /// # Panics
    /// As [`row_mut`](Self::row_mut), or if a row has another length.
    pub fn add(&mut self, row: usize, gradient: &[F]) {
        elementwise::axpy(F::one(), gradient, self.row_mut(row));
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
        assert_eq!(rows.len(), 5);
        assert_eq!(rows.runs().collect::<Vec<_>>(), [0..1, 2..5, 7..8]);
        rows.insert_those(&[1, 7]);
        assert_eq!(rows.runs().collect::<Vec<_>>(), [0..5, 7..8]);
        rows.clear();
        assert_eq!(rows.runs().count(), 0);
        rows.insert(7);
        assert_eq!(rows.runs().next(), Some(7..8));
        rows.insert_all();
        assert_eq!(rows.runs().next(), Some(0..9));
    }
    #[test]
    fn gradients_of_rows_add_up() {
        let mut rows = TouchedRows::<f32>::new(6, 2);
        rows.touch([4, 1, 4]);
        rows.touch([0, 4, 1]);
        assert_eq!(rows.touched(), [1, 4, 0]);
        let mut grads = RowGrads(Place::Touched(&mut rows));
        grads.add(4, &[1.0, 2.0]);
        grads.add(4, &[10.0, 20.0]);
        grads.row_mut(0)[1] = 5.0;
        assert_eq!(rows.get(4), Some(&[11.0, 22.0][..]));
        assert_eq!(rows.get(1), Some(&[0.0, 0.0][..]));
        assert_eq!(rows.get(2), None);
        let mut table = [1.0; 12];
        rows.add_to(&mut table);
        assert_eq!(table, [1.0, 6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 12.0, 23.0, 1.0, 1.0]);
        rows.clear();
        assert_eq!(rows.get(4), None);
        rows.touch([4]);
        assert_eq!(rows.get(4), Some(&[0.0, 0.0][..]));
    }
}
