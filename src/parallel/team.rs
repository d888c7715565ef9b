//! Threads that help the one that has work to do.
//!
//! A training step forks and joins a few times, each time for a fraction of a millisecond of work: what counts is how soon
//! the helpers begin and how soon the caller goes on. So the caller works too; pieces are taken by clearing a bit; and a
//! helper looks for the next call for a tenth of a millisecond before it sleeps, as going to sleep and being woken takes
//! that long. Nothing is allocated.

// A piece of work is lent to threads that outlive it; numbers of pieces are small.
#![allow(unsafe_code, clippy::cast_possible_truncation)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

use super::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Builder, Condvar, JoinHandle, LOOKS, Mutex, MutexGuard, Ordering, ROUNDS,
    UnsafeCell, fence, spin_loop, yield_now,
};

/// Pieces that a call's work is cut into, at most: a bit each.
const MOST_PIECES: usize = u64::BITS as usize;

/// A thread that calls, and its helpers. It serves one caller at a time; others meanwhile work alone.
#[derive(Debug)]
pub(crate) struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Whether somebody is being helped.
    busy: AtomicBool,
}

/// What caller and helpers share.
#[derive(Default)]
struct Shared {
    /// What to do with piece number i. It is read only by those who have taken a piece that is not done, and written
    /// only when there are no such pieces.
    work: UnsafeCell<Option<&'static (dyn Fn(usize) + Sync)>>,
    /// The pieces that nobody has taken, a bit each.
    free: AtomicU64,
    /// How many pieces there are, and how many of them are not done.
    pieces: AtomicUsize,
    undone: AtomicUsize,
    /// What the first piece has panicked with that panicked.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Held by whoever goes to sleep or wakes others.
    door: Mutex<()>,
    /// Helpers sleep until there are pieces, or the team is dismissed.
    begun: Condvar,
    sleeping: AtomicUsize,
    dismissed: AtomicBool,
    /// The caller sleeps until all pieces are done.
    done: Condvar,
    caller_sleeps: AtomicBool,
}

// SAFETY: `work` is the one field that is not `Sync` by itself; see there for who reads and writes it when.
unsafe impl Sync for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("pieces", &self.pieces).field("undone", &self.undone).finish_non_exhaustive()
    }
}

