//! A directory that is looked at and never changed.

use crate::disk::LOCK;
use ports::{Disk, DiskFile, entered};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What is written is kept in memory, in blocks of this size.
const BLOCK: u64 = 4096;

/// One node's directory. What is written to it stays in memory and is read back; the files stay as they
/// are.
pub struct ReadOnlyDirectory {
    directory: PathBuf,
    /// Held, so that no node starts meanwhile; a folder that never had a node has none.
    _lock: Option<File>,
    files: Mutex<BTreeMap<String, Arc<Overlay>>>,
}

impl ReadOnlyDirectory {
    /// Opens a directory; an error if there is none, or a process uses it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != LOCK && entry.file_type()?.is_file() {
                files.insert(name, Arc::new(Overlay::new(Some(File::open(entry.path())?))?));
            }
        }
        let lock = match File::open(directory.join(LOCK)) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(Err(error)) = lock.as_ref().map(File::try_lock) {
            let why = format!("{} is in use by another process ({error})", directory.display());
            return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
        }
        Ok(Self { directory: directory.to_owned(), _lock: lock, files: Mutex::new(files) })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Overlay>>> {
        entered(self.files.lock())
    }
}

impl Disk for ReadOnlyDirectory {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.files();
        let file = if let Some(file) = files.get(name) {
            Arc::clone(file)
        } else {
            let file = Arc::new(Overlay::new(None)?);
            files.insert(name.to_owned(), Arc::clone(&file));
            file
        };
        Ok(Box::new(Handle(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file with what was written over it.
struct Overlay {
    file: Option<File>,
    state: Mutex<State>,
}

struct State {
    length: u64,
    /// The file counts up to here.
    kept: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn new(file: Option<File>) -> io::Result<Self> {
        let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?;
        let state = State { length, kept: length, blocks: BTreeMap::new() };
        Ok(Self { file, state: Mutex::new(state) })
    }

    /// A block as it is now.
    fn block(&self, state: &State, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = state.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let start = number * BLOCK;
        let length = state.kept.saturating_sub(start).min(BLOCK) as usize;
        if let Some(file) = self.file.as_ref().filter(|_| length > 0) {
            file.read_exact_at(&mut block[..length], start)?;
        }
        Ok(block)
    }
}

struct Handle(Arc<Overlay>);

impl DiskFile for Handle {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = entered(self.0.state.lock());
        if offset + buffer.len() as u64 > state.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, range) in blocks(offset, buffer.len()) {
            let block = self.0.block(&state, number)?;
            let length = range.len();
            buffer[range].copy_from_slice(&block[within..within + length]);
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = entered(self.0.state.lock());
        for (number, within, range) in blocks(offset, data.len()) {
            let mut block = self.0.block(&state, number)?;
            block[within..within + range.len()].copy_from_slice(&data[range]);
            state.blocks.insert(number, block);
        }
        state.length = state.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(entered(self.0.state.lock()).length)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = entered(self.0.state.lock());
        if len < state.length {
            let (number, within) = (len / BLOCK, (len % BLOCK) as usize);
            let mut last = self.0.block(&state, number)?;
            last[within..].fill(0);
            state.blocks.retain(|block, _| *block < number);
            state.blocks.insert(number, last);
            state.kept = state.kept.min(len);
        }
        state.length = len;
        Ok(())
    }
}

/// The blocks of a span: number, offset in the block, and which bytes of the span.
fn blocks(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let piece = (BLOCK as usize - within).min(length - done);
        let range = done..done + piece;
        done += piece;
        (piece > 0).then_some((at / BLOCK, within, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DirectoryDisk;

    #[test]
    fn what_is_written_is_read_back_and_the_files_stay_as_they_are() {
        let directory = std::env::temp_dir().join(format!("fracas-look-{}", std::process::id()));
        let disk = DirectoryDisk::open(&directory).unwrap();
        disk.open("a").unwrap().write_at(0, &[1; 10_000]).unwrap();
        let in_use = ReadOnlyDirectory::open(&directory).err().map(|error| error.kind());
        drop(disk);
        let look = ReadOnlyDirectory::open(&directory).unwrap();
        let file = look.open("a").unwrap();
        file.write_at(4_090, &[2; 10]).unwrap();
        file.set_len(8_000).unwrap();
        file.set_len(9_000).unwrap();
        let mut bytes = vec![9; 9_000];
        file.read_at(0, &mut bytes).unwrap();
        look.open("new").unwrap().write_at(3, b"x").unwrap();
        let names = look.list().unwrap();
        let kept = std::fs::read(directory.join("a")).unwrap();
        let is_made = directory.join("new").exists();
        std::fs::remove_dir_all(&directory).unwrap();
        let expected = [&[1; 4_090][..], &[2; 10], &[1; 3_900], &[0; 1_000]].concat();
        assert_eq!(
            (in_use, names),
            (Some(io::ErrorKind::WouldBlock), vec!["a".into(), "new".into()])
        );
        assert_eq!((bytes, kept, is_made), (expected, vec![1; 10_000], false));
    }
}
