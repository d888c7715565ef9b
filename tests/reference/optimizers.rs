//! Optimizers and schedules.

use gradus::config::Setting;
use gradus::custom::*;
use ndarray::{ArrayD, Axis};

use super::case::{Case, Results, Stop, unsupported};

/// y = Σ x·(w, b): its gradient with respect to the weights is the input, so that a case's gradients go in as data.
#[derive(Clone)]
struct Linear {
    w: Vec<usize>,
    b: Vec<usize>,
}

impl<F: Scalar> Layer<F> for Linear {
    type Cache = ();
    fn build(&self, _: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        params.add("w", &self.w, Initializer::Zeros)?;
        params.add("b", &self.b, Initializer::Zeros)?;
        Ok(vec![1])
    }
    fn forward(&self, _: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        y.fill(F::zero()); // nobody looks at it
    }
    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        _: ViewMut<'_, F>,
        _: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let (w, b) = x.split_at(self.w.iter().product());
        grads.get_mut("w").copy_from_slice(w);
        grads.get_mut("b").copy_from_slice(b);
    }
}

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    let (class, options) = match class.strip_prefix("torch.") {
        Some(class) => (class, from_torch(class, case)?),
        None => (class, case.options()),
    };
    let optimizer = Registry::<F>::standard().make_optimizer(class, &options)?;
    let (w, b) = (case.tensor::<F>("param.w")?, case.tensor::<F>("param.b")?);
    let len = w.len() + b.len();
    let layer = Linear { w: w.shape().to_vec(), b: b.shape().to_vec() };
    // Some optimizers go by names.
    let name = case.call["layer"].as_str().unwrap_or("l");
    let [path_w, path_b] = ["w", "b"].map(|which| format!("{name}/{which}"));
    let mut model = Sequential::<F>::default().input([len]).add_named(name, layer).build()?;
    model.set_weights([(path_w.as_str(), &w), (path_b.as_str(), &b)])?;
    let mut driver = Driver::new(optimizer, &model)?;
    let (grads_w, grads_b) = (case.tensor::<F>("grads.w")?, case.tensor::<F>("grads.b")?);
    let mut outputs: [Vec<F>; 2] = Default::default();
    let mut pass = model.pass();
    for (gw, gb) in grads_w.axis_iter(Axis(0)).zip(grads_b.axis_iter(Axis(0))) {
        let x = Array2::from_shape_vec((1, len), gw.iter().chain(gb.iter()).copied().collect()).unwrap();
        model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 0 })?;
        model.backward(&mut pass, &Array2::from_elem((1, 1), F::one()))?;
        driver.step(&mut model, &pass)?;
        outputs[0].extend(model.weight(&path_w)?.iter());
        outputs[1].extend(model.weight(&path_b)?.iter());
    }
    driver.finish(&mut model);
    let [ow, ob] = outputs;
    Ok([
        ("output.w".into(), ArrayD::from_shape_vec(grads_w.shape(), ow).unwrap()),
        ("output.b".into(), ArrayD::from_shape_vec(grads_b.shape(), ob).unwrap()),
        ("output.final.w".into(), model.weight(&path_w)?),
        ("output.final.b".into(), model.weight(&path_b)?),
    ]
    .into())
}

/// PyTorch's options in gradus's words.
fn from_torch(class: &str, case: &Case) -> Result<gradus::config::Config, Stop> {
    let mut options = gradus::config::Config::new();
    let mut set = |name: &str, value: serde_json::Value| options.insert(name.into(), value);
    let default_rate = match class {
        "RMSprop" => 0.01,
        _ => 0.001,
    };
    set("learning_rate", default_rate.into());
    match class {
        "Adam" | "AdamW" => {
            set("epsilon", 1e-8.into());
            set("epsilon_after_correction", true.into());
        }
        "RMSprop" => {
            set("rho", 0.99.into());
            set("epsilon", 1e-8.into());
            set("epsilon_in_root", false.into());
        }
        _ => (),
    }
    set("decoupled_weight_decay", (class == "AdamW").into());
    if class == "AdamW" {
        set("weight_decay", 0.01.into());
    }
    for (name, value) in case.options() {
        match name.as_str() {
            "lr" => drop(set("learning_rate", value)),
            "alpha" => drop(set("rho", value)),
            "eps" => drop(set("epsilon", value)),
            "betas" => {
                set("beta_1", value[0].clone());
                set("beta_2", value[1].clone());
            }
            "momentum" | "dampening" | "nesterov" | "weight_decay" | "amsgrad" | "centered" | "maximize" => {
                set(&name, value);
            }
            _ => return Err(unsupported(format!("option `{name}`"))),
        }
    }
    Ok(options)
}

pub fn run_schedule<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    let schedule = LearningRate::from_value(&gradus::config::object(class, case.options()))?;
    let steps = case.tensor::<f64>("input")?;
    Ok([("output".into(), steps.mapv(|step| F::of(schedule.at(step as u64))))].into())
}
