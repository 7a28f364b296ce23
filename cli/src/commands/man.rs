//! `fracas man`: the manual pages.

use crate::command_line::command;
use crate::console;
use anyhow::Context;
use clap::Args;
use clap_mangen::{Man, generate_to};
use std::path::PathBuf;

/// Print the manual page, or write one for each subcommand too.
#[derive(Debug, Args)]
pub struct Manual {
    /// The folder for all pages (`man1` of a folder in MANPATH): fracas.1, fracas-run.1 and so on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Manual {
    /// Prints or writes it.
    pub fn execute(self) -> anyhow::Result<u8> {
        match self.out {
            None => {
                let mut page = Vec::new();
                Man::new(command()).render(&mut page)?;
                console::result(&String::from_utf8(page)?);
            }
            Some(out) => {
                let cannot = || format!("cannot write to {}", out.display());
                std::fs::create_dir_all(&out).with_context(cannot)?;
                generate_to(command(), &out).with_context(cannot)?;
            }
        }
        Ok(0)
    }
}
