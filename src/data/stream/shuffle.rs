//! Another order, from a buffer.

use super::Items;
use crate::Result;
use crate::random::{Philox, below};

/// Draws each item at random from a buffer that the source keeps full.
pub struct Shuffled<T> {
    items: Items<T>,
    buffer: Vec<T>,
    size: usize,
    rng: Philox,
}

impl<T> Shuffled<T> {
    pub fn new(items: Items<T>, size: usize, rng: Philox) -> Self {
        Self { items, buffer: Vec::new(), size, rng }
    }
}

impl<T> Iterator for Shuffled<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        while self.buffer.len() < self.size {
            match self.items.next() {
                Some(Ok(item)) => self.buffer.push(item),
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        let waiting = self.buffer.len() as u64;
        (waiting > 0).then(|| Ok(self.buffer.swap_remove(below(waiting, &mut self.rng))))
    }
}
