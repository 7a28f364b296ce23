//! Builds the scenario library into the crate: every `FOLDER/NAME.toml` beside this file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the folder"));
    // A folder that comes or goes changes the folder above it.
    println!("cargo::rerun-if-changed={}", root.display());
    let mut list = String::from("&[\n");
    for folder in sorted(&root)?.into_iter().filter(|path| path.is_dir()) {
        let files = sorted(&folder)?;
        for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "toml")) {
            let [folder, name] = [folder.file_name(), file.file_stem()]
                .map(|word| word.unwrap_or_default().to_string_lossy().into_owned());
            let file = file.to_str().expect("a path of UTF-8");
            let entry = format!(
                "BuiltIn {{ folder: {folder:?}, name: {name:?}, text: include_str!({file:?}) }}"
            );
            writeln!(list, "    {entry},").expect("text takes all text");
        }
    }
    list.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names where to write"));
    fs::write(out.join("library.rs"), list)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
