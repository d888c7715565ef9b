//! What must hold when things go wrong: files that are damaged, disks that are full, processes that are killed, options and
//! calls that make no sense, and processors of every kind. Parts of it run in processes of their own, which are this
//! program again.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    clippy::type_complexity,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::unwrap_used
)]

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod instructions;
#[cfg(unix)]
mod kills;
#[cfg(all(feature = "audio", feature = "csv", feature = "images", feature = "datasets"))]
mod memory;
#[cfg(unix)]
mod misuse;
/// The same as in `fuzz/`.
#[cfg(unix)]
#[allow(dead_code)] // the readers use more of it
#[path = "../../fuzz/src/mutate.rs"]
mod mutate;
#[cfg(all(feature = "audio", feature = "csv", feature = "images", feature = "datasets"))]
mod mutations;
/// The same as in `fuzz/`.
#[cfg(all(feature = "audio", feature = "csv", feature = "images", feature = "datasets"))]
#[allow(dead_code)] // `long.sh` uses more of them
#[path = "../../fuzz/src/lib.rs"]
mod readers;
#[cfg(unix)]
mod saving;
