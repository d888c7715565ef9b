//! Every reader of gradus as a function of bytes, seeds for it, and mutations of them.
//!
//! The targets of `cargo fuzz`, `long.sh` and the test `tests/robust/readers/mutations.rs` are these same functions. All go
//! through what gradus offers its users, and nothing else.

pub mod dice;
pub mod mutate;
pub mod seeds;
pub mod targets;
