//! `cargo fuzz run vocabulary -- -max_len=65536`, with seeds from `seeds/vocabulary`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("vocabulary").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
