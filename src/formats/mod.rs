//! Files that gradus shares with other programs.

#[cfg(feature = "tensorboard")]
pub(crate) mod events;
mod half;
#[cfg(feature = "keras")]
pub mod hdf5;
pub mod npy;
pub mod safetensors;
#[cfg(feature = "torch")]
pub mod torch;

pub use half::{Bf16, F16};

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, Result};

/// Writes a file whole or not at all: aside in the same folder, flushed to the disk, then renamed.
///
/// A call that fails, or a process that dies within it, leaves the old file as it was. A link is followed; what is no
/// file, such as a device or a pipe, is written into as it stands. What dead processes have left of this file half written
/// is removed.
pub(crate) fn write_atomically(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&target).is_ok_and(|what| !what.is_file() && !what.is_dir()) {
        let file = OpenOptions::new().write(true).open(&target).map_err(io)?;
        return write(file, content).map(drop).map_err(io);
    }
    let (file, aside) = open_beside(&target).map_err(io)?;
    let written = write(file, content).and_then(|file| {
        file.sync_all()?;
        fs::rename(&aside, &target)
    });
    written.map_err(|source| {
        fs::remove_file(&aside).ok();
        io(source)
    })?;
    // The new name is on the disk once its folder is. Not every system lets a folder be opened; the content is safe
    // without it.
    if let Some(folder) = target.parent().filter(|f| !f.as_os_str().is_empty()) {
        File::open(folder).and_then(|f| f.sync_all()).ok();
    }
    sweep(&target);
    Ok(())
}

/// Writes all of a content, and gives the file back.
fn write(file: File, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<File> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

/// A new file in the same folder, which no other thread or process uses, and its name. It is locked for as long as it is
/// open: so others know that it is being written.
fn open_beside(target: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut name = before_number(target);
        name.push(format!("{}-{number}{PART}", process::id()));
        let aside = target.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).open(&aside) {
            Ok(file) => {
                // Not every file system has locks: nothing is ever swept there.
                file.lock().ok();
                // Before it was locked it may have been taken for a dead process's, and removed.
                if aside.exists() {
                    return Ok((file, aside));
                }
            }
            // Of a dead process that had this one's number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            Err(error) => return Err(error),
        }
    }
}

/// The end of the names of files that are being written.
const PART: &str = ".part";

/// What the names of files beside `target` begin with: `.name.`
fn before_number(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".");
    name
}

/// Removes what dead processes have left beside `target`: files of this module's names on which nobody has a lock.
fn sweep(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return };
    let before = before_number(target);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let numbers = name.as_encoded_bytes().strip_prefix(before.as_encoded_bytes());
        let numbers = numbers.and_then(|rest| rest.strip_suffix(PART.as_bytes()));
        let ours = numbers.is_some_and(|numbers| {
            let parts: Vec<&[u8]> = numbers.split(|&byte| byte == b'-').collect();
            parts.len() == 2 && parts.iter().all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
        });
        if !ours {
            continue;
        }
        let path = entry.path();
        // Opened for writing, since some systems lock nothing else; nothing is written.
        if let Ok(file) = OpenOptions::new().append(true).open(&path)
            && file.try_lock().is_ok()
        {
            fs::remove_file(&path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_text(path: &Path, text: &str) -> Result<()> {
        write_atomically(path, |out| io::Write::write_all(out, text.as_bytes()))
    }

    #[test]
    fn what_the_dead_left_is_swept_and_the_livings_stays() {
        let folder = std::env::temp_dir().join(format!("gradus-sweep-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let target = folder.join("model.safetensors");
        let named = |name: &str| folder.join(name);
        let dead = [named(".model.safetensors.4000000-0.part"), named(".model.safetensors.1-77.part")];
        let others = [
            named(".other.safetensors.4000000-0.part"),
            named(".model.safetensors.4000000-x.part"),
            named(".model.safetensors.4000000.part"),
            named("model.safetensors.4000000-0.part"),
        ];
        dead.iter().chain(&others).for_each(|path| fs::write(path, "half").expect("written"));
        let (living, at_work) = open_beside(&target).expect("a file");
        write_text(&target, "whole").expect("written");
        assert!(dead.iter().all(|path| !path.exists()), "swept");
        assert!(others.iter().all(|path| path.exists()) && at_work.exists(), "not ours, or at work");
        drop(living);
        write_text(&target, "again").expect("written");
        assert!(!at_work.exists(), "whoever wrote it is gone");
        assert_eq!(fs::read_to_string(&target).expect("read"), "again");
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_into_and_stay_devices() {
        let full = Path::new("/dev/full");
        if full.exists() {
            let error = write_text(full, "more than there is room for").expect_err("the disk is full");
            assert!(error.to_string().starts_with("/dev/full: "), "{error}");
            assert!(!fs::metadata(full).expect("it is there").is_file(), "still a device");
        }
        write_text(Path::new("/dev/null"), "nothing").expect("taken");
        assert!(!fs::metadata("/dev/null").expect("it is there").is_file(), "still a device");
    }
}
