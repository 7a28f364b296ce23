//! The text of a scenario: from a file, or by the name of one that is built in.

use crate::InvalidUsage;
use scenarios::{BUILT_IN, nearest};
use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The scenario that an argument names. A file always wins; a name without a folder that is no file is
/// looked up in the library.
///
/// # Errors
/// Neither is there, or the file cannot be read; with what may have been meant.
pub fn scenario_text(given: &Path) -> Result<Cow<'static, str>, InvalidUsage> {
    let is_file = given.exists() && !given.is_dir();
    if !is_file && let Some(built_in) = given.to_str().and_then(scenarios::built_in) {
        return Ok(Cow::Borrowed(built_in.text));
    }
    let shown = given.display();
    if given.is_dir() {
        let inside = scenarios_in(given).join(", ");
        let inside =
            if inside.is_empty() { String::new() } else { format!("; it contains {inside}") };
        return Err(InvalidUsage(format!("{shown} is a folder, not a scenario file{inside}")));
    }
    if !given.exists() {
        return Err(InvalidUsage(format!("there is no scenario {shown}{}", hint(given))));
    }
    read_text(given).map(Cow::Owned)
}

/// The text of a file that the caller has named.
///
/// # Errors
/// It cannot be read, or it is no text; with the line where it ceases to be.
pub fn read_text(file: &Path) -> Result<String, InvalidUsage> {
    let mut bytes = Vec::new();
    open(file)?.read_to_end(&mut bytes).map_err(|error| cannot_read(file, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        cannot_read(file, &format!("line {line} is not text: expected UTF-8"))
    })
}

/// A file that the caller has named.
///
/// # Errors
/// It cannot be opened, or it is a folder, which could be opened but not read.
pub fn open(file: &Path) -> Result<File, InvalidUsage> {
    if file.is_dir() {
        return Err(cannot_read(file, &"it is a folder, and a file is expected"));
    }
    File::open(file).map_err(|error| cannot_read(file, &error))
}

fn cannot_read(file: &Path, why: &dyn Display) -> InvalidUsage {
    InvalidUsage(format!("cannot read {}: {why}", file.display()))
}

/// What may have been meant by the path of a file that is missing.
fn hint(given: &Path) -> String {
    let name = given.file_name().unwrap_or_default().to_string_lossy();
    let folder = match given.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let there = scenarios_in(folder);
    let stem = given.file_stem().unwrap_or_default().to_string_lossy();
    let mut meant = Vec::new();
    // What is left out is seldom the ending.
    let near = |name: &str| nearest(name, there.iter().map(String::as_str));
    if let Some(file) = near(&name).or_else(|| near(&format!("{name}.toml"))) {
        meant.push(given.with_file_name(file).display().to_string());
    }
    if let Some(name) = nearest(&stem, BUILT_IN.iter().map(|one| one.name)) {
        meant.push(format!("{name} of the library"));
    }
    let meant = match meant.as_slice() {
        [] => String::new(),
        meant => format!("; did you mean {}?", meant.join(" or ")),
    };
    let there = match there.as_slice() {
        [] => String::new(),
        there => format!("; this folder has {}", there.join(", ")),
    };
    format!("{meant}{there}; fracas scenarios lists the library")
}

/// The files of a folder that may be scenarios, and those one folder deeper.
fn scenarios_in(folder: &Path) -> Vec<String> {
    let names = |folder: &Path| -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.path()).collect()
    };
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|e| e == "toml");
    let deeper = names(folder).into_iter().filter(|path| path.is_dir());
    let all = names(folder).into_iter().chain(deeper.flat_map(|path| names(&path)));
    let mut names: Vec<String> = all
        .filter(is_toml)
        .filter_map(|path| Some(path.strip_prefix(folder).ok()?.display().to_string()))
        .filter(|name| name != "Cargo.toml")
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(path)
    }

    fn wrong(given: &Path) -> String {
        let why = scenario_text(given).expect_err("it is no scenario").0;
        why.replace(env!("CARGO_MANIFEST_DIR"), "")
    }

    /// A folder of one test, which removes it.
    fn folder(name: &str) -> PathBuf {
        let name = format!("fracas-lookup-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        folder
    }

    #[test]
    fn a_folder_names_the_scenarios_inside() {
        let safety = wrong(&library("safety"));
        let begins = "/../scenarios/safety is a folder, not a scenario file; it contains ";
        assert!(safety.starts_with(begins) && safety.contains(", smoke.toml, "), "{safety}");
        let all = wrong(&library("."));
        assert!(all.contains(", safety/smoke.toml, "), "{all}");
        let none = wrong(&library("src"));
        assert!(none.ends_with("is a folder, not a scenario file"), "{none}");
    }

    #[test]
    fn a_misspelt_path_gets_the_nearest_file_first() {
        for near in ["safety/smok.toml", "safety/smoke", "safety/Smoke.toml"] {
            let told = wrong(&library(near));
            let meant = "; did you mean /../scenarios/safety/smoke.toml or smoke of the library?; \
                         this folder has ";
            assert!(told.contains(meant), "{near}: {told}");
        }
        let far = wrong(&library("safety/something-quite-different.toml"));
        assert!(far.contains("different.toml; this folder has ") && far.contains(", smoke.toml,"));
        let nowhere = wrong(Path::new("no/such/smoke.toml"));
        assert_eq!(
            nowhere,
            "there is no scenario no/such/smoke.toml; did you mean smoke of the library?; fracas \
             scenarios lists the library"
        );
    }

    #[test]
    fn a_name_is_looked_up_in_the_library_and_nothing_else_is() {
        let smoke = scenario_text(Path::new("smoke")).expect("the library has it");
        assert!(smoke.contains("name = \"smoke\""), "{smoke}");
        assert!(wrong(Path::new("smok")).contains("; did you mean smoke of the library?;"));
        // What looks like a file is meant as one.
        for path in ["smoke.toml", "./smoke", "safety/smoke"] {
            assert!(wrong(Path::new(path)).contains("there is no scenario"), "{path}");
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_told_with_the_line() {
        let folder = folder("text");
        let file = folder.join("latin.toml");
        std::fs::write(&file, b"# a\n# caf\xe9\n").expect("written");
        let told = read_text(&file).expect_err("it is no UTF-8").0;
        let of_folder = read_text(&folder).expect_err("a folder").0;
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(told.ends_with("latin.toml: line 2 is not text: expected UTF-8"), "{told}");
        assert!(of_folder.ends_with("it is a folder, and a file is expected"), "{of_folder}");
    }
}
