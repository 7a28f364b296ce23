//! The files of a search, beside the folders of its levels.

use super::Knee;
use crate::folder;
use crate::html::knee;
use crate::text::knee::markdown;
use std::io;
use std::path::Path;

/// What is in the folder of a search.
pub(crate) const FILES: [&str; 3] = ["knee.json", "knee.html", "knee.md"];

impl Knee {
    /// Writes all forms into the folder of the levels' folders.
    ///
    /// # Errors
    /// The disk refused.
    pub fn write(&self, out: &Path) -> io::Result<()> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        for (name, content) in FILES.iter().zip([json, knee::page(self), markdown(self)]) {
            folder::put(&out.join(name), content)?;
        }
        Ok(())
    }
}
