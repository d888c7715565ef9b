//! Weights in Keras's `.weights.h5`, and those in a `.keras` file.

use std::collections::{HashMap, HashSet};

use super::places::Place;
use crate::error::show;
use crate::formats::hdf5::{Content, Dataset, Group};
use crate::formats::safetensors::{Element, Tensor};
use crate::kernels::aligned::Aligned;
use crate::{Error, Result, Scalar, memory};

/// No model has layers in layers as deep as this.
const DEEPEST: usize = 64;
/// No file has as many members in its groups, all in all. A hostile one may have one group under many names.
const MOST_MEMBERS: usize = 1 << 20;

/// Opens groups, and counts what they hold.
pub(super) struct Budget(usize);

impl Budget {
    pub fn new() -> Self {
        Self(MOST_MEMBERS)
    }

    pub fn group<'f>(&mut self, of: &Group<'f>, name: &str) -> Result<Group<'f>> {
        let group = of.group(name)?;
        let many = || Error::data(group.path(), format!("at most {MOST_MEMBERS} members of groups"), "more");
        self.0 = self.0.checked_sub(1 + group.names().count()).ok_or_else(many)?;
        Ok(group)
    }
}

/// The groups on the way to the last one that was asked for: those that are on the way to the next are not opened again.
struct Way<'f> {
    root: Group<'f>,
    groups: Vec<(String, Group<'f>)>,
}

impl<'f> Way<'f> {
    fn to(&mut self, path: &str, budget: &mut Budget) -> Result<&Group<'f>> {
        let names: Vec<&str> = path.split('/').collect();
        let same = self.groups.iter().zip(&names).take_while(|((known, _), name)| known == *name).count();
        self.groups.truncate(same);
        for name in &names[same..] {
            let last = self.groups.last().map_or(&self.root, |(_, group)| group);
            let group = budget.group(last, name)?;
            self.groups.push(((*name).to_owned(), group));
        }
        Ok(self.groups.last().map_or(&self.root, |(_, group)| group))
    }
}

/// An array of a file with the weight that it becomes.
pub(super) type Found<'f> = (Dataset<'f>, Place);

/// The arrays of all weights; `read` are groups whose arrays were something else, such as the statistics of a Normalization.
///
/// # Errors
/// If a weight is missing, or the file has weights that the model has not.
pub(super) fn find<'f>(root: &Group<'f>, places: &[Place], read: &HashSet<String>) -> Result<Vec<Found<'f>>> {
    let mut found = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for place in places {
        *counts.entry(&place.group).or_default() += 1;
    }
    let (mut way, mut budget) = (Way { root: root.clone(), groups: Vec::new() }, Budget::new());
    let mut checked = HashSet::new();
    for place in places {
        let vars = way.to(&format!("{}/vars", place.group), &mut budget)?;
        if checked.insert(&place.group) {
            let (expected, received) = (counts[place.group.as_str()], vars.names().count());
            if expected != received {
                let expected = format!("{expected} weights of `{}`", place.name);
                return Err(Error::data(vars.path(), expected, format!("{received} arrays")));
            }
        }
        let dataset = vars.dataset(&place.number.to_string())?;
        if !place.copy {
            found.push((dataset, place.clone()));
        }
    }
    refuse_others(root, |group| counts.contains_key(group) || read.contains(group))?;
    Ok(found)
}

/// Refuses groups of weights for which `known` is false.
fn refuse_others(root: &Group<'_>, known: impl Fn(&str) -> bool) -> Result<()> {
    let mut open = Vec::new();
    if root.contains("layers") {
        open.push((root.group("layers")?, 1));
    }
    let mut budget = Budget::new();
    while let Some((group, depth)) = open.pop() {
        if depth > DEEPEST {
            return Err(Error::data(group.path(), format!("at most {DEEPEST} groups within one another"), "more"));
        }
        for name in group.names() {
            // Random numbers of earlier files are no weights.
            if name == "seed_generator" {
                continue;
            }
            let inner = budget.group(&group, name)?;
            if name != "vars" {
                open.push((inner, depth + 1));
            } else if inner.names().next().is_some() && !known(group.path()) {
                let expected =
                    "weights that the model has (statistics of a Normalization come with a whole model alone)";
                return Err(Error::data(group.path(), expected, "more of them"));
            }
        }
    }
    Ok(())
}

/// All weights of a model of `len` values, whose shapes are compared before memory is taken for any; those that the file does not
/// have are as they are made.
pub(super) fn values<F: Scalar>(found: &[Found<'_>], start: Option<&[F]>, len: usize) -> Result<Aligned<F>> {
    for (dataset, place) in found {
        if dataset.shape() != place.shape {
            let (expected, received) = (show(&place.shape), show(dataset.shape()));
            let expected = format!("the shape {expected} of `{}`", place.name);
            return Err(Error::data(dataset.path(), expected, received));
        }
    }
    let bytes = memory::bytes_of::<F>(&[len]);
    if !memory::is_there(bytes) {
        return Err(memory::too_large("weights", len, bytes));
    }
    let mut params = Aligned::zeros(len);
    if let Some(start) = start {
        params.copy_from_slice(start);
    }
    for (dataset, place) in found {
        let tensor = dataset.read()?;
        let values = tensor.to_array::<F>();
        params[place.range.clone()].iter_mut().zip(&values).for_each(|(to, &value)| *to = value);
    }
    Ok(params)
}

/// The weights as a file holds them; beside each layer's its name, as Keras writes it.
pub(super) fn content<F: Scalar + Element>(places: &[Place], params: &[F]) -> Content {
    let mut content = Content::new();
    for place in places {
        let values = params[place.range.clone()].to_vec();
        content.insert(&place.path(), Tensor::new(&place.shape, values).expect("shape and values agree"));
        let layer = place.name.rsplit_once('/').map_or("", |(layer, _)| layer);
        content.insert_text(&format!("{}/vars", place.group), "name", layer.rsplit('/').next().unwrap_or(layer));
    }
    content
}
