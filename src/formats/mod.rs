//! Files that gradus shares with other programs.

#[cfg(feature = "tensorboard")]
pub(crate) mod events;
pub mod safetensors;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, Result};

/// Writes a file whole or not at all: aside in the same folder, flushed to the disk, then renamed.
///
/// A call that fails, or a process that dies within it, leaves the old file as it was. A link is followed.
pub(crate) fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let aside = beside(&target);
    let written = (|| {
        let file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        content(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&aside, &target)
    })();
    written.map_err(|source| {
        fs::remove_file(&aside).ok();
        Error::Io { path: path.to_path_buf(), source }
    })?;
    // The new name is on the disk once its folder is. Not every system lets a folder be opened; the content is safe
    // without it.
    if let Some(folder) = target.parent().filter(|f| !f.as_os_str().is_empty()) {
        File::open(folder).and_then(|f| f.sync_all()).ok();
    }
    Ok(())
}

/// A name in the same folder that no other thread or process uses.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{}.part", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}
