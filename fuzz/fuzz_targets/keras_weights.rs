//! `cargo fuzz run keras_weights -- -max_len=65536`, with seeds from `seeds/keras_weights`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("keras_weights").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
