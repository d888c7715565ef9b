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
/// The same as in `fuzz/`, as are the readers and what makes their files wrong.
#[allow(dead_code)] // `long.sh` uses more of it
#[path = "../../fuzz/src/dice.rs"]
mod dice;
#[cfg(unix)]
mod instructions;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod misuse;
/// Every reader, for which all features are needed.
#[cfg(all(
    feature = "audio",
    feature = "csv",
    feature = "images",
    feature = "keras",
    feature = "npz",
    feature = "datasets"
))]
mod readers {
    mod memory;
    #[path = "../../../fuzz/src/mutate.rs"]
    mod mutate;
    mod mutations;
    #[allow(dead_code)]
    #[path = "../../../fuzz/src/seeds.rs"]
    mod seeds;
    #[allow(dead_code)]
    #[path = "../../../fuzz/src/targets.rs"]
    mod targets;

    use super::dice;
}
#[cfg(unix)]
mod saving;
#[cfg(all(unix, feature = "threads"))]
mod variables;
