//! An allocator that counts, a thread at a time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator.
struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// Bytes asked for last, if it was to see whether they would be granted: it counts if they are not given back at once.
    static TRIAL: Cell<isize> = const { Cell::new(0) };
}

/// What gradus looks at before it is asked for: `memory::is_there` reserves as many bytes and gives them back.
const TRIAL_LEAST: usize = 16 << 20;

fn add(bytes: isize, may_be_trial: bool) {
    // Not while a thread ends.
    let _ = NOW.try_with(|now| {
        let trial = TRIAL.replace(0);
        if trial != 0 && bytes == -trial {
            return;
        }
        if may_be_trial && bytes >= TRIAL_LEAST as isize {
            now.set(now.get() + trial);
            TRIAL.set(bytes);
        } else {
            now.set(now.get() + trial + bytes);
        }
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

/// The most memory that this thread held while `work` ran, beyond what it held before.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).max(0) as usize)
}

#[allow(unsafe_code)] // a global allocator has no safe form; every call goes to the system's
// SAFETY: the system's allocator does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize, layout.align() == 1);
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`, which is the system's too.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize, false);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize, false);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as isize), false);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
