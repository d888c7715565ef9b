//! What every training by epochs has: how many, in what order, how it is shown.

use crate::{Error, Result, random};

/// The options of [`Fit`](super::Fit) that say how epochs run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochOptions {
    pub batch_size: usize,
    pub epochs: usize,
    pub verbose: u8,
    pub shuffle: bool,
    pub initial_epoch: usize,
    pub steps_per_epoch: Option<usize>,
}

impl Default for EpochOptions {
    fn default() -> Self {
        Self { batch_size: 32, epochs: 1, verbose: 1, shuffle: true, initial_epoch: 0, steps_per_epoch: None }
    }
}

impl EpochOptions {
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
