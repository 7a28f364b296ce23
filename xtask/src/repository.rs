//! The files of the repository, read once. Checks see nothing else, so that tests can make one up.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours: build output, the version control's own, recorded runs.
const LEFT_OUT: [&str; 3] = ["target", ".git", "reports/runs"];

/// A text file.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// Its path from the root, with slashes.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// All files of the repository.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// Its text files, by path.
    pub files: Vec<TextFile>,
    /// Paths of all files and directories, from the root.
    pub paths: Vec<String>,
}

impl TextFile {
    /// Its lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    /// Whether its name ends so.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

impl Repository {
    /// Reads everything below a directory.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut repository = Self::default();
        let mut waiting = vec![PathBuf::new()];
        while let Some(directory) = waiting.pop() {
            let full = root.join(&directory);
            for entry in
                std::fs::read_dir(&full).with_context(|| format!("reading {}", full.display()))?
            {
                let entry = entry?;
                let relative = directory.join(entry.file_name());
                let path = relative.to_string_lossy().replace('\\', "/");
                if LEFT_OUT.contains(&path.as_str()) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    waiting.push(relative);
                } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                    repository.files.push(TextFile { path: path.clone(), text });
                }
                repository.paths.push(path);
            }
        }
        repository.files.sort_by(|a, b| a.path.cmp(&b.path));
        repository.paths.sort();
        Ok(repository)
    }

    /// A text file by its path.
    pub fn get(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or a directory is there.
    pub fn has(&self, path: &str) -> bool {
        self.paths.binary_search_by(|known| known.as_str().cmp(path)).is_ok()
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// A made-up repository.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut repository = Self::default();
        for (path, text) in files {
            repository.files.push(TextFile { path: (*path).into(), text: (*text).into() });
            let ancestors = Path::new(path).ancestors().filter_map(Path::to_str);
            repository.paths.extend(ancestors.filter(|a| !a.is_empty()).map(str::to_owned));
        }
        repository.paths.sort();
        repository.paths.dedup();
        repository
    }
}

/// The root of the repository: the parent of this crate.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}
