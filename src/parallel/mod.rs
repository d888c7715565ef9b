//! Threads: how many, and the one way in which work is spread over them.
//!
//! Work is always cut by a rule that does not know the number of threads, and results are joined in a fixed order.

#[cfg(feature = "threads")]
pub mod account;
#[cfg(feature = "threads")]
mod sync;
#[cfg(feature = "threads")]
mod team;

#[cfg(feature = "threads")]
use std::sync::Arc;

#[cfg(feature = "threads")]
use self::place::Place;
#[cfg(feature = "threads")]
use self::team::Team;
use crate::{Error, Result};

/// More threads than any machine has cores for, which would only cost memory.
const MOST_THREADS: usize = 1024;
/// The variable that says how many threads models have that were told nothing.
#[cfg(feature = "threads")]
const VARIABLE: &str = "GRADUS_NUM_THREADS";

/// Refuses a number of threads that no machine could use.
pub(crate) fn check_count(option: &str, count: usize) -> Result<()> {
    if (1..=MOST_THREADS).contains(&count) {
        return Ok(());
    }
    let expected = if count == 0 { "at least 1".into() } else { format!("at most {MOST_THREADS}") };
    Err(Error::option(option, expected, count))
}

/// Refuses a `GRADUS_NUM_THREADS` that is no number of threads: asked when a network is built.
#[cfg(feature = "threads")]
pub(crate) fn check_variable() -> Result<()> {
    let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) else { return Ok(()) };
    match text.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(count) => check_count(VARIABLE, count),
        None => Err(Error::option(VARIABLE, format!("a number from 1 to {MOST_THREADS}"), text.to_string_lossy())),
    }
}

#[cfg(not(feature = "threads"))]
pub(crate) fn check_variable() -> Result<()> {
    Ok(())
}

/// The threads that a model computes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    #[cfg(feature = "threads")]
    team: Option<Arc<Team>>,
    /// What the user asked for; none means every core (or `GRADUS_NUM_THREADS`).
    #[cfg(feature = "threads")]
    asked: Option<usize>,
}

#[cfg(feature = "threads")]
impl Threads {
    /// Exactly `count` threads.
    pub fn new(count: usize) -> Result<Self> {
        check_count("threads", count)?;
        if count == 1 {
            return Ok(Self { team: None, asked: Some(1) });
        }
        let team = Team::new(count)
            .map_err(|problem| Error::option("threads", "a number the system grants", format!("{count}: {problem}")))?;
        Ok(Self { team: Some(Arc::new(team)), asked: Some(count) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match (&self.team, self.asked) {
            (Some(team), _) => team.count(),
            (None, Some(count)) => count,
            (None, None) if place::is_alone() => 1,
            (None, None) => default_team().map_or(1, |team| team.count()),
        }
    }

    /// Runs `work`, in which [`for_each`] spreads over these threads.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        if place::is_recorded() {
            return work();
        }
        let team = match (&self.team, self.asked) {
            (Some(team), _) => Some(team),
            (None, Some(_)) => None,
            // Within one of several pieces of work that have a core each.
            (None, None) if place::is_alone() => None,
            (None, None) => default_team(),
        };
        place::within(team.map_or(Place::Alone, |team| Place::Team(team.clone())), work)
    }
}

/// One team for all models that did not ask for a number of their own; none on a single core.
#[cfg(feature = "threads")]
fn default_team() -> Option<&'static Arc<Team>> {
    static TEAM: std::sync::OnceLock<Option<Arc<Team>>> = std::sync::OnceLock::new();
    let team = TEAM.get_or_init(|| {
        let asked = std::env::var(VARIABLE).ok().and_then(|count| count.trim().parse().ok());
        let count = asked.filter(|&count| check_count(VARIABLE, count).is_ok()).unwrap_or_else(cores).min(MOST_THREADS);
        if count == 1 {
            return None;
        }
        // What comes out does not depend on them.
        let alone = |problem| log::warn!("computing on one thread: the system grants no {count}: {problem}");
        Team::new(count).map_err(alone).ok().map(Arc::new)
    });
    team.as_ref()
}

#[cfg(feature = "threads")]
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Where the current thread is at work.
#[cfg(feature = "threads")]
mod place {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::team::{Seat, Team};

    #[derive(Default)]
    pub enum Place {
        /// Nowhere in particular.
        #[default]
        Outside,
        /// Where it is to compute alone, though there may be other cores: these have work of their own.
        Alone,
        /// Where it may call for this team.
        Team(Arc<Team>),
        /// At a piece of work, for parts of which it may call for those of a team who are idle.
        Piece(Seat<'static>),
        /// Where [`account`](super::account) notes what is done, in calls that lie so deep within others.
        Recorded { depth: usize },
    }

    thread_local!(static PLACE: Cell<Place> = const { Cell::new(Place::Outside) });

    /// Goes back where the thread was, on every way out.
    struct Return(Option<Place>);

    impl Drop for Return {
        fn drop(&mut self) {
            PLACE.set(self.0.take().unwrap_or_default());
        }
    }

    pub fn within<R>(place: Place, work: impl FnOnce() -> R) -> R {
        let _back = Return(Some(PLACE.replace(place)));
        work()
    }

    /// Works on a piece.
    #[allow(unsafe_code)]
    pub fn at_piece<R>(seat: Seat<'_>, work: impl FnOnce() -> R) -> R {
        // SAFETY: the place is left before the seat's life ends, on every way out, and gives nobody more than a view of it.
        let seat = unsafe { std::mem::transmute::<Seat<'_>, Seat<'static>>(seat) };
        within(Place::Piece(seat), work)
    }

