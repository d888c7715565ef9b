//! Fetching a data set into the user's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::IdxFile;
use crate::data::idx;
use crate::formats::write_atomically;
use crate::{Error, Result};

/// No file of these data sets has more bytes, packed.
const LIMIT: u64 = 64 << 20;

/// Fetches `files` from the first mirror that has them, checks them and keeps them in the cache; returns the folder.
pub(super) fn fetch(name: &str, files: &[IdxFile], mirrors: &[&str]) -> Result<PathBuf> {
    let call = || format!("datasets::{name}::load");
    let Some(folder) = super::cache().map(|c| c.join(name)) else {
        return Err(Error::data(call(), "a cache folder to download into", "neither HOME nor XDG_CACHE_HOME"));
    };
    fetch_into(&folder, files, mirrors).map_err(|e| e.within(call()))?;
    Ok(folder)
}

fn fetch_into(folder: &Path, files: &[IdxFile], mirrors: &[&str]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_global(Some(Duration::from_secs(600)))
        .build()
        .into();
    for file in files {
        let path = folder.join(format!("{}.gz", file.name));
        if super::locate(folder, file.name).is_ok() {
            continue;
        }
        let mut failed = Vec::new();
        let fetched = mirrors.iter().find_map(|mirror| {
            let url = format!("{mirror}/{}.gz", file.name);
            log::info!("fetching {url} into {}", folder.display());
            get(&agent, &url, file).map_err(|problem| failed.push(format!("{url}: {problem}"))).ok()
        });
        match fetched {
            Some(bytes) => write_atomically(&path, |out| std::io::Write::write_all(out, &bytes))?,
            None => return Err(Error::file(path, format!("no mirror has it: {}", failed.join("; ")))),
        }
    }
    Ok(())
}

/// The packed bytes of `file`, if they are what they should be.
fn get(agent: &ureq::Agent, url: &str, file: &IdxFile) -> Result<Vec<u8>, String> {
    let mut response = agent.get(url).call().map_err(|e| e.to_string())?;
    let bytes = response.body_mut().with_config().limit(LIMIT).read_to_vec().map_err(|e| e.to_string())?;
    let (array, sum) = idx::parse_with_sum(&bytes)?;
    file.check(&array, &sum)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const FILE: IdxFile = IdxFile {
        name: "two-labels",
        sum: Some("8b1f1c6b1c8a5f66a1d3dbd0b9a9b4b9d2dfd8f0c6b9e8a5f7a7c4f9a6f7d0aa"),
        shape: &[2],
    };

    /// Serves `answers`, one a connection, and returns the address.
    fn serve(answers: Vec<Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        format!("http://{address}")
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("gradus-download-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        folder
    }

    #[test]
    fn a_damaged_mirror_is_passed_over_and_the_next_one_is_asked() {
        let labels = vec![0, 0, 8, 1, 0, 0, 0, 2, 7, 2];
        let sum = super::super::hex(&idx::parse_with_sum(&labels).unwrap().1);
        let file = IdxFile { sum: Some(String::leak(sum)), ..FILE };
        let (damaged, good) = (serve(vec![vec![0, 0, 8, 1, 0, 0, 0, 2, 7, 3]]), serve(vec![labels.clone()]));
        let folder = folder("mirrors");
        fetch_into(&folder, &[file], &[&damaged, &good]).unwrap();
        assert_eq!(fs::read(folder.join("two-labels.gz")).unwrap(), labels);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_no_mirror_has_is_an_error_with_every_address_and_leaves_no_file() {
        let mirror = serve(vec![b"<html>".to_vec()]);
        let folder = folder("nowhere");
        let refused = fetch_into(&folder, &[FILE], &[&mirror, "http://127.0.0.1:1"]).unwrap_err().to_string();
        assert!(refused.contains(&mirror) && refused.contains("not an IDX file"), "{refused}");
        assert!(refused.contains("http://127.0.0.1:1"), "{refused}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
