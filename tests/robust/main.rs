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

mod child;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod saving;
