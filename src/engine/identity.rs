//! Which layers are one and the same, whatever models they stand in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::operation::Operation;
use crate::Scalar;

/// What tells one set of parameters from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Of the layer behind a handle: the place where it lies. Who keeps this keeps the layer too.
    Handle(usize),
    /// Of a layer of a copied network, which no handle means any more.
    Copy(u64),
}

impl Identity {
    /// Of the layer whose parameters `operation` has: itself, or the one that it is around.
    pub fn of<F: Scalar>(operation: &Arc<dyn Operation<F>>) -> Self {
        let mut innermost: &dyn Operation<F> = &**operation;
        while let Some(inner) = innermost.has_parameters_of() {
            innermost = inner;
        }
        Self::Handle(std::ptr::from_ref(innermost).cast::<()>().addr())
    }

    /// One that nothing else has.
    pub fn fresh() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self::Copy(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}
