//! `cargo fuzz run time_series -- -max_len=65536`, with seeds from `seeds/time_series`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("time_series").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
