//! Writes the files of a report into one directory.

use crate::html;
use crate::run::Run;
use crate::text::{junit::junit, markdown::markdown};
use crate::verdict_file::VerdictFile;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The directory could not be made.
    #[error("cannot make the report's directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The verdict could not be put into JSON.
    #[error("cannot write the verdict as JSON")]
    Json(#[from] serde_json::Error),
}

/// Writes all forms of the report into `dir`, which is made if it is missing, and says which files.
/// The history is not among them: whoever makes the run writes it meanwhile.
pub fn write(dir: &Path, run: &Run) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(dir)
        .map_err(|source| ReportError::Directory { path: dir.to_owned(), source })?;
    let mut verdict = serde_json::to_string_pretty(&VerdictFile::of(run))?;
    verdict.push('\n');
    let files = [
        ("scenario.toml", run.scenario_toml.to_owned()),
        ("verdict.json", verdict),
        ("report.md", markdown(run)),
        ("report.html", html::page(run)),
        ("junit.xml", junit(run)),
        ("repro.txt", format!("{}\n", run.reproduce)),
    ];
    let mut paths = Vec::with_capacity(files.len());
    for (name, content) in files {
        let path = dir.join(name);
        fs::write(&path, content)
            .map_err(|source| ReportError::File { path: path.clone(), source })?;
        paths.push(path);
    }
    Ok(paths)
}
