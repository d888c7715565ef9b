//! `cargo fuzz run checkpoint -- -max_len=65536`, with seeds from `seeds/checkpoint`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("checkpoint").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
