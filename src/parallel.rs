//! Threads: how many, and the one way in which work is spread over them.
//!
//! Work is always cut by a rule that does not know the number of threads, and results are joined in a fixed order.

use crate::Result;

/// The threads that a model computes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    #[cfg(feature = "threads")]
    pool: Option<std::sync::Arc<rayon::ThreadPool>>,
    /// What the user asked for; none means every core (or `RAYON_NUM_THREADS`).
    #[cfg(feature = "threads")]
    asked: Option<usize>,
}

#[cfg(feature = "threads")]
impl Threads {
    /// Exactly `count` threads.
    pub fn new(count: usize) -> Result<Self> {
        use crate::Error;
        if count == 0 {
            return Err(Error::option("threads", "at least 1", count));
        }
        if count == 1 {
            return Ok(Self { pool: None, asked: Some(1) });
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("gradus-{i}")).build();
        let pool = pool
            .map_err(|problem| Error::option("threads", "a number the system grants", format!("{count}: {problem}")))?;
        Ok(Self { pool: Some(std::sync::Arc::new(pool)), asked: Some(count) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match (&self.pool, self.asked) {
            (Some(pool), _) => pool.current_num_threads(),
            (None, Some(count)) => count,
            (None, None) if alone::is_asked() => 1,
            (None, None) => default_pool().current_num_threads(),
        }
    }

    /// Runs `work` where [`for_each`] may spread over these threads. Entered once for a whole training.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match (&self.pool, self.asked) {
            (Some(pool), _) => pool.install(work),
            (None, Some(_)) => alone::run(work),
            // Within one of several pieces of work that have a core each.
            (None, None) if alone::is_asked() => work(),
            (None, None) => {
                let default = default_pool();
                if default.current_num_threads() == 1 { alone::run(work) } else { default.install(work) }
            }
        }
    }
}

/// One pool for all models that did not ask for a number of their own.
#[cfg(feature = "threads")]
fn default_pool() -> &'static rayon::ThreadPool {
    static POOL: std::sync::OnceLock<rayon::ThreadPool> = std::sync::OnceLock::new();
    POOL.get_or_init(|| {
        rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("gradus-{i}"))
            .build()
            .unwrap_or_else(|problem| panic!("the system grants no threads: {problem}"))
    })
}

/// Whether the current thread is to work alone, though rayon would offer it others.
#[cfg(feature = "threads")]
mod alone {
    use std::cell::Cell;

    thread_local!(static ALONE: Cell<bool> = const { Cell::new(false) });

    pub fn run<R>(work: impl FnOnce() -> R) -> R {
        let before = ALONE.replace(true);
        let result = work();
        ALONE.set(before);
        result
    }

    pub fn is_asked() -> bool {
        ALONE.get()
    }

    pub fn is() -> bool {
        ALONE.get() || rayon::current_thread_index().is_none()
    }
}

/// Calls `work` for each item, over the threads of the pool that has been entered. Allocates nothing.
#[cfg(feature = "threads")]
pub(crate) fn for_each<T: Send>(items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
    fn halves<T: Send>(items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
        match items {
            [] => (),
            [one] => work(one),
            many => {
                let (left, right) = many.split_at_mut(many.len() / 2);
                rayon::join(|| halves(left, work), || halves(right, work));
            }
        }
    }
    if alone::is() { items.iter_mut().for_each(work) } else { halves(items, work) }
}

/// Calls `left` and `right`, on two threads if there are two.
#[cfg(feature = "threads")]
pub(crate) fn join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    if alone::is() {
        left();
        right();
    } else {
        rayon::join(left, right);
    }
}

/// Calls `work` with 0, 1 … `count` − 1, so many at a time as there are threads (none: cores), each of which computes alone:
/// models in it that ask for no threads of their own do not share theirs. When a call returns false no further one is begun.
/// Within such a call there is one thread: its own.
#[cfg(feature = "threads")]
pub(crate) fn side_by_side(threads: Option<usize>, count: usize, work: impl Fn(usize) -> bool + Sync) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if alone::is_asked() { 1 } else { threads.unwrap_or_else(cores).min(count) };
    let next = AtomicUsize::new(0);
    let take = || {
        alone::run(|| {
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
        if count == 0 {
            return Err(crate::Error::option("threads", "at least 1", count));
        }
        Ok(Self {})
    }

    pub fn count(&self) -> usize {
        1
    }

    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }
}

#[cfg(not(feature = "threads"))]
pub(crate) fn for_each<T: Send>(items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
    items.iter_mut().for_each(work);
}

#[cfg(not(feature = "threads"))]
pub(crate) fn join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    left();
    right();
}
