//! Where a cluster that `fracas load` starts keeps its data.
//!
//! A folder is emptied only if it was made here: a marker in it says so. The marker is locked for as
//! long as the run lasts, so that two runs never share a folder.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that says whose folder it is.
const MARKER: &str = "made-by-fracas-load";
/// What it says to people.
const WORDS: &str = "fracas load made this folder, and empties it before each run into it.\n";
/// The folder within the one of the report.
const WITHIN_OUT: &str = "cluster";
/// Names that are tried for a temporary folder.
const NAMES: u32 = 1_000;
/// Attempts to remove a temporary folder: a cluster that was just killed may still write into it.
const REMOVALS: u32 = 10;

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The caller named a folder that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The system.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Everything that was tried exists.
    #[error("no free name for a temporary folder in {0}")]
    NoName(String),
}

fn cannot(what: &str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let what = format!("{what} {}", path.display());
    move |source| FolderError::Io { what, source }
}

/// A folder for the data of one run, empty but for its marker.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    is_temporary: bool,
    /// Holds the lock.
    _marker: File,
}

impl DataFolder {
    /// `OUT/cluster`, which stays; without `out`, a temporary folder.
    ///
    /// # Errors
    /// `Invalid` if `OUT/cluster` holds what was not made here, or is in use by another run.
    pub fn new(out: Option<&Path>) -> Result<Self, FolderError> {
        match out {
            Some(out) => Self::within(out),
            None => Self::temporary(&std::env::temp_dir()),
        }
    }

    /// Where [`Self::new`] makes it, or below.
    pub fn place(out: Option<&Path>) -> PathBuf {
        out.map_or_else(std::env::temp_dir, |out| out.join(WITHIN_OUT))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn within(out: &Path) -> Result<Self, FolderError> {
        let path = out.join(WITHIN_OUT);
        let shown = path.display();
        std::fs::create_dir_all(&path)
            .map_err(|error| FolderError::Invalid(format!("cannot create {shown}: {error}")))?;
        let is_ours = path.join(MARKER).is_file();
        let is_empty = std::fs::read_dir(&path).is_ok_and(|mut inside| inside.next().is_none());
        if !is_ours && !is_empty {
            let what = format!(
                "{shown} contains something that fracas load did not create, and the cluster's data would \
                 go there: choose another folder with --out, or move it away"
            );
            return Err(FolderError::Invalid(what));
        }
        let marker = mark(&path)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("{shown} is in use by another run");
                return Err(FolderError::Invalid(what));
            }
            Err(TryLockError::Error(error)) => {
                return Err(cannot("lock", &path)(error));
            }
        }
        empty(&path).map_err(cannot("empty", &path))?;
        Ok(Self { path, is_temporary: false, _marker: marker })
    }

    /// A folder that nobody had before: its name may be known, so an existing one is not ours.
    fn temporary(below: &Path) -> Result<Self, FolderError> {
        let process = std::process::id();
        for number in 0..NAMES {
            let path = below.join(format!("fracas-load-{process}-{number}"));
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let marker = mark(&path)?;
                    return Ok(Self { path, is_temporary: true, _marker: marker });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(cannot("make", &path)(error));
                }
            }
        }
        Err(FolderError::NoName(below.display().to_string()))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        for _ in 0..REMOVALS * u32::from(self.is_temporary) {
            if std::fs::remove_dir_all(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Makes the marker, or opens the one that is there.
fn mark(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join(MARKER);
    let mut marker = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(cannot("write", &path))?;
    marker.write_all(WORDS.as_bytes()).map_err(cannot("write", &path))?;
    Ok(marker)
}

/// Removes everything but the marker. Links are removed, not followed.
fn empty(folder: &Path) -> std::io::Result<()> {
    for inside in std::fs::read_dir(folder)? {
        let inside = inside?;
        if inside.file_name() == MARKER {
            continue;
        }
        if inside.file_type()?.is_dir() {
            std::fs::remove_dir_all(inside.path())?;
        } else {
            std::fs::remove_file(inside.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder for one test, gone afterwards.
    struct Playground(PathBuf);

    impl Playground {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Playground {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_not_ours_is_never_removed() {
        let out = Playground::new("fracas-not-ours");
        let theirs = out.0.join(WITHIN_OUT).join("node/src/lib.rs");
        std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        std::fs::write(&theirs, "precious").unwrap();
        let error = DataFolder::new(Some(&out.0)).unwrap_err();
        assert!(matches!(error, FolderError::Invalid(_)), "{error}");
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "precious");
    }

    #[test]
    fn our_own_folder_is_emptied_but_not_while_it_is_used() {
        let out = Playground::new("fracas-ours");
        let folder = DataFolder::new(Some(&out.0)).unwrap();
        std::fs::create_dir_all(folder.path().join("store-1")).unwrap();
        std::fs::write(folder.path().join("cluster.log"), "a line").unwrap();
        assert!(matches!(DataFolder::new(Some(&out.0)), Err(FolderError::Invalid(_))));
        drop(folder);
        assert!(out.0.join(WITHIN_OUT).join("cluster.log").exists(), "data stays with --out");
        let again = DataFolder::new(Some(&out.0)).unwrap();
        let inside: Vec<_> =
            std::fs::read_dir(again.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(inside, [MARKER]);
    }

    #[test]
    fn a_temporary_folder_goes_with_its_run_and_takes_no_name_that_is_taken() {
        let below = Playground::new("fracas-temporary");
        let taken = below.0.join(format!("fracas-load-{}-0", std::process::id()));
        std::fs::create_dir(&taken).unwrap();
        let folder = DataFolder::temporary(&below.0).unwrap();
        assert_ne!(folder.path(), taken);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        assert!(taken.exists());
    }
}
