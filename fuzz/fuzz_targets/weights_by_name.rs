//! `cargo fuzz run weights_by_name -- -max_len=65536`, with seeds from `seeds/weights_by_name`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("weights_by_name").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
