//! Keras's earlier files, `.h5`: a whole model, or weights layer by layer in the order of the layers.

use super::places::Place;
use super::weights::{Budget, Found};
use crate::formats::hdf5::Group;
use crate::{Error, Result};

/// Where the layers of an earlier file are; none if it is a later one.
pub(super) fn layers<'f>(root: &Group<'f>) -> Result<Option<Group<'f>>> {
    if root.contains("model_weights") {
        return root.group("model_weights").map(Some);
    }
    let named = texts(root, "layer_names")?.is_some();
    Ok(named.then(|| root.clone()))
}

/// A single text beside a group.
pub(super) fn text(group: &Group<'_>, name: &str) -> Result<Option<String>> {
    Ok(group.texts(name)?.and_then(|texts| texts.into_iter().next()))
}

/// The texts of an attribute, which may be cut into `name0`, `name1` …, since one may only have 64 kB.
fn texts(group: &Group<'_>, name: &str) -> Result<Option<Vec<String>>> {
    if let Some(texts) = group.texts(name)? {
        return Ok(Some(texts));
    }
    let mut all: Option<Vec<String>> = None;
    for number in 0.. {
        let Some(part) = group.texts(&format!("{name}{number}"))? else { break };
        all.get_or_insert_default().extend(part);
    }
    Ok(all)
}

/// The arrays of all weights: the layers of the file that have some are those of the model that have some, in their order.
///
/// # Errors
/// If these are not as many, or one has more or fewer weights.
pub(super) fn find<'f>(file: &Group<'f>, places: &[Place], names: &[String]) -> Result<Vec<Found<'f>>> {
    let refuse = |expected: String, received: String| Error::data(place_of(file), expected, received);
    let (mut layers, mut budget) = (Vec::new(), Budget::new());
    for layer in texts(file, "layer_names")?.ok_or_else(|| refuse("names of layers".into(), "none".into()))? {
        let group = budget.group(file, &layer)?;
        let weights = texts(&group, "weight_names")?.unwrap_or_default();
        if !weights.is_empty() {
            layers.push((layer, group, weights));
        }
    }
    let own = of_layers(places);
    if own.len() != layers.len() {
        let name = |place: &&Place| format!("`{}`", names[place.of_layer]);
        let own: Vec<String> = own.iter().filter_map(|own| own.first().map(name)).collect();
        let theirs: Vec<String> = layers.iter().map(|(layer, ..)| format!("`{layer}`")).collect();
        let expected = format!("{} layers with weights ({})", own.len(), own.join(", "));
        return Err(refuse(expected, format!("{} ({})", layers.len(), theirs.join(", "))));
    }
    let mut found = Vec::new();
    for (own, (layer, group, weights)) in own.into_iter().zip(layers) {
        if own.len() != weights.len() {
            let expected =
                format!("{} weights of the layer `{layer}`, which is `{}` here", own.len(), names[own[0].of_layer]);
            return Err(refuse(expected, weights.len().to_string()));
        }
        for (place, weight) in own.into_iter().zip(weights) {
            let (groups, array) = weight.rsplit_once('/').unwrap_or(("", &weight));
            let mut groups = groups.split('/').filter(|name| !name.is_empty());
            let group = groups.try_fold(group.clone(), |group, name| budget.group(&group, name))?;
            found.push((group.dataset(array)?, place.clone()));
        }
    }
    Ok(found)
}

fn place_of(group: &Group<'_>) -> String {
    if group.path().is_empty() { "keras".to_owned() } else { group.path().to_owned() }
}

/// The weights of each of a model's own layers: those that training changes first, as such files have them.
fn of_layers(places: &[Place]) -> Vec<Vec<&Place>> {
    let mut layers: Vec<Vec<&Place>> = Vec::new();
    for place in places.iter().filter(|place| !place.copy) {
        match layers.last_mut().filter(|layer| layer[0].of_layer == place.of_layer) {
            Some(layer) => layer.push(place),
            None => layers.push(vec![place]),
        }
    }
    for layer in &mut layers {
        layer.sort_by_key(|place| !place.trains);
    }
    layers
}
