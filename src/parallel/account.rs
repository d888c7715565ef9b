//! What a call would take on more cores than there are: its pieces, done one after the other on one thread, and their times.
//!
//! `benches/scaling.rs` schedules them on any number of cores. Work is cut as where threads are idle throughout.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Threads;
use super::place::{self, Place};
use crate::Result;

/// A stretch of work.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// So many seconds on one thread.
    Alone(f64),
    /// Pieces that threads may take, each of such stretches.
    Fork(Vec<Vec<Stretch>>),
}

/// What has been recorded of the work that is under way: its stretches, and when the present one began.
struct Account {
    stretches: Vec<Stretch>,
    start: Instant,
}

thread_local!(static ACCOUNT: RefCell<Option<Account>> = const { RefCell::new(None) });

/// Does the work on this thread, whatever threads it asks for, and tells its stretches.
pub fn record(work: impl FnOnce()) -> Vec<Stretch> {
    place::within(Place::Recorded { depth: 0 }, || stretches_of(work))
}

/// The stretches of a part of the work that is recorded.
fn stretches_of(work: impl FnOnce()) -> Vec<Stretch> {
    let fresh = || Some(Account { stretches: Vec::new(), start: Instant::now() });
    let outer = ACCOUNT.replace(fresh());
    work();
    end_stretch();
    ACCOUNT.replace(outer).map_or_else(Vec::new, |account| account.stretches)
}

/// Notes how long the present stretch has taken.
fn end_stretch() {
    ACCOUNT.with_borrow_mut(|account| {
        if let Some(Account { stretches, start }) = account {
            stretches.push(Stretch::Alone(start.elapsed().as_secs_f64()));
            *start = Instant::now();
        }
    });
}

/// [`for_each`](super::for_each) while it is recorded.
pub(super) fn for_each<T>(depth: usize, items: &mut [T], work: &impl Fn(&mut T)) {
    end_stretch();
    let inside = || if depth == 0 { Place::Recorded { depth: 1 } } else { Place::Alone };
    let pieces = items.iter_mut().map(|item| place::within(inside(), || stretches_of(|| work(item)))).collect();
    ACCOUNT.with_borrow_mut(|account| {
        if let Some(Account { stretches, start }) = account {
            stretches.push(Stretch::Fork(pieces));
            *start = Instant::now();
        }
    });
}

/// The seconds that it takes so many threads, a core each, to begin a call together and to end it: the least of many.
///
/// # Errors
/// If the system grants no such threads.
pub fn fork_seconds(threads: usize) -> Result<f64> {
    let (threads, arrived) = (Threads::new(threads)?, AtomicUsize::new(0));
    let mut pieces = vec![(); threads.count()];
    let mut call = || {
        arrived.store(0, Ordering::Relaxed);
        let start = Instant::now();
        // Nobody does two pieces, as all have to be begun.
        super::for_each(&mut pieces, &|()| {
            arrived.fetch_add(1, Ordering::Relaxed);
            while arrived.load(Ordering::Relaxed) < threads.count() {
                std::hint::spin_loop();
            }
        });
        start.elapsed().as_secs_f64()
    };
    Ok(threads.enter(|| (0..2000).map(|_| call()).fold(f64::INFINITY, f64::min)))
}

#[cfg(test)]
mod tests {
    use super::{Stretch, record};
    use crate::parallel::{for_each, has_help};

    #[test]
    fn what_is_recorded_has_the_shape_of_the_work() {
        let mut done = [[0; 3]; 2];
        let stretches = record(|| {
            for_each(&mut done, &|parts| {
                assert!(has_help());
                for_each(parts, &|part| *part += 1);
            });
        });
        assert_eq!(done, [[1; 3]; 2]);
        let [Stretch::Alone(_), Stretch::Fork(pieces), Stretch::Alone(_)] = &stretches[..] else {
            panic!("{stretches:?}");
        };
        assert_eq!(pieces.len(), 2);
        for piece in pieces {
            let [Stretch::Alone(_), Stretch::Fork(parts), Stretch::Alone(_)] = &piece[..] else { panic!("{piece:?}") };
            assert!(parts.iter().all(|part| matches!(part[..], [Stretch::Alone(_)])) && parts.len() == 3);
        }
        assert!(!has_help(), "nothing is recorded any more");
    }
}
