//! A run, read back from its folder.

use crate::folder::FILES;
use crate::latency_log::{self, BadLog, LATENCY_LOG, Logged};
use crate::measured::Steady;
use crate::verdict_file::{FORMAT, VerdictFile};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

pub(crate) const VERDICT: &str = "verdict.json";
const SCENARIO: &str = "scenario.toml";
/// Names of neighbours that a message lists.
const LISTED_MAX: usize = 8;

/// What a folder says of its run.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// Where it is.
    pub folder: PathBuf,
    /// Its verdict and its measurements.
    pub file: VerdictFile,
    /// The scenario as it took effect.
    pub scenario_toml: String,
    pub(crate) latencies: Logged,
    /// Behind the warm-up, if there is a steady state.
    pub(crate) steady: Option<Logged>,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PastRunError {
    /// There is no run in it.
    #[error("{path} {what}{hint}")]
    NoRun {
        /// Which.
        path: PathBuf,
        /// Why not.
        what: &'static str,
        /// What may have been meant.
        hint: String,
    },
    /// The run is older than the log of latencies.
    #[error(
        "{path} has no {LATENCY_LOG}: Fracas {version} did not write it; run it again: {reproduce}"
    )]
    NoLog {
        /// Which.
        path: PathBuf,
        /// What wrote it.
        version: String,
        /// How it is run again.
        reproduce: String,
    },
    /// A file is damaged.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer version wrote it.
    #[error(
        "{path} has format {format}, and this version reads up to {FORMAT}: use a newer Fracas"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// The disk refused.
    #[error("cannot read {path}")]
    Disk {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PastRun {
    /// Reads it.
    ///
    /// # Errors
    /// It is no run's folder, or too old or too new, or damaged.
    pub fn read(folder: &Path) -> Result<Self, PastRunError> {
        let verdict = folder.join(VERDICT);
        if !verdict.is_file() {
            return Err(no_run(folder));
        }
        let file = verdict_in(&verdict)?;
        let log = folder.join(LATENCY_LOG);
        if !log.exists() {
            return Err(PastRunError::NoLog {
                path: folder.to_owned(),
                version: file.version,
                reproduce: file.reproduce,
            });
        }
        let damaged =
            |error: BadLog| PastRunError::Damaged { path: log.clone(), why: error.to_string() };
        let since_us = file.measured.steady.and_then(Steady::since_us);
        let steady_from = since_us.map(Duration::from_micros);
        let since = steady_from.unwrap_or_default();
        let (latencies, later) = latency_log::read(&bytes(&log)?, since).map_err(damaged)?;
        let scenario = folder.join(SCENARIO);
        let scenario_toml = String::from_utf8_lossy(&bytes(&scenario)?).into_owned();
        let counts = (file.measured.accept.all.count, file.measured.deliver.all.count);
        let logged = (latencies.accept.len(), latencies.deliver.len());
        if logged != counts {
            let why = format!(
                "it has {} and {} latencies, {VERDICT} counts {} and {}",
                logged.0, logged.1, counts.0, counts.1
            );
            return Err(PastRunError::Damaged { path: log, why });
        }
        let steady = steady_from.map(|_| later);
        Ok(Self { folder: folder.to_owned(), file, scenario_toml, latencies, steady })
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, PastRunError> {
    fs::read(path).map_err(|source| PastRunError::Disk { path: path.to_owned(), source })
}

pub(crate) fn verdict_in(path: &Path) -> Result<VerdictFile, PastRunError> {
    let text = bytes(path)?;
    let damaged = |error: serde_json::Error| PastRunError::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
    };
    // A newer layout may lack what this version expects: its number comes first.
    let any: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    match any["format"].as_u64() {
        Some(format) if format > FORMAT.into() => {
            Err(PastRunError::Newer { path: path.to_owned(), format })
        }
        _ => serde_json::from_value(any).map_err(damaged),
    }
}

/// What may have been meant by a folder that is none of a run.
fn no_run(path: &Path) -> PastRunError {
    let path = path.to_owned();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).to_owned();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if path.is_file() {
        let is_of_a_run = FILES.contains(&name.as_str()) && parent.join(VERDICT).is_file();
        let hint = is_of_a_run.then(|| format!("; name its folder: {}", parent.display()));
        let hint = hint.unwrap_or_default();
        return PastRunError::NoRun { path, what: "is a file, not the folder of a run", hint };
    }
    if path.is_dir() {
        let deeper = folders_in(&path, |folder| !runs_in(folder).is_empty());
        let hint = match runs_in(&path) {
            runs if !runs.is_empty() => format!("; it contains the runs {}", listed(&runs)),
            _ if deeper.is_empty() => format!("; it has no {VERDICT}"),
            _ => format!("; runs are in its folders {}: name one of them", listed(&deeper)),
        };
        return PastRunError::NoRun { path, what: "is not the folder of a run", hint };
    }
    let beside = runs_in(&parent);
    let hint = match scenarios::nearest(&name, beside.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean {}?", path.with_file_name(near).display()),
        None if beside.is_empty() => String::new(),
        None => format!("; beside it are the runs {}", listed(&beside)),
    };
    PastRunError::NoRun { path, what: "does not exist", hint }
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names[..names.len().min(LISTED_MAX)].join(", ") + &more
}

/// The names of the runs in a folder.
pub(crate) fn runs_in(folder: &Path) -> Vec<String> {
    folders_in(folder, |inside| inside.join(VERDICT).is_file())
}

/// The names of some folders in a folder, numbers in their order.
fn folders_in(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter(|entry| wanted(&entry.path()));
    let mut names: Vec<String> =
        found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

#[cfg(test)]
mod tests {
    use super::PastRun;
    use crate::sample::Stage;
    use std::fs;
    use std::path::PathBuf;
    use verify::verdict::Verdict;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            // A leftover in the temporary directory harms nobody.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn told(folder: &str) -> String {
        PastRun::read(folder.as_ref()).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_no_run_is_refused_with_what_may_have_been_meant() {
        let name = format!("fracas-past-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        let at = |name: &str| folder.0.join(name).display().to_string();
        let mut stage = Stage::of(Verdict::Valid);
        crate::write(&folder.0.join("before"), &stage.run()).expect("written");
        assert!(told(&at("befor")).contains("does not exist; did you mean"));
        assert!(told(&at("")).contains("it contains the runs before"));
        let file = told(&at("before/verdict.json"));
        assert!(file.contains("name its folder") && file.ends_with("before"), "{file}");
        let old = told(&at("before"));
        assert!(old.contains("has no latency.hlog: Fracas 0.1.0 did not write it"), "{old}");
        assert!(
            old.ends_with("run it again: fracas run scenarios/safety/owner-paused.toml --seed 7")
        );
        fs::write(at("before/latency.hlog"), "").expect("written");
        assert!(told(&at("before")).contains("latency.hlog is damaged: it has 0 and 0 latencies"));
        stage.measured = crate::Measured::default();
        crate::write(&folder.0.join("before"), &stage.run()).expect("written");
        let read = PastRun::read(at("before").as_ref()).expect("a run without latencies");
        assert_eq!(read.file.seed, 7);
        let newer = r#"{ "format": 2, "more": "than we know" }"#;
        fs::write(at("before/verdict.json"), newer).expect("written");
        assert!(told(&at("before")).contains("has format 2, and this version reads up to 1"));
    }
}
