//! A part of a model as a model of its own.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::Model;
use crate::engine::identity::Identity;
use crate::engine::recipe::{Entry, LayerKind, Recipe};
use crate::engine::{AnyLayer, Network};
use crate::ids::{EntryId, Id, LayerId, each};
use crate::tensor::Shape;
use crate::{Error, Result, Scalar};

/// An output of a step: which step, which of its outputs.
type Place = (usize, usize);

/// An input of the model or a call of a layer, also in a model inside that has been opened.
struct Step<'a, F: Scalar> {
    name: String,
    call: Option<(&'a AnyLayer<F>, Vec<Place>)>,
    /// The layers of the whole model that it calls.
    layers: Range<LayerId>,
    shapes: Vec<&'a Shape>,
    batch: Option<usize>,
}

/// A model, step by step.
struct Steps<'a, F: Scalar> {
    list: Vec<Step<'a, F>>,
    /// What each name stands for: the outputs of a step or of an opened model. A name comes again with each call.
    names: Vec<(String, Vec<Place>)>,
    /// The names asked for: models inside with a part among them are opened.
    asked: &'a [String],
}

impl<F: Scalar> Model<F> {
    /// The model of all that lies between some layers' outputs, with copies of their weights: a feature extractor, the
    /// encoder or the decoder of an autoencoder.
    ///
    /// `inputs` and `outputs` are names of inputs and layers. A layer among `inputs` is itself left out: what it gave
    /// becomes a new input. A layer of a model inside this one goes by its path, `encoder/dense`; it is called
    /// `encoder_dense` in the new model. Of a layer that is called several times its first call is meant, as an output the
    /// first that depends on the inputs. A layer of several outputs gives all of them, as an input those that are used.
    /// Layers stay frozen, and weights shared, as they are; the new model is not compiled, and shares nothing with this one.
    ///
    /// A new head on a frozen base:
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let trained = Sequential::new()
    ///     .input([8])
    ///     .add(Dense::new(16).activation(Relu).name("features"))
    ///     .add(Dense::new(10).activation(Softmax))
    ///     .build()?;
    /// let mut base = trained.sub_model(["input"], ["features"])?;
    /// assert_eq!(base.weight("features/kernel")?, trained.weight("features/kernel")?);
    /// base.set_trainable("features", false)?;
    /// let model = Sequential::new().input([8]).add(base).add(Dense::new(2).activation(Softmax)).build()?;
    /// assert_eq!(model.summary().trainable(), 16 * 2 + 2);
    ///
    /// // The part behind a layer: what `features` gives is now the input.
    /// let rest = trained.sub_model(["features"], ["dense"])?;
    /// assert_eq!(rest.input_shape(0), [16]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no layer of a name, it stands in a model on every timestep, an output does not depend on the inputs, an
    /// input of this model is used but not given, or one is given but not used.
    pub fn sub_model<I: AsRef<str>, O: AsRef<str>>(
        &self,
        inputs: impl IntoIterator<Item = I>,
        outputs: impl IntoIterator<Item = O>,
    ) -> Result<Self> {
        let inputs: Vec<String> = inputs.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let outputs: Vec<String> = outputs.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let asked = [inputs.as_slice(), &outputs].concat();
        let mut all = Steps { list: Vec::new(), names: Vec::new(), asked: &asked };
        all.open(&self.recipe, &self.network, 0, "", None)?;
        for name in &asked {
            if !all.names.iter().any(|(known, _)| known == name) {
                return Err(self.not_found(name, &all));
            }
        }
        let problem = |problem: String| Error::Graph { model: self.name().to_owned(), problem };
        if outputs.is_empty() {
            return Err(problem("the part asked for has no outputs".into()));
        }
        let cuts: Vec<&[Place]> = inputs.iter().filter_map(|name| all.calls(name).next()).collect();
        let cut: HashSet<Place> = cuts.iter().copied().flatten().copied().collect();
        let behind = all.behind(&cut);
        let mut wanted = Vec::new();
        for name in &outputs {
            let reached = |places: &&[Place]| places.iter().all(|place| behind[place.0] && !cut.contains(place));
            let places = all.calls(name).find(reached).ok_or_else(|| {
                problem(format!("the output `{name}` does not depend on the inputs `{}`", inputs.join("`, `")))
            })?;
            wanted.extend_from_slice(places);
        }
        let (needed, used) = all.needed(&wanted, &cut).map_err(problem)?;
        if let Some((name, _)) = inputs.iter().zip(&cuts).find(|(_, places)| places.iter().all(|it| !used.contains(it)))
        {
            return Err(problem(format!("the outputs `{}` do not use the input `{name}`", outputs.join("`, `"))));
        }
        let inputs: Vec<Place> = cuts.concat().into_iter().filter(|place| used.contains(place)).collect();
        self.assemble(&all, &inputs, &needed, &wanted)
    }