    /// Calls `work` with the place where this thread is, and is nowhere meanwhile.
    pub fn look<R>(work: impl FnOnce(&Place) -> R) -> R {
        let back = Return(Some(PLACE.take()));
        work(back.0.as_ref().unwrap_or(&Place::Outside))
    }

    /// Whether what is done is noted.
    pub fn is_recorded() -> bool {
        look(|place| matches!(place, Place::Recorded { .. }))
    }

    /// Whether other cores have work of their own.
    pub fn is_alone() -> bool {
        look(|place| matches!(place, Place::Alone | Place::Piece(_)))
    }
}

/// Calls `work` for each item, over the threads that have been entered; within an item that a team works on, over those of
/// them that are idle. A single item has all of them for its own calls. Allocates nothing.
#[cfg(feature = "threads")]
pub(crate) fn for_each<T: Send>(items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
    if let [item] = items {
        return work(item);
    }
    place::look(|place| match place {
        Place::Team(team) => team.for_each(items, &|item, seat| place::at_piece(seat, || work(item))),
        Place::Piece(seat) => seat.for_each(items, &|item| place::within(Place::Alone, || work(item))),
        Place::Recorded { depth } => account::for_each(*depth, items, work),
        Place::Outside | Place::Alone => place::within(Place::Alone, || items.iter_mut().for_each(work)),
    });
}

/// Whether [`for_each`] would find other threads with nothing to do: only then is it worth it to cut work into pieces that
/// one thread would do faster in one.
#[cfg(feature = "threads")]
pub(crate) fn has_help() -> bool {
    place::look(|place| match place {
        Place::Team(_) | Place::Recorded { .. } => true,
        Place::Piece(seat) => seat.has_help(),
        Place::Outside | Place::Alone => false,
    })
}

/// Cuts `whole`, of size `len`, into pieces of about `least` or more, and calls `work` for each, over the threads that have
/// been entered. Pieces begin at multiples of 64: all are aligned as the whole is.
pub(crate) fn in_pieces<T: Send>(
    whole: T,
    len: usize,
    least: usize,
    cut: impl Fn(T, usize) -> (T, T),
    work: &(impl Fn(T) + Sync),
) {
    /// Enough to keep many threads busy.
    const MOST: usize = 16;
    let count = len.div_ceil(least).next_power_of_two().min(MOST);
    let size = len.div_ceil(count).next_multiple_of(64);
    let mut pieces = [const { None }; MOST];
    let (mut rest, mut used) = (whole, 0);
    while len - used * size > size {
        let (piece, others) = cut(rest, size);
        pieces[used] = Some(piece);
        (rest, used) = (others, used + 1);
    }
    pieces[used] = Some(rest);
    for_each(&mut pieces[..=used], &|piece| work(piece.take().expect("nobody else takes it")));
}

/// Calls `work` with 0, 1 … `count` − 1, so many at a time as there are threads (none: cores), each of which computes alone:
/// models in it that ask for no threads of their own do not share theirs. When a call returns false no further one is begun.
/// Within such a call there is one thread: its own.
#[cfg(feature = "threads")]
pub(crate) fn side_by_side(threads: Option<usize>, count: usize, work: impl Fn(usize) -> bool + Sync) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let threads = if place::is_alone() { 1 } else { threads.unwrap_or_else(cores).min(count) };
    let next = AtomicUsize::new(0);
    let take = || {
        place::within(Place::Alone, || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    break;
                }
                if !work(i) {
                    next.store(count, Ordering::Relaxed);
                }
            }
        });
    };
    if threads <= 1 {
        return take();
    }
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(take);
        }
    });
}

#[cfg(not(feature = "threads"))]
pub(crate) fn side_by_side(_: Option<usize>, count: usize, work: impl Fn(usize) -> bool + Sync) {
    (0..count).all(work);
}

#[cfg(not(feature = "threads"))]
impl Threads {
    /// Without the feature `threads` there is one, whatever is asked.
    pub fn new(count: usize) -> Result<Self> {
        check_count("threads", count)?;
        Ok(Self {})
    }

    pub fn count(&self) -> usize {
        1
    }

    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

#[cfg(not(feature = "threads"))]
pub(crate) fn for_each<T: Send>(items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
    items.iter_mut().for_each(work);
}

#[cfg(not(feature = "threads"))]
pub(crate) fn has_help() -> bool {
    false
}

#[cfg(all(test, feature = "threads"))]
mod tests {
    use super::*;

    #[test]
    fn who_does_pieces_of_work_is_alone() {
        let threads = Threads::new(2).expect("the system grants threads");
        let caller = std::thread::current().id();
        let alone_if_caller = |(): &mut ()| assert!(std::thread::current().id() != caller || place::is_alone());
        threads.enter(|| {
            assert!(!place::is_alone());
            for_each(&mut [(); 8], &alone_if_caller);
            assert!(!place::is_alone(), "back where it was");
        });
        let one = Threads::new(1).expect("there is one");
        one.enter(|| for_each(&mut [(); 3], &|()| assert!(place::is_alone() && std::thread::current().id() == caller)));
        threads.enter(|| for_each(&mut [()], &|()| assert!(!place::is_alone() && has_help(), "one item has them all")));
        assert!(!place::is_alone());
    }

    #[test]
    fn pieces_are_the_whole() {
        let threads = Threads::new(3).expect("the system grants threads");
        for len in [0, 1, 63, 64, 65, 1000, 5000, 100_000] {
            let mut values = vec![0; len];
            threads.enter(|| {
                in_pieces(&mut values[..], len, 100, <[i32]>::split_at_mut, &|piece: &mut [i32]| {
                    for value in piece {
                        *value += 1;
                    }
                });
            });
            assert!(values.iter().all(|&value| value == 1), "{len} values");
        }
    }
}
