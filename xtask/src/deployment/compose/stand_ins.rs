//! Images from Debian's packages under the names of published ones, where no registry can be reached.
//!
//! They are kept by the engine: what is there is not made again.

use super::docker::Docker;
use crate::repository::root;
use crate::{cargo_program, say};
use anyhow::{Context, bail};
use engines::program;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable of the system that everything stands on, in the Dockerfile.
const SYSTEM: &str = "SYSTEM_IMAGE";
/// The variable of the image that compiles.
const RUST: &str = "RUST_IMAGE";
/// What has no package, and is left out.
pub const LEFT_OUT: [&str; 1] = ["grafana"];

/// Makes all images that the files name, but for those that are left out.
///
/// # Errors
/// Packages cannot be had, or an image is not made.
pub fn make(docker: &Docker, folder: &Path) -> anyhow::Result<()> {
    let named = named()?;
    let of = |variable: &str| named.iter().find(|(name, _)| name == variable);
    let (_, system) = of(SYSTEM).context("the Dockerfile names no system")?;
    if !is_there(docker, system) {
        make_system(docker, folder, system)?;
    }
    for (variable, image) in &named {
        let name = variable.trim_end_matches("_IMAGE").to_lowercase().replace('_', "-");
        if variable == SYSTEM || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let sources = root().join("xtask/compose").join(&name);
        if !sources.join("Dockerfile").exists() {
            bail!("{image} has no stand-in: there is no xtask/compose/{name}/Dockerfile");
        }
        let context = if variable == RUST { with_binary(&sources, folder)? } else { sources };
        let argument = format!("SYSTEM={system}");
        build(docker, image, &["--build-arg", &argument], &context)?;
    }
    Ok(())
}

/// The program's own image, by its own Dockerfile.
///
/// # Errors
/// It is not made.
pub fn make_own(docker: &Docker, image: &str) -> anyhow::Result<()> {
    build(docker, image, &[], &root())
}

/// The variables of images and their defaults, in the order of the files.
pub fn named() -> anyhow::Result<Vec<(String, String)>> {
    let mut named = Vec::new();
    for file in ["Dockerfile", "docker-compose.yml"] {
        let text = std::fs::read_to_string(root().join(file)).context(file)?;
        for (variable, image) in text.lines().filter_map(image_of_line) {
            if !named.iter().any(|(other, _)| *other == variable) {
                named.push((variable, image));
            }
        }
    }
    Ok(named)
}

/// `ARG X_IMAGE=NAME` and `image: ${X_IMAGE:-NAME}`.
fn image_of_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let (variable, image) = match line.strip_prefix("ARG ") {
        Some(rest) => rest.split_once('=')?,
        None => line.strip_prefix("image: ${")?.strip_suffix('}')?.split_once(":-")?,
    };
    variable.ends_with("_IMAGE").then(|| (variable.to_owned(), image.to_owned()))
}

fn is_there(docker: &Docker, image: &str) -> bool {
    docker.said(&["image", "inspect", "--format", "{{.Id}}", image]).is_ok()
}

fn build(docker: &Docker, image: &str, options: &[&str], context: &Path) -> anyhow::Result<()> {
    say(&format!("image {image}"));
    let mut command = docker.command(&["build", "--quiet", "--network", "host", "--tag", image]);
    super::docker::said(command.args(options).arg(context)).map(drop)
}

/// What a build of the image that compiles needs, with the program of this machine.
fn with_binary(sources: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let status = Command::new(cargo_program())
        .args(["build", "--release", "--package", "fracas"])
        .current_dir(root())
        .status()
        .context("running cargo")?;
    if !status.success() {
        bail!("cargo build --release --package fracas ended with {status}");
    }
    let context = folder.join("rust");
    std::fs::create_dir_all(&context).with_context(|| context.display().to_string())?;
    let copy = |from: PathBuf, name: &str| {
        std::fs::copy(&from, context.join(name)).with_context(|| from.display().to_string())
    };
    copy(root().join("target/release/fracas"), "fracas")?;
    copy(sources.join("cargo"), "cargo")?;
    copy(sources.join("Dockerfile"), "Dockerfile")?;
    Ok(context)
}

/// A small Debian of the same release as this machine's.
fn make_system(docker: &Docker, folder: &Path, image: &str) -> anyhow::Result<()> {
    let debootstrap = program(&["debootstrap"], "debootstrap")?;
    let release = release()?;
    if !image.contains(&release) {
        bail!("{image} can only be made on Debian of that release: this is {release}");
    }
    let sources = sources(&release)?;
    let (mirror, _) = sources.first().context("apt knows no source of Debian")?;
    say(&format!("image {image}: a small system, which takes a few minutes"));
    let tree = folder.join("system");
    if tree.exists() {
        std::fs::remove_dir_all(&tree).with_context(|| tree.display().to_string())?;
    }
    super::docker::said(
        Command::new(debootstrap)
            .args(["--variant=minbase", &release])
            .arg(&tree)
            .arg(mirror)
            .stdin(Stdio::null()),
    )?;
    let lines: Vec<String> =
        sources.iter().map(|(at, suite)| format!("deb {at} {suite} main\n")).collect();
    std::fs::write(tree.join("etc/apt/sources.list"), lines.concat()).context("its sources")?;
    let mut tar = Command::new("tar")
        .arg("--directory")
        .arg(&tree)
        .args(["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./dev/*", "--create", "."])
        .stdout(Stdio::piped())
        .spawn()
        .context("running tar")?;
    let packed = tar.stdout.take().context("the output of tar")?;
    super::docker::said(docker.command(&["import", "-", image]).stdin(packed))?;
    if !tar.wait().context("tar")?.success() {
        bail!("the system could not be packed");
    }
    std::fs::remove_dir_all(&tree).with_context(|| tree.display().to_string())
}

fn release() -> anyhow::Result<String> {
    let about = std::fs::read_to_string("/etc/os-release").context("which system this is")?;
    let line = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(line.context("a system without a release")?.trim_matches('"').to_owned())
}

/// Where apt gets the packages of a release, and under which name.
fn sources(release: &str) -> anyhow::Result<Vec<(String, String)>> {
    let format = "$(REPO_URI) $(RELEASE)";
    let told = super::docker::said(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))?;
    let mut sources: Vec<(String, String)> = Vec::new();
    for (at, suite) in told.lines().filter_map(|line| line.split_once(' ')) {
        let known =
            [release.to_owned(), format!("{release}-updates"), format!("{release}-security")];
        let source = (at.to_owned(), suite.to_owned());
        if known.contains(&source.1) && !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources.sort_by_key(|(_, suite)| suite != release);
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_where_files_name_them() {
        let of = |line: &str| image_of_line(line);
        let expected = Some(("RUST_IMAGE".to_owned(), "rust:1".to_owned()));
        assert_eq!(of("ARG RUST_IMAGE=rust:1"), expected);
        assert_eq!(of("  image: ${RUST_IMAGE:-rust:1}"), expected);
        assert_eq!(of("  image: fracas:${FRACAS_TAG:-0.1.0}"), None);
        assert_eq!(of("ARG OTHER=1"), None);
    }

    #[test]
    fn every_published_image_has_a_stand_in_or_is_left_out() {
        for (variable, image) in named().unwrap() {
            let name = variable.trim_end_matches("_IMAGE").to_lowercase().replace('_', "-");
            let has_one = root().join("xtask/compose").join(&name).join("Dockerfile").exists();
            assert!(
                has_one || LEFT_OUT.contains(&&*name) || variable == SYSTEM,
                "{image} ({name})"
            );
            assert!(image.contains(':'), "{image} names no version");
        }
    }
}
