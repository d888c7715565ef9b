//! Beam search: the likeliest sequences that a model can write.

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView2};

use crate::config::options;
use crate::{Error, Result, Scalar};

options! {
    /// Finds likely sequences: at every step the `width` likeliest beginnings go on.
    ///
    /// A sequence's score is log p / ((5 + length) / 6)^α with α = `length_penalty`. The search ends when no beginning can
    /// become better than the `width` best that have ended, or at `max_length`.
    ///
    /// # Defaults
    /// `width` 4, `length_penalty` 0: by probability alone. Width 1 is greedy.
    /// # Errors
    /// [`search`](Self::search) refuses a width or a length of 0, a penalty below 0 or not finite, and what the closure
    /// returns if it has not a row a beginning, has no column for the end token, or holds NaN.
    /// # Example
    /// ```
    /// use gradus::data::text::BeamSearch;
    /// use ndarray::{Array2, array};
    ///
    /// // A Markov chain for a model: tokens 0 (start), 1, 2 and 3 (end).
    /// let next = array![[0.0f64, 0.6, 0.4, 0.0], [0.0, 0.2, 0.4, 0.4], [0.0, 0.0, 0.1, 0.9], [0.0; 4]].mapv(f64::ln);
    /// let best = BeamSearch::new(0, 3, 10).search(|beginnings| {
    ///     let last = beginnings.column(beginnings.ncols() - 1);
    ///     Ok(Array2::from_shape_fn((last.len(), 4), |(row, token)| next[[last[row], token]]))
    /// })?;
    /// assert_eq!(best[0].tokens, [2]); // 0.4 · 0.9, where the greedy way has 0.6 · 0.4
    /// assert!((best[0].log_probability.exp() - 0.36).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// The penalty: Wu et al., *Google's neural machine translation system*, 2016, equation 14.
    pub struct BeamSearch(
        /// The token that all beginnings begin with.
        start: usize,
        /// The token that ends a sequence.
        end: usize,
        /// How many tokens a sequence has at most.
        max_length: usize,
    ) {
        /// How many beginnings are kept. Default: 4.
        width: usize = 4,
        /// How much longer sequences are preferred. Default: 0.
        length_penalty: f64 = 0.0,
    }
}

/// A sequence that a beam search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, without start and end.
    pub tokens: Vec<usize>,
    /// The logarithm of its probability, the end included.
    pub log_probability: f64,
    /// By which sequences are compared.
    pub score: f64,
    /// Whether it has ended by itself, not by `max_length`.
    pub ended: bool,
}

/// A sequence that may go on.
struct Beginning {
    /// The start token and what followed.
    tokens: Vec<usize>,
    log_probability: f64,
}

impl BeamSearch {
    /// The likeliest sequences, best first, `width` at most; those that have not ended stand last.
    ///
    /// `next` is given the beginnings, a row each, (beginnings, tokens so far), start token included, and returns the
    /// logarithms of the probabilities of each next token, (beginnings, tokens).
    ///
    /// # Errors
    /// See [`BeamSearch`]; what `next` refuses.
    pub fn search<F: Scalar>(
        &self,
        mut next: impl FnMut(ArrayView2<'_, usize>) -> Result<Array2<F>>,
    ) -> Result<Vec<Hypothesis>> {
        self.check()?;
        let mut open = vec![Beginning { tokens: vec![self.start], log_probability: 0.0 }];
        let mut ended: Vec<Hypothesis> = Vec::new();
        for length in 1..=self.max_length {
            let tokens: Vec<usize> = open.iter().flat_map(|beginning| beginning.tokens.iter().copied()).collect();
            let shape = (open.len(), length);
            let beginnings = ArrayView2::from_shape(shape, &tokens).map_err(|_| Error::shape("a matrix", &[]))?;
            let logarithms = next(beginnings)?;
            self.check_logarithms(open.len(), &logarithms)?;

            // Which beginning goes on with which token, and how likely that is.
            let mut goes_on: Vec<(usize, usize, f64)> = Vec::new();
            for (number, (beginning, row)) in open.iter().zip(logarithms.outer_iter()).enumerate() {
                for (token, logarithm) in row.iter().enumerate().filter(|(_, l)| **l > F::neg_infinity()) {
                    let log_probability = beginning.log_probability + logarithm.f64();
                    if token == self.end {
                        ended.push(self.hypothesis(beginning.tokens[1..].to_vec(), log_probability, true));
                    } else {
                        goes_on.push((number, token, log_probability));
                    }
                }
            }
            goes_on.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
            goes_on.truncate(self.width);
            let longer = |(number, token, log_probability): (usize, usize, f64)| Beginning {
                tokens: [&open[number].tokens[..], &[token]].concat(),
                log_probability,
            };
            open = goes_on.into_iter().map(longer).collect();
            ended.sort_by(best_first);
            ended.truncate(self.width);
            // A longer sequence is no likelier; the penalty helps it most at the greatest length.
            let best_to_come = open.first().map(|b| b.log_probability / self.penalty(self.max_length));
            let full = ended.len() == self.width;
            if best_to_come.is_none_or(|to_come| full && ended[self.width - 1].score >= to_come) {
                return Ok(ended);
            }
        }
        let cut = open.into_iter().map(|b| self.hypothesis(b.tokens[1..].to_vec(), b.log_probability, false));
        ended.extend(cut);
        ended.truncate(self.width);
        Ok(ended)
    }

    fn hypothesis(&self, tokens: Vec<usize>, log_probability: f64, ended: bool) -> Hypothesis {
        let score = log_probability / self.penalty(tokens.len() + usize::from(ended));
        Hypothesis { tokens, log_probability, score, ended }
    }

    fn penalty(&self, length: usize) -> f64 {
        ((5.0 + length as f64) / 6.0).powf(self.length_penalty)
    }

    fn check(&self) -> Result<()> {
        for (option, value) in [("width", self.width), ("max_length", self.max_length)] {
            if value == 0 {
                return Err(Error::option(option, "at least 1", value));
            }
        }
        if !(self.length_penalty >= 0.0 && self.length_penalty.is_finite()) {
            return Err(Error::option("length_penalty", "a number not below 0", self.length_penalty));
        }
        Ok(())
    }

    fn check_logarithms<F: Scalar>(&self, rows: usize, logarithms: &Array2<F>) -> Result<()> {
        let refuse = |received| {
            let expected = format!("logarithms of probabilities, {rows} rows, a column for token {}", self.end);
            Err(Error::data("search", expected, received))
        };
        if logarithms.nrows() != rows || logarithms.ncols() <= self.end {
            return refuse(crate::error::show(logarithms.shape()));
        }
        match logarithms.iter().find(|l| l.is_nan()) {
            Some(_) => refuse("NaN".into()),
            None => Ok(()),
        }
    }
}

fn best_first(a: &Hypothesis, b: &Hypothesis) -> Ordering {
    b.score.total_cmp(&a.score)
}
