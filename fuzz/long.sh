#!/bin/sh
# All readers under mutated files on stable Rust, with checks of arithmetic: `fuzz/long.sh [SECONDS [READER …]]`, by default
# an hour. Bad inputs are kept in `fuzz/found`.
set -e
cd "$(dirname "$0")"
cargo build --release --quiet --bin long
exec ./target/release/long "${@:-3600}"
