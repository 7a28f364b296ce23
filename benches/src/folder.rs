//! A folder that is removed with its owner.

use std::io;
use std::path::{Path, PathBuf};

/// A folder of this process.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes an empty folder below another one. Its name has the process's number, so that two
    /// measurements at a time do not share one.
    pub fn make(below: &Path, name: &str) -> io::Result<Self> {
        let path = below.join(format!("{name}-{}", std::process::id()));
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in a temporary place, and harms nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_empty_when_it_is_made_and_gone_when_it_is_dropped() {
        let below = std::env::temp_dir();
        let folder = Folder::make(&below, "fracas-folder").unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("left"), "over").unwrap();
        let again = Folder::make(&below, "fracas-folder").unwrap();
        assert_eq!(std::fs::read_dir(again.path()).unwrap().count(), 0);
        drop((folder, again));
        assert!(!path.exists());
    }
}
