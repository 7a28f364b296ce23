//! `fracas scenarios`: the library, with the question of each file.

use crate::console;
use campaign::InvalidUsage;
use clap::Args;
use comfy_table::Table;
use std::path::PathBuf;

/// List the scenarios of a folder.
#[derive(Debug, Args)]
pub struct Scenarios {
    /// The folder, with one sub-folder per kind.
    #[arg(default_value = "scenarios")]
    folder: PathBuf,
}

impl Scenarios {
    /// Prints the list; 64 if a file has mistakes.
    pub fn execute(self) -> anyhow::Result<u8> {
        let listings = scenarios::library(&self.folder).map_err(|error| {
            InvalidUsage(format!("cannot list {}: {error}", self.folder.display()))
        })?;
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(["file", "question", "users", "simulated", "faults"]);
        let mut status = 0;
        for listing in &listings {
            match &listing.about {
                Ok(about) => {
                    let random = if about.random_faults { " + random" } else { "" };
                    table.add_row([
                        listing.path.display().to_string(),
                        about.question.clone(),
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
        console::result(&table.to_string());
        Ok(status)
    }
}
