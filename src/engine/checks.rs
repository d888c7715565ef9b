//! Whether what a caller hands in fits a network.

use super::graph::InputEntry;
use crate::tensor::Shape;
use crate::tensor::inputs::ArrayInput;
use crate::{Error, Result, Scalar};

/// Refuses inputs that do not fit a model, and returns how many rows they have.
pub(crate) fn check_inputs<F: Scalar>(
    call: &str,
    expected: &[InputEntry],
    given: &[ArrayInput<'_, F>],
) -> Result<usize> {
    if given.len() != expected.len() {
        let names: Vec<&str> = expected.iter().map(|input| input.name.as_str()).collect();
        let wanted = format!("{} inputs ({})", expected.len(), names.join(", "));
        return Err(Error::data(call, wanted, format!("{}", given.len())));
    }
    for (input, given) in expected.iter().zip(given) {
        if !given.shape.get(1..).is_some_and(|row| input.shape.fits(row)) {
            let expected = format!("input `{}` of shape ({})", input.name, batch_and(&input.shape));
            let error = Error::data(call, expected, crate::error::show(given.shape));
            // The commonest slip: one sample without its batch axis.
            let one = input.shape.fits(given.shape);
            return Err(if one { error.advise("add a batch axis with `insert_axis(Axis(0))`") } else { error });
        }
    }
    let rows = given[0].rows();
    if let Some(other) = given.iter().find(|other| other.rows() != rows) {
        return Err(Error::data(call, format!("{rows} rows in every input"), format!("{} rows", other.rows())));
    }
    Ok(rows)
}

/// `batch, None, 3`: in messages.
fn batch_and(shape: &Shape) -> String {
    let axis = |axis: &Option<usize>| axis.map_or_else(|| "None".into(), |size| size.to_string());
    std::iter::once("batch".into()).chain(shape.axes().iter().map(axis)).collect::<Vec<String>>().join(", ")
}

/// Refuses a batch that has not the size that an input fixes.
pub(crate) fn check_batch(call: &str, expected: &[InputEntry], rows: usize) -> Result<()> {
    match expected.iter().find(|input| input.batch.is_some_and(|batch| batch != rows)) {
        None => Ok(()),
        Some(input) => {
            let wanted = format!("batches of {} rows, which input `{}` fixes", input.batch.unwrap_or(0), input.name);
            Err(Error::data(call, wanted, format!("{rows}")))
        }
    }
}
