//! `fracas scenarios`: the library, with the question of each file.

use crate::console;
use campaign::InvalidUsage;
use clap::Args;
use scenarios::Listing;
use std::path::PathBuf;

/// A narrower terminal has no room for more than names and questions.
const NARROW: u16 = 90;

/// List the scenarios of the library, or those of a folder.
#[derive(Debug, Args)]
pub struct Scenarios {
    /// A folder with one sub-folder per kind; without it, the library, which is built in.
    folder: Option<PathBuf>,
}

impl Scenarios {
    /// Prints the list; 64 if a file has mistakes.
    pub fn execute(self) -> anyhow::Result<u8> {
        let listings = match &self.folder {
            None => scenarios::built_in_library(),
            Some(folder) => scenarios::library(folder).map_err(|error| {
                InvalidUsage(format!("cannot list {}: {error}", folder.display()))
            })?,
        };
        let (mut rows, mut status) = (Vec::new(), 0);
        for Listing { path, folder, about } in listings {
            match about {
                Ok(about) => {
                    let random = if about.random_faults { " + random" } else { "" };
                    rows.push(vec![
                        path.display().to_string(),
                        folder,
                        about.question,
                        about.users.to_string(),
                        format!("{} s", about.simulated.as_secs()),
                        format!("{}{random}", about.faults),
                    ]);
                }
                Err(mistakes) => {
                    console::error(&mistakes.to_string());
                    status = 64;
                }
            }
        }
        console::result(&match console::columns() {
            Some(narrow) if narrow < NARROW => {
                let names = |row: Vec<String>| vec![row[0].clone(), row[2].clone()];
                console::list(&["scenario", "question"], rows.into_iter().map(names).collect(), 1)
            }
            _ => {
                let header = ["scenario", "kind", "question", "users", "simulated", "faults"];
                console::list(&header, rows, 2)
            }
        });
        Ok(status)
    }
}
