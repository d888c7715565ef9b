//! Threads that help the one that has work to do.
//!
//! A training step forks and joins a few times, each time for a fraction of a millisecond of work: what counts is how soon
//! the helpers begin and how soon the caller goes on. So the caller works too; pieces are taken by clearing a bit; and a
//! helper looks for the next call for a tenth of a millisecond before it sleeps, as going to sleep and being woken takes
//! that long. Nothing is allocated.
//!
//! Whoever works on a piece may call in turn, for smaller pieces of it: threads that have nothing to do come and help. A call
//! within such a call is worked on by its caller alone.

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
pub(crate) const MOST_PIECES: usize = u64::BITS as usize;
/// The call from outside; call 1 + t is that of thread t from within a piece.
const OUTERMOST: usize = 0;

/// A thread that calls, and its helpers. It serves one caller at a time; others meanwhile work alone.
#[derive(Debug)]
pub(crate) struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Whether somebody is being helped.
    busy: AtomicBool,
}

/// What caller and helpers share.
struct Shared {
    threads: usize,
    /// [`OUTERMOST`], and one for each thread: as many as have a bit in `offers`.
    calls: Box<[Call]>,
    /// The calls that have pieces which nobody has taken, a bit each.
    offers: AtomicU64,
    /// How many threads look for pieces, or sleep.
    idle: AtomicUsize,
    /// Held by whoever goes to sleep or wakes others.
    door: Mutex<()>,
    /// Helpers sleep until there are pieces, or the team is dismissed; so does the caller from outside until all is done.
    begun: Condvar,
    sleeping: AtomicUsize,
    dismissed: AtomicBool,
}

/// Work that somebody has called for.
#[derive(Default)]
struct Call {
    /// What to do with piece number i. It is read only by those who have taken a piece that is not done, and written
    /// only when there are no such pieces.
    work: UnsafeCell<Option<&'static Work<'static>>>,
    /// The pieces that nobody has taken, a bit each.
    free: AtomicU64,
    /// How many pieces there are, and how many of them are not done.
    pieces: AtomicUsize,
    undone: AtomicUsize,
    /// What the first piece has panicked with that panicked.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The caller from within a piece sleeps until all pieces are done.
    done: Condvar,
    caller_sleeps: AtomicBool,
}

/// What is done with piece number i, by whoever has this seat.
type Work<'a> = dyn Fn(usize, Seat<'_>) + Sync + 'a;

// SAFETY: `work` is the one field that is not `Sync` by itself; see there for who reads and writes it when.
unsafe impl Sync for Call {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("offers", &self.offers).field("idle", &self.idle).finish_non_exhaustive()
    }
}

/// Where a thread works on a piece, from which it can call for help with parts of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'a> {
    /// None where nobody can help.
    team: Option<&'a Shared>,
    thread: usize,
}

impl Seat<'_> {
    const ALONE: Self = Self { team: None, thread: 0 };

    /// Whether threads have nothing better to do than to help here.
    pub fn has_help(self) -> bool {
        self.team.is_some_and(|team| {
            let outermost = team.offers.load(Ordering::Relaxed) & 1 << OUTERMOST;
            outermost == 0 && team.idle.load(Ordering::Relaxed) > 0
        })
    }

    /// Calls `work` for each item, together with threads that are idle.
    ///
    /// # Panics
    /// As [`Team::for_each`].
    pub fn for_each<T: Send>(self, items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
        by_pieces(items, &|item, _| work(item), |pieces, work| match self.team {
            Some(team) if pieces > 1 && 1 + self.thread < team.calls.len() => {
                team.run(1 + self.thread, self.thread, pieces, work);
            }
            _ => (0..pieces).for_each(|piece| work(piece, Seat::ALONE)),
        });
    }
}

