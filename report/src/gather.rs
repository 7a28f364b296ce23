//! The runs in folders, however deep they lie, in one table.

use crate::past_run::{PastRunError, VERDICT, verdict_in};
use crate::sweep::{Summary, Sweep, SweepRun};
use crate::verdict_file::VerdictFile;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};
use verify::history::event::Engine;

/// What a run's row is told by.
const KEYS: [&str; 3] = ["scenario", "on", "settings"];

/// What was found.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Folders and what their runs came to, in the order of their paths.
    pub runs: Vec<(PathBuf, VerdictFile)>,
    /// What may be a run and cannot be read.
    pub unreadable: Vec<PastRunError>,
}

/// Looks for runs in folders and in those within. Links are not followed.
///
/// # Errors
/// One of the folders, not one within, cannot be read.
pub fn gather(folders: &[PathBuf]) -> Result<Gathered, PastRunError> {
    let mut gathered = Gathered::default();
    for folder in folders {
        fs::read_dir(folder).map_err(|source| disk(folder, source))?;
        gathered.look(folder);
    }
    Ok(gathered)
}

fn disk(path: &Path, source: io::Error) -> PastRunError {
    PastRunError::Disk { path: path.to_owned(), source }
}

impl Gathered {
    fn look(&mut self, folder: &Path) {
        let verdict = folder.join(VERDICT);
        if verdict.is_file() {
            // `a` and `./a` are one folder.
            let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let here = place(folder);
            match verdict_in(&verdict) {
                Ok(_) if self.runs.iter().any(|(path, _)| place(path) == here) => {}
                Ok(file) => self.runs.push((folder.to_owned(), file)),
                Err(error) => self.unreadable.push(error),
            }
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(source) => {
                self.unreadable.push(disk(folder, source));
                return;
            }
        };
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let folders = entries.flatten().filter(is_folder);
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        // Numbers in their order.
        folders.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
        for folder in folders {
            self.look(&folder);
        }
    }

    /// One row for each scenario with its settings; each run is linked as seen from the page's folder.
    ///
    /// # Errors
    /// A folder is gone by now.
    pub fn index(&self, title: String, page: &Path, version: &str) -> io::Result<Sweep> {
        let keys = KEYS.map(str::to_owned).to_vec();
        let mut index = Sweep { title, keys, version: version.to_owned(), rows: Vec::new() };
        let page = page.canonicalize()?;
        for (folder, file) in &self.runs {
            let folder = Some(relative(&page, &folder.canonicalize()?));
            let on = match file.engine {
                Engine::Simulated => "simulation",
                Engine::Real => "sockets",
            };
            let values = vec![file.scenario.clone(), on.to_owned(), settings(file)];
            index.add(
                values,
                SweepRun {
                    first: file.first.clone(),
                    seed: file.seed,
                    folder,
                    summary: Some(Summary::of(file)),
                },
            );
        }
        Ok(index)
    }
}

/// What the command that reproduces a run says behind its seed.
fn settings(file: &VerdictFile) -> String {
    let seed = format!(" --seed {} ", file.seed);
    let (_, settings) = file.reproduce.split_once(&seed).unwrap_or_default();
    if settings.is_empty() { "–".to_owned() } else { settings.to_owned() }
}

/// The same without `--set`, whose values are quoted where they must be.
pub(crate) fn options(file: &VerdictFile) -> String {
    let settings = settings(file);
    let mut rest = settings.as_str();
    let mut options = Vec::new();
    while let Some((word, behind)) = next_word(rest) {
        rest = behind;
        if word == "--set" {
            rest = next_word(rest).map_or("", |(_, behind)| behind);
        } else {
            options.push(word);
        }
    }
    if options.is_empty() { "–".to_owned() } else { options.join(" ") }
}

/// A word, which may be in single quotes, and what is behind it.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = match text.strip_prefix('\'') {
        Some(quoted) => quoted.find('\'').map_or(text.len(), |end| end + 2),
        None => text.find(' ').unwrap_or(text.len()),
    };
    (!text.is_empty()).then(|| text.split_at(end))
}

/// The way from one folder to another, both absolute, as a link has it.
pub(crate) fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component>, Vec<Component>) =
        (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from[common..].iter().map(|_| "..".to_owned());
    let down = to[common..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let way: Vec<String> = up.chain(down).collect();
    if way.is_empty() { ".".to_owned() } else { way.join("/") }
}

#[cfg(test)]
mod tests {
    use super::{Gathered, VerdictFile, gather, options, relative};
    use crate::sample::Stage;
    use std::fs;
    use std::path::Path;
    use verify::verdict::Verdict;

    #[test]
    fn a_link_leads_from_the_page_to_the_run() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/b", "/a/b/c/1"), "c/1");
        assert_eq!(way("/a/b", "/a/c"), "../c");
        assert_eq!(way("/a", "/a"), ".");
    }

    #[test]
    fn runs_are_found_at_any_depth_and_grouped_by_their_settings() {
        let root = std::env::temp_dir().join(format!("fracas-gather-{}", std::process::id()));
        let mut stage = Stage::of(Verdict::Valid);
        for (folder, seed, settings) in
            [("1", 1, ""), ("deep/er/2", 2, ""), ("10", 1, " --set 'cluster.gateways=4'")]
        {
            stage.header.seed = seed;
            let reproduce = format!("fracas run a.toml --seed {seed}{settings}");
            let run = crate::Run { reproduce: &reproduce, ..stage.run() };
            crate::write(&root.join(folder), &run).expect("written");
        }
        fs::create_dir_all(root.join("torn")).expect("made");
        fs::write(root.join("torn/verdict.json"), "{").expect("written");
        let found = gather(&[root.clone(), root.join("deep"), root.join("deep/../1")]);
        let index = found.as_ref().ok().map(|found| {
            found.index("runs".to_owned(), &root.join("deep"), "0.1.0").expect("all are there")
        });
        fs::remove_dir_all(&root).expect("our own folder");
        let Gathered { runs, unreadable } = found.expect("folders");
        assert_eq!(runs.len(), 3, "each once");
        assert!(unreadable[0].to_string().contains("torn/verdict.json is damaged"));
        let rows = index.expect("an index").rows;
        let values: Vec<&str> = rows.iter().map(|row| row.values[2].as_str()).collect();
        assert_eq!(values, ["–", "--set 'cluster.gateways=4'"]);
        let links = rows[0].runs.iter().filter_map(|run| run.folder.as_deref());
        assert_eq!(links.collect::<Vec<_>>(), ["../1", "er/2"]);
    }

    #[test]
    fn options_are_what_is_left_of_the_settings() {
        let told = |settings: &str| {
            let stage = Stage::of(Verdict::Valid);
            let seed = stage.header.seed;
            let reproduce = format!("fracas load a.toml --seed {seed} {settings}");
            options(&VerdictFile::of(&crate::Run { reproduce: &reproduce, ..stage.run() }))
        };
        assert_eq!(
            told("--set 'load.body=a b' --tls --set a.b=1 --one-process"),
            "--tls --one-process"
        );
        assert_eq!(told("--set a.b=1"), "–");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(gather(&["/nowhere/at/all".into()]).is_err());
    }
}