    fn not_found(&self, name: &str, all: &Steps<'_, F>) -> Error {
        if self.graph.layers.iter().any(|layer| layer.name == name) {
            let problem = format!("the layer `{name}` stands in a model on every timestep, which cannot be cut");
            return Error::Graph { model: self.name().to_owned(), problem };
        }
        let known = all.names.iter().map(|(name, _)| name.as_str());
        let mut known: Vec<&str> = known.chain(self.graph.layers.iter().map(|layer| layer.name.as_str())).collect();
        let mut seen = HashSet::new();
        known.retain(|name| seen.insert(*name));
        Error::unknown("layer", name, known)
    }

    /// The model of the steps `needed` between `inputs` and `outputs`.
    fn assemble(&self, all: &Steps<'_, F>, inputs: &[Place], needed: &[usize], outputs: &[Place]) -> Result<Self> {
        let mut names = Names::default();
        let mut called: HashMap<&str, String> = HashMap::new();
        for name in needed.iter().map(|&step| all.list[step].name.as_str()) {
            called.entry(name).or_insert_with(|| names.free(name));
        }
        let mut entries = Vec::new();
        let mut positions: HashMap<Place, (EntryId, usize)> = HashMap::new();
        let mut identities = Vec::new();
        let mut known: HashMap<LayerId, Identity> = HashMap::new();
        for &(step, output) in inputs {
            let Step { name, shapes, batch, .. } = &all.list[step];
            positions.insert((step, output), (EntryId::new(entries.len()), 0));
            let name = Some(names.free(name));
            entries.push(Entry::Input { name, shape: shapes[output].clone(), batch: *batch });
            identities.push(Vec::new());
        }
        for &number in needed {
            let step = &all.list[number];
            let Some((layer, from)) = &step.call else { continue };
            let from = from.iter().map(|place| positions[place]).collect();
            for output in 0..step.shapes.len() {
                positions.entry((number, output)).or_insert((EntryId::new(entries.len()), output));
            }
            let layer = AnyLayer::clone(layer).named(&called[step.name.as_str()]);
            entries.push(Entry::Call { layer, inputs: from });
            let owners = each(&step.layers).map(|layer| self.graph.owner(layer));
            identities.push(owners.map(|owner| *known.entry(owner).or_insert_with(Identity::fresh)).collect());
        }
        let outputs = outputs.iter().map(|place| positions[place]).collect();
        let recipe = Recipe { name: self.name().to_owned(), seed: self.seed, entries, outputs, chain: false };
        let mut network = Network::from_recipe_as(&recipe, &identities)?;
        network.threads = self.threads.clone();
        let graph = network.graph.clone();
        let calls = needed.iter().map(|&step| all.list[step].layers.clone());
        for (from, to) in calls.zip(&graph.entries[inputs.len()..]) {
            for (from, to) in each(&from).zip(each(&to.layers)) {
                network.trains[to] = self.trains[from];
                for (from, to) in self.graph.layer_specs(from).iter().zip(graph.layer_specs(to)) {
                    network.params[to.range.clone()].copy_from_slice(&self.params[from.range.clone()]);
                }
            }
        }
        Ok(Self { network, recipe: Arc::new(recipe), compiled: None })
    }
}