/// Calls `work` for each item, where `run` calls what it is given for each of so many pieces.
fn by_pieces<T: Send>(items: &mut [T], work: &(impl Fn(&mut T, Seat<'_>) + Sync), run: impl FnOnce(usize, &Work<'_>)) {
    /// A pointer that helpers may have.
    struct Items<T>(*mut T);
    // SAFETY: each item is reached by one thread at a time, and may be sent there.
    unsafe impl<T: Send> Sync for Items<T> {}

    let (len, pieces) = (items.len(), items.len().min(MOST_PIECES));
    let items = Items(items.as_mut_ptr());
    let items = &items;
    run(pieces, &|piece, seat| {
        for i in piece * len / pieces..(piece + 1) * len / pieces {
            // SAFETY: the pieces are disjoint parts of the items, each taken once, and `run` returns after the last.
            work(unsafe { &mut *items.0.add(i) }, seat);
        }
    });
}

/// Lets others call, on every way out.
struct Free<'a>(&'a AtomicBool);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Team {
    /// So many threads, of which the caller is one.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let calls = (0..=threads).take(u64::BITS as usize).map(|_| Call::default()).collect();
        let shared = Shared {
            threads,
            calls,
            offers: AtomicU64::new(0),
            idle: AtomicUsize::new(0),
            door: Mutex::new(()),
            begun: Condvar::new(),
            sleeping: AtomicUsize::new(0),
            dismissed: AtomicBool::new(false),
        };
        let helpers = Vec::with_capacity(threads - 1);
        let mut team = Self { shared: Arc::new(shared), helpers, busy: AtomicBool::new(false) };
        for number in 1..threads {
            let shared = team.shared.clone();
            let helper = Builder::new().name(format!("gradus-{number}"));
            team.helpers.push(helper.spawn(move || shared.help(number))?);
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
    pub fn for_each<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut T, Seat<'_>) + Sync)) {
        by_pieces(items, work, |pieces, work| {
            if pieces < 2 || self.busy.swap(true, Ordering::Acquire) {
                return (0..pieces).for_each(|piece| work(piece, Seat::ALONE));
            }
            let _free = Free(&self.busy);
            self.shared.run(OUTERMOST, 0, pieces, work);
        });
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

    /// Does the pieces of call number `call`, which thread number `thread` makes, together with whoever comes.
    fn run(&self, call: usize, thread: usize, pieces: usize, work: &Work<'_>) {
        self.begin(call, pieces, work);
        self.take_pieces(call, thread, 0);
        self.wait_until_done(call, thread);
        let panic = self.calls[call].panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Offers pieces. The caller must not return before they are done.
    fn begin(&self, number: usize, pieces: usize, work: &Work<'_>) {
        let call = &self.calls[number];
        // SAFETY: `work` outlives its pieces, as the caller waits for them.
        let work = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        // SAFETY: no piece is left of the call before, so nobody reads.
        call.work.with_mut(|place| unsafe { *place = Some(work) });
        call.pieces.store(pieces, Ordering::Relaxed);
        call.undone.store(pieces, Ordering::Relaxed);
        call.free.store(u64::MAX >> (MOST_PIECES - pieces), Ordering::Release);
        self.offers.fetch_or(1 << number, Ordering::Release);
        // Either a helper that goes to sleep sees the pieces, or it is seen to sleep: of the two fences one comes first.
        fence(Ordering::SeqCst);
        let sleeping = self.sleeping.load(Ordering::Relaxed);
        if sleeping > 0 {
            drop(self.door());
            (0..sleeping.min(pieces - 1)).for_each(|_| self.begun.notify_one());
        }
    }

    /// Does pieces of a call from number `first` on, then those that others have not come to, until all are taken.
    fn take_pieces(&self, number: usize, thread: usize, first: usize) {
        let call = &self.calls[number];
        // Within a call from within a piece there are no further calls.
        let seat = if number == OUTERMOST { Seat { team: Some(self), thread } } else { Seat::ALONE };
        loop {
            let free = call.free.load(Ordering::Relaxed);
            if free == 0 {
                return;
            }
            let first = first as u32 % u64::BITS;
            let piece = (free.rotate_right(first).trailing_zeros() + first) % u64::BITS;
            let taken = free & !(1 << piece);
            // Where another was faster nothing is written: only who has a piece has a part in the call.
            if call.free.compare_exchange_weak(free, taken, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            if taken == 0 {
                // Before this piece is done, and with it the call: it is not the next call's offer.
                self.offers.fetch_and(!(1 << number), Ordering::Relaxed);
            }
            // SAFETY: a piece has been taken and is not done.
            let work = call.work.with(|place| unsafe { *place }).expect("there are pieces of it");
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(piece as usize, seat))) {
                let mut first = call.panic.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    *first = Some(panic);
                } else {
                    // To drop it could panic again, here where nobody catches it and the caller waits for this piece.
                    std::mem::forget(panic);
                }
            }
            if call.undone.fetch_sub(1, Ordering::AcqRel) == 1 {
                // As above: either the caller sees that all is done, or it is seen to sleep.
                fence(Ordering::SeqCst);
                if call.caller_sleeps.load(Ordering::Relaxed) {
                    drop(self.door());
                    if number == OUTERMOST {
                        self.begun.notify_all();
                    } else {
                        call.done.notify_one();
                    }
                }
            }
        }
    }

    /// Does pieces of whatever call has some: of that from outside first, else of one that others look at last.
    fn take_any(&self, thread: usize) {
        let offers = self.offers.load(Ordering::Relaxed);
        if offers == 0 {
            return;
        }
        let turn = if offers & 1 << OUTERMOST == 0 { thread as u32 % u64::BITS } else { 0 };
        let number = ((offers.rotate_right(turn).trailing_zeros() + turn) % u64::BITS) as usize;
        if self.calls[number].free.load(Ordering::Relaxed) == 0 {
            // Somebody has just taken the last one.
            return yield_now();
        }
        // The same pieces in every call: what they need lies in this core's cache.
        let pieces = self.calls[number].pieces.load(Ordering::Relaxed);
        self.take_pieces(number, thread, thread * pieces / self.threads);
    }

