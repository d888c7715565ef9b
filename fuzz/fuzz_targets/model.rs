//! `cargo fuzz run model -- -max_len=65536`, with seeds from `seeds/model`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("model").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
