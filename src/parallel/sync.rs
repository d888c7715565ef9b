//! What [`team`](super::team) stands on: the standard library's threads and atomics.
//!
//! `tests/loom` compiles the same `team.rs` on loom's instead, which tries every order in which threads can run.

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(super) use std::thread::{Builder, JoinHandle, yield_now};

/// How often a thread looks for what it waits for before it lets others run, and how often it does both: in all about a
/// tenth of a millisecond.
pub(super) const LOOKS: usize = 64;
pub(super) const ROUNDS: usize = 50;

/// [`std::cell::UnsafeCell`] as loom has it: what is done with the pointer is done inside a call.
#[derive(Debug, Default)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[inline]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    #[inline]
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
