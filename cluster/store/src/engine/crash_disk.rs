//! A disk in memory that loses power: what was not synced is lost, kept or torn, sector by sector.

use ports::{Disk, DiskFile, entered};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk writes atomically.
const SECTOR: u64 = 512;

/// A disk; clones share it.
#[derive(Clone, Default)]
pub struct CrashDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Names that a power loss keeps.
    durable_names: BTreeMap<String, u64>,
    next_inode: u64,
    /// Changes until the power fails; `None`: it does not.
    fuse: Option<u64>,
    changes: u64,
}

#[derive(Clone, Default)]
struct File {
    inode: u64,
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl CrashDisk {
    /// The power fails at the `after`-th change from now on: it and all later calls fail.
    pub fn set_fuse(&self, after: u64) {
        self.state().fuse = Some(after);
    }

    /// Writes, length changes, syncs and directory changes so far.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// The disk after a power loss. `draw` decides the fate of everything that was not synced.
    pub fn after_power_loss(&self, mut draw: impl FnMut() -> u64) -> Self {
        let old = self.state();
        let mut new = State { next_inode: old.next_inode, ..State::default() };
        for (name, file) in &old.files {
            let named = old.durable_names.get(name) == Some(&file.inode);
            if !named && draw().is_multiple_of(2) {
                continue;
            }
            let mut bytes = file.synced.clone();
            for change in &file.unsynced {
                change.survive(&mut bytes, &mut draw);
            }
            let file =
                File { inode: file.inode, now: bytes.clone(), synced: bytes, unsynced: Vec::new() };
            new.durable_names.insert(name.clone(), file.inode);
            new.files.insert(name.clone(), file);
        }
        Self(Arc::new(Mutex::new(new)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.changes += 1;
        match &mut state.fuse {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(state)
            }
            None => Ok(state),
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => write(bytes, *offset, data),
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }

    fn survive(&self, bytes: &mut Vec<u8>, draw: &mut impl FnMut() -> u64) {
        match (self, draw() % 3) {
            (_, 0) => {}
            (Self::Write(offset, data), 1) => {
                let mut at = 0;
                while at < data.len() {
                    let sector_end = (offset + at as u64) / SECTOR * SECTOR + SECTOR;
                    let end = data.len().min((sector_end - offset) as usize);
                    if draw().is_multiple_of(2) {
                        write(bytes, offset + at as u64, &data[at..end]);
                    }
                    at = end;
                }
            }
            _ => self.apply(bytes),
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + data.len());
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(data);
}

impl Disk for CrashDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.change()?;
        if !state.files.contains_key(name) {
            state.next_inode += 1;
            let file = File { inode: state.next_inode, ..File::default() };
            state.files.insert(name.to_owned(), file);
        }
        Ok(Box::new(Handle { disk: self.clone(), name: name.to_owned() }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change()?.files.remove(name);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.change()?;
        let names = state.files.iter().map(|(name, file)| (name.clone(), file.inode));
        state.durable_names = names.collect();
        Ok(())
    }
}

struct Handle {
    disk: CrashDisk,
    name: String,
}

impl Handle {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.disk.change()?;
        let file = state.files.get_mut(&self.name).ok_or(io::ErrorKind::NotFound)?;
        change.apply(&mut file.now);
        file.unsynced.push(change);
        Ok(())
    }
}

impl DiskFile for Handle {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        if state.fuse == Some(0) {
            return Err(io::Error::other("no power"));
        }
        let file = state.files.get(&self.name).ok_or(io::ErrorKind::NotFound)?;
        let from = offset as usize;
        let bytes = file.now.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.change()?;
        let file = state.files.get_mut(&self.name).ok_or(io::ErrorKind::NotFound)?;
        file.synced = file.now.clone();
        file.unsynced.clear();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.files.get(&self.name).ok_or(io::ErrorKind::NotFound)?.now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len))
    }
}
