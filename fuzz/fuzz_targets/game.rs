//! `cargo fuzz run game -- -max_len=65536`, with seeds from `seeds/game`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("game").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
