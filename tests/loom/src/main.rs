//! The threads of the library under loom: every order in which they can run, and every value that an atomic may be read
//! to have, up to a bound of preemptions. Prints how many orders each case has.

/// What `team.rs` stands on, from loom.
mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::hint::spin_loop;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(super) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use loom::thread::{Builder, JoinHandle, yield_now};

    /// A thread looks once before it sleeps: going to sleep and being woken is what is to be tried.
    pub(super) const LOOKS: usize = 1;
    pub(super) const ROUNDS: usize = 1;
}

#[path = "../../../src/parallel/team.rs"]
#[allow(dead_code)]
mod team;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use team::Team;

/// Runs `case` in every order of its threads with at most `preemptions` switches that no thread asked for.
fn every_order(what: &str, preemptions: usize, case: impl Fn() + Sync + Send + 'static) {
    static ORDERS: AtomicUsize = AtomicUsize::new(0);
    ORDERS.store(0, Ordering::Relaxed);
    let begin = Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        ORDERS.fetch_add(1, Ordering::Relaxed);
        case();
    });
    let (orders, seconds) = (ORDERS.load(Ordering::Relaxed), begin.elapsed().as_secs_f64());
    println!("{what}: {orders} orders with at most {preemptions} preemptions, {seconds:.1} s");
}

fn team(threads: usize) -> Team {
    Team::new(threads).expect("loom grants threads")
}

/// Every item is worked on once.
fn call(team: &Team, pieces: usize) {
    let mut items = vec![0; pieces];
    team.for_each(&mut items, &|item, _| *item += 1);
    assert!(items.iter().all(|&item| item == 1), "{items:?}");
}

fn main() {
    every_order("a team that nobody calls ends", 3, || drop(team(2)));
    every_order("two threads do two pieces", 4, || call(&team(2), 2));
    every_order("two threads do three pieces", 3, || call(&team(2), 3));
    every_order("two threads are called twice", 2, || {
        let team = team(2);
        call(&team, 2);
        call(&team, 2);
    });
    every_order("two threads are called three times", 2, || {
        let team = team(2);
        (0..3).for_each(|_| call(&team, 2));
    });
    every_order("three threads do three pieces", 2, || call(&team(3), 3));
    for (pieces, preemptions) in [(1, 3), (2, 2)] {
        every_order(&format!("two threads do {} pieces, one with two parts", pieces + 1), preemptions, move || {
            let team = team(2);
            let mut items = vec![[0; 2]; pieces + 1];
            team.for_each(&mut items, &|parts, seat| seat.for_each(parts, &|part| *part += 1));
            assert!(items.iter().all(|parts| parts == &[1; 2]), "{items:?}");
        });
    }
    every_order("two threads are called for parts twice", 2, || {
        let team = team(2);
        let mut items = [[0; 2]; 2];
        for _ in 0..2 {
            team.for_each(&mut items, &|parts, seat| seat.for_each(parts, &|part| *part += 1));
        }
        assert_eq!(items, [[2; 2]; 2]);
    });
    every_order("of two callers one works alone", 3, || {
        let team = loom::sync::Arc::new(team(2));
        let other = team.clone();
        let second = loom::thread::spawn(move || call(&other, 2));
        call(&team, 2);
        second.join().expect("the second caller ends");
    });

    // Pieces that panic print nothing: they would for every order.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref() != Some(&"a piece panics") {
            hook(panic);
        }
    }));
    every_order("a panic reaches the caller after all pieces", 3, || {
        let team = team(2);
        let mut items = [0, 1];
        let call_both = || {
            team.for_each(&mut items, &|item, _| {
                if std::mem::replace(item, 9) == 1 {
                    std::panic::panic_any("a piece panics");
                }
            });
        };
        let panic = catch_unwind(AssertUnwindSafe(call_both)).expect_err("a piece panics");
        assert_eq!(panic.downcast_ref(), Some(&"a piece panics"));
        assert_eq!(items, [9; 2]);
        call(&team, 2);
    });
}