/// Names that are in use.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// A path as a name, numbered if another has it.
    fn free(&mut self, path: &str) -> String {
        let base = path.replace('/', "_");
        let numbered = (1..).map(|number| format!("{base}_{number}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let name = name.unwrap_or(base);
        self.0.insert(name.clone());
        name
    }
}

impl<'a, F: Scalar> Steps<'a, F> {
    /// Adds the steps of a model whose layers begin with number `first` of the whole, and whose inputs are `given`, and
    /// returns its outputs.
    fn open(
        &mut self,
        recipe: &'a Recipe<F>,
        network: &'a Network<F>,
        first: usize,
        prefix: &str,
        given: Option<&[Place]>,
    ) -> Result<Vec<Place>> {
        let graph = &network.graph;
        let mut places: Vec<Vec<Place>> = Vec::new();
        let mut inputs = given.map(<[Place]>::iter);
        for (entry, built) in recipe.entries.iter().zip(&graph.entries) {
            let name = format!("{prefix}{}", built.name);
            let layers = built.layers.start.after(first)..built.layers.end.after(first);
            let call = match (entry, &mut inputs) {
                (Entry::Input { .. }, Some(given)) => {
                    places.push(given.next().copied().into_iter().collect());
                    continue;
                }
                (Entry::Input { .. }, None) => None,
                (Entry::Call { layer, inputs }, _) => {
                    Some((layer, inputs.iter().map(|&(entry, output)| places[entry][output]).collect::<Vec<Place>>()))
                }
            };
            let below = format!("{name}/");
            let outputs = match &call {
                Some((AnyLayer { kind: LayerKind::Model(inner), .. }, from))
                    if self.asked.iter().any(|asked| asked.starts_with(&below)) =>
                {
                    self.open(&inner.recipe, &inner.network, layers.start.number(), &below, Some(from))?
                }
                _ => {
                    let shapes: Vec<&Shape> = built.outputs.iter().map(|&slot| &graph.slots[slot].shape).collect();
                    let at = self.list.len();
                    let outputs = (0..shapes.len()).map(|output| (at, output)).collect();
                    self.list.push(Step { name: name.clone(), call, layers, shapes, batch: graph.batch() });
                    outputs
                }
            };
            self.names.push((name, outputs.clone()));
            places.push(outputs);
        }
        Ok(recipe.outputs.iter().map(|&(entry, output)| places[entry][output]).collect())
    }

    /// The outputs of each call of a layer.
    fn calls(&self, name: &str) -> impl Iterator<Item = &[Place]> {
        self.names.iter().filter(move |(known, _)| known == name).map(|(_, places)| places.as_slice())
    }

    /// Which steps depend on the places of `cut`.
    fn behind(&self, cut: &HashSet<Place>) -> Vec<bool> {
        let mut behind = Vec::with_capacity(self.list.len());
        for step in &self.list {
            let from = step.call.iter().flat_map(|(_, from)| from);
            let depends = from.into_iter().any(|place| cut.contains(place) || behind[place.0]);
            behind.push(depends);
        }
        behind
    }

    /// The steps that `wanted` needs in the order in which they run, and which places of `cut` they use.
    fn needed(
        &self,
        wanted: &[Place],
        cut: &HashSet<Place>,
    ) -> std::result::Result<(Vec<usize>, HashSet<Place>), String> {
        let (mut needed, mut used) = (vec![false; self.list.len()], HashSet::new());
        let mut open = wanted.to_vec();
        while let Some(place) = open.pop() {
            if cut.contains(&place) {
                used.insert(place);
                continue;
            }
            let step = &self.list[place.0];
            let Some((_, from)) = &step.call else {
                return Err(format!("the input `{}` is used but not given", step.name));
            };
            if !std::mem::replace(&mut needed[place.0], true) {
                open.extend_from_slice(from);
            }
        }
        Ok(((0..needed.len()).filter(|&step| needed[step]).collect(), used))
    }
}