impl Team {
    /// So many threads, of which the caller is one.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let mut team =
            Self { shared: Arc::default(), helpers: Vec::with_capacity(threads - 1), busy: AtomicBool::new(false) };
        for number in 1..threads {
            let shared = team.shared.clone();
            let helper = Builder::new().name(format!("gradus-{number}"));
            team.helpers.push(helper.spawn(move || shared.help(number, threads))?);
        }
        Ok(team)
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work` for each item, on all threads.
    ///
    /// # Panics
    /// If `work` does, with what the first of several pieces panicked: once all threads have ended what they had begun.
    pub fn for_each<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
        /// A pointer that helpers may have.
        struct Items<T>(*mut T);
        // SAFETY: each item is reached by one thread at a time, and may be sent there.
        unsafe impl<T: Send> Sync for Items<T> {}

        let (len, pieces) = (items.len(), items.len().min(MOST_PIECES));
        let items = Items(items.as_mut_ptr());
        let items = &items;
        self.run(pieces, &|piece| {
            for i in piece * len / pieces..(piece + 1) * len / pieces {
                // SAFETY: the pieces are disjoint parts of the items, each taken once, and `run` returns after the last.
                work(unsafe { &mut *items.0.add(i) });
            }
        });
    }

    fn run(&self, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        if pieces < 2 || self.busy.swap(true, Ordering::Acquire) {
            return (0..pieces).for_each(work);
        }
        let shared = &*self.shared;
        shared.begin(pieces, work);
        shared.take_pieces(0);
        shared.wait_until_done();
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.dismissed.store(true, Ordering::Relaxed);
        drop(self.shared.door());
        self.shared.begun.notify_all();
        for helper in self.helpers.drain(..) {
            // A helper catches what its work panics with.
            let _ = helper.join();
        }
    }
}

impl Shared {
    fn door(&self) -> MutexGuard<'_, ()> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers pieces. The caller must not return before they are done.
    fn begin(&self, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        // SAFETY: `work` outlives its pieces, as the caller waits for them.
        let work = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        // SAFETY: no piece is left of the call before, so nobody reads.
        self.work.with_mut(|place| unsafe { *place = Some(work) });
        self.pieces.store(pieces, Ordering::Relaxed);
        self.undone.store(pieces, Ordering::Relaxed);
        self.free.store(u64::MAX >> (MOST_PIECES - pieces), Ordering::Release);
        // Either a helper that goes to sleep sees the pieces, or it is seen to sleep: of the two fences one comes first.
        fence(Ordering::SeqCst);
        let sleeping = self.sleeping.load(Ordering::Relaxed);
        if sleeping > 0 {
            drop(self.door());
            (0..sleeping.min(pieces - 1)).for_each(|_| self.begun.notify_one());
        }
    }

    /// Does pieces from number `first` on, then those that others have not come to, until all are taken.
    fn take_pieces(&self, first: usize) {
        loop {
            let free = self.free.load(Ordering::Relaxed);
            if free == 0 {
                return;
            }
            let first = first as u32 % u64::BITS;
            let piece = (free.rotate_right(first).trailing_zeros() + first) % u64::BITS;
            let taken = free & !(1 << piece);
            // Where another was faster nothing is written: only who has a piece has a part in the call.
            if self.free.compare_exchange_weak(free, taken, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            // SAFETY: a piece has been taken and is not done.
            let work = self.work.with(|place| unsafe { *place }).expect("there are pieces of it");
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(piece as usize))) {
                let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    *first = Some(panic);
                } else {
                    // To drop it could panic again, here where nobody catches it and the caller waits for this piece.
                    std::mem::forget(panic);
                }
            }
            if self.undone.fetch_sub(1, Ordering::AcqRel) == 1 {
                // As above: either the caller sees that all is done, or it is seen to sleep.
                fence(Ordering::SeqCst);
                if self.caller_sleeps.load(Ordering::Relaxed) {
                    drop(self.door());
                    self.done.notify_one();
                }
            }
        }
    }

    /// The life of a helper.
    fn help(&self, number: usize, threads: usize) {
        let called = || self.free.load(Ordering::Relaxed) != 0 || self.dismissed.load(Ordering::Relaxed);
        while !self.dismissed.load(Ordering::Relaxed) {
            if !soon(called) {
                let mut door = self.door();
                self.sleeping.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                while !called() {
                    door = self.begun.wait(door).unwrap_or_else(PoisonError::into_inner);
                }
                self.sleeping.fetch_sub(1, Ordering::Relaxed);
            }
            // The same pieces in every call: what they need lies in this core's cache.
            self.take_pieces(number * self.pieces.load(Ordering::Relaxed) / threads);
        }
    }

    fn wait_until_done(&self) {
        let done = || self.undone.load(Ordering::Acquire) == 0;
        if !soon(done) {
            let mut door = self.door();
            self.caller_sleeps.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            while !done() {
                door = self.done.wait(door).unwrap_or_else(PoisonError::into_inner);
            }
            self.caller_sleeps.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether something happens soon, within about a tenth of a millisecond. Others who want this core get it meanwhile.
fn soon(happens: impl Fn() -> bool) -> bool {
    for _ in 0..ROUNDS {
        for _ in 0..LOOKS {
            if happens() {
                return true;
            }
            spin_loop();
        }
        yield_now();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let team = Team::new(3).expect("the system grants threads");
        assert_eq!(team.count(), 3);
        for len in [0, 1, 2, 3, 63, 64, 65, 1000] {
            let mut items = vec![0; len];
            for _ in 0..100 {
                team.for_each(&mut items, &|item| *item += 1);
            }
            assert!(items.iter().all(|&item| item == 100), "{len} items");
        }
    }

    #[test]
    fn helpers_that_sleep_are_woken() {
        let team = Team::new(2).expect("the system grants threads");
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            // Neither item is done before both are begun: two threads are needed.
            let barrier = std::sync::Barrier::new(2);
            team.for_each(&mut [(), ()], &|()| {
                barrier.wait();
            });
        }
    }

    #[test]
    fn a_caller_sleeps_until_a_slow_helper_is_done() {
        let team = Team::new(2).expect("the system grants threads");
        let caller = std::thread::current().id();
        let barrier = std::sync::Barrier::new(2);
        let mut done = [false; 2];
        team.for_each(&mut done, &|done| {
            barrier.wait();
            if std::thread::current().id() != caller {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            *done = true;
        });
        assert_eq!(done, [true; 2]);
    }

    #[test]
    fn who_calls_a_busy_team_works_alone() {
        let team = Team::new(2).expect("the system grants threads");
        let mut items = [[0; 5]; 7];
        team.for_each(&mut items, &|inner| {
            let caller = std::thread::current().id();
            team.for_each(inner, &|item| {
                assert_eq!(std::thread::current().id(), caller);
                *item += 1;
            });
        });
        assert_eq!(items, [[1; 5]; 7]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let mut items = [0; 5];
                        team.for_each(&mut items, &|item| *item += 1);
                        assert_eq!(items, [1; 5]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_items() {
        let team = Team::new(2).expect("the system grants threads");
        for bad in 0..4 {
            let mut items = [0, 1, 2, 3];
            let call = || team.for_each(&mut items, &|item| assert!(std::mem::replace(item, 9) != bad, "item {bad}"));
            let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("an item panics");
            assert_eq!(panic.downcast_ref(), Some(&format!("item {bad}")));
            assert_eq!(items, [9; 4]);
        }
        team.for_each(&mut [0; 4], &|_| ());
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_harms_nobody() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let team = Team::new(2).expect("the system grants threads");
        for _ in 0..50 {
            let mut items = [0; 8];
            let barrier = std::sync::Barrier::new(2);
            let mut both = [(); 2];
            let call = || {
                team.for_each(&mut both, &|()| {
                    barrier.wait();
                    std::panic::panic_any(Loud);
                });
            };
            let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("both pieces panic");
            assert!(panic.is::<Loud>());
            std::mem::forget(panic);
            team.for_each(&mut items, &|item| *item += 1);
            assert_eq!(items, [1; 8], "the team goes on");
        }
    }
}
