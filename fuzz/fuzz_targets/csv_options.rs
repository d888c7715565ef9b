//! `cargo fuzz run csv_options -- -max_len=65536`, with seeds from `seeds/csv_options`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("csv_options").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
