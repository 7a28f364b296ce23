//! redb's storage over a file of the disk port: what is read is what was written, or an error.
//!
//! redb verifies its pages only when it repairs a database. Here every page carries a checksum over
//! its number and its bytes, which each read verifies. redb's header is written in place: it has two
//! copies here, of which a write replaces the older one, so that a torn write leaves the other.

use ports::{DiskFile, entered};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// What became of a database, known to all that use its file.
#[derive(Debug, Default)]
pub struct Condition {
    /// Once set, nothing is written any more. A database that is dropped writes a last time, to say that
    /// it was closed cleanly; a node that dies says nothing.
    pub dead: AtomicBool,
    /// The damage that was met first. redb says it once, and then only that something has failed before.
    pub damage: OnceLock<String>,
}

/// Where writes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// To the file.
    ToDisk,
    /// Nowhere, but what was written is read back: for a look that leaves the file as it is.
    ToMemory,
}

/// redb's pages; it reads and writes whole ones, but for the header in the first.
const PAGE: usize = 4096;
/// A page and its checksum.
const STORED_PAGE: usize = PAGE + CHECKSUM;
const CHECKSUM: usize = 4;
/// The bytes of redb's header, at the beginning of its first page.
const HEADER: usize = 320;
/// A copy of the header: turn, durable length of the file, header, checksum.
const COPY: usize = 8 + 8 + HEADER + CHECKSUM;
/// Where the two copies are, each in a page of its own.
const COPIES: [u64; 2] = [0, PAGE as u64];
/// Where redb's second page is.
const PAGES: u64 = 2 * PAGE as u64;

/// A thin shim: redb decides when to write and when to sync.
pub struct DiskBackend {
    file: Box<dyn DiskFile>,
    condition: Arc<Condition>,
    header: Mutex<Header>,
    memory: Option<Mutex<Memory>>,
}

/// What a look has written.
#[derive(Default)]
struct Memory {
    /// The length of redb's storage, if that was changed.
    length: Option<u64>,
    pages: BTreeMap<u64, Vec<u8>>,
}

/// The header in force.
struct Header {
    turn: u64,
    /// The length of the file at the last sync: it is never shorter.
    durable: u64,
    bytes: [u8; HEADER],
    /// Nothing was synced since it was written: another write goes to the same copy, since the other
    /// one is all that a power loss would leave.
    is_new: bool,
    /// Bytes of redb's storage: at first only the header.
    is_made: bool,
}

impl DiskBackend {
    /// Opens the storage in a file. Whether one copy of the header is unreadable, torn or damaged: then
    /// the other may be older than the pages.
    pub fn open(
        file: Box<dyn DiskFile>,
        condition: Arc<Condition>,
        writes: Writes,
    ) -> io::Result<(Self, bool)> {
        let length = file.len()?;
        let copies = [read_copy(&*file, length, 0)?, read_copy(&*file, length, 1)?];
        let is_doubtful = copies.iter().any(|copy| matches!(copy, Copy::Unreadable));
        let whole = copies.into_iter().filter_map(|copy| match copy {
            Copy::Whole(header) => Some(header),
            Copy::Unwritten | Copy::Unreadable => None,
        });
        let header = match whole.max_by_key(|header| header.turn) {
            Some(header) if header.durable > length => {
                let had = header.durable;
                return Err(damaged(format!("it ends at byte {length}, and had {had}")));
            }
            Some(header) => {
                // A killed process may have left it in the page cache only. The next write replaces the
                // other copy, and relies on this one.
                file.sync_data()?;
                *header
            }
            None if length > PAGES => {
                return Err(damaged("neither copy of its header is readable"));
            }
            None => Header::new(length > 0),
        };
        let memory = (writes == Writes::ToMemory).then(Mutex::default);
        Ok((Self { file, condition, header: Mutex::new(header), memory }, is_doubtful))
    }

    fn alive(&self) -> io::Result<()> {
        if self.condition.dead.load(Ordering::Acquire) {
            return Err(io::Error::other("the engine was dropped without being closed"));
        }
        Ok(())
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        entered(self.header.lock())
    }

    fn memory(&self) -> Option<MutexGuard<'_, Memory>> {
        self.memory.as_ref().map(|memory| entered(memory.lock()))
    }

    /// Pages from the file, if they are as they were written.
    fn read_pages(&self, first: u64, out: &mut [u8]) -> io::Result<()> {
        let mut stored = vec![0; out.len() / PAGE * STORED_PAGE];
        self.file.read_at(stored_at(first), &mut stored).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(format!("it ends before page {first}")),
            _ => error,
        })?;
        let pages = stored.chunks_exact(STORED_PAGE).zip(out.chunks_exact_mut(PAGE));
        for (number, (stored, page)) in (first..).zip(pages) {
            let (bytes, sum) = stored.split_at(PAGE);
            if checksum(number, bytes).to_le_bytes() != *sum {
                let at = stored_at(number);
                return Err(damaged(format!(
                    "page {number} at byte {at} is not as it was written"
                )));
            }
            page.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write_header(&self, header: &mut Header, at: usize, data: &[u8]) -> io::Result<()> {
        if self.memory.is_some() {
            header.bytes[at..at + data.len()].copy_from_slice(data);
            return Ok(());
        }
        let turn = if header.is_new { header.turn } else { header.turn + 1 };
        let mut bytes = header.bytes;
        bytes[at..at + data.len()].copy_from_slice(data);
        let mut copy = Vec::with_capacity(COPY);
        copy.extend_from_slice(&turn.to_le_bytes());
        copy.extend_from_slice(&header.durable.to_le_bytes());
        copy.extend_from_slice(&bytes);
        copy.extend_from_slice(&crc32fast::hash(&copy).to_le_bytes());
        // Whatever of it is written: the copy is as good as new, and the other one stays.
        (header.turn, header.is_new) = (turn, true);
        self.file.write_at(COPIES[(turn % 2) as usize], &copy)?;
        header.bytes = bytes;
        header.is_made = true;
        Ok(())
    }
}

