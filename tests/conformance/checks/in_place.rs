//! What a layer says of memories that are written over.

use gradus::check::LayerCheck;
use gradus::custom::*;

/// y = x/2, with something wrong in what it says or does of memories that are written over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Halved {
    Right,
    ReadsWhatItSaysItDoesNot,
    GoesElsewhereInPlace,
    ReturnsElsewhereInPlace,
}

impl<F: Scalar> Layer<F> for Halved {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        y.iter_mut().zip(x.iter()).for_each(|(y, &x)| *y = x / F::of(2.0));
    }

    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        for (i, grad_x) in grad_x.iter_mut().enumerate() {
            // y/x is a half too.
            let half = if *self == Self::ReadsWhatItSaysItDoesNot { y[i] / x[i] } else { F::of(0.5) };
            *grad_x = grad_y[i] * half;
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false)
    }

    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        Some(self)
    }
}

impl<F: Scalar> InPlace<F> for Halved {
    fn forward(&self, _: usize, _: Inputs<'_, F>, mut y: ViewMut<'_, F>, _: &Context<'_, F>) {
        let divisor = if *self == Self::GoesElsewhereInPlace { 3.0 } else { 2.0 };
        y.iter_mut().for_each(|y| *y /= F::of(divisor));
    }

    fn backward(
        &self,
        _: usize,
        _: View<'_, F>,
        mut grad: ViewMut<'_, F>,
        _: &mut GradInputs<'_, F>,
        _: &Context<'_, F>,
    ) {
        let divisor = if *self == Self::ReturnsElsewhereInPlace { 3.0 } else { 2.0 };
        grad.iter_mut().for_each(|grad| *grad /= F::of(divisor));
    }
}

#[test]
fn memories_that_are_written_over_are_checked() -> gradus::Result<()> {
    LayerCheck::new(&[3]).check(Halved::Right)?;
    for (broken, property) in [
        (Halved::ReadsWhatItSaysItDoesNot, "its output written over"),
        (Halved::GoesElsewhereInPlace, "written over its input"),
        (Halved::ReturnsElsewhereInPlace, "written over its input"),
    ] {
        match LayerCheck::new(&[3]).check(broken) {
            Err(Error::Conformance { property: found, problem, .. }) => {
                assert_eq!(found, property, "{broken:?}: {problem}");
            }
            other => panic!("{broken:?}: {other:?}"),
        }
    }
    Ok(())
}
