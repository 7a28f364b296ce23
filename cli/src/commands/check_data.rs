//! `fracas check-data`: what a start of nodes would find, without starting them.

use crate::console;
use campaign::InvalidUsage;
use clap::Args;
use node::data::{self, Checked};
use real::ReadOnlyDirectory;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Check the data of nodes that do not run, and change nothing.
///
/// Exit status: 0 all of it is sound, 1 something is damaged, 2 something could not be read, 64 there is
/// no data.
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
                    for Checked { what, sound, error } in found {
                        checked += 1;
                        match error {
                            None => console::result(&format!("{name}: {what} is sound: {sound}")),
                            Some(error) => {
                                console::result(&format!(
                                    "{name}: {what} is damaged: {error}; sound: {sound}"
                                ));
                                status = status.max(1);
                            }
                        }
                    }
                }
                Err(error) => {
                    console::error(&format!("{name} cannot be checked: {error}"));
                    (checked, status) = (checked + 1, 2);
                }
            }
        }
        if checked == 0 {
            return Err(InvalidUsage(format!("there is no data of a node in {folder}")).into());
        }
        Ok(status)
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
