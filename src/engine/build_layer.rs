//! Building one layer.

use std::sync::Arc;

use super::graph::LayerEntry;
use super::operation::Operation;
use crate::layers::ParamBuilder;
use crate::tensor::checked_volume;
use crate::{Error, Result, Scalar};

pub(super) fn name_layer<F: Scalar>(layer: &LayerEntry<F>, after: Option<String>, error: Error) -> Error {
    Error::Layer { name: layer.name.clone(), class: layer.description.class.clone(), after, source: Box::new(error) }
}

/// Builds a layer, and refuses penalties and constraints that do not fit its parameters, and outputs that no machine
/// could hold.
pub(super) fn build_layer<F: Scalar>(
    operation: &Arc<dyn Operation<F>>,
    inputs: &[&[usize]],
    params: &mut ParamBuilder<'_, F>,
) -> Result<Vec<Vec<usize>>> {
    let outputs = operation.build(inputs, params)?;
    for spec in params.added() {
        let regularizer = spec.regularizer.as_ref().map_or(Ok(()), |it| it.check(&spec.shape));
        let constraint = || spec.constraint.as_ref().map_or(Ok(()), |it| it.check(&spec.shape));
        regularizer.and_then(|()| constraint()).map_err(|error| error.within(format!("`{}`", spec.name)))?;
    }
    let on_output = operation.describe().activity_regularizer;
    for output in &outputs {
        checked_volume(output)?;
        if let Some(regularizer) = &on_output {
            let whole = [&[1], output.as_slice()].concat();
            regularizer.check(&whole).map_err(|error| error.within("`activity_regularizer`"))?;
        }
    }
    Ok(outputs)
}