    /// The life of a helper.
    fn help(&self, thread: usize) {
        let called = || self.offers.load(Ordering::Relaxed) != 0 || self.dismissed.load(Ordering::Relaxed);
        while !self.dismissed.load(Ordering::Relaxed) {
            self.idle.fetch_add(1, Ordering::Relaxed);
            if !soon(called) {
                let mut door = self.door();
                self.sleeping.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                while !called() {
                    door = self.begun.wait(door).unwrap_or_else(PoisonError::into_inner);
                }
                self.sleeping.fetch_sub(1, Ordering::Relaxed);
            }
            self.idle.fetch_sub(1, Ordering::Relaxed);
            self.take_any(thread);
        }
    }

    /// Returns when all pieces of a call are done. Who called from outside helps others meanwhile.
    fn wait_until_done(&self, number: usize, thread: usize) {
        let call = &self.calls[number];
        let (done, helps) = (|| call.undone.load(Ordering::Acquire) == 0, number == OUTERMOST);
        let called = || done() || helps && self.offers.load(Ordering::Relaxed) != 0;
        while !done() {
            if helps {
                self.idle.fetch_add(1, Ordering::Relaxed);
            }
            if !soon(called) {
                let (condition, sleeping) = if helps { (&self.begun, 1) } else { (&call.done, 0) };
                let mut door = self.door();
                call.caller_sleeps.store(true, Ordering::Relaxed);
                self.sleeping.fetch_add(sleeping, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                while !called() {
                    door = condition.wait(door).unwrap_or_else(PoisonError::into_inner);
                }
                self.sleeping.fetch_sub(sleeping, Ordering::Relaxed);
                call.caller_sleeps.store(false, Ordering::Relaxed);
            }
            if helps {
                self.idle.fetch_sub(1, Ordering::Relaxed);
                self.take_any(thread);
            }
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
                team.for_each(&mut items, &|item, _| *item += 1);
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
            team.for_each(&mut [(), ()], &|(), _| {
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
        team.for_each(&mut done, &|done, _| {
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
        team.for_each(&mut items, &|inner, _| {
            let caller = std::thread::current().id();
            team.for_each(inner, &|item, _| {
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
                        team.for_each(&mut items, &|item, _| *item += 1);
                        assert_eq!(items, [1; 5]);
                    }
                });
            }
        });
    }

    #[test]
    fn idle_threads_help_with_parts_of_a_piece() {
        let team = Team::new(3).expect("the system grants threads");
        for pieces in [1, 2, 3, 5] {
            let mut items = vec![[0; 7]; pieces];
            for _ in 0..200 {
                team.for_each(&mut items, &|inner, seat| seat.for_each(inner, &|item| *item += 1));
            }
            assert!(items.iter().all(|inner| inner == &[200; 7]), "{pieces} pieces");
        }
        // One of two pieces can end only when all three threads are in its parts.
        let barrier = std::sync::Barrier::new(3);
        team.for_each(&mut [true, false], &|long, seat| {
            if *long {
                while !seat.has_help() {
                    std::hint::spin_loop();
                }
                seat.for_each(&mut [(); 3], &|()| {
                    barrier.wait();
                });
            }
        });
    }

    #[test]
    fn a_panic_in_a_part_of_a_piece_reaches_the_caller() {
        let team = Team::new(2).expect("the system grants threads");
        let call = || {
            team.for_each(&mut [0, 1], &|piece, seat| {
                let piece = *piece;
                seat.for_each(&mut [0, 1], &|part| assert!((piece, *part) != (1, 1), "part {part} of {piece}"));
            });
        };
        let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("a part panics");
        assert_eq!(panic.downcast_ref(), Some(&"part 1 of 1".to_string()));
        team.for_each(&mut [0; 4], &|_, _| ());
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_items() {
        let team = Team::new(2).expect("the system grants threads");
        for bad in 0..4 {
            let mut items = [0, 1, 2, 3];
            let call =
                || team.for_each(&mut items, &|item, _| assert!(std::mem::replace(item, 9) != bad, "item {bad}"));
            let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("an item panics");
            assert_eq!(panic.downcast_ref(), Some(&format!("item {bad}")));
            assert_eq!(items, [9; 4]);
        }
        team.for_each(&mut [0; 4], &|_, _| ());
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
                team.for_each(&mut both, &|(), _| {
                    barrier.wait();
                    std::panic::panic_any(Loud);
                });
            };
            let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("both pieces panic");
            assert!(panic.is::<Loud>());
            std::mem::forget(panic);
            team.for_each(&mut items, &|item, _| *item += 1);
            assert_eq!(items, [1; 8], "the team goes on");
        }
    }
}
