//! Reading ahead.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Items;
use crate::{Error, Result};

/// Items that a thread of its own has read already.
pub struct Prefetched<T> {
    /// None when the reader is to stop: its next item then finds nobody.
    items: Option<Receiver<Result<T>>>,
    reader: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Prefetched<T> {
    /// Starts the thread, which waits when it is `ahead` items ahead.
    pub fn start(items: Items<T>, ahead: usize) -> Result<Self> {
        // The reader holds one more, for which the channel has no room yet.
        let (sender, receiver) = sync_channel(ahead - 1);
        let reader = std::thread::Builder::new().name("gradus-prefetch".into()).spawn(move || read(items, &sender));
        let reader = reader.map_err(|problem| {
            Error::option("prefetch", "used where the system grants a thread", format!("{problem}"))
        })?;
        Ok(Self { items: Some(receiver), reader: Some(reader) })
    }
}

fn read<T>(items: Items<T>, sender: &SyncSender<Result<T>>) {
    for item in items {
        if sender.send(item).is_err() {
            return;
        }
    }
}

impl<T> Prefetched<T> {
    /// Waits for the reader; if it panicked, so does its reading.
    fn join(&mut self) {
        if let Some(Err(panic)) = self.reader.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl<T> Iterator for Prefetched<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let item = self.items.as_ref()?.recv().ok();
        if item.is_none() {
            self.join();
        }
        item
    }
}

impl<T> Drop for Prefetched<T> {
    fn drop(&mut self) {
        self.items = None;
        self.join();
    }
}
