//! `fracas schema`: for editors.

use clap::Args;

/// Print the JSON Schema of scenario files.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    /// Prints it.
    #[expect(clippy::unused_self, reason = "every subcommand is executed alike")]
    pub fn execute(self) -> anyhow::Result<u8> {
        crate::console::result(&serde_json::to_string_pretty(&scenarios::schema())?);
        Ok(0)
    }
}
