//! What is left of a layer when it is written and read.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::gradients::{layer_model, run_pass};
use super::{Subject, TRAINING, same_arrays, same_bits, text};
use crate::engine::recipe::LayerKind;
use crate::models::Model;

impl Subject<'_> {
    /// The configuration, written and read, makes a layer that says and does the same.
    pub(super) fn configuration(&self) -> Result<(), String> {
        let description = self.operation.describe();
        if description.class.is_empty() {
            return Err("the class has no name".into());
        }
        let Some(config) = description.config else { return Ok(()) };
        let written = serde_json::to_string(&config).map_err(|error| error.to_string())?;
        let read = written.parse().map_err(|error: serde_json::Error| error.to_string())?;
        let serde_json::Value::Object(mut options) = read else { return Err(format!("{written} is no object")) };
        options.insert("trainable".into(), description.trainable.into());
        let again = self.check.registry.make_layer(&description.class, &options).map_err(|error| {
            format!("from its configuration {written}: {error} (`LayerCheck::registry` takes custom classes)")
        })?;
        let LayerKind::Operation(operation) = &again.kind else { return Err("its class makes a whole model".into()) };
        let said = operation.describe();
        if said.config.as_ref() != Some(&config) || said.class != description.class {
            return Err(format!("the configuration {config:?} became {:?} when it was written and read", said.config));
        }
        if said.trainable != description.trainable || said.activity_regularizer != description.activity_regularizer {
            return Err("made from its configuration, it trains or penalizes its output otherwise".into());
        }
        // Its name is not among its options, and random numbers depend on it.
        let again = description.name.map_or(again.clone(), |name| again.named(name));
        let mut model = layer_model(&again, &self.check.inputs).map_err(text)?;
        if model.params.len() != self.f64.params.len() {
            return Err("made from its configuration, it has other parameters".into());
        }
        model.params.copy_from_slice(&self.f64.params);
        let x = self.check.batch::<f64>(3, 16);
        let passed = run_pass(&model, &mut model.pass_with_input_gradients().with_penalties(true), &x, None, TRAINING)
            .map_err(text)?;
        let own = self.double(&x, TRAINING)?;
        if same_bits(&own, &passed) {
            Ok(())
        } else {
            Err(format!("made from its configuration, it gives another {}", own.first_difference(&passed)))
        }
    }

    /// Weights by path, into a model with other ones.
    pub(super) fn weights(&self) -> Result<(), String> {
        let mut other = self.f64.clone();
        other.params.fill(f64::NAN);
        let weights = self.f64.get_weights();
        other.set_weights(weights.iter().map(|(path, array)| (path, array))).map_err(text)?;
        let x = self.check.batch::<f64>(3, 15);
        let (a, b) = (self.f64.predict_all(&x[..]).map_err(text)?, other.predict_all(&x[..]).map_err(text)?);
        if a.iter().zip(&b).all(|(a, b)| same_arrays(a, b)) { Ok(()) } else { Err("the outputs are others".into()) }
    }

    /// A model of the layer, saved to a file and loaded without the code that built it.
    pub(super) fn file(&self) -> Result<(), String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if self.operation.describe().config.is_none() {
            return Ok(());
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("gradus-check-{}-{number}.safetensors", std::process::id());
        let path = std::env::temp_dir().join(name);
        let loaded = self.f64.save(&path).and_then(|()| Model::load_with(&path, &self.check.registry));
        std::fs::remove_file(&path).ok();
        let loaded = loaded.map_err(|error| format!("{error} (`LayerCheck::registry` takes custom classes)"))?;
        let x = self.check.batch::<f64>(3, 17);
        let (a, b) = (self.f64.predict_all(&x[..]).map_err(text)?, loaded.predict_all(&x[..]).map_err(text)?);
        if a.iter().zip(&b).all(|(a, b)| same_arrays(a, b)) { Ok(()) } else { Err("the outputs are others".into()) }
    }
}
