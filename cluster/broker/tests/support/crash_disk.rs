//! A disk in memory with the power to lose: unsynced writes are lost, torn or kept in any
//! combination at a crash, and a file that `sync_dir` has not seen may be gone.

use ports::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// Writes are torn at multiples of this.
const SECTOR: usize = 16;

#[derive(Default)]
pub struct CrashDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What the directory says now, and what it says after a crash.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<Content>,
    /// Opened before a crash: such a file handle is dead.
    generation: u64,
    fail: Option<Failure>,
    /// Changes until the power goes off, with the crash yet to come.
    power_off_after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing can be written.
    Write,
    /// Writes are taken, and syncs fail.
    Sync,
    /// Syncs succeed and do nothing.
    Lies,
}

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl CrashDisk {
    /// The power is lost; `random` decides what of the unsynced changes has reached the platter.
    pub fn crash(&self, mut random: impl FnMut(u64) -> u64) {
        let mut state = self.lock();
        state.generation += 1;
        state.fail = None;
        state.power_off_after = None;
        for content in &mut state.files {
            for change in std::mem::take(&mut content.unsynced) {
                match change {
                    Change::Length(length) if random(2) == 0 => content.durable.resize(length, 0),
                    Change::Length(_) => {}
                    Change::Write { offset, data } => tear(content, offset, &data, &mut random),
                }
            }
            content.now = content.durable.clone();
        }
        // Any unsynced creation or removal may have become durable.
        let State { names, durable_names, .. } = &mut *state;
        for (name, file) in names.iter() {
            if random(2) == 0 {
                durable_names.insert(name.clone(), *file);
            }
        }
        durable_names.retain(|name, _| names.contains_key(name) || random(2) == 0);
        *names = durable_names.clone();
    }

    /// The process dies and the system lives: nothing is lost, but its file handles are dead.
    pub fn kill(&self) {
        self.lock().generation += 1;
    }

    pub fn fail(&self, failure: Option<Failure>) {
        self.lock().fail = failure;
    }

    /// After this many more changes every change fails, until the crash.
    pub fn power_off_after(&self, changes: u64) {
        self.lock().power_off_after = Some(changes);
    }

    /// Bytes in all files.
    pub fn size(&self) -> usize {
        let state = self.lock();
        state.names.values().map(|file| state.files[*file].now.len()).sum()
    }

    /// Flips a bit of a durable byte.
    pub fn rot(&self, name: &str, at: usize) {
        let mut state = self.lock();
        let file = state.names[name];
        state.files[file].now[at] ^= 1;
        state.files[file].durable[at] ^= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// One change is about to be made.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.power_off_after {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

/// Each sector of a write is kept or lost on its own.
fn tear(content: &mut Content, offset: usize, data: &[u8], random: &mut impl FnMut(u64) -> u64) {
    let whole = random(3);
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min((offset + at) / SECTOR * SECTOR + SECTOR - offset);
        let kept = match whole {
            0 => true,
            1 => false,
            _ => random(2) == 0,
        };
        if kept {
            put(&mut content.durable, offset + at, &data[at..end]);
        }
        at = end;
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

impl Disk for CrashDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        let file = if let Some(file) = state.names.get(name) {
            *file
        } else {
            state.change()?;
            if state.fail == Some(Failure::Write) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.files.push(Content::default());
            let file = state.files.len() - 1;
            state.names.insert(name.to_owned(), file);
            file
        };
        let generation = state.generation;
        Ok(Box::new(File { disk: Arc::clone(&self.0), index: file, generation }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        state.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        match state.fail {
            Some(Failure::Sync) => return Err(io::Error::other("no sync")),
            Some(Failure::Lies) => {}
            _ => state.durable_names = state.names.clone(),
        }
        Ok(())
    }
}

struct File {
    disk: Arc<Mutex<State>>,
    index: usize,
    generation: u64,
}

impl File {
    fn change<T>(
        &self,
        act: impl FnOnce(&mut Content, Option<Failure>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.lock().unwrap().change()?;
        self.with(act)
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut Content, Option<Failure>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.lock().unwrap();
        if state.generation != self.generation {
            return Err(io::Error::other("opened before the crash"));
        }
        let fail = state.fail;
        act(&mut state.files[self.index], fail)
    }
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(|content, _| {
            let offset = offset as usize;
            let bytes = content.now.get(offset..offset + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|content, fail| {
            let (offset, data) = (offset as usize, data.to_vec());
            if fail == Some(Failure::Write) {
                // A full disk takes a part.
                put(&mut content.now, offset, &data[..data.len() / 2]);
                let data = data[..data.len() / 2].to_vec();
                content.unsynced.push(Change::Write { offset, data });
                return Err(io::ErrorKind::StorageFull.into());
            }
            put(&mut content.now, offset, &data);
            content.unsynced.push(Change::Write { offset, data });
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|content, fail| match fail {
            Some(Failure::Sync) => Err(io::Error::other("no sync")),
            Some(Failure::Lies) => Ok(()),
            _ => {
                content.durable = content.now.clone();
                content.unsynced.clear();
                Ok(())
            }
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|content, _| Ok(content.now.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|content, _| {
            content.now.resize(len as usize, 0);
            content.unsynced.push(Change::Length(len as usize));
            Ok(())
        })
    }
}
