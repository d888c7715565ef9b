//! Numbers of the parts of a network, a type for each kind of part: a layer's number is never taken for a node's.

use std::ops::{Index, IndexMut, Range};

/// The number of one part among those of its kind, from 0.
pub(crate) trait Id: Copy {
    fn new(number: usize) -> Self;
    fn number(self) -> usize;

    /// What this is where `others` come before the first.
    #[inline]
    fn after(self, others: usize) -> Self {
        Self::new(others + self.number())
    }

    /// The number after it.
    #[inline]
    fn next(self) -> Self {
        self.after(1)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(usize);

        impl Id for $name {
            #[inline]
            fn new(number: usize) -> Self {
                Self(number)
            }

            #[inline]
            fn number(self) -> usize {
                self.0
            }
        }

        // What is kept for each part lies in a list, in the order of their numbers.
        impl<T> Index<$name> for [T] {
            type Output = T;

            #[inline]
            fn index(&self, id: $name) -> &T {
                &self[id.0]
            }
        }

        impl<T> IndexMut<$name> for [T] {
            #[inline]
            fn index_mut(&mut self, id: $name) -> &mut T {
                &mut self[id.0]
            }
        }

        impl<T> Index<$name> for Vec<T> {
            type Output = T;

            #[inline]
            fn index(&self, id: $name) -> &T {
                &self[id.0]
            }
        }

        impl<T> IndexMut<$name> for Vec<T> {
            #[inline]
            fn index_mut(&mut self, id: $name) -> &mut T {
                &mut self[id.0]
            }
        }
    )* };
}

ids! {
    /// A call of a layer, or an input of a model, as the model's user said it.
    EntryId;
    /// A layer of a graph.
    LayerId;
    /// A call of a layer in a graph, or an input of it: several for an entry that is a whole model.
    NodeId;
    /// An output of a node, counted over the graph; the first are the inputs of the model.
    SlotId;
}

/// The first `count` numbers.
#[inline]
pub(crate) fn first<I: Id>(count: usize) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Clone {
    (0..count).map(I::new)
}

/// The numbers of a range.
#[inline]
pub(crate) fn each<I: Id>(range: &Range<I>) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Clone + use<I> {
    numbers(range).map(I::new)
}

/// A range of places in a list.
#[inline]
pub(crate) fn numbers<I: Id>(range: &Range<I>) -> Range<usize> {
    range.start.number()..range.end.number()
}

/// What a list has, each with its number.
#[inline]
pub(crate) fn numbered<I: Id, T>(list: &[T]) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
    list.iter().enumerate().map(|(number, item)| (I::new(number), item))
}
