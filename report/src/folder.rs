//! The folder of a run: what may be in it, and how a file gets there.

use crate::compare::FILES as COMPARISON;
use crate::knee::FILES as KNEE;
use crate::latency_log::LATENCY_LOG;
use crate::sweep::PAGES;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files of a run, and the plain history of earlier versions. History, `latency.hlog` and
/// `recording.jsonl` are written by whoever observes it.
pub const FILES: [&str; 11] = [
    "history.jsonl",
    "history.jsonl.gz",
    LATENCY_LOG,
    "recording.jsonl",
    "scenario.toml",
    "verdict.json",
    "report.md",
    "report.html",
    "junit.xml",
    "repro.txt",
    "agent.json",
];

/// All that is written into folders: by runs, by comparisons, by sweeps and searches beside the folders of their runs.
const WRITTEN: [&[&str]; 4] = [&FILES, &COMPARISON, &PAGES, &KNEE];

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It has something that was not written here.
    #[error("{path} was not written by Fracas: name another folder, or move it away")]
    Foreign {
        /// What.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot {what} {path}: {source}")]
    Disk {
        /// What could not be done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes a folder ready: it is made if it is missing, and the files of an earlier result are removed.
/// Folders in it stay; so do links, which are written through.
///
/// # Errors
/// It has other files, or the disk refused: then nothing was removed.
pub fn prepare(folder: &Path) -> Result<(), FolderError> {
    let disk =
        |what, path: &Path, source| FolderError::Disk { what, path: path.to_owned(), source };
    fs::create_dir_all(folder).map_err(|error| disk("make", folder, error))?;
    let entries = fs::read_dir(folder).map_err(|error| disk("read", folder, error))?;
    let mut earlier = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| disk("read", folder, error))?;
        let (name, path) = (entry.file_name(), entry.path());
        let kind = entry.file_type().map_err(|error| disk("read", &path, error))?;
        if kind.is_dir() {
            continue;
        }
        if !WRITTEN
            .iter()
            .flat_map(|files| files.iter())
            .any(|file| name == OsStr::new(file) || name == *part(file))
        {
            return Err(FolderError::Foreign { path });
        }
        if kind.is_file() {
            earlier.push(path);
        }
    }
    for path in earlier {
        fs::remove_file(&path).map_err(|error| disk("remove", &path, error))?;
    }
    Ok(())
}

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// The disk refused.
pub fn put(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let place = Place::of(path);
    fs::write(place.now(), content)?;
    place.appear()
}

/// Where a file is written before it is whole.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    /// `None` for a link, which is written through.
    part: Option<PathBuf>,
}

impl Place {
    /// For the file of this name.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = (!path.is_symlink()).then(|| path.with_file_name(part(&name)));
        Self { path: path.to_owned(), part }
    }

    /// Where to write until it is whole.
    pub fn now(&self) -> &Path {
        self.part.as_deref().unwrap_or(&self.path)
    }

    /// It is whole.
    ///
    /// # Errors
    /// The disk refused.
    pub fn appear(&self) -> io::Result<()> {
        self.part.as_ref().map_or(Ok(()), |part| fs::rename(part, &self.path))
    }
}

fn part(name: &str) -> String {
    format!("{name}.part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_run_is_removed_and_anything_else_is_refused() {
        let folder = std::env::temp_dir().join(format!("fracas-folder-{}", std::process::id()));
        prepare(&folder.join("deep")).expect("it is made");
        for name in ["report.html", "history.jsonl", "history.jsonl.gz.part"] {
            put(&folder.join(name), "earlier").expect("written");
        }
        fs::write(folder.join("notes.txt"), "mine").expect("written");
        let refused = prepare(&folder).expect_err("foreign").to_string();
        let left = folder.join("report.html").exists();
        fs::remove_file(folder.join("notes.txt")).expect("removed");
        let taken = prepare(&folder);
        let names: Vec<_> =
            fs::read_dir(&folder).expect("read").map(|one| one.expect("one").file_name()).collect();
        fs::remove_dir_all(&folder).expect("our own folder");
        assert!(refused.contains("notes.txt was not written by Fracas"), "{refused}");
        assert!(left, "nothing was removed");
        assert!(taken.is_ok(), "{taken:?}");
        assert_eq!(names, ["deep"]);
    }
}
