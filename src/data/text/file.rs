//! Text files, packed or not.

use std::io::Read;
use std::path::Path;

use crate::Result;
use crate::data::idx;

/// The text of a file in UTF-8, as it is or packed with gzip; a byte order mark before it is left out.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if the file cannot be read; [`Error::File`](crate::Error::File) if it is not UTF-8, or damaged gzip.
///
/// # Example
/// ```
/// use gradus::data::{datasets, text};
///
/// let plays = text::read(datasets::file("text", "shakespeare.txt")?)?;
/// assert!(plays.starts_with("HAMLET, PRINCE OF DENMARK"));
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut text = String::new();
    idx::unpacked(path)?.read_to_string(&mut text).map_err(|problem| idx::refused(path, problem))?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}
