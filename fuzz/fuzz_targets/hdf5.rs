//! `cargo fuzz run hdf5 -- -max_len=65536`, with seeds from `seeds/hdf5`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (gradus_fuzz::targets::named("hdf5").run)(bytes);
});

#[cfg(not(fuzzing))]
fn main() {}
