//! What a training was like.

use std::fmt;
use std::ops::Index;

/// Metrics by name: `loss`, `accuracy`, `val_loss` …
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(Vec<(String, f64)>);

impl Logs {
    /// The metric called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// Adds a metric, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a value; returns its place. Allocates only for a name that is new.
    pub(crate) fn set(&mut self, name: &str, value: f64) -> usize {
        if let Some(place) = self.0.iter().position(|(known, _)| known == name) {
            self.0[place].1 = value;
            return place;
        }
        self.0.push((name.to_owned(), value));
        self.0.len() - 1
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// With `prefix` before every name.
    pub(crate) fn prefixed(self, prefix: &str) -> Self {
        Self(self.0.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect())
    }

    /// Names and metrics, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The names of all metrics.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Index<&str> for Logs {
    type Output = f64;

    /// # Panics
    /// If there is no metric of that name.
    fn index(&self, name: &str) -> &f64 {
        let known = || self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, value)) => value,
            None => panic!("there is no metric `{name}`, only {}", known()),
        }
    }
}

impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            let gap = if i == 0 { "" } else { " - " };
            // As Keras: four digits, and small metrics in scientific form.
            if value != 0.0 && value.abs() < 1e-3 {
                write!(f, "{gap}{name}: {value:.4e}")?;
            } else {
                write!(f, "{gap}{name}: {value:.4}")?;
            }
        }
        Ok(())
    }
}

/// The metrics of every epoch of a training, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    epochs: Vec<usize>,
    logs: Vec<Logs>,
}

impl History {
    pub(crate) fn push(&mut self, epoch: usize, logs: Logs) {
        self.epochs.push(epoch);
        self.logs.push(logs);
    }

    /// The epochs that were run, counted from 0.
    pub fn epochs(&self) -> &[usize] {
        &self.epochs
    }

    /// A metric over the epochs, as in Keras's `history.history["loss"]`; empty if there is none of that name.
    pub fn get(&self, name: &str) -> Vec<f64> {
        self.logs.iter().filter_map(|logs| logs.get(name)).collect()
    }

    /// A metric with the epochs that have it: where validation is not done after every epoch, not all.
    ///
    /// ```
    /// # use gradus::prelude::*;
    /// # let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
    /// let (x, y) = (array![[1.0f32], [2.0]], array![[1.0f32], [2.0]]);
    /// let fit = Fit::new().epochs(5).verbose(0).validation_data(&x, &y).validation_freq(2);
    /// let history = model.fit(&x, &y, fit)?;
    /// let epochs: Vec<usize> = history.points("val_loss").iter().map(|(epoch, _)| *epoch).collect();
    /// assert_eq!(epochs, [1, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn points(&self, name: &str) -> Vec<(usize, f64)> {
        let all = self.epochs.iter().zip(&self.logs);
        all.filter_map(|(&epoch, logs)| logs.get(name).map(|value| (epoch, value))).collect()
    }

    /// The names of the metrics that an epoch has.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.logs.iter().flat_map(Logs::iter) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The metrics of the last epoch.
    pub fn last(&self) -> Option<&Logs> {
        self.logs.last()
    }

    /// All metrics as CSV: a line of names, then a line an epoch; a metric that an epoch does not have is left empty.
    ///
    /// ```
    /// # use gradus::prelude::*;
    /// # let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
    /// let history = model.fit(&array![[1.0f32]], &array![[1.0f32]], Fit::new().epochs(2).verbose(0))?;
    /// assert!(history.to_csv().starts_with("epoch,loss\n0,"));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn to_csv(&self) -> String {
        let names = self.names();
        let mut csv = std::iter::once("epoch").chain(names.iter().map(String::as_str)).collect::<Vec<_>>().join(",");
        for (epoch, logs) in self.epochs.iter().zip(&self.logs) {
            csv.push('\n');
            csv.push_str(&epoch.to_string());
            for name in &names {
                csv.push(',');
                if let Some(value) = logs.get(name) {
                    csv.push_str(&value.to_string());
                }
            }
        }
        csv.push('\n');
        csv
    }
}
