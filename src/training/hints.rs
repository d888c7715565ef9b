//! What the options of a training suggests.

use std::fmt;

use super::history::History;

/// Something that a [`History`] suggests; its `Display` says what to try.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Hint {
    /// The validation loss was best after this epoch, counted from 0, and has risen since, though the loss went on falling.
    Overfitting {
        /// The epoch with the best validation loss.
        best_epoch: usize,
        /// By what share the validation loss has risen since.
        rise: f64,
    },
    /// The loss has hardly fallen from the first epoch to the last.
    Underfitting {
        /// By what share it has fallen.
        fall: f64,
    },
    /// The loss was still falling when the training ended, and that of validation with it.
    Unfinished {
        /// By what share it fell in the last quarter of the epochs.
        fall: f64,
    },
    /// The loss is larger than it was after the first epoch.
    Diverging {
        /// By what share it has risen.
        rise: f64,
    },
    /// The loss often rises from one epoch to the next.
    Unsteady {
        /// In how many epochs it rose by more than 5 %.
        rises: usize,
    },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        match *self {
            Self::Overfitting { best_epoch, rise } => write!(
                f,
                "overfitting: the validation loss was best after epoch {} and has risen by {:.0} % since; stop earlier \
                 (EarlyStopping), use dropout, a penalty, augmentation or more data, or a smaller network",
                best_epoch + 1,
                percent(rise)
            ),
            Self::Underfitting { fall } => write!(
                f,
                "underfitting: the loss has fallen by {:.0} % only; try another learning rate, a larger network, scaled inputs, less \
                 regularization",
                percent(fall)
            ),
            Self::Unfinished { fall } => write!(
                f,
                "unfinished: the loss fell by {:.0} % in the last quarter of the epochs; train for longer",
                percent(fall)
            ),
            Self::Diverging { rise } => write!(
                f,
                "diverging: the loss has risen by {:.0} %; lower the learning rate, scale the inputs, clip gradients",
                percent(rise)
            ),
            Self::Unsteady { rises } => {
                write!(f, "unsteady: the loss rose in {rises} epochs; lower the learning rate or take larger batches")
            }
        }
    }
}

/// Fewer epochs tell nothing.
const FEWEST: usize = 5;

