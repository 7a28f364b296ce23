//! `fracas report`: the runs in folders, on one page.

use crate::{VERSION, console, sweep};
use anyhow::Context;
use campaign::InvalidUsage;
use clap::Args;
use report::gather::gather;
use std::path::{Path, PathBuf};

/// What a reader of the help may want to know.
const MEANING: &str = "\
Runs are found in the folders and in all folders within them, wherever --out has put them. Runs of one \
scenario with the same settings share a row. Writes index.html and index.md.

Exit status: 0 all runs are in the table, 2 some could not be read, 64 there are none.";

/// List the runs in folders, and write a page that links their reports.
#[derive(Debug, Args)]
#[command(after_help = MEANING)]
pub struct Report {
    /// Folders with runs in them.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The folder for the page; if it is not given, the only DIR.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Report {
    /// Prints the table and writes the page.
    pub fn execute(self) -> anyhow::Result<u8> {
        let out = page_folder(self.out.as_ref(), &self.folders)?;
        let gathered =
            gather(&self.folders).map_err(|error| InvalidUsage(ports::with_causes(&error)))?;
        for error in &gathered.unreadable {
            console::note(&ports::with_causes(error));
        }
        let names: Vec<String> = self.folders.iter().map(|folder| named(folder)).collect();
        let names = names.join(", ");
        if gathered.runs.is_empty() {
            let why =
                format!("there is no run in {names}: --out of run, load and explore writes them");
            return Err(InvalidUsage(why).into());
        }
        let cannot = || format!("cannot write {}", out.display());
        std::fs::create_dir_all(out).with_context(cannot)?;
        let index = gathered.index(names, out, VERSION).with_context(cannot)?;
        index.write(out).with_context(cannot)?;
        sweep::show(&index);
        console::note(&format!("{}", out.join("index.html").display()));
        Ok(if gathered.unreadable.is_empty() { 0 } else { 2 })
    }
}

/// A folder as it is given; one that is given without a name (`.`, `..`) by the name that it has.
fn named(folder: &Path) -> String {
    let own = match folder.file_name() {
        Some(_) => None,
        None => folder.canonicalize().ok(),
    };
    let own = own.as_deref().and_then(Path::file_name);
    own.map_or_else(|| folder.display().to_string(), |name| name.display().to_string())
}

/// Where the page goes: to `--out`, or into the only folder.
pub(super) fn page_folder<'a>(
    out: Option<&'a PathBuf>,
    folders: &'a [PathBuf],
) -> Result<&'a PathBuf, InvalidUsage> {
    match (out, folders) {
        (Some(out), _) => Ok(out),
        (None, [only]) => Ok(only),
        _ => Err(InvalidUsage("several folders: --out says where the page goes".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_name() {
        let here = std::env::current_dir().unwrap();
        let name = here.file_name().unwrap().to_str().unwrap();
        assert_eq!(named(Path::new(".")), name);
        assert_eq!(named(Path::new("runs/a")), "runs/a");
        assert_eq!(
            named(Path::new("..")),
            here.parent().unwrap().file_name().unwrap().to_str().unwrap()
        );
    }
}
