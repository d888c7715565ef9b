//! `cargo fuzz run keras -- -max_len=65536`, with seeds from `seeds/keras`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("keras").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
