//! The files of a comparison.

use super::Comparison;
use crate::folder;
use crate::html::comparison;
use crate::past_run::PastRun;
use crate::text::comparison::markdown;
use crate::text::junit;
use std::io;
use std::path::Path;

/// What is in the folder of a comparison.
pub(crate) const FILES: [&str; 4] =
    ["comparison.json", "comparison.html", "comparison.md", "junit.xml"];

impl Comparison {
    /// Writes all forms into a folder, which is made, or freed of an earlier comparison.
    ///
    /// # Errors
    /// The folder has other files, or the disk refused.
    pub fn write(&self, out: &Path, a: &[PastRun], b: &[PastRun]) -> io::Result<()> {
        folder::prepare(out).map_err(io::Error::other)?;
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        let page = comparison::page(self, a, b);
        let forms = [json, page, markdown(self), junit::comparison(self)];
        for (name, content) in FILES.iter().zip(forms) {
            folder::put(&out.join(name), content)?;
        }
        Ok(())
    }

    /// The exit status: 1 if a demand is not met, 2 if that cannot be told of one, else 0.
    pub fn status(&self) -> u8 {
        let any = |failed| self.gates.iter().any(|gate| gate.failed == failed);
        match () {
            () if any(Some(true)) => 1,
            () if any(None) => 2,
            () => 0,
        }
    }
}
