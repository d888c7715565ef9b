//! `cargo fuzz run npy -- -max_len=65536`, with seeds from `seeds/npy`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("npy").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
