//! Whether data fits what a model was compiled for.

use crate::data::{Arrays, Dataset};
use crate::engine::{Network, check_inputs};
use crate::losses::reduction::check_weights;
use crate::models::objectives::Objective;
use crate::tensor::inputs::check_rows_loosely;
use crate::{Error, Result, Scalar, View};

/// Refuses arrays that do not fit a compiled model or that it could not learn from.
pub(crate) fn check_arrays<F: Scalar>(
    call: &str,
    network: &Network<F>,
    objectives: &[Objective<F>],
    arrays: &Arrays<'_, F>,
) -> Result<()> {
    let rows = check_inputs(call, &network.graph.inputs, &arrays.inputs)?;
    if rows == 0 {
        return Err(Error::data(call, "at least one row", "none"));
    }
    if arrays.targets.len() != objectives.len() {
        let expected = format!("targets for {} outputs", objectives.len());
        return Err(Error::data(call, expected, format!("{}", arrays.targets.len())));
    }
    for (input, given) in network.graph.inputs.iter().zip(&arrays.inputs) {
        if let Some((row, value)) = given.not_finite() {
            let received = format!("{value} at row {row}");
            return Err(Error::data(call, format!("finite numbers in input `{}`", input.name), received));
        }
    }
    let shapes = network.graph.shapes_for(arrays.inputs.iter().map(|given| &given.shape[1..]));
    let shapes = shapes.map_err(|error| error.within(call))?;
    let sample = |i: usize| &shapes.of[network.graph.outputs[i]][..];
    for (i, (given, objective)) in arrays.targets.iter().zip(objectives).enumerate() {
        let (sample, output) = (sample(i), &network.graph.output_names[i]);
        let row = objective.loss.target_shape(sample)?;
        let class = objective.loss.describe().class;
        check_rows_loosely(call, &format!("a target for output `{output}` ({class})"), &row, given.shape).map_err(
            |error| match class.as_str() {
                "CategoricalCrossentropy" => {
                    error.advise("use `to_categorical` on labels, or SparseCategoricalCrossentropy")
                }
                "SparseCategoricalCrossentropy" => {
                    error.advise("give labels, not one-hot rows, or use CategoricalCrossentropy")
                }
                _ => error,
            },
        )?;
        if given.rows() != rows {
            return Err(Error::data(call, format!("{rows} rows of targets"), format!("{}", given.rows())));
        }
        if let Some((row, value)) = given.not_finite() {
            return Err(Error::data(call, "finite targets", format!("{value} at row {row}")));
        }
        let mut shape = vec![rows];
        shape.extend_from_slice(&row);
        let values = given.scalars();
        objective.loss.check_targets(call, sample, View::new(&shape, &values))?;
    }
    if !arrays.weights.is_empty() && arrays.weights.len() != arrays.targets.len() {
        let expected = format!("sample weights for each of {} outputs", arrays.targets.len());
        return Err(Error::data(call, expected, format!("{}", arrays.weights.len())));
    }
    for (i, (given, objective)) in arrays.weights.iter().zip(objectives).enumerate() {
        objective.check_weighted(call, "sample")?;
        let mut values = vec![rows];
        values.extend(objective.loss.values_shape(sample(i)));
        check_weights(call, &values, given.shape)?;
        if let Some((row, value)) = given.not_finite() {
            return Err(Error::data(call, "finite sample weights", format!("{value} at row {row}")));
        }
    }
    Ok(())
}

/// Refuses a data set that does not fit a compiled network.
pub(crate) fn check_dataset<F: Scalar>(
    call: &str,
    network: &Network<F>,
    objectives: &[Objective<F>],
    dataset: &dyn Dataset<F>,
) -> Result<()> {
    if dataset.is_empty() {
        return Err(Error::data(call, "at least one row", "none"));
    }
    let shapes = network.graph.shapes_of(call, &dataset.input_shapes())?;
    let sample = |i: usize| &shapes.of[network.graph.outputs[i]][..];
    let targets = dataset.target_shapes();
    if targets.len() != objectives.len() {
        let expected = format!("targets for {} outputs", objectives.len());
        return Err(Error::data(call, expected, format!("{}", targets.len())));
    }
    for (i, (target, objective)) in targets.iter().zip(objectives).enumerate() {
        let row = objective.loss.target_shape(sample(i))?;
        let what = format!("a target for output `{}`", network.graph.output_names[i]);
        check_rows_loosely(call, &what, &row, &[&[dataset.len()][..], target].concat())?;
    }
    for (i, (weights, objective)) in dataset.weight_shapes().iter().zip(objectives).enumerate() {
        let Some(weights) = weights else { continue };
        let mut values = vec![dataset.len()];
        values.extend(objective.loss.values_shape(sample(i)));
        check_weights(call, &values, &[&[dataset.len()][..], weights].concat())?;
    }
    Ok(())
}
