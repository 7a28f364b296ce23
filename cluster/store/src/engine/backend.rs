//! redb's storage over a file of the disk port.

use ports::DiskFile;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Once set, nothing is written any more. A database that is dropped writes a last time, to say that
/// it was closed cleanly; a node that dies says nothing.
pub type Dead = Arc<AtomicBool>;

/// A thin shim: redb decides when to write and when to sync.
pub struct DiskBackend {
    /// The database file.
    pub file: Box<dyn DiskFile>,
    /// Whether the node has died.
    pub dead: Dead,
}

impl DiskBackend {
    fn alive(&self) -> Result<&dyn DiskFile, io::Error> {
        if self.dead.load(Ordering::Acquire) {
            return Err(io::Error::other("the engine was dropped without being closed"));
        }
        Ok(&*self.file)
    }
}

impl fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskBackend")
    }
}

impl redb::StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.alive()?.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.alive()?.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.alive()?.write_at(offset, data)
    }
}
