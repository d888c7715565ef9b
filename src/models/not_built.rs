//! What a person is told by the compiler who trains a model before it is built.

use super::{ModelBuilder, Sequential};
use crate::{Result, Scalar};

/// What can be trained; nothing that is still being put together can.
///
/// ```compile_fail
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().input([2]).add(Dense::new(1));
/// model.fit(&array![[0.0f32, 1.0]], &array![[1.0f32]], Fit::new()).ok();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not built yet, so that it has no weights to train or predict with",
    note = "`.build()?` gives the model, which has `fit`, `evaluate` and `predict`"
)]
#[doc(hidden)]
pub trait Built {}

macro_rules! not_built {
    ($($builder:ident),*) => { $(
        impl<F: Scalar> $builder<F> {
            #[doc(hidden)]
            pub fn fit<X, Y, O>(&mut self, _: X, _: Y, _: O) -> Result<()>
            where
                Self: Built,
            {
                Ok(())
            }

            #[doc(hidden)]
            pub fn predict<X>(&self, _: X) -> Result<()>
            where
                Self: Built,
            {
                Ok(())
            }
        }
    )* };
}

not_built!(Sequential, ModelBuilder);
