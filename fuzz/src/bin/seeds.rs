//! Writes the seeds to `seeds/`, a folder a reader.

use gradus_fuzz::targets::TARGETS;

fn main() -> std::io::Result<()> {
    for target in &TARGETS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            assert!((target.run)(&seed), "seed {number} of {} is read", target.name);
            std::fs::write(folder.join(number.to_string()), seed)?;
        }
    }
    Ok(())
}
