//! A layer in its input's place.

use super::super::gradients::run_pass;
use super::{Subject, TRAINING, same, same_arrays, same_bits, text};
use crate::engine::recipe::{Entry, Recipe};
use crate::ids::{EntryId, Id, first};
use crate::layers::{Context, Dropout, GradInputs, Grads, InPlace, Inputs, Layer, ParamBuilder};
use crate::models::{AnyLayer, Model};
use crate::{Result, Scalar, View, ViewMut};

/// What stands behind a layer and writes NaN over its output, though its gradient is that of y = x.
struct Spoiled;

impl<F: Scalar> Layer<F> for Spoiled {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, _: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        y.fill(F::nan());
    }

    fn backward(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        if let Some(mut grad_x) = grad_x {
            grad_x.copy_from_slice(&grad_y);
        }
    }

    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        Some(self)
    }
}

impl<F: Scalar> InPlace<F> for Spoiled {
    fn forward(&self, _: usize, _: Inputs<'_, F>, mut y: ViewMut<'_, F>, _: &Context<'_, F>) {
        y.fill(F::nan());
    }

    fn backward(&self, _: usize, _: View<'_, F>, _: ViewMut<'_, F>, _: &mut GradInputs<'_, F>, _: &Context<'_, F>) {}
}

impl Subject<'_> {
    /// A backward pass that says that it does not read the output does not.
    pub(super) fn unread(&self) -> Result<(), String> {
        if !self.operation.facts().backward_ignores_output || self.operation.describe().activity_regularizer.is_some() {
            return Ok(());
        }
        let x = self.check.batch::<f64>(19, 18);
        let alone = self.double(&x, TRAINING)?;
        let count = self.check.inputs.len();
        let mut model = self
            .followed(|entries| {
                let inputs = first(count).map(|input| (input, 0)).collect();
                entries.push(Entry::Call { layer: self.layer.clone(), inputs });
                let inputs = vec![(EntryId::new(count), 0)];
                entries.push(Entry::Call { layer: AnyLayer::single(Spoiled), inputs });
            })
            .map_err(text)?;
        model.params.copy_from_slice(&self.f64.params);
        let spoiled = run_pass(&model, &mut model.pass_with_input_gradients().with_penalties(true), &x, None, TRAINING)
            .map_err(text)?;
        let same_inputs = alone.input_gradients.iter().zip(&spoiled.input_gradients).all(|(a, b)| same_arrays(a, b));
        if same_inputs && same(&alone.gradients, &spoiled.gradients) {
            Ok(())
        } else {
            Err("it says that its backward pass does not read the output, and gives other gradients without it".into())
        }
    }

    /// Written over an input, the output and all gradients are what they are elsewhere.
    pub(super) fn in_place(&self) -> Result<(), String> {
        if self.operation.in_place().is_none() {
            return Ok(());
        }
        let x = self.check.batch::<f64>(19, 17);
        let elsewhere = self.double(&x, TRAINING)?;
        for over in 0..self.check.inputs.len() {
            let model = self.over(over).map_err(text)?;
            let mut pass = model.pass_with_input_gradients();
            let passed = run_pass(&model, &mut pass, &x, None, TRAINING).map_err(text)?;
            if pass.executor.run(&model).plan.nodes.iter().all(|node| node.over.is_none()) {
                continue; // not over this one
            }
            if !same_bits(&elsewhere, &passed) {
                let what = elsewhere.first_difference(&passed);
                return Err(format!("written over input {over}, it gives another {what}"));
            }
        }
        Ok(())
    }

    /// The layer after inputs of which one lies where it may be written over.
    fn over(&self, over: usize) -> Result<Model<f64>> {
        let count = self.check.inputs.len();
        self.followed(|entries| {
            // y = x, bit for bit, in a memory of its own that nobody reads again.
            let inputs = vec![(EntryId::new(over), 0)];
            entries.push(Entry::Call { layer: AnyLayer::single(Dropout::new(0.0)), inputs });
            let inputs = (0..count).map(|i| (EntryId::new(if i == over { count } else { i }), 0)).collect();
            entries.push(Entry::Call { layer: self.layer.clone(), inputs });
        })
    }

    /// The inputs and what `add` lets follow them, of which the last gives the output.
    fn followed(&self, add: impl FnOnce(&mut Vec<Entry<f64>>)) -> Result<Model<f64>> {
        let input = |shape: &Vec<usize>| Entry::Input { name: None, shape: shape.clone().into(), batch: None };
        let mut entries: Vec<Entry<f64>> = self.check.inputs.iter().map(input).collect();
        add(&mut entries);
        let outputs = vec![(EntryId::new(entries.len() - 1), 0)];
        Model::from_recipe(Recipe { name: "check".into(), seed: 0, entries, outputs, chain: false })
    }
}
