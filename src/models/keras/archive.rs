//! The zip archive that a `.keras` file is: its members, read by name into memory, never unpacked to the disk.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::memory;

/// Deflate makes no more of a byte than this many.
const MAX_EXPANSION: u64 = 1032;
/// The texts of a model: far more than any has.
const MOST_TEXT: u64 = 64 << 20;

pub(super) const CONFIG: &str = "config.json";
pub(super) const METADATA: &str = "metadata.json";
pub(super) const WEIGHTS: &str = "model.weights.h5";

/// What a `.keras` file holds.
pub(super) struct Members {
    pub config: String,
    pub weights: Vec<u8>,
}

pub(super) fn read(file: &[u8]) -> Result<Members, String> {
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(|problem| format!("not a .keras file: {problem}"))?;
    let config = member(&mut archive, CONFIG, MOST_TEXT)?;
    let other =
        ["model.weights.npz", "model.weights.json"].into_iter().find(|name| archive.index_for_name(name).is_some());
    if let Some(other) = other.filter(|_| archive.index_for_name(WEIGHTS).is_none()) {
        return Err(format!(
            "its weights are in `{other}`, which is not read; save it with weights in HDF5, in one piece"
        ));
    }
    let weights = member(&mut archive, WEIGHTS, u64::MAX)?;
    let config = String::from_utf8(config).map_err(|_| format!("its `{CONFIG}` is no text in UTF-8"))?;
    Ok(Members { config, weights })
}

fn member(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let within = |problem: String| format!("its `{name}`: {problem}");
    let entry = archive.by_name(name).map_err(|problem| within(problem.to_string()))?;
    let (size, packed) = (entry.size(), entry.compressed_size());
    if size > packed.saturating_mul(MAX_EXPANSION) || size > most || !memory::is_there(size.into()) {
        return Err(within(format!("{size} bytes, which {packed} cannot hold, or which are too many")));
    }
    let mut bytes = Vec::new();
    entry.take(size).read_to_end(&mut bytes).map_err(|problem| within(problem.to_string()))?;
    Ok(bytes)
}

/// The bytes of an archive whose members are stored as they are, as Keras stores them. One content has one sequence of bytes.
pub(super) fn write(members: &[(&str, &[u8])]) -> std::io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let large = u32::try_from(bytes.len()).is_err();
        let options = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(*name, options)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}