impl History {
    /// What the losses suggest, of a training of five epochs or more; nothing of a shorter one, of one whose losses are not above 0, or
    /// where all is well.
    ///
    /// With the losses ℓ of training and v of validation over n epochs, b the epoch of the least v, and q = ⌈n/4⌉:
    ///
    /// - [`Overfitting`](Hint::Overfitting): v of the last epoch > 1.05·v(b), and ℓ of the last epoch < ℓ(b).
    /// - [`Diverging`](Hint::Diverging): ℓ of the last epoch > ℓ of the first.
    /// - [`Underfitting`](Hint::Underfitting): not that, and ℓ of the last epoch > 0.9·ℓ of the first.
    /// - [`Unfinished`](Hint::Unfinished): not the former, ℓ of the last epoch < 0.95·ℓ of q epochs before, and so v, if there is one.
    /// - [`Unsteady`](Hint::Unsteady): ℓ rose by more than 5 % in more than a third of the steps from epoch to epoch.
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// use gradus::training::Hint;
    /// # let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new().learning_rate(1e-5)).build()?;
    /// let (x, y) = (array![[1.0f32], [2.0]], array![[3.0f32], [5.0]]);
    /// let history = model.fit(&x, &y, Fit::new().epochs(6).verbose(0))?;
    /// for hint in history.hints() {
    ///     println!("{hint}"); // underfitting: the loss has fallen by 0 % only; …
    /// }
    /// assert!(matches!(history.hints()[..], [Hint::Underfitting { .. }]));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn hints(&self) -> Vec<Hint> {
        let (loss, validation) = (self.get("loss"), self.get("val_loss"));
        let n = loss.len();
        if n < FEWEST || !loss.iter().chain(&validation).all(|loss| *loss > 0.0) {
            return Vec::new();
        }
        // Not every epoch need be validated: then the two cannot be compared.
        let validation = Some(validation).filter(|validation| validation.len() == n);
        let last = n - 1;
        let mut hints = Vec::new();
        if let Some(v) = &validation {
            let best = (0..n).fold(0, |best, epoch| if v[epoch] < v[best] { epoch } else { best });
            if v[last] > 1.05 * v[best] && loss[last] < loss[best] {
                hints.push(Hint::Overfitting { best_epoch: self.epochs()[best], rise: v[last] / v[best] - 1.0 });
            }
        }
        let before = last - n.div_ceil(4);
        let falls = |losses: &[f64]| losses[last] < 0.95 * losses[before];
        if loss[last] > loss[0] {
            hints.push(Hint::Diverging { rise: loss[last] / loss[0] - 1.0 });
        } else if loss[last] > 0.9 * loss[0] {
            hints.push(Hint::Underfitting { fall: 1.0 - loss[last] / loss[0] });
        } else if falls(&loss) && validation.as_deref().is_none_or(falls) {
            hints.push(Hint::Unfinished { fall: 1.0 - loss[last] / loss[before] });
        }
        let rises = loss.windows(2).filter(|pair| pair[1] > 1.05 * pair[0]).count();
        if 3 * rises > last {
            hints.push(Hint::Unsteady { rises });
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Logs;

    fn hints(loss: &[f64], validation: &[f64]) -> Vec<Hint> {
        let mut history = History::default();
        for (epoch, &value) in loss.iter().enumerate() {
            let mut logs = Logs::default();
            logs.insert("loss", value);
            if let Some(&value) = validation.get(epoch) {
                logs.insert("val_loss", value);
            }
            history.push(epoch, logs);
        }
        history.hints()
    }

    #[test]
    fn trainings_are_told_apart() {
        let well = [1.0, 0.5, 0.3, 0.25, 0.24, 0.235, 0.233, 0.232];
        assert_eq!(hints(&well, &[]), []);
        assert_eq!(hints(&well, &well.map(|loss| loss + 0.1)), []);
        let over = [1.0, 0.6, 0.4, 0.41, 0.45, 0.47, 0.5, 0.6];
        let found = hints(&well, &over);
        assert!(
            matches!(found[..], [Hint::Overfitting { best_epoch: 2, rise }] if (rise - 0.5).abs() < 1e-12),
            "{found:?}"
        );
        assert!(found[0].to_string().contains("after epoch 3 and has risen by 50 %"));
        // A validation loss that rises while the loss rises too is another trouble.
        assert!(!hints(&over, &over).iter().any(|hint| matches!(hint, Hint::Overfitting { .. })));
        let stuck = [1.0, 0.99, 0.985, 0.98, 0.979];
        assert!(matches!(hints(&stuck, &[])[..], [Hint::Underfitting { .. }]));
        let rising = [6.8, 8.0, 9.0, 10.0, 10.7];
        let found = hints(&rising, &[]);
        assert!(matches!(found[0], Hint::Diverging { .. }), "{found:?}");
        assert!(found[0].to_string().contains("has risen by 57 %; lower the learning rate"), "{}", found[0]);
        let falling = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3];
        assert!(matches!(hints(&falling, &[])[..], [Hint::Unfinished { .. }]));
        assert_eq!(hints(&falling, &[1.0, 0.9, 0.85, 0.84, 0.84, 0.84]), []);
        let jumping = [1.0, 0.3, 0.5, 0.2, 0.4, 0.19, 0.21];
        assert!(hints(&jumping, &[]).contains(&Hint::Unsteady { rises: 3 }));
        let settled = [1.0, 0.3, 0.2, 0.201, 0.199, 0.2, 0.198, 0.199];
        assert_eq!(hints(&settled, &[]), []);
    }

    #[test]
    fn short_or_strange_trainings_tell_nothing() {
        assert_eq!(hints(&[1.0, 1.0, 1.0, 1.0], &[]), []);
        assert_eq!(hints(&[1.0, 1.0, f64::NAN, 1.0, 1.0], &[]), []);
        assert_eq!(hints(&[-1.0, -2.0, -3.0, -4.0, -5.0], &[]), []);
    }
}
