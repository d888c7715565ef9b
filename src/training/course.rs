//! What every training by epochs has: how many, in what order, how it is shown.

use crate::{Error, Result, random};

/// The options of [`Fit`](super::Fit) and [`GanFit`](crate::gan::GanFit) that say how epochs run.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub batch_size: usize,
    pub epochs: usize,
    pub verbose: u8,
    pub shuffle: bool,
    pub initial_epoch: usize,
    pub steps_per_epoch: Option<usize>,
}

impl Default for Course {
    fn default() -> Self {
        Self { batch_size: 32, epochs: 1, verbose: 1, shuffle: true, initial_epoch: 0, steps_per_epoch: None }
    }
}

impl Course {
    /// Refuses options outside their ranges.
    pub fn check(&self, call: &str) -> Result<()> {
        at_least_one(call, "batch_size", self.batch_size)?;
        at_least_one(call, "steps_per_epoch", self.steps_per_epoch.unwrap_or(1))?;
        match self.verbose {
            0..=2 => Ok(()),
            _ => Err(Error::option("verbose", "0, 1 or 2", self.verbose).within(call)),
        }
    }

    /// How many steps an epoch over so many rows takes.
    pub fn steps(&self, rows: usize) -> usize {
        let batches = rows.div_ceil(self.batch_size);
        self.steps_per_epoch.unwrap_or(batches).min(batches)
    }

    /// Puts the rows into the order of an epoch: from the same start each time, so that it does not depend on the epochs
    /// before it.
    pub fn arrange(&self, order: &mut [usize], seed: u64, epoch: usize) {
        if self.shuffle {
            order.iter_mut().enumerate().for_each(|(i, row)| *row = i);
            random::shuffle(order, seed, epoch as u64);
        }
    }
}

pub(crate) fn at_least_one(call: &str, option: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::option(option, "at least 1", 0).within(call)) } else { Ok(()) }
}

/// The setters of a [`Course`] in the field `course`.
macro_rules! course_setters {
    () => {
        /// Rows of a step. Default: 32.
        pub fn batch_size(mut self, rows: usize) -> Self {
            self.course.batch_size = rows;
            self
        }

        /// The number of the epoch to stop before, counted from 0. Default: 1.
        pub fn epochs(mut self, epochs: usize) -> Self {
            self.course.epochs = epochs;
            self
        }

        /// 0: silent; 1: a progress bar on a terminal, a line an epoch elsewhere; 2: a line an epoch. Default: 1.
        pub fn verbose(mut self, verbose: u8) -> Self {
            self.course.verbose = verbose;
            self
        }

        /// Whether each epoch takes the rows in a new order. Default: true.
        pub fn shuffle(mut self, shuffle: bool) -> Self {
            self.course.shuffle = shuffle;
            self
        }

        /// The number of the first epoch, counted from 0: where an interrupted training goes on. Default: 0.
        pub fn initial_epoch(mut self, epoch: usize) -> Self {
            self.course.initial_epoch = epoch;
            self
        }

        /// Ends each epoch after so many steps. Default: when all rows have been seen.
        pub fn steps_per_epoch(mut self, steps: usize) -> Self {
            self.course.steps_per_epoch = Some(steps);
            self
        }
    };
}

pub(crate) use course_setters;
