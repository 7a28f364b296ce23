//! The library: the scenarios that are built in, or all files below a directory, each with its question
//! and what it takes.

use crate::parse;
use settings::mistake::Mistakes;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A scenario that is part of this program.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its folder in the repository: `safety`.
    pub folder: &'static str,
    /// Its name, which no other one has.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

/// All of them, by folder and name: see `build.rs`.
pub const BUILT_IN: &[BuiltIn] = include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// The one that is called so.
pub fn built_in(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|one| one.name == name)
}

/// A scenario of a library.
#[derive(Clone, Debug)]
pub struct Listing {
    /// What a command takes for it: its path, as reached from the directory that was given, or the name of
    /// one that is built in.
    pub path: PathBuf,
    /// The folder: `safety`.
    pub folder: String,
    /// What it holds, or its mistakes.
    pub about: Result<About, Mistakes>,
}

/// What a scenario is about, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: String,
    /// The question that it answers.
    pub question: String,
    /// Its users.
    pub users: u32,
    /// Simulated time, at most.
    pub simulated: Duration,
    /// Faults by schedule.
    pub faults: usize,
    /// Whether there are random faults too.
    pub random_faults: bool,
}

/// Lists what is built in.
pub fn built_in_library() -> Vec<Listing> {
    let listing = |one: &BuiltIn| {
        let path = PathBuf::from(one.name);
        let about = about(&path, one.text);
        Listing { path, folder: one.folder.to_owned(), about }
    };
    BUILT_IN.iter().map(listing).collect()
}

/// Lists `dir/FOLDER/*.toml`, by folder and name.
pub fn library(dir: &Path) -> io::Result<Vec<Listing>> {
    let mut listings = Vec::new();
    for folder in sorted(dir)?.into_iter().filter(|path| path.is_dir()) {
        let files = sorted(&folder)?;
        let word = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")) {
            let about = about(&path, &std::fs::read_to_string(&path)?);
            listings.push(Listing { path, folder: word.clone(), about });
        }
    }
    Ok(listings)
}

fn about(path: &Path, text: &str) -> Result<About, Mistakes> {
    let scenario = parse(text, &path.display().to_string(), &[])?;
    Ok(About {
        simulated: scenario.lasts(),
        users: scenario.users.count,
        faults: scenario.faults.len(),
        random_faults: scenario.random_faults.is_some(),
        name: scenario.name,
        question: scenario.question,
    })
}

fn sorted(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
