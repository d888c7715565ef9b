//! GANs: alternating steps with given noise.

use gradus::config::Setting;
use gradus::prelude::*;
use ndarray::Axis;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let registry = Registry::<F>::standard();
    let config = &case.config;
    let network = |name: &str| -> Result<Model<F>, Stop> {
        let mut model = Model::<F>::from_config(&config[name], &registry)?;
        let given = case.below("param.").into_iter().filter_map(|(path, value): (String, ArrayD<F>)| {
            Some((path.strip_prefix(&format!("{name}."))?.replacen('.', "/", 1), value))
        });
        let given: Vec<(String, ArrayD<F>)> = given.collect();
        model.set_weights(given.iter().map(|(path, value)| (path, value)))?;
        Ok(model)
    };
    let optimizer = |name: &str| {
        let (class, options) = gradus::config::class_and_config(&config[format!("{name}_optimizer")])?;
        registry.make_optimizer(&class, &options)
    };
    let loss = match config["loss"].as_str() {
        None | Some("non_saturating") => GanLoss::NonSaturating,
        Some("minimax") => GanLoss::Minimax,
        Some("least_squares") => GanLoss::LeastSquares,
        Some("hinge") => GanLoss::Hinge,
        Some("wasserstein") => GanLoss::Wasserstein,
        Some(other) => return Err(unsupported(format!("the loss `{other}`"))),
    };
    let steps = config["d_steps"].as_u64().unwrap_or(1) as usize;
    let mut gan = Gan::new(Generator::new(network("generator")?)?, Discriminator::new(network("discriminator")?)?)
        .generator_optimizer(optimizer("generator")?)
        .discriminator_optimizer(optimizer("discriminator")?)
        .loss(loss)
        .discriminator_steps(steps)
        .real_label(config["real_label"].as_f64().unwrap_or(1.0))
        .build()?;

    let scale = if case.is_bytes("input") { F::of(255.0) } else { F::one() };
    let images = case.tensor::<F>("input")?.mapv(|pixel| pixel / scale);
    let (of_discriminator, of_generator) = (case.tensor::<F>("noise.discriminator")?, case.tensor("noise.generator")?);
    let mut results = Results::new();
    let mut first = |network: &str, grads: Vec<(String, ArrayD<F>)>| {
        for (path, grad) in grads {
            results.entry(format!("grad0.{network}.{}", path.replace('/', "."))).or_insert(grad);
        }
    };
    let (mut of_discriminators, mut of_generators) = (Vec::new(), Vec::new());
    let batches = config["batches"].as_array().ok_or_else(|| unsupported("a case without batches"))?;
    let reals = batches.iter().map(|batch| Ok(images.select(Axis(0), &Vec::from_value(batch)?)));
    let reals = reals.collect::<gradus::Result<Vec<_>>>()?;
    // A batch a step, whose last loss of the discriminator is told; or a batch, and a loss, for each of its steps.
    let rounds = of_generator.len_of(Axis(0));
    let batches_a_round = reals.len() / rounds.max(1);
    if batches_a_round * rounds != reals.len() || (batches_a_round != 1 && batches_a_round != steps) {
        return Err(unsupported(format!("{} batches for {rounds} rounds of {steps} steps", reals.len())));
    }
    for (step, reals) in reals.chunks(batches_a_round).enumerate() {
        for part in 0..steps {
            let noise = of_discriminator.index_axis(Axis(0), step).index_axis(Axis(0), part).to_owned();
            let loss = gan.train_discriminator(&reals[part % batches_a_round], &noise)?.loss;
            if batches_a_round == steps || part + 1 == steps {
                of_discriminators.push(F::of(loss));
            }
            first("discriminator", gan.discriminator_gradients());
        }
        let noise: ArrayD<F> = of_generator.index_axis(Axis(0), step).to_owned();
        of_generators.push(F::of(gan.train_generator(&noise)?));
        first("generator", gan.generator_gradients());
    }
    results.insert("output.loss.discriminator".into(), Array1::from(of_discriminators).into_dyn());
    results.insert("output.loss.generator".into(), Array1::from(of_generators).into_dyn());
    for (network, model) in [("generator", gan.generator()), ("discriminator", gan.discriminator())] {
        for (path, weight) in model.get_weights() {
            results.insert(format!("output.final.{network}.{}", path.replace('/', ".")), weight);
        }
    }
    results.insert("output.predict".into(), gan.generate(&case.tensor::<F>("noise.predict")?)?);
    Ok(results)
}
