//! `fracas check-data`: what a start of nodes would find, without starting them.

use crate::console;
use campaign::InvalidUsage;
use clap::Args;
use node::data::{self, Checked, Wrong};
use real::ReadOnlyDirectory;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Check the data of nodes that do not run, and change nothing.
///
/// Exit status: 0 all of it is sound, 1 something is damaged, 2 something could not be read (a node is
/// running, another version), 64 there is no data.
#[derive(Debug, Args)]
pub struct CheckData {
    /// The folder of a node, or of several: as of --data.
    folder: PathBuf,
}

impl CheckData {
    /// Prints a line for each role's data.
    pub fn execute(self) -> anyhow::Result<u8> {
        let folder = self.folder.display();
        let mut folders = subfolders(&self.folder)
            .map_err(|error| InvalidUsage(format!("cannot read {folder}: {error}")))?;
        folders.push(self.folder.clone());
        let (mut checked, mut status) = (0, 0);
        for folder in folders {
            let name = folder.display();
            match look(&folder) {
                Ok(found) => {
                    checked += found.len();
                    for one in found {
                        let (line, is) = told(&one);
                        console::result(&format!("{name}: {line}"));
                        status = worse(status, is);
                    }
                }
                Err(error) => {
                    console::error(&format!("{name} cannot be checked: {error}"));
                    (checked, status) = (checked + 1, worse(status, 2));
                }
            }
        }
        if checked == 0 {
            return Err(InvalidUsage(format!("there is no data of a node in {folder}")).into());
        }
        Ok(status)
    }
}

/// Damage (1) is worse than what could not be read (2).
fn worse(a: u8, b: u8) -> u8 {
    if a == 1 || b == 1 { 1 } else { a.max(b) }
}

/// A line, and the status that it alone would give.
fn told(Checked { what, sound, wrong }: &Checked) -> (String, u8) {
    match wrong {
        None => (format!("{what} is sound: {sound}"), 0),
        Some(Wrong { is_damage: true, error }) => {
            (format!("{what} is damaged: {error}; sound: {sound}"), 1)
        }
        Some(Wrong { is_damage: false, error }) => (format!("{what} cannot be read: {error}"), 2),
    }
}

fn look(folder: &Path) -> io::Result<Vec<Checked>> {
    let disk = ReadOnlyDirectory::open(folder)?;
    let disk: Arc<dyn ports::Disk> = Arc::new(disk);
    data::check(&disk)
}

fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut folders: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}
