//! Writes the files of a report into one directory.

use crate::run::Run;
use crate::text::{junit::junit, markdown::markdown};
use crate::verdict_file::VerdictFile;
use crate::{folder, html};
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
/// The history is not among them: the engine writes it during the run.
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
        ("repro.txt", repro(run)),
    ];
    let mut paths = Vec::with_capacity(files.len());
    for (name, content) in files {
        let path = dir.join(name);
        folder::put(&path, content)
            .map_err(|source| ReportError::File { path: path.clone(), source })?;
        paths.push(path);
    }
    Ok(paths)
}

/// Runs from anywhere: the scenario stands beside it.
fn repro(run: &Run) -> String {
    format!(
        "# Fracas {}; `sh repro.txt`, from anywhere\ncd \"$(dirname \"$0\")\" && {}\n",
        run.version, run.reproduce_here
    )
}

#[cfg(test)]
mod tests {
    use super::{ReportError, write};
    use crate::sample::Stage;
    use std::fs;
    use verify::verdict::Verdict;

    #[test]
    fn all_forms_are_written() {
        let dir = std::env::temp_dir().join(format!("fracas-report-{}", std::process::id()));
        let stage = Stage::of(Verdict::Violated);
        let paths = write(&dir.join("deep/run"), &stage.run()).expect("a temporary directory");
        let names: Vec<_> = paths.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        let want =
            ["scenario.toml", "verdict.json", "report.md", "report.html", "junit.xml", "repro.txt"];
        assert_eq!(names, want);
        for path in &paths {
            let content = fs::read_to_string(path).expect("what was just written");
            assert!(content.ends_with('\n') || content.ends_with("</html>"), "{path:?}");
        }
        let repro = fs::read_to_string(&paths[5]).expect("what was just written");
        let expected = "# Fracas 0.1.0; `sh repro.txt`, from anywhere\n\
                        cd \"$(dirname \"$0\")\" && fracas run scenario.toml --seed 7\n";
        assert_eq!(repro, expected);
        fs::remove_dir_all(&dir).expect("our own directory");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = std::env::temp_dir().join(format!("fracas-report-file-{}", std::process::id()));
        fs::write(&file, "in the way").expect("a temporary directory");
        let stage = Stage::of(Verdict::Valid);
        let error = write(&file.join("run"), &stage.run()).expect_err("a file is in the way");
        assert!(matches!(&error, ReportError::Directory { path, .. } if *path == file.join("run")));
        fs::remove_file(&file).expect("our own file");
    }
}
