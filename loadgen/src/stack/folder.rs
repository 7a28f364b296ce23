//! The folder of a stack: of which one it has the data, and that no other one runs on it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The file that says whose folder it is.
const MARKER: &str = "made-by-fracas-stack";

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// It has something else.
    #[error(
        "{0} contains something that fracas stack did not create: choose another folder with --data"
    )]
    Foreign(String),
    /// It has the data of another one.
    #[error(
        "{folder} has the data of another stack ({of}): start that one, choose another folder with --data, or remove it"
    )]
    Another {
        /// Which folder.
        folder: String,
        /// Of which stack.
        of: String,
    },
    /// It is in use.
    #[error("{0} is in use by a stack that runs")]
    InUse(String),
    /// The system.
    #[error("{folder} cannot be used: {source}")]
    Io {
        /// Which folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A folder that is ours as long as this lives.
#[derive(Debug)]
pub struct Made {
    marker: File,
}

impl Made {
    /// Takes the folder for the stack that these words describe, or makes it.
    ///
    /// # Errors
    /// It is somebody else's, or another stack's.
    pub fn take(folder: &Path, of: &str) -> Result<Self, NotOurs> {
        let shown = folder.display().to_string();
        let cannot = |source| NotOurs::Io { folder: shown.clone(), source };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let is_empty = std::fs::read_dir(folder).map_err(cannot)?.next().is_none();
        let path = folder.join(MARKER);
        if !is_empty && !path.is_file() {
            return Err(NotOurs::Foreign(shown));
        }
        let mut options = File::options();
        let marker = options.create(true).truncate(false).read(true).write(true).open(path);
        let mut marker = marker.map_err(cannot)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotOurs::InUse(shown)),
            Err(TryLockError::Error(source)) => return Err(cannot(source)),
        }
        let mut before = String::new();
        marker.read_to_string(&mut before).map_err(cannot)?;
        if !before.is_empty() && before.trim() != of {
            return Err(NotOurs::Another { folder: shown, of: before.trim().to_owned() });
        }
        Ok(Self { marker })
    }

    /// From now on it has the data of that stack.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, of: &str) -> std::io::Result<()> {
        self.marker.rewind()?;
        writeln!(self.marker, "{of}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_stack() {
        let folder = std::env::temp_dir().join(format!("fracas-stack-{}", std::process::id()));
        // One that never started has left nothing.
        drop(Made::take(&folder, "1 gateway").unwrap());
        let mut took = Made::take(&folder, "2 gateways").unwrap();
        took.keep("2 gateways").unwrap();
        assert!(matches!(Made::take(&folder, "2 gateways"), Err(NotOurs::InUse(_))));
        drop(took);
        let refused = Made::take(&folder, "3 gateways").unwrap_err();
        assert!(matches!(&refused, NotOurs::Another { of, .. } if of == "2 gateways"), "{refused}");
        drop(Made::take(&folder, "2 gateways").unwrap());
        std::fs::remove_file(folder.join(MARKER)).unwrap();
        std::fs::write(folder.join("precious"), "").unwrap();
        assert!(matches!(Made::take(&folder, "2 gateways"), Err(NotOurs::Foreign(_))));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
