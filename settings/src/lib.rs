//! One reader of TOML files, for scenarios and for the configuration of a cluster.
//!
//! A file becomes a tree in which every key and value knows its place; sections with known keys are read
//! from the tree, and all mistakes are noted at once, each with line and column and the nearest valid
//! word. Which keys there are, and what goes together, is said by those who declare the sections.

pub mod duration;
pub mod mistake;
pub mod section;
pub mod tree;
pub mod value;

pub use mistake::{Mistake, Mistakes, Origin, Problem};
pub use section::{Field, Section};
pub use tree::Node;
pub use value::{TextForm, Value};
/// `section!` names them.
pub use {serde_json, toml};
