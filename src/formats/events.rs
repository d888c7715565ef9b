//! Event files: what TensorBoard reads. A file is a row of records, each an `Event` in the encoding of Protocol Buffers.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc, Table};

use crate::{Error, Result};

/// A file of events that is written to as they happen.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in a folder, which is made if need be. TensorBoard takes all files of a folder for one run.
    pub fn create(folder: &Path) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let time = now();
        let name = format!("events.out.tfevents.{:010}.gradus.{}.{count}.v2", time.trunc(), std::process::id());
        let path = folder.join(name);
        let opened =
            std::fs::create_dir_all(folder).and_then(|()| OpenOptions::new().append(true).create_new(true).open(&path));
        let file = opened.map_err(|source| Error::Io { path: path.clone(), source })?;
        let mut events = Self { path, file };
        events.append(&framed(&opening(time)))?;
        Ok(events)
    }

    /// Adds numbers at a step, which can be read at once.
    pub fn scalars(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<()> {
        let time = now();
        let records: Vec<u8> =
            scalars.iter().flat_map(|(tag, value)| framed(&scalar(time, step, tag, *value))).collect();
        self.append(&records)
    }

    fn append(&mut self, records: &[u8]) -> Result<()> {
        let io = |source: io::Error| Error::Io { path: self.path.clone(), source };
        self.file.write_all(records).map_err(io)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// An event as a record: its length, a checksum of the length, the event, a checksum of the event.
fn framed(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length, &masked_checksum(&length)[..], event, &masked_checksum(event)].concat()
}

/// CRC-32C, turned and shifted: the checksum of bytes that hold checksums would be a weak one.
fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    const CASTAGNOLI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The first event of a file, which names the version of what follows.
fn opening(time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, time).bytes(3, b"brain.Event:2");
    event.0
}

/// `Event { wall_time, step, summary { value { tag, metadata { plugin "scalars" }, tensor of one float } } }`.
fn scalar(time: f64, step: u64, tag: &str, value: f64) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation)] // TensorBoard shows numbers of 32 bits
    let value = value as f32;
    let mut tensor = Message::default();
    // DT_FLOAT, no axes, one value.
    tensor.number(1, 1).bytes(2, &[]).bytes(5, &value.to_le_bytes());
    let mut plugin = Message::default();
    plugin.bytes(1, b"scalars");
    let mut metadata = Message::default();
    // DATA_CLASS_SCALAR.
    metadata.bytes(1, &plugin.0).number(4, 1);
    let mut named = Message::default();
    named.bytes(1, tag.as_bytes()).bytes(8, &tensor.0).bytes(9, &metadata.0);
    let mut summary = Message::default();
    summary.bytes(1, &named.0);
    let mut event = Message::default();
    event.double(1, time).number(2, step).bytes(5, &summary.0);
    event.0
}

/// A message of Protocol Buffers: fields, each a key (its number and kind) and a value.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// A whole number; 0 is what is meant where nothing is written.
    fn number(&mut self, field: u8, value: u64) -> &mut Self {
        if value != 0 {
            self.0.push(field << 3);
            self.varint(value);
        }
        self
    }

    fn double(&mut self, field: u8, value: f64) -> &mut Self {
        self.0.push(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Text, a message, or packed numbers.
    fn bytes(&mut self, field: u8, value: &[u8]) -> &mut Self {
        self.0.push(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Seven bits a byte, the lowest first; all but the last byte are marked.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // tests/data/python_tensorboard.py: written by TensorBoard's own messages, and read by its reader
    fn bytes_are_those_that_tensorboard_writes() {
        let long = "epoch_a_metric_whose_name_is_so_long_that_its_length_takes_more_than_one_byte_".repeat(3);
        let events = [
            opening(1_700_000_000.25),
            scalar(1_700_000_001.5, 0, "epoch_loss", 0.75),
            scalar(1_700_000_002.5, 1, "epoch_loss", 0.1),
            scalar(1_700_000_003.5, 300, "epoch_accuracy", 0.0),
            scalar(1_700_000_004.5, 1 << 40, &long, -1e30),
            scalar(1_700_000_005.5, 2, "epoch_loss", f64::INFINITY),
        ];
        let file: Vec<u8> = events.iter().flat_map(|event| framed(event)).collect();
        assert_eq!(file, include_bytes!("../../tests/data/scalars.tfevents"));
    }
}