impl Header {
    const fn new(is_made: bool) -> Self {
        Self { turn: 0, durable: 0, bytes: [0; HEADER], is_new: false, is_made }
    }
}

enum Copy {
    Unwritten,
    Unreadable,
    Whole(Box<Header>),
}

fn read_copy(file: &dyn DiskFile, length: u64, copy: usize) -> io::Result<Copy> {
    if length < COPIES[copy] + COPY as u64 {
        return Ok(if length > COPIES[copy] { Copy::Unreadable } else { Copy::Unwritten });
    }
    let mut bytes = [0; COPY];
    file.read_at(COPIES[copy], &mut bytes)?;
    if bytes == [0; COPY] {
        return Ok(Copy::Unwritten);
    }
    let (fields, checksum) = bytes.split_at(COPY - CHECKSUM);
    if crc32fast::hash(fields).to_le_bytes() != *checksum {
        return Ok(Copy::Unreadable);
    }
    let number = |at: usize| u64::from_le_bytes(fields[at..at + 8].try_into().expect("8 bytes"));
    let bytes = fields[16..].try_into().expect("a header");
    let (turn, durable) = (number(0), number(8));
    Ok(Copy::Whole(Box::new(Header { turn, durable, bytes, ..Header::new(true) })))
}

impl fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskBackend")
    }
}

impl redb::StorageBackend for DiskBackend {
    fn len(&self) -> io::Result<u64> {
        if let Some(length) = self.memory().and_then(|memory| memory.length) {
            return Ok(length);
        }
        let length = self.file.len()?;
        let is_made = self.header().is_made;
        Ok(match length.checked_sub(PAGES) {
            Some(pages) => (pages / STORED_PAGE as u64 + 1) * PAGE as u64,
            None if is_made => PAGE as u64,
            None => 0,
        })
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if let Some(at) = in_header(offset, out.len())? {
            out.copy_from_slice(&self.header().bytes[at..at + out.len()]);
            return Ok(());
        }
        let first = offset / PAGE as u64;
        let read = match self.memory() {
            None => self.read_pages(first, out),
            Some(memory) => {
                (first..).zip(out.chunks_exact_mut(PAGE)).try_for_each(|(number, page)| {
                    let Some(written) = memory.pages.get(&number) else {
                        return self.read_pages(number, page);
                    };
                    page.copy_from_slice(written);
                    Ok(())
                })
            }
        };
        if let Err(error) = &read
            && error.kind() == io::ErrorKind::InvalidData
        {
            self.condition.damage.get_or_init(|| error.to_string());
        }
        read
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.alive()?;
        if let Some(mut memory) = self.memory() {
            memory.length = Some(len);
            return Ok(());
        }
        let pages = len.div_ceil(PAGE as u64);
        let length = if pages == 0 { 0 } else { stored_at(pages) };
        let mut header = self.header();
        if length < header.durable {
            // Before it is true: the file may be longer than it says, and never shorter.
            header.durable = length;
            self.write_header(&mut header, 0, &[])?;
            self.file.sync_data()?;
            header.is_new = false;
        }
        self.file.set_len(length)?;
        header.is_made = pages > 0;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alive()?;
        if self.memory.is_some() {
            return Ok(());
        }
        let mut header = self.header();
        let length = self.file.len()?;
        self.file.sync_data()?;
        (header.durable, header.is_new) = (length, false);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alive()?;
        if let Some(at) = in_header(offset, data.len())? {
            return self.write_header(&mut self.header(), at, data);
        }
        let first = offset / PAGE as u64;
        if let Some(mut memory) = self.memory() {
            let pages = data.chunks_exact(PAGE).map(<[u8]>::to_vec);
            memory.pages.extend((first..).zip(pages));
            return Ok(());
        }
        let mut stored = Vec::with_capacity(data.len() / PAGE * STORED_PAGE);
        for (number, page) in (first..).zip(data.chunks_exact(PAGE)) {
            stored.extend_from_slice(page);
            stored.extend_from_slice(&checksum(number, page).to_le_bytes());
        }
        self.file.write_at(stored_at(first), &stored)
    }
}

/// Where a page stands, from redb's second on.
const fn stored_at(number: u64) -> u64 {
    PAGES + (number - 1) * STORED_PAGE as u64
}

/// The offset in the header, if that is what is meant; otherwise whole pages.
fn in_header(offset: u64, length: usize) -> io::Result<Option<usize>> {
    let page = PAGE as u64;
    match usize::try_from(offset) {
        Ok(at) if at + length <= HEADER => Ok(Some(at)),
        _ if offset >= page && offset.is_multiple_of(page) && length.is_multiple_of(PAGE) => {
            Ok(None)
        }
        _ => Err(io::Error::other(format!("{length} bytes at {offset} are no pages"))),
    }
}

fn checksum(number: u64, page: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(page);
    hasher.finalize()
}

fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
