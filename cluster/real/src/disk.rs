//! A directory of the file system, held by one process at a time.

use ports::{Disk, DiskFile};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The name of the file whose lock says that a process uses the directory.
pub(crate) const LOCK: &str = "LOCK";

/// One node's directory.
#[derive(Debug)]
pub struct DirectoryDisk {
    directory: PathBuf,
    /// Held as long as the node lives: two processes on one directory would be two owners.
    _lock: File,
}

impl DirectoryDisk {
    /// Opens (or makes) the directory, for its owner alone; an error if another process uses it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        make(directory)?;
        let lock = private().truncate(true).open(directory.join(LOCK))?;
        lock.try_lock().map_err(|error| {
            io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} is in use by another process ({error})", directory.display()),
            )
        })?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }
}

/// Makes a directory, and those above it; durable in each that was there.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make(above)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

/// How a file of a node is opened, and made if it is missing: nobody but its owner can read it.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

impl Disk for DirectoryDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.directory.join(name);
        Ok(Box::new(OpenFile(private().open(path)?)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            if name != LOCK {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.directory.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

struct OpenFile(File);

impl DiskFile for OpenFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_and_folders_are_their_owners_alone() {
        let above = std::env::temp_dir().join(format!("fracas-disk-{}", std::process::id()));
        let directory = above.join("data").join("store-1");
        let disk = DirectoryDisk::open(&directory).unwrap();
        disk.open("store.redb").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = ["", "LOCK", "store.redb"].map(|name| mode(&directory.join(name)));
        let outer = mode(&above);
        std::fs::remove_dir_all(&above).unwrap();
        assert_eq!((modes, outer), ([0o700, 0o600, 0o600], 0o700));
    }
}
